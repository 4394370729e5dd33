//! The fake guard keeps screens and standing exceptions as a kernel does: what is not said any more goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use hourgate_core::{
    network::{Family, Lock, Sessions},
    nsg::{flow::Transport, word::Access},
    plan::{Coverage, Desired},
    screen::{
        Layered, Screen,
        chain::{Chain, Hosts, PortSet},
        standing::Standing,
    },
};
use hourgate_enforce::{fake::FakeGuard, guard::Guard as _};

use crate::world::*;

fn said(coverage: Coverage, screened: &[u8]) -> Desired {
    let chain = Some(Arc::new(Chain::only(Family::V4, Access::Deny)));
    let screen =
        Screen { inbound: Layered { nic: chain, subnet: None }, outbound: Layered::default() };
    let all =
        Standing { transport: Transport::Tcp, sources: Hosts::All, source_ports: PortSet::All };
    let lock = |number: &u8| Lock { address: address(*number), port: port() };
    Desired {
        coverage,
        locks: screened.iter().map(|n| (lock(n), Sessions::GoOn)).collect(),
        released: BTreeSet::new(),
        openings: BTreeMap::new(),
        standing: screened.iter().map(|n| (lock(n), vec![all.clone()])).collect(),
        screens: screened.iter().map(|n| (address(*n), screen.clone())).collect(),
        translations: Default::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_keeps_what_a_statement_does_not_speak_of_and_nothing_else() {
    let guard = FakeGuard::new(Arc::new(TestClock::new()));
    let all = said(Coverage::All, &[1, 2]);
    let observed = guard.converge(Arc::new(all.clone())).await.unwrap();
    assert_eq!((&observed.screens, &observed.standing), (&all.screens, &all.standing));
    let only: BTreeSet<IpAddr> = [address(1)].into();
    let observed = guard.converge(Arc::new(said(Coverage::Only(only), &[]))).await.unwrap();
    assert!(observed.screens.is_empty() && observed.standing.is_empty(), "what it speaks of");
    let second = said(Coverage::All, &[2]);
    let observed = guard.observe().await.unwrap();
    assert_eq!((&observed.screens, &observed.standing), (&second.screens, &second.standing));
    assert_eq!(guard.screens(), second.screens);
    guard.forget();
    assert!(guard.screens().is_empty());
}
