//! Machines are resources with interfaces: what JIT knows of one always follows from them.

use hourgate_core::{
    command::{Command, Precondition},
    event::Event,
    nsg::word::Direction,
    policy::{ADDRESSES_PER_VM_MAX, Os},
    refusal::Refusal,
    resource::{
        Resource, ResourceFault, ResourceId, Target, ViewDraft,
        fault::Part,
        virtual_machine::{
            ALLOW_ALL_IN, ALLOW_ALL_OUT, INTERFACES_MAX, InterfaceDraft, Joined, Storage,
            VirtualMachineDraft,
        },
    },
};

use crate::{network::*, scene::*};

fn machine(name: &str) -> ResourceId {
    ResourceId::from(&vm(name))
}

/// A machine with these interfaces; the one marked `*` is primary.
fn with(nics: &[&str]) -> ViewDraft {
    let interface = |name: &&str| InterfaceDraft {
        id: nic(name.trim_end_matches('*')),
        primary: name.ends_with('*'),
    };
    let joined = Joined::Interfaces(nics.iter().map(interface).collect());
    ViewDraft::VirtualMachine(VirtualMachineDraft {
        joined,
        os: Os::Linux,
        storage: Storage::Managed,
    })
}

/// Interfaces `k` at 10.0.0.5 and `l` at 10.0.0.6 and 10.0.0.7, in one network.
fn interfaces() -> Scene {
    let mut scene = scene();
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None)])));
    scene.does(&put(nic("k"), at(&["10.0.0.5"])));
    scene.does(&put(nic("l"), at(&["10.0.0.6", "10.0.0.7"])));
    scene
}

/// An interface with these addresses in the subnet `a` of the network `v`.
fn at(addresses: &[&str]) -> ViewDraft {
    let one = |(n, address): (usize, &&str)| {
        configuration(&format!("ip{n}"), Some(subnet("v", "a")), at_address(address))
    };
    nic_of(addresses.iter().enumerate().map(one).collect())
}

fn addresses(scene: &Scene, name: &str) -> Vec<String> {
    scene.state.vms[&vm(name)].addresses.iter().map(ToString::to_string).collect()
}

fn resource<'a>(scene: &'a Scene, id: &ResourceId) -> &'a Resource {
    scene.state.network.get(id).expect("it stands")
}

fn names(scene: &Scene) -> Vec<String> {
    scene.state.network.all().map(|resource| resource.id.name.to_string()).collect()
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    let kind = |event: &Event| match event {
        Event::VmRegistered { .. } => "registered",
        Event::VmUnregistered { .. } => "unregistered",
        Event::ResourcePut { .. } => "put",
        Event::ResourceDeleted { .. } => "deleted",
        other => panic!("{other:?}"),
    };
    events.iter().map(kind).collect()
}

#[test]
fn a_machine_named_by_its_addresses_gets_an_interface_and_a_group_that_lets_everything_through() {
    let mut scene = scene();
    let events = scene.does(&register("web", 9, &["10.0.0.4", "fd00::4"]));
    assert_eq!(kinds(&events), ["put", "put", "put", "registered"], "one decision");
    assert_eq!(names(&scene), ["web-nsg", "web-nic", "web"]);
    let view = resource(&scene, &machine("web")).virtual_machine().expect("a machine");
    assert_eq!(view.interfaces, [nic("web-nic")]);
    assert_eq!((&view.primary, view.storage), (&nic("web-nic"), Storage::Unknown));
    assert_eq!(addresses(&scene, "web"), ["10.0.0.4", "fd00::4"]);
    let group = resource(&scene, &nsg("web-nsg")).security_group().expect("a group");
    let rules = [(Direction::Inbound, ALLOW_ALL_IN), (Direction::Outbound, ALLOW_ALL_OUT)];
    for (direction, name) in rules {
        let first = group.in_order(direction).next().expect("a rule");
        assert_eq!((first.name().as_str(), first.priority().number()), (name, 4_096));
    }
    let instances: Vec<_> = scene.state.network.all().map(|resource| resource.instance).collect();
    let different: std::collections::BTreeSet<_> = instances.iter().collect();
    assert_eq!(different.len(), 3, "each making has an id of its own: {instances:?}");
    assert!(scene.does(&register("web", 9, &["10.0.0.4", "fd00::4"])).is_empty(), "the same again");
    // Nothing but JIT's ports changes: no guard is told of rules that let everything through.
    assert!(hourgate_core::open::screens(&scene.state, []).is_empty());
}

