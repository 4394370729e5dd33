//! One flow: judge and explain say what the naive oracle says, for every kind of flow.

use std::collections::BTreeMap;

use hourgate_core::nsg::{
    cure::Cure,
    effective::effective,
    explain::explain,
    flow::{Carried, Flow, Portless, Transport},
    group::{SecurityGroup, default_rules},
    judge::{Layer, Layers, judge},
    rule::{RuleDraft, SecurityRule},
    word::{Access, Direction, Part},
};
use proptest::{prelude::*, sample::Index};

use crate::{
    naive::{self, Groups},
    random::{MACHINE, cases, groups},
    scene::*,
};

/// The groups as the product has them.
pub struct Built {
    subnet: Option<SecurityGroup>,
    nic: Option<SecurityGroup>,
}

impl Built {
    pub fn of(groups: &Groups) -> Built {
        let one = |name: &str, drafts: &Vec<RuleDraft>| {
            let rules = drafts.iter().map(|draft| SecurityRule::new(draft).expect("a rule"));
            SecurityGroup::new(group_id(name), rules.collect()).expect("a group")
        };
        Built {
            subnet: groups.subnet.as_ref().map(|drafts| one("subnet", drafts)),
            nic: groups.nic.as_ref().map(|drafts| one("nic", drafts)),
        }
    }

    pub fn layers(&self) -> Layers<'_> {
        layers(self.subnet.as_ref(), self.nic.as_ref())
    }
}

/// Flows of every kind between the machine and each stretch of addresses, both ways.
pub fn flows(groups: &Groups, pick: &[Index]) -> Vec<(Direction, Flow)> {
    let world = world();
    let ports = naive::ports(
        groups.rules().flat_map(|rule| rule.source_ports.iter().chain(&rule.destination_ports)),
    );
    let mut kinds: Vec<Carried> = Portless::ALL.map(Carried::Portless).to_vec();
    for transport in Transport::ALL {
        kinds.extend(ports.iter().flat_map(|source| {
            ports.iter().map(move |destination| Carried::Ports {
                transport,
                source: *source,
                destination: *destination,
            })
        }));
    }
    let mut flows = Vec::new();
    for machine in MACHINE {
        let far = naive::addresses(groups.rules(), &[&world], &[], ip(machine).is_ipv6());
        for (far, pick) in far.iter().zip(pick.iter().cycle()) {
            for kind in Portless::ALL.map(Carried::Portless).iter().chain([pick.get(&kinds)]) {
                let ends = |from, to| Flow::new(from, to, *kind).expect("a flow");
                flows.push((Direction::Inbound, ends(*far, ip(machine))));
                flows.push((Direction::Outbound, ends(ip(machine), *far)));
            }
        }
    }
    flows
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn judge_and_explain_agree_with_the_oracle(
        groups in groups(8),
        pick in proptest::collection::vec(any::<Index>(), 17),
    ) {
        let (built, world, around) = (Built::of(&groups), world(), surroundings());
        for (direction, flow) in flows(&groups, &pick) {
            let (name, allow) = groups.says(&world, direction, &flow);
            let verdict = judge(built.layers(), direction, &flow, &around);
            prop_assert_eq!(verdict.access == Access::Allow, allow, "{:?} {:?}", direction, flow);
            let by = verdict.by.map(|by| by.rule.name().to_string());
            prop_assert_eq!(&by, &name, "{:?} {:?}", direction, flow);
            explained(&groups, built.layers(), direction, &flow)?;
        }
    }

    #[test]
    fn a_rule_and_its_draft_are_one(groups in groups(8)) {
        for draft in groups.rules() {
            let rule = SecurityRule::new(draft).expect("a rule");
            prop_assert_eq!(&rule.draft(), draft);
            let text = serde_json::to_string(&rule).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<SecurityRule>(&text).expect("a rule"), rule);
        }
        for group in [Built::of(&groups).nic, Built::of(&groups).subnet].into_iter().flatten() {
            let text = serde_json::to_string(&group).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<SecurityGroup>(&text).expect("a group"), group);
        }
    }
}

