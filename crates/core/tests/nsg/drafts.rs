//! What a rule must be to be one: each fault by name, and all of them at once.

use hourgate_core::nsg::{
    fault::{RuleFault, RuleFaults},
    name::{Description, RuleName},
    place::PlaceProblem,
    port::{PortProblem, PortRange, Ports},
    rule::{RuleDraft, SecurityRule},
    word::{Priority, Side},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{random::cases, scene::*};

const GOOD: &str = "ssh 200 Allow Tcp 10.0.0.0/8 > 10.0.0.4@22";

fn faults(draft: &RuleDraft) -> Vec<RuleFault> {
    match SecurityRule::new(draft) {
        Ok(_) => Vec::new(),
        Err(RuleFaults(faults)) => {
            assert!(!faults.is_empty());
            faults
        }
    }
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

#[test]
fn each_fault_is_told_with_its_value() {
    use RuleFault::*;
    let (from, to) = (Side::Source, Side::Destination);
    let text = |text: &str| text.to_owned();
    let not_a_port =
        |value: &str| Port { side: to, value: text(value), problem: PortProblem::NotAPort };
    let not_a_place =
        |value: &str| Place { side: from, value: text(value), problem: PlaceProblem::NotAPlace };
    let many = (0..11).map(|n| format!("asg:a{n}")).collect::<Vec<_>>().join(",");
    let turned = PortProblem::TurnedRound { meant: PortRange::new(20, 30).expect("a range") };
    let host_bits = PlaceProblem::HostBits { meant: net("10.0.0.0/24") };
    let rows: Vec<(&str, String, Vec<RuleFault>)> = vec![
        ("good", text(GOOD), vec![]),
        ("name", GOOD.replacen("ssh", "-ssh", 1), vec![Name { value: text("-ssh") }]),
        ("99", GOOD.replace("200", "99"), vec![Priority { value: 99, least: 100, most: 4_096 }]),
        (
            "a default's number",
            GOOD.replace("200", "65000"),
            vec![Priority { value: 65_000, least: 100, most: 4_096 }],
        ),
        (
            "more than a number can be",
            GOOD.replace("200", "65636"),
            vec![Priority { value: 65_636, least: 100, most: 4_096 }],
        ),
        ("access", GOOD.replace("Allow", "Permit"), vec![Access { value: text("Permit") }]),
        ("protocol", GOOD.replace("Tcp", "Sctp"), vec![Protocol { value: text("Sctp") }]),
        ("two in one", GOOD.replace("@22", "@80;443"), vec![not_a_port("80;443")]),
        ("too large", GOOD.replace("@22", "@65536"), vec![not_a_port("65536")]),
        ("a sign", GOOD.replace("@22", "@+22"), vec![not_a_port("+22")]),
        ("zeros", GOOD.replace("@22", "@022"), vec![not_a_port("022")]),
        ("no number", GOOD.replace("@22", "@-22"), vec![not_a_port("-22")]),
        (
            "turned round",
            GOOD.replace("@22", "@30-20"),
            vec![Port { side: to, value: text("30-20"), problem: turned }],
        ),
        (
            "a port twice",
            GOOD.replace("@22", "@22,22"),
            vec![PortTwice { side: to, value: text("22") }],
        ),
        ("* and a port", GOOD.replace("@22", "@*,22"), vec![PortNotAlone { side: to }]),
        ("* twice", GOOD.replace("@22", "@*,*"), vec![PortNotAlone { side: to }]),
        (
            "host bits",
            GOOD.replace("10.0.0.0/8", "10.0.0.5/24"),
            vec![Place { side: from, value: text("10.0.0.5/24"), problem: host_bits }],
        ),
        (
            "dressed as IPv6",
            GOOD.replace("10.0.0.0/8", "::ffff:10.0.0.5"),
            vec![Place {
                side: from,
                value: text("::ffff:10.0.0.5"),
                problem: PlaceProblem::Mapped,
            }],
        ),
        ("any", GOOD.replace("10.0.0.0/8", "Any"), vec![not_a_place("Any")]),
        (
            "a tag not known here",
            GOOD.replace("10.0.0.0/8", "Storage"),
            vec![not_a_place("Storage")],
        ),
        ("half an id", GOOD.replace("10.0.0.0/8", "/web"), vec![not_a_place("/web")]),
        (
            "a place twice, written in two ways",
            GOOD.replace("10.0.0.0/8", "10.0.0.5,10.0.0.5/32"),
            vec![PlaceTwice { side: from, value: text("10.0.0.5/32") }],
        ),
        (
            "an application security group twice, written in two ways",
            GOOD.replace("10.0.0.0/8", "asg:web,asg:WEB"),
            vec![PlaceTwice { side: from, value: asg_id("WEB") }],
        ),
        (
            "* beside others",
            GOOD.replace("10.0.0.0/8", "0.0.0.0/0,*"),
            vec![PlaceNotAlone { side: from, value: text("*") }],
        ),
        (
            "a tag beside others",
            GOOD.replace("10.0.0.0/8", "10.0.0.0/8,internet"),
            vec![PlaceNotAlone { side: from, value: text("Internet") }],
        ),
        (
            "two tags",
            GOOD.replace("10.0.0.0/8", "Internet,VirtualNetwork"),
            vec![
                PlaceNotAlone { side: from, value: text("Internet") },
                PlaceNotAlone { side: from, value: text("VirtualNetwork") },
            ],
        ),
        (
            "both kinds",
            GOOD.replace("10.0.0.0/8", "10.0.0.0/8,asg:web"),
            vec![AsgBesidePrefix { side: from }],
        ),
        (
            "eleven",
            GOOD.replace("10.0.0.0/8", &many),
            vec![TooManyAsgs { side: from, count: 11, most: 10 }],
        ),
        (
            "two families on one side",
            GOOD.replace("10.0.0.0/8", "fd00::/64,10.0.0.0/8"),
            vec![FamiliesMixed { ipv4: text("10.0.0.0/8"), ipv6: text("fd00::/64") }],
        ),
        (
            "two families on two sides",
            GOOD.replace("10.0.0.0/8", "fd00::/64"),
            vec![FamiliesMixed { ipv4: text("10.0.0.4"), ipv6: text("fd00::/64") }],
        ),
    ];
    for (why, line, expected) in rows {
        assert_eq!(faults(&draft(&line)), expected, "{why}: {line}");
    }
}

#[test]
fn faults_that_no_line_can_have() {
    let good = draft(GOOD);
    let (from, to) = (Side::Source, Side::Destination);
    let long = "é".repeat(141);
    let rows: Vec<(RuleDraft, RuleFault)> = vec![
        (
            RuleDraft { direction: "In".to_owned(), ..good.clone() },
            RuleFault::Direction { value: "In".to_owned() },
        ),
        (
            RuleDraft { description: Some(long), ..good.clone() },
            RuleFault::Description { units: 141, most: 140 },
        ),
        (
            RuleDraft { description: Some("🔒".repeat(71)), ..good.clone() },
            RuleFault::Description { units: 142, most: 140 },
        ),
        (RuleDraft { sources: vec![], ..good.clone() }, RuleFault::NoPlace { side: from }),
        (RuleDraft { destinations: vec![], ..good.clone() }, RuleFault::NoPlace { side: to }),
        (RuleDraft { source_ports: vec![], ..good.clone() }, RuleFault::NoPort { side: from }),
        (RuleDraft { destination_ports: vec![], ..good.clone() }, RuleFault::NoPort { side: to }),
    ];
    for (draft, fault) in rows {
        assert_eq!(faults(&draft), [fault]);
    }
}

#[test]
fn all_faults_come_at_once() {
    let mut draft = draft("-x 1 Perhaps Tcpp 10.0.0.1/8,Nowhere@7-3 > *,::@*,1");
    draft.direction = "Up".to_owned();
    assert_eq!(faults(&draft).len(), 10, "{:?}", faults(&draft));
    let text = serde_json::to_string(&draft).expect("JSON");
    assert!(serde_json::from_str::<SecurityRule>(&text).is_err(), "reading is no way round");
}

#[test]
fn names_are_azures() {
    let longest = "x".repeat(80);
    for good in ["a", "_", "9", "a_", "a.b-c_d", "JIT_web_22", &longest] {
        assert!(good.parse::<RuleName>().is_ok(), "{good}");
    }
    let too_long = "x".repeat(81);
    for bad in ["", "-a", ".a", "a-", "a.", "a b", "a/b", "ä", "a\u{202e}b", "a(b)", &too_long] {
        assert!(bad.parse::<RuleName>().is_err(), "{bad}");
    }
    assert_eq!(named("AllowSSH"), named("allowssh"));
    assert!("🔒".repeat(70).parse::<Description>().is_ok());
}

#[test]
fn numbers_are_ones_own_or_a_defaults() {
    assert!(Priority::own(99).is_none() && Priority::own(4_097).is_none());
    assert!(Priority::own(100).is_some() && Priority::own(4_096).is_some());
    for default in [65_000, 65_001, 65_500] {
        assert!(Priority::own(default).is_none());
        assert!(Priority::try_from(default).is_ok_and(Priority::is_default));
    }
    for nobodys in [0, 99, 4_097, 64_999, 65_002, 65_535] {
        assert!(Priority::try_from(nobodys).is_err(), "{nobodys}");
    }
}

#[test]
fn every_port_is_every_port_however_it_is_written() {
    let ports = |text: &str| {
        rule(&format!("a 100 Allow Tcp * > *@{text}")).ports(Side::Destination).clone()
    };
    for all in ["*", "0-65535", "0-100,101-65535", "101-65535,0-300", "0,1-65534,65535"] {
        assert!(ports(all).is_every_port(), "{all}");
    }
    for some in ["22", "1-65535", "0-65534", "0-100,102-65535", "65535", "0"] {
        assert!(!ports(some).is_every_port(), "{some}");
    }
    assert_eq!(ports("*").texts(), ["*"]);
    assert_eq!(ports("0-65535").texts(), ["0-65535"], "given back as sent");
    assert_eq!(Ports::one(22).texts(), ["22"]);
    assert_eq!(ports("22-22").texts(), ["22"], "but for one port written as two");
}

/// A second opinion about a side's places, from the texts alone.
fn is_a_side(texts: &[String]) -> bool {
    let kind = |text: &String| match text.as_str() {
        "*" | "Internet" | "VirtualNetwork" => "alone",
        text if text.starts_with('/') => "asg",
        text if text.contains(':') => "v6",
        _ => "v4",
    };
    let same = |a: &String, b: &String| {
        a.eq_ignore_ascii_case(b)
            || format!("{a}/32") == *b
            || format!("{b}/32") == *a
            || format!("{a}/128") == *b
            || format!("{b}/128") == *a
    };
    let differ = texts.iter().enumerate().all(|(n, a)| texts[n + 1..].iter().all(|b| !same(a, b)));
    let one_kind = texts.iter().all(|text| kind(text) == kind(&texts[0]));
    let alone = texts.len() == 1 || texts.iter().all(|text| kind(text) != "alone");
    !texts.is_empty() && differ && one_kind && alone && texts.len() <= 10
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn sides_are_right_or_wrong_as_a_second_opinion_says(
        from in vec(select(SIDE), 0..4),
        to in vec(select(SIDE), 0..3),
    ) {
        let texts = |side: &[&str]| -> Vec<String> {
            let id = |text: &&str| text.strip_prefix("asg:").map_or((*text).to_owned(), asg_id);
            side.iter().map(id).collect()
        };
        let (from, to) = (texts(&from), texts(&to));
        let family = |v6: bool| from.iter().chain(&to).any(|text| {
            !text.starts_with('/') && if v6 { text.contains(':') } else { text.contains('.') }
        });
        let right = is_a_side(&from) && is_a_side(&to) && !(family(true) && family(false));
        let draft = RuleDraft { sources: from, destinations: to, ..draft(GOOD) };
        prop_assert_eq!(faults(&draft).is_empty(), right, "{:?}", faults(&draft));
    }

    #[test]
    fn no_text_is_too_strange(texts in vec(any::<String>(), 9), number in any::<i64>()) {
        let one = |n: usize| vec![texts[n].clone()];
        let draft = RuleDraft {
            name: texts[0].clone(),
            description: Some(texts[1].clone()),
            priority: number,
            direction: texts[2].clone(),
            access: texts[3].clone(),
            protocol: texts[4].clone(),
            sources: one(5),
            source_ports: one(6),
            destinations: one(7),
            destination_ports: one(8),
        };
        let _: Vec<RuleFault> = faults(&draft);
    }
}

const SIDE: &[&str] = &[
    "*",
    "Internet",
    "VirtualNetwork",
    "asg:web",
    "asg:WEB",
    "asg:jump",
    "10.0.0.4",
    "10.0.0.4/32",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "fd00::4",
    "fd00::4/128",
    "::/0",
];
