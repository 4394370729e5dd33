//! The rows that [`crate::walk`] walks: each route and method, what it needs, and where.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::Running,
    network::{at, put},
};

/// What is sent.
pub(crate) enum Body {
    /// Nothing.
    None,
    /// This.
    Of(Value),
    /// What stands there, as the administrator reads it.
    AsRead,
}

/// What lets somebody through.
pub(crate) enum Gate {
    /// Nothing is needed.
    Open,
    /// To be signed in; it tells nothing of what is there.
    SignedIn,
    /// To be signed in; it tells of one's own and of what one may see, which for somebody without a role is nothing.
    Own,
    /// An action at a scope, behind the subscription, and others at what the call names.
    Needs { action: String, at: String, linked: Vec<(String, String)> },
}

/// One route and method.
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Body,
    pub(crate) gate: Gate,
    /// The scope behind the subscription that a list is of; none where it is no list.
    list: Option<&'static str>,
    /// What whoever may must find in the answer.
    pub(crate) shows: Option<String>,
    /// What else whoever may needs at the same place to find that.
    pub(crate) also: &'static [&'static str],
    /// The refusal that whoever may gets, where the call cannot succeed here.
    pub(crate) refused: Option<&'static str>,
    /// Whether it is not there for who may not see it, rather than forbidden.
    hidden: bool,
}

impl Row {
    /// Whether a role at that scope shows some of this list.
    pub(crate) fn list_of(&self, scope: &str) -> bool {
        self.list.is_some_and(|list| scope.starts_with(list))
    }

    /// That an answer is a refusal; or where the caller has a role within what is listed, that the list has
    /// nothing else.
    pub(crate) fn denied(&self, (status, told): &(u16, Value), within: bool, what: &str) {
        if self.method == Method::HEAD {
            assert_eq!(*status, 403, "{what}");
            return;
        }
        let code = told["error"]["code"].as_str().unwrap_or_default();
        if within && self.list.is_some() {
            assert_eq!(*status, 200, "{what}: {told}");
            if let Some(shows) = &self.shows {
                assert!(!told.to_string().contains(shows.as_str()), "{what}: {told}");
            }
        } else if self.hidden && *status != 403 {
            assert_eq!((*status, code), (404, "ResourceNotFound"), "{what}: {told}");
        } else {
            assert_eq!((*status, code), (403, "AuthorizationFailed"), "{what}: {told}");
        }
    }
}

