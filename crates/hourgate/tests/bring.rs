//! What exists elsewhere is brought, kept as a file, and made so again, against a server.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod served;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hourgate_server::Options;
use serde_json::{Value, json};

use served::serve;

/// One end of a run.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(home: &Path, words: &[&str], piped: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hourgate"))
        .env_clear()
        .env("HOME", home)
        .env("HOURGATE_PROFILE", home.join("data/admin.json"))
        .current_dir(home)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that is refused before its end is read breaks the pipe.
    let _ = stdin.write_all(piped.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[track_caller]
fn ends(home: &Path, code: i32, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ran = run(home, &words, "");
    assert_eq!(ran.code, Some(code), "{line}\nstdout: {}\nstderr: {}", ran.out, ran.err);
    ran
}

#[track_caller]
fn value(home: &Path, line: &str) -> Value {
    serde_json::from_str(&ends(home, 0, line).out).expect("JSON")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// How many steps of each kind there are.
fn counts(shown: &Value) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for step in shown["steps"].as_array().expect("steps") {
        *counts.entry(step["action"].as_str().expect("a word").to_owned()).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

fn with_server(test: impl FnOnce(&Path) + Send + 'static) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let home = tempfile::tempdir().expect("a directory");
        let served = serve(home.path(), Options::default()).await;
        let typing = home.path().to_owned();
        tokio::task::spawn_blocking(move || test(&typing)).await.expect("no panic");
        served.stop().await;
    });
}

#[test]
fn a_template_is_brought_once_and_then_changes_nothing() {
    with_server(|home| {
        let template = fixture("portal.json");
        let import = format!("import {} -g prod", template.display());

        // Looking changes nothing.
        let shown = value(home, &format!("{import} --what-if"));
        assert_eq!(counts(&shown), [("create".to_owned(), 7)], "{shown:#}");
        let skipped: Vec<(&str, &str, &str)> = shown["skipped"]
            .as_array()
            .expect("skipped")
            .iter()
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or_default();
                (text("type"), text("name"), text("reason"))
            })
            .collect();
        assert_eq!(
            skipped,
            [
                (
                    "Microsoft.Compute/disks",
                    "web-1_OsDisk_1_0f",
                    "resources of this type are not kept here"
                ),
                (
                    "Microsoft.Compute/virtualMachines/extensions",
                    "front-1/agent",
                    "resources of this type are not kept here"
                ),
                (
                    "Microsoft.ClassicCompute/virtualMachines",
                    "old-1",
                    "a classic machine cannot have just-in-time access"
                ),
                ("Microsoft.Network/publicIPAddresses", "never", "its condition is false"),
                (
                    "Microsoft.Network/networkSecurityGroups/securityRules",
                    "web-nsg/MicrosoftDefenderForCloud-JITRule_-1151891693_545C5DBC675443D3BF179EFD1EF8254D",
                    "a rule that Azure's just-in-time access made for a time"
                ),
            ]
        );
        assert_eq!(value(home, "network nsg list"), json!([]));

        assert_eq!(counts(&value(home, &import)), [("create".to_owned(), 7)]);
        let nics = value(home, "network nic list");
        let ip = &nics[0]["properties"]["ipConfigurations"][0]["properties"];
        assert_eq!(ip["privateIPAddress"], "10.20.0.7", "the machine's own address");
        let front = value(home, "vm show front-1 -g prod");
        assert_eq!(front["properties"]["privateAddresses"], json!(["10.20.0.7"]));
        assert_eq!(front["properties"]["osType"], "Linux");
        assert_eq!(value(home, "eligibility")[0]["properties"]["state"], "NotConfigured");
        let hub = value(home, "network vnet show -g prod -n hub");
        assert_eq!(hub["properties"]["subnets"].as_array().map(Vec::len), Some(2));
        let peer = "/properties/virtualNetworkPeerings/0/properties/remoteVirtualNetwork/id";
        assert!(hub.pointer(peer).and_then(Value::as_str).is_some_and(|id| id.ends_with("/spoke")));
        let rules = value(home, "network nsg rule list -g prod --nsg-name web-nsg");
        assert_eq!(rules.as_array().map(Vec::len), Some(2), "{rules:#}");

        // The second time nothing changes, and the third, as typed by somebody who only looks.
        for line in [import.clone(), format!("{import} --what-if")] {
            let again = value(home, &line);
            assert_eq!(counts(&again), [("unchanged".to_owned(), 7)], "{again:#}");
        }

        // What somebody changed is told property by property, and set back.
        ends(
            home,
            0,
            "network nsg rule create -g prod --nsg-name web-nsg -n https --priority 310 --protocol Tcp \
             --destination-port-ranges 443",
        );
        let shown = value(home, &format!("{import} --what-if"));
        let changed = shown["steps"].as_array().expect("steps").iter();
        let changed: Vec<&Value> = changed.filter(|step| step["action"] == "change").collect();
        let paths: Vec<&str> = changed[0]["differences"]
            .as_array()
            .expect("differences")
            .iter()
            .map(|difference| difference["path"].as_str().expect("a path"))
            .collect();
        assert!(
            paths.contains(&"properties.securityRules[https].properties.priority"),
            "{paths:?}"
        );
        ends(home, 0, &import);
        let again = value(home, &import);
        assert_eq!(counts(&again), [("unchanged".to_owned(), 7)], "{again:#}");
    });
}

