//! Whatever is sent, a reader answers: no panic, and nothing hostile in what it says.

use hourgate_api::{
    body,
    error::{ArmError, Positions, explain},
    jit::precondition,
    paths::{RequestQuery, Route, check_version, wait_seconds},
    resource::{Around, show},
    token::TokenForm,
};
use hourgate_core::{
    command::{Command, Precondition},
    decide::decide,
    id::Name,
    policy::Settings,
    resource::{Kind, ResourceDraft, ResourceId},
    state::State,
    time::{BootTime, Now},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::world::{AZURE_POLICY, AZURE_VM};

/// Every word that a reader looks for, and some that it does not.
const NAMES: [&str; 43] = [
    "kind",
    "properties",
    "virtualMachines",
    "id",
    "ports",
    "number",
    "protocol",
    "location",
    "allowedSourceAddressPrefix",
    "allowedSourceAddressPrefixes",
    "maxRequestAccessDuration",
    "approval",
    "endSessions",
    "widestUnapproved",
    "otherAddresses",
    "signIn",
    "within",
    "secondFactor",
    "placement",
    "endTimeUtc",
    "duration",
    "startTimeUtc",
    "privateAddresses",
    "osType",
    "NuMbEr",
    "name",
    "tags",
    "securityRules",
    "access",
    "direction",
    "priority",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "sourcePortRange",
    "destinationPortRanges",
    "sourceApplicationSecurityGroups",
    "addressSpace",
    "addressPrefixes",
    "subnets",
    "networkSecurityGroup",
    "ipConfigurations",
    "privateIPAddress",
    "virtualNetworkPeerings",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..70_000i64).prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec![
            AZURE_VM,
            "*",
            "TCP",
            "UDP",
            "10.0.0.0/8",
            "10.0.0.1/8",
            "::1",
            "::ffff:1.2.3.4",
            "PT3H",
            "PT99999999999999H",
            "P1D",
            "-PT1S",
            "2026-11-23T14:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "-009999-01-01T00:00:00Z",
            "Linux",
            "nic",
            "allowed",
            "local",
            "",
            "\u{1b}[2J",
            "\u{202e}x",
        ])
        .prop_map(Value::from),
    ]
}

/// JSON that looks like a body, more or less.
fn bodies() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner.clone()), 0..6)
                .prop_map(|pairs| {
                    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(pairs.collect::<Map<String, Value>>())
                }),
            prop::collection::vec((".{0,12}", inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn harmless(error: &ArmError) {
    let hostile =
        |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}';
    assert!(!error.message.is_empty());
    assert!(!error.message.contains(hostile), "{:?}", error.message);
    assert!(error.message.len() < 8_000, "{}", error.message.len());
    assert!(!error.target.as_deref().unwrap_or("").contains(hostile), "{:?}", error.target);
    error.details.iter().for_each(harmless);
}

fn read(body: &[u8]) {
    let policy = AZURE_POLICY.parse().unwrap();
    let results = [body::policy(body, &policy).err(), body::initiate(body, &policy).err()];
    results.iter().flatten().for_each(harmless);
    for kind in Kind::ALL {
        let (group, name) = ("g".parse().unwrap(), "x".parse::<Name>().unwrap());
        let id = ResourceId { subscription: uuid::Uuid::nil(), group, kind, name: name.clone() };
        match body::resource(body, &id) {
            Err(error) => harmless(&error),
            Ok(draft) => answered(draft),
        }
        body::PartChange::subnet(body, name.clone()).err().iter().for_each(harmless);
        body::PartChange::rule(body, name).err().iter().for_each(harmless);
    }
}

/// What can be read is decided; what stands is shown, read again, and changes nothing.
fn answered(draft: ResourceDraft) {
    let boot = BootTime { boot: uuid::Uuid::nil(), nanos: 0 };
    let now = Now { wall: "2026-11-23T12:00:00Z".parse().unwrap(), boot };
    let id = draft.id.clone();
    let put = |draft: ResourceDraft| Command::PutResource {
        draft: Box::new(draft),
        instance: uuid::Uuid::nil(),
        only_if: Precondition::None,
    };
    let mut state = State::default();
    match decide(&state, &Settings::default(), &put(draft), now) {
        Err(refusals) => harmless(&explain(&refusals, &Positions::none())),
        Ok(events) => {
            events.iter().for_each(|event| state.evolve(event));
            let shown =
                show(Around::all(&state.network), state.network.get(&id).unwrap(), &[]).unwrap();
            assert!(!state.network.is_empty());
            let again = body::resource(&serde_json::to_vec(&shown).unwrap(), &id).unwrap();
            let events = decide(&state, &Settings::default(), &put(again), now).unwrap();
            assert!(events.is_empty(), "{events:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
        let _ = TokenForm::decode(&bytes);
    }

    #[test]
    fn any_json_is_answered(body in bodies()) {
        read(body.to_string().as_bytes());
    }

    #[test]
    fn any_port_is_answered(port in bodies(), vm in bodies()) {
        let vms = json!([{ "id": AZURE_VM, "ports": [port] }, vm]);
        read(json!({ "properties": { "virtualMachines": vms } }).to_string().as_bytes());
        read(json!({ "virtualMachines": vms }).to_string().as_bytes());
    }

    #[test]
    fn any_rule_is_answered(one in bodies(), two in bodies(), tags in bodies()) {
        let rules = json!([{ "name": "a", "properties": one }, two]);
        let sent = json!({ "location": "local", "tags": tags, "properties": { "securityRules": rules } });
        read(sent.to_string().as_bytes());
    }

    #[test]
    fn any_network_is_answered(space in bodies(), subnet in bodies(), kept in bodies()) {
        let sent = json!({ "location": "local", "kept": kept, "properties": { "kept": kept,
            "addressSpace": { "addressPrefixes": ["10.0.0.0/8"], "more": space },
            "subnets": [{ "name": "a", "more": kept, "properties": { "addressPrefix": "10.0.0.0/24", "more": subnet } }],
            "ipConfigurations": [{ "name": "a", "more": kept, "properties": {
                "privateIPAddress": "10.0.0.4", "privateIPAllocationMethod": "Static", "more": subnet } }] } });
        read(sent.to_string().as_bytes());
    }

    #[test]
    fn a_good_body_with_a_wrong_byte_is_answered(at in 0usize..400, byte: u8) {
        let vms = json!([{ "id": AZURE_VM, "ports": [{ "number": 22, "protocol": "TCP",
            "allowedSourceAddressPrefix": "*", "maxRequestAccessDuration": "PT3H" }] }]);
        let mut body = json!({ "properties": { "virtualMachines": vms } }).to_string().into_bytes();
        if let Some(place) = body.get_mut(at) {
            *place = byte;
        }
        read(&body);
    }

    #[test]
    fn any_path_and_query_is_answered(path in "/?(subscriptions|[a-zA-Z0-9%/._~-]|\\PC){0,12}", query in ".*") {
        match Route::parse(&path) {
            Ok(route) => prop_assert_eq!(Route::parse(&route.to_string()), Ok(route)),
            Err(error) => harmless(&error.explain(&path)),
        }
        let results = [
            check_version(Some(&query)).err(),
            RequestQuery::parse(Some(&format!("$filter={query}"))).err(),
            wait_seconds(Some(&format!("wait={query}"))).err(),
            precondition(Some(&query), None).err(),
        ];
        results.iter().flatten().for_each(harmless);
    }
}
