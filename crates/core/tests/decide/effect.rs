//! It takes effect or it is refused: rules of security groups that would drop what is granted (P7).

use hourgate_core::{
    command::{PortDraft, Sent},
    grant::{EndReason, Stage},
    nsg::{cure::Cure, rule::RuleDraft, word::Priority},
    policy::Placement,
    refusal::Refusal,
    resource::{ResourceId, ViewDraft, network_interface::NetworkInterfaceDraft},
};

use crate::{network::*, scene::*};

pub(crate) fn ssh() -> PortDraft {
    rule_from(22, &["203.0.113.0/24"])
}

/// The machine `web` at one address, its interface in a subnet and behind groups, and its policy with one rule.
pub(crate) fn networked(
    of_subnet: Option<Vec<RuleDraft>>,
    of_nic: Option<Vec<RuleDraft>>,
) -> Scene {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    stand(&mut scene, of_subnet, of_nic);
    scene.policy("p", vec![member("web", vec![ssh()])])
}

pub(crate) fn stand(
    scene: &mut Scene,
    of_subnet: Option<Vec<RuleDraft>>,
    of_nic: Option<Vec<RuleDraft>>,
) {
    let groups = [("outer", &of_subnet), ("inner", &of_nic)];
    for (name, rules) in groups {
        if let Some(rules) = rules {
            scene.does(&put(nsg(name), nsg_of(rules.clone())));
        }
    }
    let outer = of_subnet.is_some().then_some("outer");
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", outer)])));
    let inner = of_nic.is_some().then(|| nsg("inner").security_group()).flatten();
    let address = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.4"));
    let view = NetworkInterfaceDraft { security_group: inner, configurations: vec![address] };
    scene.does(&put(nic("web-nic"), ViewDraft::NetworkInterface(view)));
}

pub(crate) fn deny(name: &str, priority: i64, from: &str) -> RuleDraft {
    RuleDraft { access: "Deny".to_owned(), ..security_rule(name, priority, from) }
}

pub(crate) fn allow(name: &str, priority: i64, from: &str) -> RuleDraft {
    security_rule(name, priority, from)
}

fn group(id: &ResourceId) -> hourgate_core::nsg::id::GroupId {
    id.security_group().expect("a group")
}

/// Group, rule and number of what stands against a request from 203.0.113.7.
fn against(scene: &mut Scene) -> Vec<(String, String, u16)> {
    let refusals = scene.denies(ask("web", 22).from("203.0.113.7"));
    refusals
        .into_iter()
        .map(|refusal| match refusal {
            Refusal::Blocked { group, rule, priority, .. } => {
                (group.name().to_string(), rule.to_string(), priority.number())
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_no_rule_drops_is_granted() {
    let here = "203.0.113.0/24";
    type Rules = Option<Vec<RuleDraft>>;
    let rows: [(&str, Rules, Rules); 5] = [
        ("only the default rules of the interface's group", None, Some(vec![])),
        (
            "only the default rules of the subnet's group, where JIT's rules then lie",
            Some(vec![]),
            None,
        ),
        ("a deny that is looked at later", None, Some(vec![deny("d", 101, here)])),
        ("the subnet's group allows it", Some(vec![allow("a", 300, here)]), Some(vec![])),
        (
            "the subnet's deny is for others",
            Some(vec![deny("d", 200, "198.51.100.0/24"), allow("a", 300, here)]),
            Some(vec![]),
        ),
    ];
    for (why, of_subnet, of_nic) in rows {
        let mut scene = networked(of_subnet, of_nic);
        scene.gets(ask("web", 22).from("203.0.113.7"));
        assert_eq!(scene.open(), ["203.0.113.7/32 > 10.0.0.4 22"], "{why}");
    }
}

#[test]
fn what_a_rule_drops_is_refused_with_that_rule() {
    let here = "203.0.113.0/24";
    let outer = |rule: &str, number| vec![("outer".to_owned(), rule.to_owned(), number)];
    let inner = |rule: &str, number| vec![("inner".to_owned(), rule.to_owned(), number)];
    let rows = [
        ("the subnet's default deny", Some(vec![]), Some(vec![]), outer("DenyAllInBound", 65_500)),
        (
            "the subnet's first matching rule is a deny",
            Some(vec![deny("no-ssh", 250, "*"), allow("a", 300, here)]),
            Some(vec![]),
            outer("no-ssh", 250),
        ),
        (
            "a deny before the grants",
            None,
            Some(vec![deny("first", 100, here)]),
            inner("first", 100),
        ),
    ];
    for (why, of_subnet, of_nic, expected) in rows {
        let mut scene = networked(of_subnet, of_nic);
        assert_eq!(against(&mut scene), expected, "{why}");
        assert!(scene.open().is_empty(), "{why}");
    }
}

#[test]
fn the_cure_is_told_and_helps() {
    let mut scene = networked(Some(vec![deny("no-ssh", 250, "*")]), Some(vec![]));
    let refusals = scene.denies(ask("web", 22).from("203.0.113.7"));
    let [Refusal::Blocked { at: named, cure, .. }] = &refusals[..] else { panic!("{refusals:?}") };
    let free = Priority::own(100).expect("a number");
    assert_eq!(*named, at("web", 22));
    assert_eq!(*cure, Cure::PlaceInSubnetToo { group: group(&nsg("outer")), free });
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!(scene.open().len(), 1);
}

#[test]
fn what_was_planned_is_looked_at_again_when_it_begins() {
    let allows = vec![allow("in", 300, "203.0.113.0/24")];
    let mut scene = networked(Some(allows), Some(vec![]));
    let later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    let id = scene.gets(later.lasting(hours(1)));
    scene.does(&put(nsg("outer"), nsg_of(vec![])));
    scene.waits(hours(1) + seconds(1));
    scene.ticks();
    assert_eq!(scene.stage(id), "failed");
    let Stage::Ended { reason: EndReason::Failed { why }, .. } = &scene.access(id).stage else {
        panic!("{:?}", scene.access(id));
    };
    assert!(why.contains("DenyAllInBound (65500)") && why.contains("outer"), "{why}");
    assert!(scene.open().is_empty());
}
