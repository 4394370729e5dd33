//! What people get wrong in a body: each with its code, where it stands, and what it is told.

use hourgate_api::{
    body,
    error::{ArmError, Code, DETAILS_MAX, ErrorAnswer},
};

use crate::world::{AZURE_POLICY, AZURE_VM};

const PORT: &str = r#"{"number":22,"protocol":"TCP","allowedSourceAddressPrefix":"*","maxRequestAccessDuration":"PT3H"}"#;

fn put(json: &str) -> Result<(), ArmError> {
    body::policy(json.as_bytes(), &AZURE_POLICY.parse().unwrap()).map(|_| ())
}

fn initiate(json: &str) -> Result<(), ArmError> {
    body::initiate(json.as_bytes(), &AZURE_POLICY.parse().unwrap()).map(|_| ())
}

fn policy_of(port: &str) -> String {
    format!(r#"{{"properties":{{"virtualMachines":[{{"id":"{AZURE_VM}","ports":[{port}]}}]}}}}"#)
}

fn ask_of(port: &str) -> String {
    format!(r#"{{"virtualMachines":[{{"id":"{AZURE_VM}","ports":[{port}]}}]}}"#)
}

/// Holds an error against a row: code, target, and what its message must say.
fn holds(body: &str, result: Result<(), ArmError>, (code, target, says): (Code, &str, &str)) {
    let error = result.expect_err(body);
    assert_eq!(error.code, code, "{body}: {}", error.message);
    assert_eq!(error.target.as_deref().unwrap_or(""), target, "{body}: {}", error.message);
    assert!(error.message.contains(says), "{body}: {}", error.message);
    assert!(error.details.is_empty(), "{body}: one mistake is told once: {:?}", error.details);
}

use Code::{InvalidParameter as Value, InvalidRequestContent as Form};

#[test]
fn mistakes_in_a_port_of_a_policy() {
    assert_eq!(put(&policy_of(PORT)), Ok(()));
    let duration = r#""maxRequestAccessDuration":"PT3H""#;
    let any = r#""allowedSourceAddressPrefix":"*""#;
    for (from, to, (code, property, says)) in [
        ("22", "0", (Value, "number", "0 is not accepted: a whole number from 1 to 65535 is")),
        ("22", "65536", (Value, "number", "65536")),
        ("22", "-1", (Value, "number", "-1")),
        ("22", "22.5", (Value, "number", "22.5")),
        ("22", "1e99", (Value, "number", "1 to 65535")),
        ("22", "\"22\"", (Form, "number", "the text '22' stands where a whole number")),
        ("22", "null", (Form, "number", "'number' is missing")),
        ("22", "[22]", (Form, "number", "a list stands where")),
        ("TCP", "UDP", (Value, "protocol", "JIT supports TCP only")),
        ("TCP", "udp", (Value, "protocol", "JIT supports TCP only")),
        ("TCP", "", (Value, "protocol", "The protocol is empty")),
        ("TCP", "ICMP\u{202e}", (Value, "protocol", "'ICMP\\u{202e}' is no protocol")),
        (r#""protocol":"TCP","#, "", (Form, "protocol", "'protocol' is missing")),
        (
            r#":"*""#,
            r#":"10.1.2.3/8""#,
            (
                Value,
                "allowedSourceAddressPrefix",
                "Did you mean the prefix '10.0.0.0/8', or the single address '10.1.2.3'?",
            ),
        ),
        (r#":"*""#, r#":"10.0.0.0/33""#, (Value, "allowedSourceAddressPrefix", "is no source")),
        (r#":"*""#, r#":"office""#, (Value, "allowedSourceAddressPrefix", "'office' is no source")),
        (r#":"*""#, r#":"""#, (Value, "allowedSourceAddressPrefix", "'' is no source")),
        (
            r#":"*""#,
            r#":"10.0.0.1,10.0.0.2""#,
            (Value, "allowedSourceAddressPrefix", "several sources"),
        ),
        (
            r#":"*""#,
            r#":"::ffff:10.0.0.1""#,
            (Value, "allowedSourceAddressPrefix", "Write it as IPv4"),
        ),
        (r#":"*""#, ":5", (Form, "allowedSourceAddressPrefix", "the number 5 stands where")),
        (
            any,
            r#""allowedSourceAddressPrefixes":[]"#,
            (Value, "allowedSourceAddressPrefixes", "The list of sources is empty"),
        ),
        (
            any,
            r#""allowedSourceAddressPrefixes":["10.0.0.0/8","x"]"#,
            (Value, "allowedSourceAddressPrefixes[1]", "'x' is no source"),
        ),
        (
            any,
            r#""allowedSourceAddressPrefixes":"10.0.0.0/8""#,
            (Form, "allowedSourceAddressPrefixes", "a list of IP addresses"),
        ),
        (
            any,
            r#""allowedSourceAddressPrefix":"*","allowedSourceAddressPrefixes":["*"]"#,
            (Value, "allowedSourceAddressPrefix", "Both "),
        ),
        (
            r#""allowedSourceAddressPrefix":"*","#,
            "",
            (Form, "allowedSourceAddressPrefix", "No source is allowed"),
        ),
        ("PT3H", "3h", (Value, "maxRequestAccessDuration", "'3h' is no duration")),
        ("PT3H", "P1M", (Value, "maxRequestAccessDuration", "is no duration")),
        ("PT3H", "-PT3H", (Value, "maxRequestAccessDuration", "is no duration")),
        (
            duration,
            r#""maxRequestAccessDuration":10800"#,
            (Form, "maxRequestAccessDuration", "the number 10800"),
        ),
        (
            "\"number\"",
            "\"nunber\":1,\"number\"",
            (Form, "nunber", "Unknown property 'nunber'. Did you mean 'number'?"),
        ),
        (
            "\"number\"",
            "\"endSesions\":true,\"number\"",
            (Form, "endSesions", "Did you mean 'endSessions'?"),
        ),
        (
            "\"number\"",
            "\"colour\":1,\"number\"",
            (Form, "colour", "Accepted here are 'number', 'protocol'"),
        ),
        (
            "\"number\"",
            "\"endSessions\":\"yes\",\"number\"",
            (Form, "endSessions", "true or false"),
        ),
        (
            "\"number\"",
            "\"otherAddresses\":\"all\",\"number\"",
            (Value, "otherAddresses", "'approval' or 'allowed' is"),
        ),
        (
            "\"number\"",
            "\"signIn\":{\"within\":\"soon\"},\"number\"",
            (Value, "signIn.within", "PT"),
        ),
        (
            "\"number\"",
            "\"signIn\":{\"factor\":2},\"number\"",
            (Form, "signIn.factor", "Accepted here are"),
        ),
        (
            "\"number\"",
            "\"widestUnapproved\":{\"ipv4\":24},\"number\"",
            (Form, "widestUnapproved.ipv6", "'ipv6' is missing"),
        ),
        (
            "\"number\"",
            "\"widestUnapproved\":{\"ipv4\":33,\"ipv6\":48},\"number\"",
            (Value, "widestUnapproved.ipv4", "0 to 32"),
        ),
        (
            "\"number\"",
            "\"approval\":{\"stages\":[]},\"number\"",
            (Value, "approval", "Approval is not there yet"),
        ),
    ] {
        let body = policy_of(&PORT.replacen(from, to, 1));
        let target = format!("properties.virtualMachines[0].ports[0].{property}");
        holds(&body, put(&body), (code, &target, says));
    }
}

#[test]
fn mistakes_around_the_ports_of_a_policy() {
    let vm = |vm: &str| format!(r#"{{"properties":{{"virtualMachines":[{vm}]}}}}"#);
    let good = policy_of(PORT);
    for (body, row) in [
        (String::new(), (Form, "", "is empty")),
        ("\n ".to_owned(), (Form, "", "is empty")),
        ("ssh please".to_owned(), (Form, "", "no JSON")),
        (good[..good.len() - 1].to_owned(), (Form, "", "no JSON")),
        (format!("{good}x"), (Form, "", "trailing")),
        ("[]".to_owned(), (Form, "", "a list stands where an object is needed")),
        ("null".to_owned(), (Form, "", "null stands where")),
        ("{}".to_owned(), (Form, "properties", "'properties' is missing")),
        (r#"{"properties":[]}"#.to_owned(), (Form, "properties", "a list stands where an object")),
        (r#"{"properties":{}}"#.to_owned(), (Form, "properties.virtualMachines", "is missing")),
        (
            r#"{"properties":{"virtualMachines":{}}}"#.to_owned(),
            (Form, "properties.virtualMachines", "an object stands"),
        ),
        (vm("7"), (Form, "properties.virtualMachines[0]", "the number 7 stands where an object")),
        (vm(r#"{"ports":[]}"#), (Form, "properties.virtualMachines[0].id", "'id' is missing")),
        (
            vm(&format!(r#"{{"id":"{AZURE_VM}"}}"#)),
            (Form, "properties.virtualMachines[0].ports", "'ports' is missing"),
        ),
        (
            vm(r#"{"id":"web-1","ports":[]}"#),
            (Value, "properties.virtualMachines[0].id", "'web-1' is no resource id of a VM"),
        ),
        (
            vm(&format!(r#"{{"id":"{AZURE_VM}\u001b[2J","ports":[]}}"#)),
            (Value, "properties.virtualMachines[0].id", r"\u{1b}[2J"),
        ),
        (
            good.replace("\"ports\"", "\"placement\":\"subnet\",\"ports\""),
            (Value, "properties.virtualMachines[0].placement", "'nic' or 'nic-and-subnet' is"),
        ),
        (good.replacen('{', r#"{"kind":7,"#, 1), (Form, "kind", "the number 7")),
        (good.replacen('{', "{\"kind\":\"a\\u202eb\",", 1), (Value, "kind", "cannot be seen")),
        (
            good.replacen('{', r#"{"propertys":1,"#, 1),
            (Form, "propertys", "Did you mean 'properties'?"),
        ),
        (
            good.replacen('{', r#"{"kind":"a","kind":"b","#, 1),
            (Form, "", "the property 'kind' stands twice"),
        ),
        (
            good.replacen('{', r#"{"kind":"a","Kind":"b","#, 1),
            (Form, "", "the property 'Kind' stands twice"),
        ),
        (
            good.replacen('{', &format!(r#"{{"tags":{},"#, "[".repeat(40)), 1),
            (Form, "", "nests deeper than 16"),
        ),
        (
            good.replacen("\"ports\"", "\"pa\\u001b[2Jth\":1,\"ports\"", 1),
            (Form, r"properties.virtualMachines[0].pa\u{1b}[2Jth", "Unknown property"),
        ),
    ] {
        holds(&body, put(&body), row);
    }
    // What clients send back because they read it is no mistake, in any case.
    let back = good
        .replacen('{', r#"{"id":"x","NAME":"y","type":null,"location":"z","etag":"","tags":{},"systemData":{},"#, 1)
        .replacen("{\"virtual", "{\"requests\":[1],\"provisioningState\":\"x\",\"appendMode\":true,\"Virtual", 1)
        .replace("\"ports\"", "\"publicIpAddress\":\"1.2.3.4\",\"ports\"");
    assert_eq!(put(&back), Ok(()));
    assert_eq!(put(&format!("\u{feff}{good}")), Ok(()));
}

#[test]
fn mistakes_in_a_request() {
    let good = r#"{"number":22,"endTimeUtc":"2026-11-23T15:00:00Z","allowedSourceAddressPrefix":"192.0.2.1"}"#;
    assert_eq!(initiate(&ask_of(good)), Ok(()));
    assert_eq!(initiate(&ask_of(r#"{"number":22}"#)), Ok(()));
    let port = |property: &str| format!("virtualMachines[0].ports[0].{property}");
    for (from, to, (code, property, says)) in [
        ("22", "0", (Value, "number", "1 to 65535")),
        (
            "2026-11-23T15:00:00Z",
            "2026-11-23T15:00:00",
            (Value, "endTimeUtc", "with 'Z' or an offset"),
        ),
        ("2026-11-23T15:00:00Z", "tomorrow", (Value, "endTimeUtc", "'tomorrow' is no time")),
        (
            "\"number\"",
            "\"duration\":\"PT1H\",\"number\"",
            (Value, "endTimeUtc", "Both 'endTimeUtc' and 'duration'"),
        ),
        ("192.0.2.1", "192.0.2.1/24", (Value, "allowedSourceAddressPrefix", "'192.0.2.0/24'")),
        ("\"192.0.2.1\"", "[]", (Value, "allowedSourceAddressPrefix", "A list of 0")),
        (
            "\"192.0.2.1\"",
            "[\"1.1.1.1\",\"1.1.1.2\"]",
            (Value, "allowedSourceAddressPrefix", "A list of 2"),
        ),
        ("\"number\"", "\"protocol\":\"TCP\",\"number\"", (Form, "protocol", "Unknown property")),
        (
            "\"number\"",
            "\"duraton\":\"PT1H\",\"number\"",
            (Form, "duraton", "Did you mean 'duration'?"),
        ),
    ] {
        let body = ask_of(&good.replacen(from, to, 1));
        holds(&body, initiate(&body), (code, &port(property), says));
    }
    let good = ask_of(good);
    for (body, row) in [
        (ask_of(""), (Value, "virtualMachines[0].ports", "names no port. Name at least one.")),
        ("{}".to_owned(), (Form, "virtualMachines", "is missing")),
        (good.replacen('{', r#"{"justification":5,"#, 1), (Form, "justification", "the number 5")),
        (
            good.replacen('{', r#"{"startTimeUtc":"22:00","#, 1),
            (Value, "startTimeUtc", "is no time"),
        ),
        (
            good.replacen('{', r#"{"reason":"x","#, 1),
            (
                Form,
                "reason",
                "Accepted here are 'virtualMachines', 'justification', 'ticket', 'startTimeUtc'",
            ),
        ),
    ] {
        holds(&body, initiate(&body), row);
    }
}

#[test]
fn mistakes_in_a_vm() {
    let good =
        r#"{"location":"local","properties":{"privateAddresses":["10.0.0.4"],"osType":"Linux"}}"#;
    let id = AZURE_VM.parse().unwrap();
    let read = |body: &str| body::resource(body.as_bytes(), &id);
    assert!(read(good).is_ok());
    for (from, to, row) in [
        (
            "10.0.0.4",
            "10.0.0.4/24",
            (Value, "properties.privateAddresses[0]", "without a prefix length"),
        ),
        (
            "10.0.0.4",
            "web-1",
            (Value, "properties.privateAddresses[0]", "'web-1' is no IP address"),
        ),
        (
            "[\"10.0.0.4\"]",
            "\"10.0.0.4\"",
            (Form, "properties.privateAddresses", "a list of IP addresses"),
        ),
        ("Linux", "Plan9", (Value, "properties.osType", "'Linux' or 'Windows' is")),
        ("\"local\"", "\"a\\u001bb\"", (Value, "location", r"'a\u{1b}b' is no name of a location")),
        ("\"location\":\"local\",", "", (Form, "location", "'location' is missing")),
        ("\"osType\"", "\"osTyp\"", (Form, "properties.osTyp", "Did you mean 'osType'?")),
        (
            "privateAddresses",
            "addresses",
            (Form, "properties.networkProfile", "'privateAddresses'"),
        ),
    ] {
        let body = good.replacen(from, to, 1);
        holds(&body, read(&body).map(|_| ()), row);
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let body = policy_of(
        r#"{"number":0,"protocol":"UDP","allowedSourceAddressPrefix":"10.1.2.3/8","maxRequestAccessDuration":"3h","endSesions":1}"#,
    );
    let error = put(&body).unwrap_err();
    assert_eq!(error.code, Form);
    assert!(error.message.ends_with("(4 more problems: see details.)"), "{}", error.message);
    let targets: Vec<String> =
        error.details.iter().map(|detail| detail.target.clone().unwrap()).collect();
    let ports = "properties.virtualMachines[0].ports[0]";
    assert_eq!(
        targets,
        [
            "endSesions",
            "number",
            "protocol",
            "allowedSourceAddressPrefix",
            "maxRequestAccessDuration"
        ]
        .map(|property| format!("{ports}.{property}"))
    );
}

#[test]
fn a_flood_of_mistakes_is_counted_and_a_flood_of_bytes_refused() {
    let ports = vec![PORT.replace("22", "0"); 5_000].join(",");
    let error = put(&policy_of(&ports)).unwrap_err();
    assert_eq!(error.details.len(), DETAILS_MAX + 1);
    assert!(error.message.contains("(4999 more problems: see details.)"), "{}", error.message);
    assert_eq!(error.details[DETAILS_MAX].message, "And 4900 more.");

    let five_mb = format!("{}{}", " ".repeat(5_000_000), policy_of(PORT));
    assert_eq!(put(&five_mb).unwrap_err().code, Code::RequestContentTooLarge);
    let many = format!(r#"{{"tags":[{}0]}}"#, "0,".repeat(600_000));
    assert!(put(&many).unwrap_err().message.contains("more than 500000 values"));
    let deep = "[".repeat(100_000);
    assert!(put(&deep).unwrap_err().message.contains("nests deeper"));
}

#[test]
fn an_error_has_azures_shape() {
    let error = put(&policy_of(&PORT.replace("22", "0"))).unwrap_err();
    let json = serde_json::to_string(&ErrorAnswer::from(error.clone())).unwrap();
    assert_eq!(
        json,
        r#"{"error":{"code":"InvalidParameter","message":"0 is not accepted: a whole number from 1 to 65535 is.","target":"properties.virtualMachines[0].ports[0].number"}}"#
    );
    assert_eq!(serde_json::from_str::<ErrorAnswer>(&json).unwrap().error, error);
    // An error of a later version, or of Azure's, is read as it is.
    let foreign = r#"{"error":{"code":"Teapot","message":"short","details":[{"code":"Stout","message":""}],"x":1}}"#;
    let read: ErrorAnswer = serde_json::from_str(foreign).unwrap();
    assert_eq!(read.error.code, Code::Other("Teapot".to_owned()));
    assert_eq!(read.error.code.to_string(), "Teapot");
    assert_eq!(Code::RequestNotSubset.to_string(), "RequestNotSubset");
}