#[test]
fn what_is_made_takes_no_name_that_something_has() {
    let mut scene = interfaces();
    scene.does(&put(nic("web-nic"), at(&["10.0.0.8"])));
    scene.does(&put(nsg("WEB-NSG"), nsg_of(Vec::new())));
    scene.does(&register("web", 9, &["10.0.0.4"]));
    let view = resource(&scene, &machine("web")).virtual_machine().expect("a machine");
    assert_eq!(view.interfaces, [nic("web-nic-2")]);
    assert!(view.made.iter().any(|made| made.id == nsg("web-nsg-2")), "{view:?}");
    let long = "n".repeat(90);
    scene.does(&register(&long, 10, &["10.0.0.9"]));
    assert!(names(&scene).contains(&format!("{}-nic", "n".repeat(86))), "{:?}", names(&scene));
}

#[test]
fn an_address_of_an_interface_that_is_nobodys_has_the_machine_take_it() {
    let mut scene = interfaces();
    scene.does(&register("web", 9, &["10.0.0.4", "10.0.0.7", "10.0.0.6"]));
    let view = resource(&scene, &machine("web")).virtual_machine().expect("a machine");
    assert_eq!(view.interfaces, [nic("web-nic"), nic("l")], "in the order of the addresses");
    assert_eq!(addresses(&scene, "web"), ["10.0.0.4", "10.0.0.6", "10.0.0.7"]);
    let more = Refusal::InterfaceHasMore { interface: nic("l"), addresses: vec![ip("10.0.0.7")] };
    assert_eq!(scene.refuses(&register("web", 9, &["10.0.0.4", "10.0.0.6"])), [more]);
    let taken = Refusal::AddressTaken { address: ip("10.0.0.6"), vm: vm("web") };
    assert_eq!(scene.refuses(&register("db", 9, &["10.0.0.6"])), [taken]);
    // Let go of, it is nobody's again, and stands; what was made goes.
    scene.does(&register("web", 9, &["10.0.0.4"]));
    assert!(scene.state.network.machine_of(&nic("l")).is_none());
    scene.does(&register("web", 9, &["10.0.0.6", "10.0.0.7"]));
    assert!(!names(&scene).iter().any(|name| name.starts_with("web-")), "{:?}", names(&scene));
    scene.does(&Command::UnregisterVm { id: vm("web") });
    assert_eq!(names(&scene), ["v", "k", "l"]);
}

#[test]
fn other_addresses_change_the_interface_that_was_made() {
    let mut scene = scene().vm("web", &["10.0.0.4", "10.0.0.5"]);
    let before = resource(&scene, &nic("web-nic")).network_interface().expect("a nic").clone();
    let events = scene.does(&register("web", 9, &["10.0.0.6", "10.0.0.5"]));
    assert_eq!(kinds(&events), ["put", "registered"], "the machine itself stays as it is");
    let after = resource(&scene, &nic("web-nic")).network_interface().expect("a nic");
    assert_eq!(after.configurations[1].name, before.configurations[1].name, "what stays, stays");
    assert_eq!(after.configurations[0].name.as_str(), "ipconfig1");
    assert_eq!(addresses(&scene, "web"), ["10.0.0.6", "10.0.0.5"]);
    // In a subnet by now, what does not fit into it is refused as for any interface.
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None)])));
    scene.does(&put(nic("web-nic"), at(&["10.0.0.6"])));
    assert_eq!(addresses(&scene, "web"), ["10.0.0.6"]);
    let refused = scene.refuses(&register("web", 9, &["10.1.0.4"]));
    let outside = matches!(&refused[..], [Refusal::Resource { id, fault: ResourceFault::AddressOutside { .. } }]
        if *id == nic("web-nic"));
    assert!(outside, "{refused:?}");
}

#[test]
fn what_was_made_goes_with_its_machine_unless_others_refer_to_it() {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    let used = [("a", "10.0.0.0/24", Some("web-nsg"))];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &used)));
    let events = scene.does(&Command::UnregisterVm { id: vm("web") });
    assert_eq!(kinds(&events), ["deleted", "unregistered", "deleted"]);
    assert_eq!(names(&scene), ["v", "web-nsg"]);
    // What somebody else made under that name meanwhile is theirs.
    let mut scene = scene.vm("db", &["10.0.0.5"]);
    scene.does(&put(nic("other"), nic_of(vec![configuration("ip", None, at_address("10.0.0.9"))])));
    scene.does(&put(machine("db"), with(&["other"])));
    assert_eq!(addresses(&scene, "db"), ["10.0.0.9"]);
    scene.does(&delete(machine("db")));
    assert!(
        names(&scene).contains(&"db-nic".to_owned()),
        "taken away from it, it is whoever's it is"
    );
}

