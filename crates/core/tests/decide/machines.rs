//! Machines: which addresses can be one's, and that a name registered anew inherits nothing.

use hourgate_core::{
    command::Command,
    network::NotAVmAddress,
    policy::{ADDRESSES_PER_VM_MAX, GuardCover},
    refusal::Refusal,
};

use crate::scene::*;

#[test]
fn addresses() {
    let unfit = |text, why| vec![Refusal::NotAVmAddress { address: ip(text), why }];
    let rows = [
        (vec![], vec![Refusal::NoAddress]),
        (vec!["127.0.0.1"], unfit("127.0.0.1", NotAVmAddress::Loopback)),
        (vec!["::1"], unfit("::1", NotAVmAddress::Loopback)),
        (vec!["224.0.0.1"], unfit("224.0.0.1", NotAVmAddress::Multicast)),
        (vec!["255.255.255.255"], unfit("255.255.255.255", NotAVmAddress::Multicast)),
        (vec!["ff02::1"], unfit("ff02::1", NotAVmAddress::Multicast)),
        (vec!["169.254.1.1"], unfit("169.254.1.1", NotAVmAddress::LinkLocal)),
        (vec!["fe80::1"], unfit("fe80::1", NotAVmAddress::LinkLocal)),
        (vec!["0.0.0.0"], unfit("0.0.0.0", NotAVmAddress::Unspecified)),
        (vec!["::"], unfit("::", NotAVmAddress::Unspecified)),
        (vec!["::ffff:10.0.0.4"], unfit("::ffff:10.0.0.4", NotAVmAddress::Mapped)),
        (vec!["10.0.0.9", "10.0.0.9"], vec![Refusal::AddressTwice { address: ip("10.0.0.9") }]),
        (vec!["10.0.0.4"], vec![Refusal::AddressTaken { address: ip("10.0.0.4"), vm: vm("web") }]),
    ];
    for (addresses, refusals) in rows {
        let mut scene = scene().vm("web", &["10.0.0.4"]);
        assert_eq!(scene.refuses(&register("new", 9, &addresses)), refusals, "{addresses:?}");
    }
    let many: Vec<String> = (0..=ADDRESSES_PER_VM_MAX).map(|n| format!("10.1.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        scene().refuses(&register("new", 9, &many)),
        [Refusal::TooManyAddresses { most: ADDRESSES_PER_VM_MAX }]
    );
    scene().does(&register("new", 9, &many[1..]));
}

#[test]
fn the_same_again_changes_nothing() {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    assert!(scene.does(&register("web", 77, &["10.0.0.4"])).is_empty());
    assert!(scene.does(&register("WEB", 77, &["10.0.0.4"])).is_empty(), "names know no case");
}

#[test]
fn a_vm_that_a_policy_holds_stays_as_it_is() {
    let mut scene = web(rule(22));
    let held = [Refusal::VmHasPolicy { vm: vm("web"), policy: policy("p") }];
    assert_eq!(scene.refuses(&Command::UnregisterVm { id: vm("web") }), held);
    assert_eq!(scene.refuses(&register("web", 9, &["10.0.0.99"])), held);
    scene.does(&register("web", 9, &["fd00::4", "10.0.0.4"]));
    let unknown = Command::UnregisterVm { id: vm("nowhere") };
    assert_eq!(scene.refuses(&unknown), [Refusal::VmNotFound { vm: vm("nowhere") }]);
}

#[test]
fn a_name_registered_anew_inherits_nothing() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    scene.does(&remove("p"));
    assert_eq!(scene.stage(id), "withdrawn");
    scene.does(&Command::UnregisterVm { id: vm("web") });
    scene.does(&register("web", 50, &["10.0.0.4"]));
    assert!(scene.locks().is_empty() && scene.open().is_empty());
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    assert_eq!(scene.locks(), ["10.0.0.4 22"]);
    assert!(scene.open().is_empty(), "the old access is the old machine's");
}

#[test]
fn rows_of_an_old_registration_lock_and_open_nothing() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22));
    let known = scene.state.vms.get_mut(&vm("web")).expect("known");
    known.instance = hourgate_core::id::VmInstance(uuid::Uuid::from_u128(4_711));
    assert!(scene.locks().is_empty() && scene.open().is_empty());
    assert_eq!(
        scene.denies(ask("web", 22)),
        [Refusal::VmNotInPolicy { vm: vm("web"), policy: policy("p") }]
    );
}

#[test]
fn a_vm_that_no_guard_covers_wholly_cannot_be_protected() {
    let covering = |prefixes: &[&str]| GuardCover {
        name: "gw".to_owned(),
        covers: prefixes.iter().map(|net| net.parse().expect("a prefix")).collect(),
    };
    let mut scene = scene().vm("web", &["10.0.0.4", "fd00::4"]);
    let wanted = set("p", vec![member("web", vec![rule(22)])]);
    let not_enforced = [Refusal::NotEnforced { vm: vm("web") }];
    scene.settings.guards = vec![covering(&["10.0.0.0/24"]), covering(&["fd00::/64"])];
    assert_eq!(scene.refuses(&wanted), not_enforced, "half by one guard, half by another");
    scene.settings.guards = vec![covering(&["10.0.0.0/24", "fd00::/64"])];
    scene.does(&wanted);
    scene.settings.guards = Vec::new();
    assert_eq!(scene.denies(ask("web", 22)), not_enforced, "no guard is left to open it");
}
