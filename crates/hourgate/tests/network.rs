//! Networks, groups and interfaces typed in the words of az, against a server.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod served;

use std::{path::Path, process::Command};

use hourgate_server::Options;
use serde_json::Value;

use served::serve;

fn run(home: &Path, line: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hourgate"))
        .env_clear()
        .env("HOME", home)
        .env("HOURGATE_PROFILE", home.join("data/admin.json"))
        .args(line.split_whitespace())
        .output()
        .expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn done(home: &Path, line: &str) -> String {
    let (code, out, err) = run(home, line);
    assert_eq!(code, Some(0), "{line}\nstdout: {out}\nstderr: {err}");
    out
}

fn typed(home: &Path) {
    let all = "--source-address-prefixes 10.0.0.0/8 192.0.2.0/24 --destination-port-ranges 22 443";
    done(home, "network nsg create -n web");
    done(home, "network asg create -n role");
    done(
        home,
        &format!(
            "network nsg rule create --nsg-name web -n in --priority 100 --protocol Tcp {all}"
        ),
    );
    let rules = done(home, "network nsg rule list --nsg-name web --include-default -o table");
    for needed in ["in ", "10.0.0.0/8, 192.0.2.0/24", "22, 443", "DenyAllOutBound", "65500"] {
        assert!(rules.contains(needed), "{needed}: {rules}");
    }
    done(home, "network vnet create -n main --subnet-name a --subnet-prefixes 10.0.0.0/24");
    done(
        home,
        "network vnet subnet create --vnet-name main -n b --address-prefixes 10.0.1.0/24 --network-security-group web",
    );
    let subnets = done(home, "network vnet subnet list --vnet-name main -o table");
    assert!(subnets.contains("10.0.1.0/24") && subnets.contains("web"), "{subnets}");
    joined(home);
    done(home, "network public-ip create -n front --ip-address 203.0.113.9");
    done(
        home,
        "network nic create -n web-1 --vnet-name main --subnet b --public-ip-address front \
                --network-security-group web --application-security-groups role",
    );
    let nics: Value = serde_json::from_str(&done(home, "network nic list")).expect("JSON");
    let ip = &nics[0]["properties"]["ipConfigurations"][0]["properties"];
    assert_eq!(ip["privateIPAddress"], "10.0.1.4");
    assert!(done(home, "network public-ip show -n front -o table").contains("203.0.113.9"));
    asked(home);
    machines(home);
    let (code, _, err) = run(home, "network nsg delete -n web");
    assert!(code == Some(1) && err.contains("in use by the following resources"), "{code:?} {err}");
    let (code, _, err) = run(home, "network nsg show -n none");
    assert_eq!(code, Some(3), "{err}");
    done(home, "network nic delete -n web-1");
    done(home, "network vnet delete -n main");
    done(home, "network nsg rule delete --nsg-name web -n in");
    done(home, "network nsg delete -n web");
    assert_eq!(done(home, "network nsg list").trim(), "[]");
}

/// Networks are joined once both say so.
fn joined(home: &Path) {
    done(home, "network vnet create -n hub --address-prefixes 10.9.0.0/16");
    let peering = |verb: &str, of: &str, name: &str| {
        format!("network vnet peering {verb} --vnet-name {of} -n {name}")
    };
    let shown =
        done(home, &format!("{} --remote-vnet hub -o table", peering("create", "main", "to-hub")));
    assert!(shown.contains("Initiated"), "{shown}");
    done(home, &format!("{} --remote-vnet main", peering("create", "hub", "to-main")));
    let shown = done(home, "network vnet peering list --vnet-name main -o table");
    let row: Vec<&str> = shown.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row, ["to-hub", "hub", "Connected"]);
    let (code, _, err) =
        run(home, &format!("{} --remote-vnet none", peering("create", "hub", "x")));
    assert!(code == Some(1) && err.contains("was not found"), "{code:?} {err}");
    done(home, &peering("delete", "hub", "to-main"));
    done(home, &peering("delete", "main", "to-hub"));
    done(home, "network vnet delete -n hub");
}