#[test]
fn interfaces_that_are_sent() {
    let with_many = |count: usize| {
        let nics: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        with(&nics.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let part = Part::NetworkInterfaces;
    let target = |id| Target::Resource(id);
    let rows = [
        ("it needs one", with(&[]), vec![ResourceFault::NoPart { part }]),
        (
            "as many as it may have addresses",
            with_many(INTERFACES_MAX + 1),
            vec![ResourceFault::TooManyParts { part, most: INTERFACES_MAX }],
        ),
        (
            "it must exist",
            with(&["nowhere"]),
            vec![ResourceFault::ReferenceNotFound { target: target(nic("nowhere")) }],
        ),
        (
            "each once, without case",
            with(&["k", "K"]),
            vec![ResourceFault::InterfaceTwice { interface: nic("k") }],
        ),
        (
            "one is primary",
            with(&["k*", "l*"]),
            vec![ResourceFault::TwoPrimaryInterfaces { interface: nic("l") }],
        ),
        (
            "an interface is one machine's",
            with(&["taken"]),
            vec![ResourceFault::InterfaceInUse { interface: nic("taken"), by: machine("other") }],
        ),
    ];
    let mut scene = interfaces();
    scene.does(&put(nic("taken"), at(&["10.0.0.9"])));
    scene.does(&put(machine("other"), with(&["taken"])));
    for (why, sent, faults) in rows {
        let refusals: Vec<Refusal> =
            faults.into_iter().map(|is| fault(machine("web"), is)).collect();
        assert_eq!(scene.refuses(&put(machine("web"), sent)), refusals, "{why}");
    }
    let sent = InterfaceDraft { id: vnet("v"), primary: false };
    let sent = ViewDraft::VirtualMachine(VirtualMachineDraft {
        joined: Joined::Interfaces(vec![sent]),
        os: Os::Unknown,
        storage: Storage::Unknown,
    });
    let (target, needed) = (vnet("v"), hourgate_core::resource::Kind::NetworkInterfaces);
    let wrong = fault(machine("web"), ResourceFault::WrongKind { target, needed });
    assert_eq!(scene.refuses(&put(machine("web"), sent)), [wrong]);
}

#[test]
fn what_jit_knows_follows_the_interfaces() {
    let mut scene = interfaces();
    let events = scene.does(&put(machine("web"), with(&["l", "k*"])));
    assert_eq!(kinds(&events), ["put", "registered"]);
    assert_eq!(addresses(&scene, "web"), ["10.0.0.6", "10.0.0.7", "10.0.0.5"]);
    let view = resource(&scene, &machine("web")).virtual_machine().expect("a machine").clone();
    assert_eq!((view.primary, view.storage), (nic("k"), Storage::Managed));
    let instance = resource(&scene, &machine("web")).instance;
    assert_eq!(scene.state.vms[&vm("web")].instance.0, instance);
    assert!(scene.does(&put(machine("web"), with(&["l", "k*"]))).is_empty(), "the same again");
    let events = scene.does(&put(nic("k"), at(&["10.0.0.8", "10.0.0.5"])));
    assert_eq!(kinds(&events), ["put", "registered"]);
    assert_eq!(addresses(&scene, "web"), ["10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.5"]);
    let in_use = in_use(Target::Resource(nic("k")), &[machine("web")]);
    assert_eq!(scene.refuses(&delete(nic("k"))), [fault(nic("k"), in_use)]);
    scene.does(&put(machine("web"), with(&["k"])));
    assert_eq!(addresses(&scene, "web"), ["10.0.0.8", "10.0.0.5"]);
    scene.does(&delete(nic("l")));
    let not_found = fault(machine("web"), ResourceFault::NotFound);
    scene.does(&delete(machine("web")));
    assert!(scene.state.vms.is_empty());
    assert_eq!(names(&scene), ["v", "k"], "what nobody made for it stays");
    assert_eq!(scene.refuses(&delete(machine("web"))), [not_found]);
}

#[test]
fn while_a_policy_holds_it_neither_interface_nor_machine_moves() {
    let mut scene = interfaces();
    // A machine without a group before it can be held by no policy.
    scene.does(&put(nsg("s"), ViewDraft::SecurityGroup(Vec::new())));
    let subnets = [("a", "10.0.0.0/24", Some("s"))];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &subnets)));
    scene.does(&put(machine("web"), with(&["k"])));
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    let held = [Refusal::VmHasPolicy { vm: vm("web"), policy: policy("p") }];
    assert_eq!(scene.refuses(&put(nic("k"), at(&["10.0.0.5", "10.0.0.9"]))), held);
    assert_eq!(scene.refuses(&put(machine("web"), with(&["k", "l"]))), held);
    assert_eq!(scene.refuses(&delete(machine("web"))), held);
    // What moves no address may change.
    scene.does(&put(nsg("g"), nsg_of(Vec::new())));
    let grouped = match at(&["10.0.0.5"]) {
        ViewDraft::NetworkInterface(mut sent) => {
            sent.security_group = nsg("g").security_group();
            ViewDraft::NetworkInterface(sent)
        }
        other => other,
    };
    assert_eq!(kinds(&scene.does(&put(nic("k"), grouped))), ["put"]);
}