#[test]
fn what_leads_to_machines_is_brought_with_its_parts_and_kept() {
    with_server(|home| {
        let import = format!("import {} -g app", fixture("gateway.json").display());
        let shown = value(home, &import);
        assert_eq!(counts(&shown), [("create".to_owned(), 9)], "{shown:#}");
        assert_eq!(shown["skipped"], json!([]));
        let again = value(home, &import);
        assert_eq!(counts(&again), [("unchanged".to_owned(), 9)], "{again:#}");
        let balancer = value(home, "network lb show -g app -n app-lb");
        let rules = balancer["properties"]["inboundNatRules"].as_array().expect("rules").iter();
        let rules: Vec<&str> = rules.map(|rule| rule["name"].as_str().expect("a name")).collect();
        assert_eq!(rules, ["ssh", "rdp"]);
        let list = "network firewall-policy dnat list -g app --policy-name app-pol";
        assert_eq!(value(home, list)[0]["name"], "nat");

        // Elsewhere everything that was exported can be made, and what is more there is told and goes.
        let yaml = ends(home, 0, "export").out;
        for only in ["backendIPConfiguration", "firewalls:", "ruleCollectionGroups:"] {
            assert!(!yaml.contains(only), "{only} is told of others: {yaml}");
        }
        assert!(yaml.contains("firewallPolicies/ruleCollectionGroups"), "{yaml}");
        fs::write(home.join("site.yaml"), &yaml).expect("written");
        fs::write(home.join("empty.yaml"), "hourgate: 1\nresources: []\n").expect("written");
        ends(home, 0, "apply -f empty.yaml --prune --yes");
        assert_eq!(value(home, "network firewall-policy list"), json!([]));
        ends(home, 0, "apply -f site.yaml");
        assert_eq!(yaml, ends(home, 0, "export").out, "made anew");
        ends(
            home,
            0,
            "network firewall-policy dnat create -g app --policy-name app-pol -n more \
             --destination-address 198.51.100.22 --destination-port 8443 \
             --translated-address 10.20.0.4 --translated-port 443",
        );
        let ran = ends(home, 5, "apply -f site.yaml --prune --what-if");
        assert!(ran.err.contains("differs from site.yaml in 1 resource."), "{}", ran.err);
        ends(home, 0, "apply -f site.yaml --prune --yes");
        assert_eq!(yaml, ends(home, 0, "export").out, "as it was");
    });
}

const MACHINES: &str = "\
name,addresses,os,group,location
web-1,10.0.0.4 fd00::4,linux,prod,westeurope
db-1,10.0.0.5,Windows,,
";

