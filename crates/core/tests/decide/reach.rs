//! Why a new connection comes through or not: the lock, the access, and the groups.

use hourgate_core::{
    nsg::{
        flow::{Carried, Flow, Transport},
        word::Access,
    },
    reach::reach,
    resource::virtual_machine::ALLOW_ALL_IN,
};

use crate::{effect::*, scene::*};

fn to(port: u16, transport: Transport) -> Flow {
    let carried = Carried::Ports { transport, source: 50_000, destination: port };
    Flow::new(ip("203.0.113.7"), ip("10.0.0.4"), carried).expect("a flow")
}

/// Whether it comes through, whether the lock is open, and by which rule or access in each layer.
fn told(scene: &Scene, flow: &Flow) -> (Access, Option<bool>, Vec<String>) {
    let id = vm("web");
    let reach = reach(&scene.state, &id, flow, scene.now);
    let by = |met: &hourgate_core::reach::Met<'_>| {
        if met.by_access { "access".to_owned() } else { met.asked.decisive.name().to_string() }
    };
    (
        reach.access,
        reach.lock.map(|l| l.open_until.is_some()),
        reach.layers.iter().map(by).collect(),
    )
}

#[test]
fn a_locked_port_opens_with_an_access_and_only_for_tcp() {
    let mut scene = web(ssh());
    let tcp = to(22, Transport::Tcp);
    // What was made for it lets everything through: the lock alone stands in the way.
    let by = |what: &str| vec![what.to_owned()];
    assert_eq!(told(&scene, &tcp), (Access::Deny, Some(false), by(ALLOW_ALL_IN)));
    assert_eq!(told(&scene, &to(80, Transport::Tcp)), (Access::Allow, None, by(ALLOW_ALL_IN)));
    let id = scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!(told(&scene, &tcp), (Access::Allow, Some(true), by("access")));
    let udp = to(22, Transport::Udp);
    assert_eq!(told(&scene, &udp), (Access::Deny, Some(false), by(ALLOW_ALL_IN)));
    scene.does(&end(id));
    assert_eq!(told(&scene, &tcp), (Access::Deny, Some(false), by(ALLOW_ALL_IN)));
}

#[test]
fn behind_groups_the_access_decides_where_jit_has_its_rules() {
    let here = "203.0.113.0/24";
    let mut scene = networked(Some(vec![allow("in", 300, here)]), Some(vec![]));
    let (tcp, default) = (to(22, Transport::Tcp), "DenyAllInBound".to_owned());
    let without = vec!["in".to_owned(), default.clone()];
    assert_eq!(told(&scene, &tcp), (Access::Deny, Some(false), without));
    scene.gets(ask("web", 22).from("203.0.113.7"));
    let with = vec!["in".to_owned(), "access".to_owned()];
    assert_eq!(told(&scene, &tcp), (Access::Allow, Some(true), with));
    // What is not locked is the groups' alone.
    let web = (Access::Deny, None, vec![default.clone(), default]);
    assert_eq!(told(&scene, &to(80, Transport::Tcp)), web);
}

#[test]
fn what_would_have_to_change_is_told() {
    let scene = networked(Some(vec![deny("no", 200, "*")]), Some(vec![]));
    let flow = to(80, Transport::Tcp);
    let id = vm("web");
    let reach = reach(&scene.state, &id, &flow, scene.now);
    assert_eq!((reach.access, reach.cures.len()), (Access::Deny, 2), "both groups are to change");
}
