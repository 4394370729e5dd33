//! What bad resources of the network get: Azure's code, a sentence that names the value, and nothing half done.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, start},
    network::{V, at, network, nic, put, rule, tag},
};

/// The hostile corpus that runs through every output.
const CORPUS: &str = include_str!("../../../hourgate/tests/corpus/hostile.txt");

async fn refused(server: &Running, rest: &str, body: &Value) -> (String, String) {
    let (status, answer) = put(server, rest, body).await;
    assert_eq!(status, 400, "{rest} {body}: {answer}");
    let error = &answer["error"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&error["code"]), text(&error["message"]))
}

#[tokio::test]
async fn rules_that_cannot_be() {
    let server = start().await;
    put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await;
    put(&server, "networkSecurityGroups/g/securityRules/one", &rule(100)).await;
    let with = |changes: Value| {
        let mut sent = rule(200);
        for (name, value) in changes.as_object().into_iter().flatten() {
            if value.is_null() {
                sent["properties"].as_object_mut().expect("an object").remove(name);
            } else {
                sent["properties"][name] = value.clone();
            }
        }
        sent
    };
    let rows = [
        (
            json!({"priority": 100}),
            "SecurityRuleConflict",
            "Security rule one conflicts with rule x. Rules cannot have the same Priority and Direction.",
        ),
        (
            json!({"priority": 99}),
            "SecurityRuleInvalidPriority",
            "Value provided: 99 Allowed range 100-4096.",
        ),
        (json!({"priority": 4_097}), "SecurityRuleInvalidPriority", "4097"),
        (
            json!({"priority": "100"}),
            "InvalidRequestContent",
            "the text '100' stands where a whole number",
        ),
        (json!({"priority": null}), "InvalidRequestContent", "'priority' is missing"),
        (json!({"access": "allowed"}), "SecurityRuleInvalidAccessType", "'allowed'"),
        (json!({"access": 1}), "InvalidRequestContent", "the number 1 stands"),
        (
            json!({"direction": "in"}),
            "SecurityRuleParameterContainsUnsupportedValue",
            "Inbound or Outbound",
        ),
        (json!({"protocol": "SCTP"}), "SecurityRuleParameterContainsUnsupportedValue", "'SCTP'"),
        (json!({"protocol": null}), "InvalidRequestContent", "'protocol' is missing"),
        (
            json!({"destinationPortRange": "80,443"}),
            "SecurityRuleInvalidPortRange",
            "Security rule has invalid Port range. Value provided: 80,443. Value should be an integer OR integer range with '-' delimiter.",
        ),
        (
            json!({"destinationPortRange": "25-22"}),
            "SecurityRuleInvalidPortRange",
            "did you mean 22-25?",
        ),
        (
            json!({"destinationPortRange": null}),
            "SecurityRuleInvalidPortRange",
            "no destination port",
        ),
        (
            json!({"destinationPortRange": 22}),
            "InvalidRequestContent",
            "the number 22 stands where a text",
        ),
        (
            json!({"destinationPortRanges": "22"}),
            "InvalidRequestContent",
            "the text '22' stands where a list",
        ),
        (json!({"sourceAddressPrefix": "789"}), "SecurityRuleInvalidAddressPrefix", "'789'"),
        (
            json!({"sourceAddressPrefix": "10.0.0.5/24"}),
            "SecurityRuleInvalidAddressPrefix",
            "did you mean 10.0.0.0/24?",
        ),
        (
            json!({"sourceAddressPrefixes": ["0.0.0.0/0"]}),
            "SecurityRuleInvalidAddressPrefix",
            "'*' stands beside other source addresses",
        ),
        (
            json!({"sourceAddressPrefix": "fd00::/64", "destinationAddressPrefix": "10.0.0.4"}),
            "SecurityRuleInvalidAddressPrefix",
            "mixes IPv4",
        ),
        (
            json!({"description": "x".repeat(141)}),
            "SecurityRuleParameterContainsUnsupportedValue",
            "141",
        ),
        (json!({"description": ["x"]}), "InvalidRequestContent", "a list stands"),
        (
            json!({"sourceAddressPrefix": null, "sourceApplicationSecurityGroups": [{"id": "web"}]}),
            "InvalidParameter",
            "'web' is no resource id",
        ),
        (
            json!({"sourceAddressPrefix": null, "sourceApplicationSecurityGroups": [{}]}),
            "InvalidRequestContent",
            "'id' is missing",
        ),
        (
            json!({"sourceAddressPrefix": null, "sourceApplicationSecurityGroups": [{"id": at(&server, "applicationSecurityGroups/web")}]}),
            "InvalidResourceReference",
            "was not found",
        ),
    ];
    for (changes, code, part) in rows {
        let sent = with(changes.clone());
        let (told, message) =
            refused(&server, "networkSecurityGroups/g/securityRules/x", &sent).await;
        assert_eq!(told, code, "{changes}: {message}");
        assert!(message.contains(part), "{changes}: {message}");
        // In its group the same is refused the same way.
        let mut one = sent.clone();
        one["name"] = json!("x");
        let mut first = rule(100);
        first["name"] = json!("one");
        let group = json!({"location": "local", "properties": {"securityRules": [first, one]}});
        let (told, _) = refused(&server, "networkSecurityGroups/g", &group).await;
        assert_eq!(told, code, "{changes}, in its group");
    }
    let rules: Vec<Value> = (0..1_001)
        .map(|n| {
            let mut one = rule(100 + n);
            one["name"] = json!(format!("r{n}"));
            one
        })
        .collect();
    let group = json!({"location": "local", "properties": {"securityRules": rules}});
    let (code, message) = refused(&server, "networkSecurityGroups/g", &group).await;
    assert_eq!(code, "SecurityRuleCountLimitReached");
    assert_eq!(message, "A security group cannot have more than 1000 security rules.");
    let (_, shown) = server
        .json(Method::GET, &format!("{}{V}", at(&server, "networkSecurityGroups/g")), None)
        .await;
    assert_eq!(shown["etag"], tag(&shown, 2), "nothing half done");
    assert_eq!(shown["properties"]["securityRules"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn networks_and_interfaces_that_cannot_be() {
    let server = start().await;
    put(&server, "virtualNetworks/v", &network()).await;
    put(&server, "networkInterfaces/first", &nic(&server, Some("10.0.0.4"))).await;
    let net = |space: Value, subnet: Value| {
        json!({"location": "local", "properties": {
            "addressSpace": space, "subnets": [{"name": "a", "properties": subnet}]}})
    };
    let space = || json!({"addressPrefixes": ["10.0.0.0/16"]});
    let of = |address: &str| nic(&server, Some(address));
    let mut nowhere = nic(&server, None);
    nowhere["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] =
        json!(at(&server, "virtualNetworks/v/subnets/none"));
    let mut bare = of("10.0.0.9");
    bare["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = Value::Null;
    let (n, i) = ("virtualNetworks/w", "networkInterfaces/n");
    let rows = [
        (n, json!({"location": "local"}), "InvalidRequestContent", "'addressSpace' is missing"),
        (n, json!({"properties": {}}), "InvalidRequestContent", "'location' is missing"),
        (n, json!([]), "InvalidRequestContent", "a list stands where an object"),
        (n, json!({"location": 1, "properties": {}}), "InvalidRequestContent", "the number 1"),
        (
            n,
            net(json!({"addressPrefixes": []}), json!({"addressPrefix": "10.0.0.0/24"})),
            "InvalidRequestFormat",
            "address prefixes",
        ),
        (
            n,
            net(json!("10.0.0.0/8"), json!({})),
            "InvalidRequestContent",
            "where an object is needed",
        ),
        (
            n,
            net(json!({"addressPrefixes": ["10.0.0.0"]}), json!({})),
            "InvalidParameter",
            "'10.0.0.0' is no address prefix",
        ),
        (
            n,
            net(space(), json!({"addressPrefix": "10.1.0.0/24"})),
            "NetcfgInvalidSubnet",
            "Subnet 'a' is not valid in virtual network 'w'.",
        ),
        (
            n,
            net(space(), json!({"addressPrefix": "10.0.0.1/24"})),
            "InvalidCIDRNotation",
            "should be 10.0.0.0/24",
        ),
        (
            n,
            net(space(), json!({"addressPrefix": "10.0.0.0/30"})),
            "InvalidCIDRNotation",
            "/2 to /29",
        ),
        (n, net(space(), json!({"addressPrefix": 1})), "InvalidRequestContent", "the number 1"),
        (
            n,
            net(space(), json!({"addressPrefixes": ["10.0.0.0/24", "10.0.0.0/25"]})),
            "NetcfgInvalidSubnet",
            "overlaps",
        ),
        (
            i,
            of("10.0.0.4"),
            "PrivateIPAddressIsAllocated",
            "using the private IP address 10.0.0.4 which is already allocated to resource",
        ),
        (
            i,
            of("10.0.0.3"),
            "PrivateIPAddressInReservedRange",
            "10.0.0.3 falls within reserved IP range of subnet prefix 10.0.0.0/24",
        ),
        (i, of("10.0.0.255"), "PrivateIPAddressInReservedRange", "10.0.0.255"),
        (
            i,
            of("10.0.1.4"),
            "PrivateIPAddressNotInSubnet",
            "does not belong to the range of subnet prefix 10.0.0.0/24",
        ),
        (i, of("10.0.0.400"), "InvalidParameter", "'10.0.0.400' is no IP address"),
        (i, bare, "InvalidRequestContent", "'privateIPAddress' is missing"),
        (i, nowhere, "InvalidResourceReference", "subnets/none"),
        (
            i,
            json!({"location": "local", "properties": {}}),
            "InvalidRequestContent",
            "'ipConfigurations' is missing",
        ),
        (
            i,
            json!({"location": "local", "properties": {"ipConfigurations": []}}),
            "InvalidRequestFormat",
            "IP configurations",
        ),
    ];
    for (rest, sent, code, part) in rows {
        let (told, message) = refused(&server, rest, &sent).await;
        assert_eq!(told, code, "{sent}: {message}");
        assert!(message.contains(part), "{sent}: {message}");
        let path = format!("{}{V}", at(&server, rest));
        assert_eq!(server.json(Method::GET, &path, None).await.0, 404, "{sent}");
    }
}

#[tokio::test]
async fn hostile_texts_are_refused_in_names_and_harmless_everywhere_else() {
    let server = start().await;
    put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await;
    let hostile = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    for text in CORPUS.lines().filter(|line| !line.is_empty()) {
        let mut one = rule(100);
        one["name"] = json!(text);
        let group = json!({"location": "local", "properties": {"securityRules": [one]}});
        let (status, answer) = put(&server, "networkSecurityGroups/x", &group).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 || status < 300, "{text:?}: {answer}");
        assert!(!message.contains(hostile), "{text:?}: {message:?}");
        let mut described = rule(100);
        described["properties"]["description"] = json!(text);
        let (status, shown) =
            put(&server, "networkSecurityGroups/g/securityRules/r", &described).await;
        if text.encode_utf16().count() <= 140 {
            assert!(status < 300, "{text:?}: {shown}");
            assert_eq!(shown["properties"]["description"], text, "given back as it is, in JSON");
        }
        let tagged = json!({"location": "local", "tags": {"t": text}});
        let (status, shown) = put(&server, "applicationSecurityGroups/t", &tagged).await;
        assert!(status == 400 || shown["tags"]["t"] == text, "{text:?}");
        let tagged = json!({"location": "local", "tags": {text: "t"}});
        let (_, answer) = put(&server, "applicationSecurityGroups/t", &tagged).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.contains(hostile), "{text:?}: {message:?}");
    }
}
