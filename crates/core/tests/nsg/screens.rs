//! What a guard is told: a chain decides as the oracle does, and standing exceptions are what is left.

use std::{collections::BTreeMap, net::IpAddr};

use hourgate_core::{
    network::Family,
    nsg::{
        addresses::Addresses,
        band::Band,
        judge::Layer,
        passing::passing,
        region::Region,
        word::{Access, Direction, Side},
    },
    plan::{Coverage, Desired},
    screen::{
        Screen,
        chain::{Chain, Flows, Hosts, Line, NotAChain, PortSet},
        compile::compile,
        standing::{region, standing},
    },
};
use proptest::{prelude::*, sample::Index};

use crate::{
    judging::{Built, flows},
    random::{MACHINE, cases, groups},
    scene::*,
};

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_screen_lets_through_what_the_oracle_lets_through(
        groups in groups(8),
        pick in proptest::collection::vec(any::<Index>(), 17),
    ) {
        let (built, world, around) = (Built::of(&groups), world(), surroundings());
        let screen = |family| {
            Screen::of(built.layers(), &around, family, |layer| {
                (layer == Layer::Nic).then(Band::default)
            })
        };
        let screens = [screen(Family::V4), screen(Family::V6)];
        for (direction, flow) in flows(&groups, &pick) {
            let screen = &screens[usize::from(flow.family() == Family::V6)];
            let (_, right) = groups.says(&world, direction, &flow);
            prop_assert_eq!(screen.allows(direction, &flow, false), right, "{:?}", flow);
        }
    }

    #[test]
    fn standing_exceptions_are_exactly_what_is_left(groups in groups(8)) {
        let (built, around) = (Built::of(&groups), surroundings());
        for machine in MACHINE {
            let family = Family::of(ip(machine));
            let left = passing(built.layers(), &around, lock(machine, 22));
            let of_family = left.intersection(&Region::from(&Addresses::family(family)));
            let passes = standing(&left, family);
            prop_assert_eq!(region(&passes, family), of_family);
            prop_assert!(passes.iter().all(|one| one.sources.family().is_none_or(|f| f == family)));
        }
    }

    #[test]
    fn screens_are_read_back_as_they_were_written(groups in groups(8), count in 1_u8..4) {
        let (built, around) = (Built::of(&groups), surroundings());
        let screen = Screen::of(built.layers(), &around, Family::V4, |_| Some(Band::default()));
        let address = |host| IpAddr::from([10, 0, 0, host]);
        let screens: BTreeMap<_, _> = (0..count).map(|n| (address(n), screen.clone())).collect();
        let desired = Desired { screens, ..nothing() };
        let text = serde_json::to_string(&desired).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<Desired>(&text).expect("a statement"), &desired);
        let chains = |text: &str| text.matches("\"lines\"").count();
        let one = Desired { screens: [(address(0), screen)].into(), ..nothing() };
        let one = serde_json::to_string(&one).expect("JSON");
        prop_assert_eq!(chains(&text), chains(&one), "a chain is written once");
    }
}

fn nothing() -> Desired {
    Desired {
        coverage: Coverage::All,
        locks: BTreeMap::new(),
        released: [].into(),
        openings: BTreeMap::new(),
        standing: BTreeMap::new(),
        screens: BTreeMap::new(),
        translations: Default::default(),
    }
}

#[test]
fn grants_stand_where_their_numbers_begin() {
    let before = "a 100 Deny Tcp 192.0.2.0/24 > *@22";
    let behind = "b 101 Deny Tcp * > *@22";
    let group = group("web", &[before, behind]);
    let band = Some(Band::default());
    let chain = |direction| compile(&group, direction, &surroundings(), Family::V4, band);
    let inbound = chain(Direction::Inbound);
    assert_eq!(inbound.lines().iter().position(|line| *line == Line::Grants), Some(1));
    assert_eq!(inbound.before_grants().map(<[Line]>::len), Some(1));
    let decides = |from: &str, granted| inbound.decides(&tcp(from, "10.0.0.4", 22), granted);
    assert_eq!(decides("203.0.113.7", true), Access::Allow);
    assert_eq!(decides("203.0.113.7", false), Access::Deny);
    assert_eq!(decides("192.0.2.1", true), Access::Deny, "a rule before the grants decides");
    assert_eq!(chain(Direction::Outbound).before_grants(), None, "grants are inbound");
}