#[test]
fn a_list_of_machines_is_brought_as_csv_yaml_and_json() {
    with_server(|home| {
        fs::write(home.join("machines.csv"), MACHINES).expect("written");
        let shown = value(home, "import machines.csv");
        assert_eq!(counts(&shown), [("create".to_owned(), 2)], "{shown:#}");
        let web = value(home, "vm show web-1 -g prod");
        assert_eq!(web["properties"]["privateAddresses"], json!(["10.0.0.4", "fd00::4"]));
        assert_eq!(web["location"], "westeurope");

        let yaml = "machines:\n  - name: web-1\n    addresses: [10.0.0.4, 'fd00::4']\n    os: Linux\n    \
                    group: prod\n    location: West Europe\n";
        let json = r#"[{"name": "db-1", "addresses": "10.0.0.5", "os": "windows"}]"#;
        for piped in [MACHINES, yaml, json] {
            let ran = run(home, &["import", "-"], piped);
            assert_eq!(ran.code, Some(0), "{piped}\n{}", ran.err);
            let shown: Value = serde_json::from_str(&ran.out).expect("JSON");
            assert!(counts(&shown).iter().all(|(word, _)| word == "unchanged"), "{shown:#}");
        }
    });
}

#[test]
fn what_is_exported_is_applied_again_and_drift_is_told() {
    with_server(|home| {
        ends(home, 0, &format!("import {} -g prod", fixture("portal.json").display()));
        fs::write(home.join("machines.csv"), MACHINES).expect("written");
        ends(home, 0, "import machines.csv");
        ends(home, 0, "protect web-1 -d 2h --timeout 5s");

        let yaml = ends(home, 0, "export").out;
        assert_eq!(yaml, ends(home, 0, "export").out, "the same, twice");
        fs::write(home.join("site.yaml"), &yaml).expect("written");
        fs::write(home.join("site.json"), ends(home, 0, "export --format json").out)
            .expect("written");
        for only in ["provisioningState", "etag", "requests", "defaultSecurityRules"] {
            assert!(!yaml.contains(only), "{only} is only the server's: {yaml}");
        }
        for file in ["site.yaml", "site.json"] {
            let shown = value(home, &format!("apply -f {file} --prune --what-if"));
            assert!(counts(&shown).iter().all(|(word, _)| word == "unchanged"), "{shown:#}");
            value(home, &format!("apply -f {file} --prune --yes"));
        }
        assert_eq!(yaml, ends(home, 0, "export").out, "and nothing changed");

        // Drift: something more, something else, something less.
        ends(home, 0, "network asg create -n more");
        ends(home, 0, "protect web-1 -d 3h --timeout 5s");
        ends(home, 0, "unprotect web-1");
        ends(home, 0, "network vnet subnet delete -g prod --vnet-name hub -n data");
        let ran = ends(home, 5, "apply -f site.yaml --prune --what-if");
        let shown: Value = serde_json::from_str(&ran.out).expect("JSON");
        let told: Vec<(String, usize)> =
            counts(&shown).into_iter().filter(|(word, _)| word != "unchanged").collect();
        let expected =
            [("change".to_owned(), 1), ("create".to_owned(), 1), ("remove".to_owned(), 1)];
        assert_eq!(told, expected, "{shown:#}");
        assert!(ran.err.contains("3 resources"), "{}", ran.err);

        // Nobody is here to be asked.
        let ran = ends(home, 1, "apply -f site.yaml --prune");
        assert!(
            ran.err.contains("--yes") && ran.err.contains("Nothing was changed"),
            "{}",
            ran.err
        );
        ends(home, 5, "apply -f site.yaml --prune --what-if");
        ends(home, 0, "apply -f site.yaml --prune --yes");
        ends(home, 0, "apply -f site.yaml --prune --what-if");
        assert_eq!(yaml, ends(home, 0, "export").out, "as it was");

        // All of it goes, each before what it needs, and all of it comes back elsewhere.
        fs::write(home.join("empty.yaml"), "hourgate: 1\nresources: []\n").expect("written");
        ends(home, 0, "apply -f empty.yaml --prune --yes");
        assert_eq!(value(home, "vm list"), json!([]));
        assert_eq!(value(home, "network vnet list"), json!([]));
        ends(home, 0, "apply -f site.json");
        assert_eq!(yaml, ends(home, 0, "export").out, "made anew");
    });
}