fn explained(
    groups: &Groups,
    layers: Layers<'_>,
    direction: Direction,
    flow: &Flow,
) -> Result<(), TestCaseError> {
    let (world, around) = (world(), surroundings());
    let told = explain(layers, direction, flow, &around, &BTreeMap::new());
    let allow = groups.pass_in(&world, direction, flow);
    prop_assert_eq!(told.access == Access::Allow, allow);
    prop_assert_eq!(told.cures.is_empty(), allow);
    let mut reached = true;
    for asked in &told.layers {
        let rules = match asked.layer {
            Layer::Subnet => groups.subnet.as_ref(),
            Layer::Nic => groups.nic.as_ref(),
        };
        let rules = rules.expect("a group");
        let (name, allow) = naive::decides(rules, &world, direction, flow);
        prop_assert_eq!(asked.decisive.name().as_str(), name);
        prop_assert_eq!(asked.reached, reached);
        reached &= allow;
        let numbers: Vec<_> = asked.passed_over.iter().map(|look| look.rule.priority()).collect();
        prop_assert!(numbers.is_sorted());
        for look in &asked.passed_over {
            prop_assert!(
                !look.misfits.is_empty() && look.rule.priority() < asked.decisive.priority()
            );
        }
        let way = format!("{direction:?}");
        let before = rules.iter().filter(|rule| {
            rule.direction == way && rule.priority < i64::from(asked.decisive.priority().number())
        });
        let own = asked.passed_over.iter().filter(|look| !look.rule.priority().is_default());
        prop_assert_eq!(before.count(), own.count(), "every rule before it has looked");
    }
    Ok(())
}

impl Groups {
    fn pass_in(&self, world: &naive::World, direction: Direction, flow: &Flow) -> bool {
        self.says(world, direction, flow).1
    }
}

#[test]
fn each_part_that_does_not_fit_is_told() {
    let nic = group("nic", &["ssh 200 Allow Tcp 203.0.113.0/24@1024-65535 > 10.0.0.4@22"]);
    let carried =
        |source, destination| Carried::Ports { transport: Transport::Tcp, source, destination };
    let flow = |from: &str, to: &str, carried| Flow::new(ip(from), ip(to), carried).expect("one");
    let rows = [
        ("all fits", flow("203.0.113.7", "10.0.0.4", carried(50_000, 22)), vec![]),
        ("port", flow("203.0.113.7", "10.0.0.4", carried(50_000, 23)), vec![Part::DestinationPort]),
        ("from", flow("203.0.114.7", "10.0.0.4", carried(50_000, 22)), vec![Part::Source]),
        ("to", flow("203.0.113.7", "10.0.0.5", carried(50_000, 22)), vec![Part::Destination]),
        ("low port", flow("203.0.113.7", "10.0.0.4", carried(80, 22)), vec![Part::SourcePort]),
        (
            "no ports at all",
            icmp("203.0.113.7", "10.0.0.4"),
            vec![Part::Protocol, Part::SourcePort, Part::DestinationPort],
        ),
        (
            "the other family",
            flow("2001:db8::7", "fd00::4", carried(50_000, 22)),
            vec![Part::Source, Part::Destination],
        ),
    ];
    for (why, flow, misfits) in rows {
        let (none, around) = (BTreeMap::new(), surroundings());
        let told = explain(layers(None, Some(&nic)), Direction::Inbound, &flow, &around, &none);
        let [asked] = told.layers.as_slice() else { panic!("{why}: one layer") };
        match asked.passed_over.first() {
            Some(look) => assert_eq!(look.misfits, misfits, "{why}"),
            None => assert!(misfits.is_empty(), "{why}"),
        }
    }
}