#[test]
fn a_machine_has_no_more_addresses_than_it_may() {
    let mut scene = scene();
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/16", None)])));
    let many: Vec<String> = (0..=ADDRESSES_PER_VM_MAX).map(|n| format!("10.0.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    scene.does(&put(nic("k"), at(&many)));
    let too_many = [Refusal::TooManyAddresses { most: ADDRESSES_PER_VM_MAX }];
    assert_eq!(scene.refuses(&put(machine("web"), with(&["k"]))), too_many);
    scene.does(&put(nic("k"), at(&many[1..])));
    scene.does(&put(machine("web"), with(&["k"])));
    assert_eq!(scene.refuses(&put(nic("k"), at(&many))), too_many);
}

#[test]
fn a_machine_that_is_known_by_its_addresses_alone_becomes_a_resource_as_it_is() {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    let instance = scene.state.vms[&vm("web")].instance;
    // As a store has it that was written before machines were resources.
    scene.state.network = Default::default();
    let mut anew = scene.clone();
    let events = anew.does(&register("web", 77, &["10.0.0.4"]));
    assert_eq!(kinds(&events), ["put", "put", "put"], "what JIT knows stays");
    assert_eq!(resource(&anew, &machine("web")).instance, instance.0);
    assert_eq!(anew.locks(), ["10.0.0.4 22"]);
    // Its address is its own until then, too.
    scene.does(&put(nic("k"), nic_of(vec![configuration("ip", None, at_address("10.0.0.4"))])));
    let taken = Refusal::AddressTaken { address: ip("10.0.0.4"), vm: vm("web") };
    assert_eq!(scene.refuses(&put(machine("db"), with(&["k"]))), [taken]);
    scene.does(&remove("p"));
    scene.does(&delete(machine("web")));
    assert!(scene.state.vms.is_empty());
}

#[test]
fn a_machine_stands_as_its_caller_says() {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    let stale = put_if(machine("web"), with(&["web-nic"]), Precondition::Version(2));
    assert_eq!(scene.refuses(&stale), [Refusal::PreconditionFailed { version: Some(1) }]);
    let delete = Command::DeleteResource { id: machine("web"), only_if: Precondition::Version(2) };
    assert_eq!(scene.refuses(&delete), [Refusal::PreconditionFailed { version: Some(1) }]);
}

#[test]
fn interfaces_and_addresses_that_are_both_sent() {
    let both = |nics: &[&str], addresses: &[&str]| {
        let interfaces =
            nics.iter().map(|name| InterfaceDraft { id: nic(name), primary: false }).collect();
        let addresses = addresses.iter().map(|text| ip(text)).collect();
        ViewDraft::VirtualMachine(VirtualMachineDraft {
            joined: Joined::Both { interfaces, addresses },
            os: Os::Linux,
            storage: Storage::Managed,
        })
    };
    let mut scene = interfaces();
    let disagree = ResourceFault::AddressesDisagree {
        sent: vec![ip("10.0.0.9")],
        interfaces: vec![ip("10.0.0.5")],
    };
    let disagree = [fault(machine("web"), disagree)];
    assert_eq!(scene.refuses(&put(machine("web"), both(&["k"], &["10.0.0.9"]))), disagree);
    scene.does(&put(machine("web"), both(&["l"], &["10.0.0.7", "10.0.0.6"])));
    assert_eq!(addresses(&scene, "web"), ["10.0.0.6", "10.0.0.7"]);
    let same = both(&["l"], &["10.0.0.6", "10.0.0.7"]);
    assert!(scene.does(&put(machine("web"), same)).is_empty(), "what was read is sent back");
    assert_eq!(scene.refuses(&put(machine("web"), both(&["k"], &["10.0.0.9"]))), disagree);
    scene.does(&put(machine("web"), both(&["l", "k"], &["10.0.0.6", "10.0.0.7"])));
    assert_eq!(addresses(&scene, "web").len(), 3, "the interfaces were changed");
    scene.does(&put(machine("web"), both(&["l", "k"], &["10.0.0.5"])));
    assert_eq!(addresses(&scene, "web"), ["10.0.0.5"], "the addresses were changed");
}