#[test]
fn what_cannot_be_brought_changes_nothing_and_says_why() {
    let template =
        |resources: &str| format!(r#"{{"contentVersion": "1.0.0.0", "resources": [{resources}]}}"#);
    let nic = |subnet: &str| {
        format!(
            r#"{{"type": "Microsoft.Network/networkInterfaces", "name": "n", "location": "local", "properties":
             {{"ipConfigurations": [{{"name": "a", "properties": {{"subnet": {{"id": "{subnet}"}}}}}}]}}}}"#
        )
    };
    let asg = |name: &str, more: &str| {
        format!(
            r#"{{"type": "Microsoft.Network/applicationSecurityGroups", "name": "{name}", "location": "local",
             "properties": {{}}{more}}}"#
        )
    };
    let needs = |name: &str| {
        format!(
            r#", "dependsOn": ["[resourceId('Microsoft.Network/applicationSecurityGroups', '{name}')]"]"#
        )
    };
    let foreign = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/x/providers\
                   /Microsoft.Network/virtualNetworks/gone/subnets/a";
    let rows: Vec<(&str, String, &[&str])> = vec![
        ("nothing", String::new(), &["none of what can be brought"]),
        ("no JSON", "{\"a\": ".to_owned(), &["is no JSON", "line 1"]),
        ("no YAML", "machines: [\n".to_owned(), &["is no YAML"]),
        ("another file", "{\"a\": 1}".to_owned(), &["none of what can be brought"]),
        (
            "parameters alone",
            r#"{"$schema": "https://x/deploymentParameters.json#", "parameters": {}}"#.to_owned(),
            &["--parameters"],
        ),
        ("another version", "hourgate: 2\nresources: []".to_owned(), &["another version", "1 is"]),
        (
            "a subnet that is nowhere",
            template(&nic("[resourceId('Microsoft.Network/virtualNetworks/subnets', 'v', 's')]")),
            &[
                "networkInterfaces/n` needs `",
                "virtualNetworks/v`, which is neither in the file nor",
            ],
        ),
        (
            "the same of a foreign subscription",
            template(&nic(foreign)),
            &["virtualNetworks/gone`, which is neither"],
        ),
        (
            "a cycle",
            template(&format!(
                "{},{},{}",
                asg("a", &needs("b")),
                asg("b", &needs("c")),
                asg("c", &needs("a"))
            )),
            &["a cycle", "applicationSecurityGroups/a", "Groups/b", "Groups/c"],
        ),
        (
            "one thing twice",
            template(&format!("{},{}", asg("a", ""), asg("A", ""))),
            &["stands in it twice"],
        ),
        (
            "a value that is known later",
            template(&asg("a", r#", "tags": {"x": "[reference('y').z]"}"#)),
            &["`a`", "reference() is known only where Azure deploys"],
        ),
        (
            "an expression without an end",
            template(&asg("[concat('a', 'b']", "")),
            &["`)` is missing", "concat('a', 'b'"],
        ),
        ("a name that would be a path", template(&asg("../../../etc/passwd", "")), &["segments"]),
        ("a name that would be an option", template(&asg("-o", "")), &["`-o` is no name"]),
        ("a name with an escape", template(&asg("a\\u001b[2J", "")), &["is no name"]),
        (
            "what the server would not read",
            template(
                r#"{"type": "Microsoft.Network/networkSecurityGroups", "name": "g", "location": "local",
                "properties": {"securityRules": [{"name": "r", "properties": {"priority": "high"}}]}}"#,
            ),
            &["securityRules[0]", "priority"],
        ),
        ("a machine without an address", "- name: a\n".to_owned(), &["machine 1", "at least one"]),
        (
            "a machine's number",
            "- name: a\n  addresses: [10.0.0.4]\n  location: 7\n".to_owned(),
            &["`location` is no text"],
        ),
        (
            "two machines with one address",
            "name,addresses\na,10.0.0.4\nb,10.0.0.5 10.0.0.4\n".to_owned(),
            &["virtualMachines/b` has the address 10.0.0.4, and so has", "virtualMachines/a`"],
        ),
        ("an unknown field", "- {name: a, adress: x}".to_owned(), &["unknown field `adress`"]),
        ("a csv without names", "name,host\na,b\n".to_owned(), &["`host`", "no field `addresses`"]),
        ("a csv with an odd line", "name,addresses\na,10.0.0.4\nb\n".to_owned(), &["line"]),
        (
            "a type that is not kept",
            "hourgate: 1\nresources: [{type: A.B/c, name: d}]".to_owned(),
            &["resource 1", "not kept here"],
        ),
    ];
    with_server(move |home| {
        for (why, file, told) in rows {
            let ran = run(home, &["import", "-"], &file);
            assert_eq!(ran.code, Some(2), "{why}: {}{}", ran.out, ran.err);
            for needed in told {
                assert!(ran.err.contains(needed), "{why}: {needed} is not in {}", ran.err);
            }
            assert!(!ran.err.contains('\u{1b}'), "{why}: escapes are shown");
        }
        ends(home, 3, "import none.json");
        let csv = run(home, &["import", "-", "--parameters", "none.json"], MACHINES);
        assert_eq!(csv.code, Some(3), "{}", csv.err);
        for list in ["network asg list", "network nic list", "network nsg list", "vm list"] {
            assert_eq!(value(home, list), json!([]), "nothing was written");
        }
    });
}