/// Two groups: everything in the first, and nothing but a machine in the second.
pub(crate) async fn world(server: &Running) {
    let id = |rest: &str| json!({"id": at(server, rest)});
    let made = |properties: Value| json!({"location": "centralus", "properties": properties});
    let space = |space: &str, subnet: (&str, &str)| {
        json!({
            "addressSpace": {"addressPrefixes": [space]},
            "subnets": [{"name": subnet.0, "properties": {"addressPrefix": subnet.1}}],
        })
    };
    let rule = json!({"name": "r", "properties": {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 300,
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "4444",
    }});
    let gone_rule = {
        let mut rule = rule.clone();
        (rule["name"], rule["properties"]["priority"]) = (json!("gone"), json!(301));
        rule
    };
    let nic = |address: &str| {
        json!({"ipConfigurations": [{"name": "ip", "properties": {
            "subnet": id("virtualNetworks/v/subnets/a"),
            "privateIPAddress": address, "privateIPAllocationMethod": "Static",
        }}]})
    };
    let nat = |name: &str, port: u16| {
        let own = at(server, "loadBalancers/lb");
        json!({"name": name, "properties": {
            "frontendIPConfiguration": {"id": format!("{own}/frontendIPConfigurations/f")},
            "protocol": "Tcp", "frontendPort": port, "backendPort": 22,
        }})
    };
    let balancer = json!({
        "frontendIPConfigurations": [{
            "name": "f", "properties": {"publicIPAddress": id("publicIPAddresses/of-lb")},
        }],
        "inboundNatRules": [nat("ssh", 2222), nat("gone", 2223)],
    });
    let firewall = |public: &str| {
        json!({
            "sku": {"name": "AZFW_VNet", "tier": "Standard"},
            "ipConfigurations": [{"name": "ip", "properties": {
                "subnet": id("virtualNetworks/hub/subnets/AzureFirewallSubnet"),
                "publicIPAddress": id(&format!("publicIPAddresses/{public}")),
            }}],
            "firewallPolicy": id("firewallPolicies/fp"),
        })
    };
    let groups = json!({"properties": {"priority": 200, "ruleCollections": []}});
    let machine = |nic: &str| json!({"networkProfile": {"networkInterfaces": [id(&format!("networkInterfaces/{nic}"))]}});
    let peering = |of: &str| json!({"properties": {"remoteVirtualNetwork": id(&format!("virtualNetworks/{of}"))}});
    let things = [
        ("virtualNetworks/v", made(space("10.0.0.0/16", ("a", "10.0.0.0/24")))),
        ("virtualNetworks/v/subnets/gone", json!({"properties": {"addressPrefix": "10.0.9.0/24"}})),
        ("virtualNetworks/w", made(space("10.1.0.0/16", ("a", "10.1.0.0/24")))),
        ("virtualNetworks/x", made(space("10.2.0.0/16", ("a", "10.2.0.0/24")))),
        ("virtualNetworks/hub", made(space("10.3.0.0/16", ("AzureFirewallSubnet", "10.3.0.0/26")))),
        ("virtualNetworks/gone", made(space("10.4.0.0/16", ("a", "10.4.0.0/24")))),
        ("virtualNetworks/v/virtualNetworkPeerings/to-w", peering("w")),
        ("virtualNetworks/v/virtualNetworkPeerings/gone", peering("x")),
        ("networkSecurityGroups/g", made(json!({"securityRules": [rule, gone_rule]}))),
        ("networkSecurityGroups/gone", made(json!({}))),
        ("applicationSecurityGroups/asg", made(json!({}))),
        ("applicationSecurityGroups/gone", made(json!({}))),
        ("publicIPAddresses/p", made(json!({}))),
        ("publicIPAddresses/gone", made(json!({}))),
        ("publicIPAddresses/of-lb", made(json!({"ipAddress": "198.51.100.1"}))),
        ("publicIPAddresses/of-fw", made(json!({"ipAddress": "198.51.100.2"}))),
        ("publicIPAddresses/of-gone", made(json!({"ipAddress": "198.51.100.3"}))),
        ("networkInterfaces/n", made(nic("10.0.0.10"))),
        ("networkInterfaces/of-gone", made(nic("10.0.0.11"))),
        ("networkInterfaces/gone", made(nic("10.0.0.12"))),
        ("loadBalancers/lb", made(balancer)),
        ("loadBalancers/gone", made(json!({}))),
        ("firewallPolicies/fp", made(json!({}))),
        ("firewallPolicies/gone", made(json!({}))),
        ("firewallPolicies/fp/ruleCollectionGroups/rcg", groups.clone()),
        ("firewallPolicies/fp/ruleCollectionGroups/gone", groups),
        ("azureFirewalls/fw", made(firewall("of-fw"))),
        ("azureFirewalls/gone", made(firewall("of-gone"))),
    ];
    for (rest, body) in things {
        let (status, told) = put(server, rest, &body).await;
        assert!(status == 200 || status == 201, "{rest}: {status} {told}");
    }
    for (name, nic) in [("m", "n"), ("gone", "of-gone")] {
        let path = format!("{}?api-version=2026-04-01", server.vm_id("rg1", name));
        let (status, told) = server.json(Method::PUT, &path, Some(&made(machine(nic)))).await;
        assert_eq!(status, 201, "{name}: {told}");
    }
    server.protect().await;
    server.register("rg1", "beside", &["10.9.0.5"]).await;
    server.register("rg2", "beside-2", &["10.9.0.6"]).await;
    server.register("rg3", "in-rg3", &["10.9.0.7"]).await;
    server.register("rg4", "in-rg4", &["10.9.0.8"]).await;
    for group in ["rg1", "rg3"] {
        let path = format!("{}/resourcegroups/{group}?api-version=2024-11-01", server.s());
        let body = json!({"location": "centralus"});
        assert_eq!(server.json(Method::PUT, &path, Some(&body)).await.0, 201);
    }
    let policy = format!("{}?api-version=2020-01-01", gone_policy(server));
    let mut body = server.policy_body("web-1", 8080);
    body["properties"]["virtualMachines"][0]["ports"][0]["number"] = json!(8080);
    let (status, told) = server.json(Method::PUT, &policy, Some(&body)).await;
    assert_eq!(status, 200, "{told}");
}

