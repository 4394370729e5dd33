//! Words for the tables: a rule is a line, `name 200 Allow Tcp 10.0.0.0/8@1024-65535 > 10.0.0.4@22`.

use std::net::IpAddr;

use hourgate_core::{
    network::{Lock, Opening, Port},
    nsg::{
        flow::{Carried, Flow, Portless, Transport},
        group::SecurityGroup,
        id::{AsgId, GroupId},
        judge::Layers,
        name::RuleName,
        rule::{RuleDraft, SecurityRule},
        surroundings::Surroundings,
        word::Priority,
    },
};

use crate::naive::World;

const NETWORK: &str = "/subscriptions/5cd41ea2-8a6d-4d2c-9e5d-3f6c0f0f0f01/resourceGroups/net\
                       /providers/Microsoft.Network";

/// A rule's text taken apart; ports not given are `*`, `out` at the end makes it outbound.
pub fn draft(line: &str) -> RuleDraft {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, number, access, protocol, from, ">", to, way @ ..] = words.as_slice() else {
        panic!("no rule: {line}");
    };
    let side = |text: &str| {
        let (places, ports) = text.split_once('@').unwrap_or((text, "*"));
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let places = list(places).into_iter().map(|place| match place.strip_prefix("asg:") {
            Some(name) => asg_id(name),
            None => place,
        });
        (places.collect(), list(ports))
    };
    let ((sources, source_ports), (destinations, destination_ports)) = (side(from), side(to));
    RuleDraft {
        name: (*name).to_owned(),
        description: None,
        priority: number.parse().expect("a number"),
        direction: if *way == ["out"] { "Outbound" } else { "Inbound" }.to_owned(),
        access: (*access).to_owned(),
        protocol: (*protocol).to_owned(),
        sources,
        source_ports,
        destinations,
        destination_ports,
    }
}

pub fn rule(line: &str) -> SecurityRule {
    SecurityRule::new(&draft(line)).expect("a rule")
}

pub fn group_id(name: &str) -> GroupId {
    format!("{NETWORK}/networkSecurityGroups/{name}").parse().expect("an id")
}

pub fn asg_id(name: &str) -> String {
    format!("{NETWORK}/applicationSecurityGroups/{name}")
}

pub fn group(name: &str, lines: &[&str]) -> SecurityGroup {
    let rules = lines.iter().map(|line| rule(line)).collect();
    SecurityGroup::new(group_id(name), rules).expect("a group")
}

pub fn layers<'a>(subnet: Option<&'a SecurityGroup>, nic: Option<&'a SecurityGroup>) -> Layers<'a> {
    Layers { subnet, nic }
}

/// The network 10.0.0.0/24 and fd00::/64, and two application security groups.
pub fn world() -> World {
    World {
        network: vec!["10.0.0.0/24".to_owned(), "fd00::/64".to_owned()],
        balancers: vec!["10.0.0.200".to_owned()],
        asgs: vec![
            (
                asg_id("web"),
                vec!["10.0.0.4".to_owned(), "10.0.0.5".to_owned(), "fd00::4".to_owned()],
            ),
            (asg_id("jump"), vec!["10.0.0.77".to_owned()]),
        ],
    }
}

pub fn around(world: &World) -> Surroundings {
    let asg = |(id, members): &(String, Vec<String>)| {
        let id: AsgId = id.parse().expect("an id");
        (id, members.iter().map(|member| ip(member)).collect())
    };
    Surroundings::new(
        world.network.iter().map(|net| net.parse().expect("a prefix")),
        world.balancers.iter().map(|address| ip(address)),
        world.asgs.iter().map(asg),
    )
}

pub fn surroundings() -> Surroundings {
    around(&world())
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn port(number: u16) -> Port {
    Port::new(number).expect("a port")
}

pub fn number(number: u16) -> Priority {
    Priority::own(number).expect("a number")
}

pub fn named(text: &str) -> RuleName {
    text.parse().expect("a name")
}

/// A port to lock.
pub fn lock(address: &str, number: u16) -> Lock {
    Lock { address: ip(address), port: port(number) }
}

pub fn opening(source: &str, address: &str, number: u16) -> Opening {
    Opening::new(source.parse().expect("a prefix"), ip(address), port(number)).expect("an opening")
}

pub fn tcp(source: &str, destination: &str, port: u16) -> Flow {
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: port };
    Flow::new(ip(source), ip(destination), carried).expect("a flow")
}

pub fn icmp(source: &str, destination: &str) -> Flow {
    let carried = Carried::Portless(Portless::Icmp);
    Flow::new(ip(source), ip(destination), carried).expect("a flow")
}
