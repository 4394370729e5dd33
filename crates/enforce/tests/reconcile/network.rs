//! Rules of security groups: what stands before an address reaches its guard with the change that made it so.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

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

/// An interface with an address, behind that group.
fn interface(address: IpAddr) -> Command {
    let configuration = IpConfigurationDraft {
        name: "ip".parse().unwrap(),
        wanted: Wanted::Static(address),
        subnet: None,
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: true,
    };
    let security_group = id(Kind::NetworkSecurityGroups, "web").security_group();
    let view = NetworkInterfaceDraft { security_group, configurations: vec![configuration] };
    put(id(Kind::NetworkInterfaces, "web"), ViewDraft::NetworkInterface(view))
}

/// Whether the guard lets a new connection from 198.51.100.9 to a port of an address through its rules.
fn passes(world: &World, address: IpAddr, port: u16) -> bool {
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: port };
    let flow = Flow::new(IpAddr::from([198, 51, 100, 9]), address, carried).unwrap();
    let screens = world.guard.screens();
    screens.get(&address).is_none_or(|screen| screen.allows(Direction::Inbound, &flow, false))
}

#[tokio::test(start_paused = true)]
async fn a_changed_rule_reaches_the_guard_at_once_and_nothing_else_is_told() {
    let world = world();
    until("locked", || world.guard.locks().len() == usize::from(VMS)).await;
    let other = IpAddr::from([10, 0, 9, 9]);
    for address in [address(1), other] {
        assert!(passes(&world, address, 80) && passes(&world, address, 443), "no group");
        world.memory.command(&allows(443)).unwrap();
        world.memory.command(&interface(address)).unwrap();
        world.reconciler.wake_all();
        let took = until("ruled", || !passes(&world, address, 80)).await;
        assert!(took <= Duration::from_millis(50), "ruled after {took:?}");
        assert!(passes(&world, address, 443));

        sleep(Duration::from_millis(200)).await;
        let before = world.guard.statements();
        world.memory.command(&allows(80)).unwrap();
        world.reconciler.wake_all();
        let took = until("ruled anew", || passes(&world, address, 80)).await;
        assert!(took <= Duration::from_millis(50), "ruled after {took:?}");
        assert!(!passes(&world, address, 443));
        sleep(Duration::from_millis(200)).await;
        assert!(world.guard.statements() - before <= 2, "{}", world.guard.statements() - before);

        let gone = id(Kind::NetworkInterfaces, "web");
        let delete = Command::DeleteResource { id: gone, only_if: Precondition::None };
        world.memory.command(&delete).unwrap();
        world.reconciler.wake_all();
        until("no group", || passes(&world, address, 443)).await;
        assert!(!world.guard.screens().contains_key(&address));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_one_machine_does_not_take_rules_from_another() {
    let world = world();
    world.memory.command(&allows(443)).unwrap();
    world.memory.command(&interface(address(1))).unwrap();
    world.reconciler.wake_all();
    until("ruled", || !passes(&world, address(1), 80)).await;
    // A look at the machine itself, and at another.
    world.request(1, 1, source(1), 60);
    world.request(2, 2, source(2), 60);
    until("open", || world.guard.openings().len() == 2).await;
    let ruled: BTreeSet<IpAddr> = world.guard.screens().into_keys().collect();
    assert_eq!(ruled, [address(1)].into());
    assert!(!passes(&world, address(1), 80));
}