fn gone_policy(server: &Running) -> String {
    server.policy_id("rg1").replace("/default", "/gone")
}

const VERSION: &str = "?api-version=2022-01-01";
const RG1: &str = "/resourceGroups/rg1";

fn network_action(rest: &str) -> String {
    format!("Microsoft.Network/{rest}")
}

/// Every row.
pub(crate) fn rows(server: &Running, request: &str) -> Vec<Row> {
    let mut rows = open_rows(server);
    rows.extend(network_rows(server));
    rows.extend(jit_rows(server));
    rows.extend(other_rows(server));
    rows.extend(access_rows(server, request));
    // Whatever is taken away is taken last.
    rows.sort_by_key(|row| row.method == Method::DELETE);
    rows
}

fn row(method: Method, path: String, body: Body, gate: Gate) -> Row {
    let (list, shows, refused) = (None, None, None);
    Row { method, path, body, gate, list, shows, also: &[], refused, hidden: false }
}

fn needs(action: &str, at: &str) -> Gate {
    Gate::Needs { action: action.to_owned(), at: at.to_owned(), linked: Vec::new() }
}

fn get(server: &Running, rest: &str, gate: Gate) -> Row {
    let joint = if rest.contains('?') { "&" } else { "?" };
    let path = format!("{}{rest}{joint}{}", server.s(), &VERSION[1..]);
    row(Method::GET, path, Body::None, gate)
}

fn open_rows(server: &Running) -> Vec<Row> {
    let tenant = server.admin.tenant_id;
    let open = |method, path: String| row(method, path, Body::None, Gate::Open);
    let signed_in = |path: String| row(Method::GET, path, Body::None, Gate::SignedIn);
    let id = "00000000-0000-4000-8000-000000000001";
    let network = format!("{}/providers/Microsoft.Network/locations/local", server.s());
    vec![
        open(Method::GET, "/healthz".to_owned()),
        open(Method::HEAD, "/healthz".to_owned()),
        open(Method::GET, "/readyz".to_owned()),
        open(Method::HEAD, "/readyz".to_owned()),
        open(Method::GET, "/metadata/endpoints".to_owned()),
        open(Method::POST, format!("/{tenant}/oauth2/v2.0/token")),
        open(Method::GET, format!("/{tenant}/v2.0/.well-known/openid-configuration")),
        open(Method::GET, format!("/{tenant}/discovery/v2.0/keys")),
        signed_in("/whoami?api-version=2026-11-01".to_owned()),
        signed_in(format!("/tenants{VERSION}")),
        signed_in(format!("{network}/operations/{id}{VERSION}")),
        signed_in(format!("{network}/operationResults/{id}{VERSION}")),
        Row { gate: Gate::Own, ..signed_in(format!("/subscriptions{VERSION}")) },
    ]
}