#[test]
fn both_layers_are_cured_at_once() {
    let subnet = group("subnet", &["no 100 Deny * * > *"]);
    let nic = group("nic", &["a 4096 Allow Udp * > *"]);
    let flow = tcp("203.0.113.7", "10.0.0.4", 22);
    let both = layers(Some(&subnet), Some(&nic));
    let told = explain(both, Direction::Inbound, &flow, &surroundings(), &BTreeMap::new());
    let change =
        Cure::ChangeRule { group: group_id("subnet"), rule: named("no"), priority: number(100) };
    let allow = Cure::AllowBefore { group: group_id("nic"), below: 4_097, free: number(4_095) };
    assert_eq!(told.cures, [change, allow]);
    assert_eq!(told.layers.iter().map(|asked| asked.reached).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn the_order_of_layers_follows_the_direction() {
    let lines = ["in 100 Deny * * > *", "out 100 Deny * * > * out"];
    let (subnet, nic) = (group("subnet", &lines), group("nic", &lines));
    let layers = layers(Some(&subnet), Some(&nic));
    let flow = tcp("10.0.0.5", "10.0.0.4", 22);
    for (direction, layer) in
        [(Direction::Inbound, Layer::Subnet), (Direction::Outbound, Layer::Nic)]
    {
        let verdict = judge(layers, direction, &flow, &surroundings());
        assert_eq!(verdict.by.map(|by| by.layer), Some(layer));
    }
}

#[test]
fn without_groups_everything_passes() {
    let verdict = judge(
        layers(None, None),
        Direction::Inbound,
        &tcp("203.0.113.7", "10.0.0.4", 22),
        &surroundings(),
    );
    assert_eq!((verdict.access, verdict.by), (Access::Allow, None));
}

#[test]
fn flows_are_of_one_family_and_in_plain_dress() {
    let carried = Carried::Portless(Portless::Icmp);
    let flow = |from: &str, to: &str| Flow::new(ip(from), ip(to), carried);
    assert!(flow("10.0.0.5", "fd00::4").is_none());
    assert!(flow("::ffff:10.0.0.5", "fd00::4").is_none(), "no rule would match it as either");
    assert!(
        serde_json::from_str::<Flow>(
            r#"{"source":"10.0.0.5","destination":"fd00::4","carried":{"Portless":"Icmp"}}"#
        )
        .is_err()
    );
}

#[test]
fn effective_rules_resolve_names_and_leave_prefixes() {
    let nic = group("nic", &["web 100 Allow Tcp asg:web > *@22", "no 110 Deny * asg:unknown > *"]);
    let effective = effective(layers(None, Some(&nic)), &surroundings());
    let [only] = effective.as_slice() else { panic!("one layer") };
    let rows: Vec<(&str, Option<Vec<String>>)> = only
        .rules
        .iter()
        .map(|rule| {
            let text = |nets: &Vec<ipnet::IpNet>| nets.iter().map(ToString::to_string).collect();
            (rule.rule.name().as_str(), rule.expanded_sources.as_ref().map(text))
        })
        .collect();
    let nets = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(
        rows,
        [
            ("web", nets(&["10.0.0.4/31", "fd00::4/128"])),
            ("no", nets(&[])),
            ("AllowVnetInBound", nets(&["10.0.0.0/24", "fd00::/64"])),
            ("AllowAzureLoadBalancerInBound", nets(&["10.0.0.200/32", "168.63.129.16/32"])),
            ("DenyAllInBound", None),
            ("AllowVnetOutBound", nets(&["10.0.0.0/24", "fd00::/64"])),
            ("AllowInternetOutBound", None),
            ("DenyAllOutBound", None),
        ]
    );
    let internet = &only.rules[6];
    let prefixes = internet.expanded_destinations.as_ref().expect("a tag");
    for text in ["32.0.0.0/3", "4.0.0.0/6", "2.0.0.0/7", "1.0.0.0/8"] {
        let net = text.parse().expect("a prefix");
        assert!(prefixes.contains(&net), "Azure's own example has {text}");
    }
}

#[test]
fn default_rules_are_azures() {
    let rows: Vec<String> = Direction::ALL
        .into_iter()
        .flat_map(default_rules)
        .map(|rule| {
            let draft = rule.draft();
            assert_eq!((&draft.protocol[..], &draft.source_ports[0][..]), ("*", "*"));
            assert_eq!((draft.destination_ports.len(), &draft.destination_ports[0][..]), (1, "*"));
            format!(
                "{} {} {} {} > {} {}: {}",
                draft.name,
                draft.priority,
                draft.direction,
                draft.sources.join(","),
                draft.destinations.join(","),
                draft.access,
                draft.description.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "AllowVnetInBound 65000 Inbound VirtualNetwork > VirtualNetwork Allow: \
             Allow inbound traffic from all VMs in VNET",
            "AllowAzureLoadBalancerInBound 65001 Inbound AzureLoadBalancer > * Allow: \
             Allow inbound traffic from azure load balancer",
            "DenyAllInBound 65500 Inbound * > * Deny: Deny all inbound traffic",
            "AllowVnetOutBound 65000 Outbound VirtualNetwork > VirtualNetwork Allow: \
             Allow outbound traffic from all VMs to all VMs in VNET",
            "AllowInternetOutBound 65001 Outbound * > Internet Allow: \
             Allow outbound traffic from all VMs to Internet",
            "DenyAllOutBound 65500 Outbound * > * Deny: Deny all outbound traffic",
        ]
    );
    for rule in Direction::ALL.into_iter().flat_map(default_rules) {
        assert!(SecurityRule::new(&rule.draft()).is_err(), "nobody can send a default rule");
        assert!(rule.priority().is_default());
    }
}
