//! Rules of security groups: what stands before an address reaches its guard with the change that made it so.

use std::{collections::BTreeSet, net::IpAddr, sync::atomic::Ordering, time::Duration};

use hourgate_core::{
    command::{Command, Precondition},
    nsg::{
        flow::{Carried, Flow, Transport},
        rule::RuleDraft,
        word::Direction,
    },
    resource::{
        Kind, ResourceDraft, ResourceId, Tags, ViewDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
    },
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::*;

fn id(kind: Kind, name: &str) -> ResourceId {
    let [group, name] = ["g", name].map(|text| text.parse().unwrap());
    ResourceId { subscription: Uuid::nil(), group, kind, name }
}

fn put(id: ResourceId, view: ViewDraft) -> Command {
    let location = "local".parse().unwrap();
    let document = "{}".to_owned();
    let draft = ResourceDraft { id, location, tags: Tags::new(), view, document };
    let draft = Box::new(draft);
    Command::PutResource { draft, instance: Uuid::from_u128(1), only_if: Precondition::None }
}

/// A group `web` that lets 198.51.100.0/24 through to a port.
fn allows(port: u16) -> Command {
    let any = || vec!["*".to_owned()];
    let rule = RuleDraft {
        name: "in".to_owned(),
        description: None,
        priority: 200,
        direction: "Inbound".to_owned(),
        access: "Allow".to_owned(),
        protocol: "Tcp".to_owned(),
        sources: vec!["198.51.100.0/24".to_owned()],
        source_ports: any(),
        destinations: any(),
        destination_ports: vec![port.to_string()],
    };
    put(id(Kind::NetworkSecurityGroups, "web"), ViewDraft::SecurityGroup(vec![rule]))
}

/// The interface with an address, the first machine's or nobody's, behind that group or none.
fn interface(at: IpAddr, grouped: bool) -> Command {
    let configuration = IpConfigurationDraft {
        name: "ip".parse().unwrap(),
        wanted: Wanted::Static(at),
        subnet: None,
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: true,
    };
    let group = id(Kind::NetworkSecurityGroups, "web").security_group();
    let security_group = group.filter(|_| grouped);
    let nic = if at == address(1) {
        made(1, Kind::NetworkInterfaces, "nic")
    } else {
        id(Kind::NetworkInterfaces, "web")
    };
    let view = NetworkInterfaceDraft { security_group, configurations: vec![configuration] };
    put(nic, ViewDraft::NetworkInterface(view))
}

/// Whether the guard lets a new connection from 198.51.100.9 to a port of an address through its rules.
fn passes(world: &World, address: IpAddr, port: u16) -> bool {
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: port };
    let flow = Flow::new(IpAddr::from([198, 51, 100, 9]), address, carried).unwrap();
    let screens = world.guard.screens();
    screens.get(&address).is_none_or(|screen| screen.allows(Direction::Inbound, &flow, false))
}

/// Carries out a change of the network, and wakes the reconciler as an operation does.
fn change(world: &World, command: &Command) {
    let (_, concerned) = world.memory.commit(command).unwrap();
    world.reconciler.wake_at(concerned);
}

#[tokio::test(start_paused = true)]
async fn a_changed_rule_reaches_the_guard_at_once_and_nothing_else_is_told() {
    let world = world();
    until("locked", || world.guard.locks().len() == usize::from(VMS)).await;
    let other = IpAddr::from([10, 0, 9, 9]);
    for address in [address(1), other] {
        assert!(passes(&world, address, 80) && passes(&world, address, 443), "no group");
        change(&world, &allows(443));
        change(&world, &interface(address, true));
        let took = until("ruled", || !passes(&world, address, 80)).await;
        assert!(took <= Duration::from_millis(50), "ruled after {took:?}");
        assert!(passes(&world, address, 443));

        sleep(Duration::from_millis(200)).await;
        let before = world.guard.statements();
        change(&world, &allows(80));
        let took = until("ruled anew", || passes(&world, address, 80)).await;
        assert!(took <= Duration::from_millis(50), "ruled after {took:?}");
        assert!(!passes(&world, address, 443));
        sleep(Duration::from_millis(200)).await;
        assert_eq!(world.guard.statements() - before, 1, "one statement, about the address");
        assert_eq!(world.guard.locks().len(), usize::from(VMS), "locks stay");

        change(&world, &interface(address, false));
        let took = until("no group", || passes(&world, address, 443)).await;
        assert!(took <= Duration::from_millis(50), "gone after {took:?}");
        assert!(!world.guard.screens().contains_key(&address));
    }
    let looks = world.memory.looks_at_everything.load(Ordering::SeqCst);
    assert_eq!(looks, 1, "the first look: a change costs what it concerns, not what there is");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_one_machine_does_not_take_rules_from_another() {
    let world = world();
    change(&world, &allows(443));
    change(&world, &interface(address(1), true));
    until("ruled", || !passes(&world, address(1), 80)).await;
    // A look at the machine itself, and at another.
    world.request(1, 1, source(1), 60);
    world.request(2, 2, source(2), 60);
    until("open", || world.guard.openings().len() == 2).await;
    let ruled: BTreeSet<IpAddr> = world.guard.screens().into_keys().collect();
    assert_eq!(ruled, [address(1)].into());
    assert!(!passes(&world, address(1), 80));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_rules_leaves_what_is_open_as_it_is() {
    let world = world();
    change(&world, &allows(443));
    change(&world, &interface(address(1), true));
    world.request(1, 1, source(1), 60);
    until("open", || world.guard.openings().contains_key(&opening(1, 1))).await;
    let until_before = world.guard.openings();
    change(&world, &allows(80));
    until("ruled anew", || passes(&world, address(1), 80)).await;
    assert_eq!(world.guard.openings(), until_before);
    assert!(world.guard.locks().contains_key(&lock(1)));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_forgotten_leaves_its_interface_behind_its_rules() {
    let world = world();
    world.memory.command(&protect(2..=VMS)).unwrap();
    change(&world, &allows(443));
    change(&world, &interface(address(1), true));
    world.reconciler.wake([vm(1)]);
    until("ruled and given back", || {
        !passes(&world, address(1), 80) && !world.guard.locks().contains_key(&lock(1))
    })
    .await;
    world.memory.command(&Command::UnregisterVm { id: vm(1) }).unwrap();
    world.reconciler.wake([vm(1)]);
    for _ in 0..200 {
        sleep(Duration::from_millis(1)).await;
        assert!(!passes(&world, address(1), 80), "the interface is still there");
    }
}