/// A kind of resources, one of it, and what setting that one joins it to.
type OfKind = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const KINDS: [OfKind; 9] = [
    (
        "virtualNetworks",
        "v",
        &[
            ("virtualNetworks/peer/action", "virtualNetworks/w"),
            ("virtualNetworks/peer/action", "virtualNetworks/x"),
        ],
    ),
    ("networkSecurityGroups", "g", &[]),
    ("applicationSecurityGroups", "asg", &[]),
    ("publicIPAddresses", "p", &[]),
    ("networkInterfaces", "n", &[("virtualNetworks/subnets/join/action", "virtualNetworks/v")]),
    ("loadBalancers", "lb", &[("publicIPAddresses/join/action", "publicIPAddresses/of-lb")]),
    (
        "azureFirewalls",
        "fw",
        &[
            ("virtualNetworks/subnets/join/action", "virtualNetworks/hub"),
            ("publicIPAddresses/join/action", "publicIPAddresses/of-fw"),
            ("firewallPolicies/join/action", "firewallPolicies/fp"),
        ],
    ),
    ("firewallPolicies", "fp", &[]),
    ("virtualMachines", "m", &[("networkInterfaces/join/action", "networkInterfaces/n")]),
];

/// A part, the resource that has it, and one of its name.
const PARTS: [(&str, &str, &str); 6] = [
    ("subnets", "virtualNetworks/v", "a"),
    ("virtualNetworkPeerings", "virtualNetworks/v", "to-w"),
    ("securityRules", "networkSecurityGroups/g", "r"),
    ("defaultSecurityRules", "networkSecurityGroups/g", "DenyAllInBound"),
    ("ruleCollectionGroups", "firewallPolicies/fp", "rcg"),
    ("inboundNatRules", "loadBalancers/lb", "ssh"),
];

fn network_rows(server: &Running) -> Vec<Row> {
    let mut rows = Vec::new();
    let provider = |kind: &str| match kind {
        "virtualMachines" => "Microsoft.Compute",
        _ => "Microsoft.Network",
    };
    for (kind, name, joins) in KINDS {
        let provider = provider(kind);
        let action = |verb: &str| format!("{provider}/{kind}/{verb}");
        let own = format!("{RG1}/providers/{provider}/{kind}/{name}");
        let gone = format!("{RG1}/providers/{provider}/{kind}/gone");
        for (list, of) in [("", String::new()), (RG1, RG1.to_owned())] {
            let path = format!("{of}/providers/{provider}/{kind}");
            let gate = needs(&action("read"), &own);
            let shows = Some(format!("{kind}/{name}\""));
            rows.push(Row { list: Some(list), shows, ..get(server, &path, gate) });
        }
        let linked = joins.iter().map(|(action, at)| {
            (network_action(action), format!("{RG1}/providers/Microsoft.Network/{at}"))
        });
        let path = |of: &str| format!("{}{of}{VERSION}", server.s());
        let write = action("write");
        let put = Gate::Needs { action: write.clone(), at: own.clone(), linked: linked.collect() };
        rows.push(row(Method::GET, path(&own), Body::None, needs(&action("read"), &own)));
        rows.push(row(Method::PUT, path(&own), Body::AsRead, put));
        let tags = Body::Of(json!({"tags": {"a": "b"}}));
        rows.push(row(Method::PATCH, path(&own), tags, needs(&write, &own)));
        rows.push(row(Method::DELETE, path(&gone), Body::None, needs(&action("delete"), &gone)));
        if kind == "virtualMachines" {
            let view = format!("{own}/instanceView");
            rows.push(row(Method::GET, path(&view), Body::None, needs(&action("read"), &own)));
        }
    }
    for (parts, of, name) in PARTS {
        let own = format!("{RG1}/providers/Microsoft.Network/{of}");
        let (kind, _) = of.split_once('/').expect("a kind");
        let named = if parts == "defaultSecurityRules" { "securityRules" } else { parts };
        let action = |verb: &str| network_action(&format!("{kind}/{named}/{verb}"));
        let path = |rest: &str| format!("{}{own}/{parts}{rest}{VERSION}", server.s());
        let one = format!("/{name}");
        rows.push(row(Method::GET, path(""), Body::None, needs(&action("read"), &own)));
        rows.push(row(Method::GET, path(&one), Body::None, needs(&action("read"), &own)));
        if parts == "defaultSecurityRules" {
            continue;
        }
        rows.push(row(Method::PUT, path(&one), Body::AsRead, needs(&action("write"), &own)));
        rows.push(row(Method::DELETE, path("/gone"), Body::None, needs(&action("delete"), &own)));
    }
    rows
}