/// What holds for an interface, and whether a flow would pass.
fn asked(home: &Path) {
    let rules = done(home, "network nic list-effective-nsg web-1 -o table");
    for needed in
        ["subnet", "interface", "10.0.0.0/8, 192.0.2.0/24", "VirtualNetwork (10.0.0.0/16)"]
    {
        assert!(rules.contains(needed), "{needed}: {rules}");
    }
    let csv = done(home, "network nic list-effective-nsg -n web-1 -o csv");
    assert_eq!(csv.lines().count(), 1 + 2 * (1 + 6), "{csv}");
    let flow = |local: &str, remote: &str| {
        format!(
            "network watcher test-ip-flow --vm web-1 --direction Inbound --protocol TCP \
             --local {local} --remote {remote}"
        )
    };
    let (code, _, err) = run(home, &flow("10.0.1.4:22", "192.0.2.9:*"));
    assert_eq!(code, Some(3), "no such machine yet: {err}");
    done(home, "add web-1 10.0.1.4");
    let told: Value =
        serde_json::from_str(&done(home, &flow("10.0.1.4:22", "192.0.2.9:*"))).expect("JSON");
    assert_eq!(told, serde_json::json!({"access": "Allow", "ruleName": "securityRules/in"}));
    let told = done(home, &format!("{} --nic web-1 -o table", flow("10.0.1.4:23", "8.8.8.8:1")));
    assert!(told.contains("Deny") && told.contains("DenyAllInBound"), "{told}");
    let (code, _, err) = run(home, &flow("10.0.9.9:22", "192.0.2.9:*"));
    assert!(code == Some(1) && err.contains("it has 10.0.1.4"), "{code:?} {err}");
    let (code, _, err) = run(home, &flow("10.0.1.4", "192.0.2.9:*"));
    assert!(code == Some(2) && err.contains("such as 10.0.0.4:22"), "{code:?} {err}");
    done(home, "vm unregister web-1");
}

/// Machines by their interfaces and by their addresses.
fn machines(home: &Path) {
    done(home, "add web-1 --nic web-1 --os linux");
    let shown = done(home, "vm show web-1 -o table");
    let row = shown.lines().nth(1).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, ["web-1", "default", "local", "10.0.1.4", "Linux", "web-1", "web"]);
    locked(home);
    let (code, _, err) = run(home, "network nic delete -n web-1");
    assert!(code == Some(1) && err.contains("is used by existing resource"), "{code:?} {err}");
    let (code, _, err) = run(home, "add web-2 --nic web-1");
    assert!(code == Some(1) && err.contains("is used by existing VM"), "{code:?} {err}");
    let (code, _, err) = run(home, "add web-2 --nic none");
    assert!(code == Some(1) && err.contains("was not found"), "{code:?} {err}");
    done(home, "add web-2 10.9.0.4 fd00::4");
    let listed = done(home, "vm list -o table");
    assert!(listed.contains("web-2-nic") && listed.contains("web-2-nsg"), "{listed}");
    done(home, "vm unregister web-1 web-2");
    assert!(!done(home, "network nsg list").contains("web-2-nsg"), "what was made is gone");
}

/// What a lock leaves open is said when it is set, and what an access is for can be typed.
fn locked(home: &Path) {
    let protect = "protect web-1 -s 203.0.113.0/24 --timeout 5s";
    let (code, out, err) = run(home, &format!("{protect} -o table"));
    let told = out + &err;
    let standing = "standing exceptions: in (100) from 10.0.0.0/8 192.0.2.0/24 in web; it is reached without \
                    access from 10.0.0.0/8, 192.0.2.0/24.";
    assert!(code == Some(0) && told.contains(standing), "{code:?} {told}");
    done(home, &format!("{protect} --placement nic-and-subnet"));
    let policy: Value =
        serde_json::from_str(&done(home, "vm jit-policy show web-1")).expect("JSON");
    let member = &policy["properties"]["virtualMachines"][0];
    assert_eq!(member["placement"], "nic-and-subnet");
    let request = "request web-1 -s 203.0.113.9 --timeout 5s --address";
    let (code, _, err) = run(home, &format!("{request} 10.0.1.9"));
    assert!(code == Some(2) && err.contains("it has 10.0.1.4"), "{code:?} {err}");
    done(home, &format!("{request} 10.0.1.4"));
    let rules = done(home, "network nic list-effective-nsg web-1 -o table");
    assert!(rules.contains("JIT_web-1_22_Deny_0a000104"), "{rules}");
    done(home, "unprotect web-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_typed_shown_and_taken_down() {
    let home = tempfile::tempdir().expect("a directory");
    let served = serve(home.path(), Options::default()).await;
    let typing = home.path().to_owned();
    tokio::task::spawn_blocking(move || typed(&typing)).await.expect("no panic");
    served.stop().await;
}