#[test]
fn where_it_stopped_is_said_and_the_same_command_goes_on() {
    with_server(|home| {
        ends(home, 0, "add b 10.0.0.4 --os linux");
        ends(home, 0, "protect b --timeout 5s");
        // A machine that a policy holds keeps its addresses, which only the server knows to refuse.
        let list = "name,addresses\na,10.0.1.4\nb,10.0.1.9\nc,10.0.1.5\n";
        let ran = run(home, &["import", "-"], list);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        for needed in [
            "Stopped at step 2 of 3",
            "VmHasPolicy",
            "done: create",
            "not tried: create",
            "goes on",
        ] {
            assert!(ran.err.contains(needed), "{needed}: {}", ran.err);
        }
        ends(home, 0, "unprotect b");
        let ran = run(home, &["import", "-"], list);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let shown: Value = serde_json::from_str(&ran.out).expect("JSON");
        let each = ["change", "create", "unchanged"].map(|word| (word.to_owned(), 1));
        assert_eq!(counts(&shown), each);
    });
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_without_being_read() {
    with_server(|home| {
        let file = fs::File::create(home.join("large.json")).expect("a file");
        file.set_len(100 << 20).expect("room");
        let ran = ends(home, 2, "import large.json");
        assert!(ran.err.contains("larger than 32 MiB"), "{}", ran.err);
        // Piped in, its length is not told before.
        let piped = " ".repeat(40 << 20);
        let ran = run(home, &["import", "-"], &piped);
        assert!(ran.code == Some(2) && ran.err.contains("larger than 32 MiB"), "{}", ran.err);
    });
}

#[test]
fn without_the_plan_nothing_new_is_locked_or_opened() {
    with_server(|home| {
        ends(home, 0, "add web-1 10.0.0.4 --os linux");
        ends(home, 0, "add web-2 10.0.0.5 --os linux");
        let shown = value(home, "pricing show -n VirtualMachines");
        assert_eq!(shown["properties"]["pricingTier"], "Standard");
        assert_eq!(shown["properties"]["subPlan"], "P2");
        ends(home, 0, "protect web-1 --allowed-sources 203.0.113.0/24 --timeout 5s");
        ends(home, 0, "request web-1 -s 203.0.113.9 --timeout 5s");

        ends(home, 0, "pricing create -n VirtualMachines --tier free");
        for line in ["protect web-2", "request web-1 -s 203.0.113.10", "protect web-1 -d 2h"] {
            let ran = ends(home, 1, line);
            assert!(ran.err.contains("pricing create"), "{line}: {}", ran.err);
        }
        let lists = ends(home, 0, "eligibility -o table").out;
        assert!(lists.contains("Configured") && lists.contains("Unsupported"), "{lists}");
        let found = value(home, "eligibility");
        assert_eq!(found[0]["properties"]["used"]["approvedRequests"], 1, "{found:#}");
        assert_eq!(found[1]["properties"]["state"], "Unsupported");
        assert_eq!(found[1]["properties"]["reasons"][0]["code"], "PlanNeeded");

        // What stands goes on, and ends.
        assert!(ends(home, 0, "status -o table").out.contains("web-1"));
        ends(home, 0, "close web-1");
        ends(home, 0, "unprotect web-1");

        ends(home, 0, "pricing create --tier Standard");
        ends(home, 0, "protect web-2 --timeout 5s");
        let ran = ends(home, 3, "pricing show -n KeyVaults");
        assert!(ran.err.contains("VirtualMachines"), "{}", ran.err);
    });
}