fn jit_rows(server: &Running) -> Vec<Row> {
    let policies = "Microsoft.Security/locations/jitNetworkAccessPolicies";
    let action = |verb: &str| format!("{policies}/{verb}");
    let behind = |id: &str| id.replace(&server.s(), "");
    let own = behind(&server.policy_id("rg1"));
    let gone = behind(&gone_policy(server));
    let vm = behind(&server.vm_id("rg1", "web-1"));
    let path = |rest: &str| format!("{}{rest}?api-version=2020-01-01", server.s());
    let linked = |action: &str, verb: &str| Gate::Needs {
        action: action.to_owned(),
        at: own.clone(),
        linked: vec![(format!("Microsoft.Compute/virtualMachines/{verb}"), vm.clone())],
    };
    let ask = Body::Of(server.ask_body("web-1", 22));
    let mut rows = vec![
        row(Method::GET, path(&own), Body::None, needs(&action("read"), &own)),
        row(Method::PUT, path(&own), Body::AsRead, linked(&action("write"), "write")),
        row(
            Method::POST,
            path(&format!("{own}/initiate")),
            ask,
            linked(&action("initiate/action"), "read"),
        ),
        row(Method::DELETE, path(&gone), Body::None, needs(&action("delete"), &gone)),
        Row {
            refused: Some("NothingToConfirm"),
            ..row(
                Method::POST,
                path(&format!("{own}/confirm")),
                Body::None,
                needs(&action("write"), &own),
            )
        },
    ];
    let security = "providers/Microsoft.Security";
    for (list, rest) in [
        ("", format!("/{security}/jitNetworkAccessPolicies")),
        (RG1, format!("{RG1}/{security}/jitNetworkAccessPolicies")),
        ("", format!("/{security}/locations/centralus/jitNetworkAccessPolicies")),
        (RG1, format!("{RG1}/{security}/locations/centralus/jitNetworkAccessPolicies")),
    ] {
        let gate = needs(&action("read"), &own);
        let shows = Some("jitNetworkAccessPolicies/default".to_owned());
        rows.push(Row { list: Some(list), shows, ..get(server, &rest, gate) });
    }
    rows
}

