//! Without the plan nothing new is locked or opened, and each machine stands in one of three lists (P18).

use std::collections::BTreeSet;

use hourgate_core::{
    command::Command,
    eligible::{Reason, Standing, eligibility},
    event::Event,
    gateway::Unfit,
    policy::{GuardCover, Os},
    pricing::Tier,
    refusal::Refusal,
    resource::{
        ResourceId, ViewDraft, firewall,
        virtual_machine::{InterfaceDraft, Joined, Storage, VirtualMachineDraft},
    },
};
use uuid::Uuid;

use crate::{network::*, scene::*};

fn plan(tier: Tier) -> Command {
    Command::SetPricing { subscription: Uuid::nil(), tier }
}

fn needed() -> Refusal {
    Refusal::PlanNeeded { subscription: Uuid::nil() }
}

#[test]
fn the_first_subscription_begins_with_the_plan_and_any_other_without() {
    let mut scene = scene();
    let tier = |scene: &Scene| scene.state.tier(&scene.settings, Uuid::nil());
    assert_eq!(tier(&scene), Tier::Standard);
    scene.settings.first_subscription = Some(Uuid::nil());
    assert_eq!(tier(&scene), Tier::Standard);
    scene.settings.first_subscription = Some(Uuid::from_u128(7));
    assert_eq!(tier(&scene), Tier::Free);

    // What is set holds from then on, and the same again is no event.
    let on =
        Event::PricingSet { subscription: Uuid::nil(), tier: Tier::Standard, before: Tier::Free };
    assert_eq!(scene.does(&plan(Tier::Standard)), [on]);
    assert_eq!(scene.does(&plan(Tier::Standard)), []);
    assert_eq!(tier(&scene), Tier::Standard);
}

#[test]
fn without_the_plan_what_stands_goes_on_and_nothing_new_begins() {
    let mut scene = web(rule_from(22, &["10.9.0.0/16"])).vm("db", &["10.0.0.9"]);
    let granted = scene.gets(ask("web", 22).from("10.9.0.4"));
    let locks = scene.locks();
    scene.does(&plan(Tier::Free));
    assert_eq!(scene.stage(granted), "granted", "what runs goes on");
    assert_eq!(scene.locks(), locks, "and what is closed stays closed");
    assert_eq!(scene.denies(ask("web", 22).from("10.9.0.5")), [needed()]);

    let of_web = |ports| vec![member("web", ports)];
    let known = || rule_from(22, &["10.9.0.0/16"]);
    for (why, vms) in [
        ("another port", of_web(vec![known(), rule(443)])),
        ("another source", of_web(vec![rule(22)])),
        ("a longer access", of_web(vec![for_at_most(hours(5), known())])),
        ("another VM", vec![member("web", vec![known()]), member("db", vec![rule(22)])]),
    ] {
        assert_eq!(scene.refuses(&set("p", vms)), [needed()], "{why}");
    }
    assert_eq!(scene.refuses(&set("q", vec![member("db", vec![rule(22)])])), [needed()]);
    // To say the same again changes nothing, so it needs nothing.
    assert_eq!(scene.does(&set("p", of_web(vec![known()]))), []);

    scene.does(&end(granted));
    assert_eq!(scene.stage(granted), "ended");
    scene.does(&remove("p"));
    assert_eq!(scene.locks(), Vec::<String>::new());
    scene.does(&plan(Tier::Standard));
    scene.does(&set("q", vec![member("db", vec![rule(22)])]));
}

#[test]
fn to_take_out_of_a_policy_needs_no_plan() {
    let mut scene = scene()
        .vm("web", &["10.0.0.4"])
        .vm("db", &["10.0.0.9"])
        .policy("p", vec![member("web", vec![rule(22), rule(443)]), member("db", vec![rule(22)])]);
    scene.does(&plan(Tier::Free));
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    assert_eq!(scene.locks(), ["10.0.0.4 22"]);
}

/// Where a machine stands, and why.
fn stands(scene: &Scene, name: &str) -> (Standing, BTreeSet<Reason>) {
    let found = eligibility(&scene.state, &scene.settings, &scene.state.vms[&vm(name)]);
    (found.standing, found.reasons)
}

/// A machine with one interface at 10.0.0.5 in a subnet; the groups of subnet and interface, and its disks.
fn joined(subnet_group: Option<&str>, nic_group: Option<&str>, storage: Storage) -> Scene {
    let mut scene = scene();
    scene.does(&put(nsg("s"), ViewDraft::SecurityGroup(Vec::new())));
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", subnet_group)])));
    let at = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.5"));
    let ViewDraft::NetworkInterface(mut nic_draft) = nic_of(vec![at]) else { panic!("a NIC") };
    nic_draft.security_group = nic_group.and_then(|name| nsg(name).security_group());
    scene.does(&put(nic("k"), ViewDraft::NetworkInterface(nic_draft)));
    let interfaces = vec![InterfaceDraft { id: nic("k"), primary: true }];
    let machine =
        VirtualMachineDraft { joined: Joined::Interfaces(interfaces), os: Os::Linux, storage };
    scene.does(&put(ResourceId::from(&vm("web")), ViewDraft::VirtualMachine(machine)));
    scene
}