#[test]
fn what_matches_nothing_is_left_out_and_what_nothing_reaches_too() {
    let lines = [
        "a 100 Allow Icmp * > *@22",
        "b 110 Allow Tcp asg:unknown > *@22",
        "c 120 Allow Tcp 2001:db8::/32 > *@22",
        "d 130 Allow * * > *",
        "e 140 Deny Tcp * > *@23",
    ];
    let group = group("web", &lines);
    let chain = compile(&group, Direction::Inbound, &surroundings(), Family::V4, None);
    assert_eq!(chain, Chain::only(Family::V4, Access::Allow));
}

#[test]
fn rules_that_say_the_same_are_one_chain() {
    let of = |name: &str, line: &str| {
        let group = group(name, &[line]);
        compile(&group, Direction::Inbound, &surroundings(), Family::V4, None)
    };
    let one = of("one", "a 100 Allow Tcp 10.0.0.0/25,10.0.0.128/25@1-5,6 > *@22");
    assert_eq!(one, of("two", "b 300 Allow Tcp 10.0.0.0/24@1-6 > *@22-22"));
    assert_ne!(one, of("two", "b 300 Allow Udp 10.0.0.0/24@1-6 > *@22"));
}

#[test]
fn no_chain_leaves_a_flow_undecided_or_holds_what_a_kernel_would_refuse() {
    let all = |access| Line::Flows { access, flows: Flows::everything() };
    let some = |net: &str| Line::Flows {
        access: Access::Deny,
        flows: Flows {
            sources: Hosts::these(vec![net.parse().expect("a prefix")]).expect("hosts"),
            ..Flows::everything()
        },
    };
    let new = |lines: Vec<Line>| Chain::new(Family::V4, lines).err();
    let last = || all(Access::Deny);
    assert_eq!(new(vec![some("10.0.0.0/8"), Line::Grants, last()]), None);
    assert_eq!(new(vec![]), Some(NotAChain::Undecided));
    assert_eq!(new(vec![some("10.0.0.0/8")]), Some(NotAChain::Undecided));
    assert_eq!(new(vec![Line::Grants]), Some(NotAChain::Undecided));
    assert_eq!(new(vec![last(), last()]), Some(NotAChain::Unreachable));
    assert_eq!(new(vec![Line::Grants, Line::Grants, last()]), Some(NotAChain::Unreachable));
    assert_eq!(new(vec![some("fd00::/64"), last()]), Some(NotAChain::OtherFamily));
    assert_eq!(new(vec![some("10.0.0.0/8"); 2_000]), Some(NotAChain::TooLong));
    let hosts = |nets: &[&str]| {
        Hosts::these(nets.iter().map(|net| net.parse().expect("a prefix")).collect())
    };
    assert_eq!(hosts(&["0.0.0.0/0"]), Some(Hosts::All));
    for wrong in [
        &[][..],
        &["10.0.0.1/24"],
        &["10.0.0.0/24", "10.0.0.0/25"],
        &["10.0.1.0/24", "10.0.0.0/24"],
        &["10.0.0.0/24", "fd00::/64"],
    ] {
        assert_eq!(hosts(wrong), None, "{wrong:?}");
        let text = serde_json::to_string(wrong).expect("JSON");
        assert!(wrong.is_empty() || serde_json::from_str::<Hosts>(&text).is_err(), "{wrong:?}");
    }
    assert!(serde_json::from_str::<PortSet>("[\"1-5\",\"5-9\"]").is_err());
    assert!(serde_json::from_str::<PortSet>("[\"6-9\",\"1-4\"]").is_ok());
    assert_eq!(tcp("10.0.0.1", "10.0.0.2", 1).port(Side::Destination), Some(1));
}