fn other_rows(server: &Running) -> Vec<Row> {
    let vm = server.vm_id("rg1", "web-1");
    let at_vm = vm.replace(&server.s(), "");
    let own = "/providers/Hourgate.Access";
    let vm_read = "Microsoft.Compute/virtualMachines/read";
    let groups = |verb: &str| format!("Microsoft.Resources/subscriptions/resourceGroups/{verb}");
    let watchers = |verb: &str| network_action(&format!("networkWatchers/{verb}"));
    let watcher = "/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network/networkWatchers";
    let one = format!("{watcher}/NetworkWatcher_centralus");
    let nic = format!("{RG1}/providers/Microsoft.Network/networkInterfaces/n");
    let flow = json!({
        "targetResourceId": vm, "direction": "Inbound", "protocol": "TCP",
        "localIPAddress": "10.9.0.4", "localPort": "80",
        "remoteIPAddress": "203.0.113.7", "remotePort": "*",
    });
    let tier = json!({"properties": {"pricingTier": "Standard"}});
    let pricing = "Microsoft.Security/pricings";
    let path = |rest: &str| format!("{}{rest}{VERSION}", server.s());
    let list = |of: &'static str, shows: &'static str, row: Row| Row {
        list: Some(of),
        shows: Some(shows.to_owned()),
        ..row
    };
    let rg3 = "/resourceGroups/rg3";
    let tags = || Body::Of(json!({"tags": {"a": "b"}}));
    let verify = Gate::Needs {
        action: watchers("ipFlowVerify/action"),
        at: String::new(),
        linked: vec![(vm_read.to_owned(), at_vm.clone())],
    };
    let flows = row(Method::POST, path(&format!("{one}/ipFlowVerify")), Body::Of(flow), verify);
    vec![
        Row { gate: Gate::Own, ..get(server, &format!("{own}/requests"), needs("", "")) },
        Row { gate: Gate::SignedIn, ..get(server, &format!("{own}/whoami"), needs("", "")) },
        get(server, &format!("{own}/guards"), needs("Hourgate.Access/guards/read", "")),
        get(
            server,
            &format!("{own}/explain?vm={vm}&port=22&from=192.0.2.7"),
            needs(vm_read, &at_vm),
        ),
        get(server, &format!("{own}/outlook?vm={vm}"), needs(vm_read, &at_vm)),
        get(
            server,
            "/providers/Microsoft.Security/pricings",
            needs(&format!("{pricing}/read"), ""),
        ),
        get(
            server,
            "/providers/Microsoft.Security/pricings/VirtualMachines",
            needs(&format!("{pricing}/read"), ""),
        ),
        row(
            Method::PUT,
            path("/providers/Microsoft.Security/pricings/VirtualMachines"),
            Body::Of(tier),
            needs(&format!("{pricing}/write"), ""),
        ),
        Row {
            list: Some(""),
            ..get(server, "", needs("Microsoft.Resources/subscriptions/read", RG1))
        },
        list("", "resourceGroups/rg1", get(server, "/resourcegroups", needs(&groups("read"), RG1))),
        get(server, RG1, needs(&groups("read"), RG1)),
        row(Method::HEAD, path(RG1), Body::None, needs(&groups("read"), RG1)),
        row(Method::PUT, path(RG1), Body::AsRead, needs(&groups("write"), RG1)),
        row(Method::PATCH, path(RG1), tags(), needs(&groups("write"), RG1)),
        row(Method::DELETE, path(rg3), Body::None, needs(&groups("delete"), rg3)),
        row(
            Method::POST,
            path(&format!("{nic}/effectiveNetworkSecurityGroups")),
            Body::None,
            needs(&network_action("networkInterfaces/effectiveNetworkSecurityGroups/action"), &nic),
        ),
        list(
            "",
            "NetworkWatcher_centralus",
            get(
                server,
                "/providers/Microsoft.Network/networkWatchers",
                needs(&watchers("read"), ""),
            ),
        ),
        get(server, watcher, needs(&watchers("read"), "")),
        get(server, &one, needs(&watchers("read"), "")),
        flows,
    ]
}

fn access_rows(server: &Running, request: &str) -> Vec<Row> {
    const VM_READ: &str = "Microsoft.Compute/virtualMachines/read";
    const POLICY_READ: &str = "Microsoft.Security/locations/jitNetworkAccessPolicies/read";
    let at_vm = server.vm_id("rg1", "web-1").replace(&server.s(), "");
    let own = "/providers/Hourgate.Access";
    let one = format!("{own}/requests/{request}");
    let seen = get(server, &one, needs(POLICY_READ, &at_vm));
    let close = format!("{}{one}/close{VERSION}", server.s());
    let close_right = needs("Hourgate.Access/requests/close/action", &at_vm);
    let closed = row(Method::POST, close, Body::None, close_right);
    let shows = || Some("virtualMachines/web-1\"".to_owned());
    let can = |list: &'static str| {
        let right = needs("Hourgate.Access/eligibility/read", &at_vm);
        let found = get(server, &format!("{list}{own}/eligibility"), right);
        Row { list: Some(list), shows: shows(), also: &[VM_READ], ..found }
    };
    vec![
        Row { shows: shows(), also: &[VM_READ], hidden: true, ..seen },
        Row { also: &[VM_READ, POLICY_READ], shows: shows(), hidden: true, ..closed },
        can(""),
        can(RG1),
    ]
}