#[test]
fn each_reason_is_told_and_refuses_a_policy() {
    let missing = || Reason::MissingGroup { interface: nic("k") };
    let (s, k) = (Some("s"), Some("s"));
    let managed = Storage::Managed;
    let location = || Reason::Location {
        location: "local".parse().expect("a location"),
        accepted: BTreeSet::from(["westeurope".parse().expect("a location")]),
    };
    let elsewhere = |mut scene: Scene| {
        scene.settings.locations =
            Some(BTreeSet::from(["westeurope".parse().expect("a location")]));
        scene
    };
    let rows: Vec<(&str, Scene, Vec<Reason>)> = vec![
        ("a group before its subnet", joined(s, None, managed), vec![]),
        ("a group before its interface", joined(None, k, managed), vec![]),
        ("nothing is said of its disks", joined(s, None, Storage::Unknown), vec![]),
        ("no group", joined(None, None, managed), vec![missing()]),
        ("unmanaged disks", joined(s, None, Storage::Unmanaged), vec![Reason::UnmanagedDisks]),
        ("another location", elsewhere(joined(s, None, managed)), vec![location()]),
        (
            "all at once",
            elsewhere(joined(None, None, Storage::Unmanaged)),
            vec![location(), Reason::UnmanagedDisks, missing()],
        ),
    ];
    for (why, mut scene, reasons) in rows {
        let expected: BTreeSet<Reason> = reasons.iter().cloned().collect();
        let standing =
            if reasons.is_empty() { Standing::NotConfigured } else { Standing::Unsupported };
        assert_eq!(stands(&scene, "web"), (standing, expected.clone()), "{why}");
        let sent = set("p", vec![member("web", vec![rule(22)])]);
        if reasons.is_empty() {
            scene.does(&sent);
            assert_eq!(stands(&scene, "web").0, Standing::Configured, "{why}");
        } else {
            let refused: BTreeSet<Reason> = scene
                .refuses(&sent)
                .into_iter()
                .map(|refusal| match refusal {
                    Refusal::Unsupported { reason, .. } => reason,
                    other => panic!("{why}: {other:?}"),
                })
                .collect();
            assert_eq!(refused, expected, "{why}");
        }
    }
}

#[test]
fn a_machine_by_its_address_can_have_access_and_one_that_no_guard_covers_cannot() {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    assert_eq!(stands(&scene, "web"), (Standing::NotConfigured, BTreeSet::new()));
    let cover =
        GuardCover { name: "g".to_owned(), covers: vec!["10.1.0.0/16".parse().expect("a net")] };
    scene.settings.guards = vec![cover];
    assert_eq!(
        stands(&scene, "web"),
        (Standing::Unsupported, BTreeSet::from([Reason::NotCovered]))
    );
    let sent = set("p", vec![member("web", vec![rule(22)])]);
    assert_eq!(scene.refuses(&sent), [Refusal::NotEnforced { vm: vm("web") }]);
    scene.does(&plan(Tier::Free));
    let plan = Reason::Plan { subscription: Uuid::nil() };
    assert_eq!(stands(&scene, "web").1, BTreeSet::from([plan, Reason::NotCovered]));
}

#[test]
fn what_a_policy_holds_stays_configured_and_is_told_what_stands_against_it() {
    let mut scene =
        scene().vm("web", &["10.0.0.4"]).policy("p", vec![member("web", vec![rule(22)])]);
    scene.settings.locations = Some(BTreeSet::from(["westeurope".parse().expect("a location")]));
    let (standing, reasons) = stands(&scene, "web");
    assert_eq!((standing, reasons.len()), (Standing::Configured, 1));
    // Its policy can still be changed.
    scene.does(&set("p", vec![member("web", vec![rule(443)])]));
}

/// What stands against a machine in a network that is joined to a firewall's.
#[test]
fn a_firewall_through_which_nothing_can_be_mapped_is_told() {
    use crate::gateways;
    let tiers = [
        (firewall::Tier::Basic, Some(gateways::policy()), Some(Unfit::BasicTier)),
        (firewall::Tier::Standard, None, Some(Unfit::NoPolicy)),
        (firewall::Tier::Standard, Some(gateways::policy()), None),
    ];
    for (tier, policy, unfit) in tiers {
        let mut scene = gateways::hub();
        scene.does(&put(gateways::policy(), gateways::ruled(100, &[])));
        let interfaces = vec![InterfaceDraft { id: nic("m"), primary: true }];
        let machine = VirtualMachineDraft {
            joined: Joined::Interfaces(interfaces),
            os: Os::Linux,
            storage: Storage::Managed,
        };
        scene.does(&put(ResourceId::from(&vm("m")), ViewDraft::VirtualMachine(machine)));
        let walled = gateways::walled(tier, "AzureFirewallSubnet", policy);
        scene.does(&put(gateways::firewall(), walled));
        let firewall = gateways::firewall();
        let told = unfit.map(|why| Reason::UnfitFirewall { firewall, why });
        let mut reasons = stands(&scene, "m").1;
        reasons.retain(|reason| matches!(reason, Reason::UnfitFirewall { .. }));
        assert_eq!(Vec::from_iter(reasons), Vec::from_iter(told), "behind {tier:?}");
    }
}
