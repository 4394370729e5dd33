//! A store that an earlier version wrote: it opens, its log holds, and what it knows can be carried on.

use hourgate_core::{
    command::Command,
    event::Event,
    id::VmInstance,
    resource::{Kind, ResourceId},
};
use hourgate_store::Store;
use rusqlite::Connection;
use uuid::Uuid;

use crate::fixture::{Fixture, HandClock, Sqlite, act};

/// Every statement that the earlier version's tables are made of.
const WRITTEN: &str = include_str!("before_machines.sql");

#[tokio::test]
async fn machines_of_a_store_that_knew_their_addresses_alone_become_resources() {
    let (place, clock) = (Sqlite::new(), HandClock::new());
    clock.set_wall("2026-11-28T00:00:00Z".parse().unwrap());
    Connection::open(place.path()).unwrap().execute_batch(WRITTEN).unwrap();
    let store = place.open(&clock);
    let verdict = store.verify_log().await.unwrap();
    assert!(verdict.first_bad.is_none() && verdict.rows_hold, "{verdict:?}");
    let before = store.everything().await.unwrap();
    assert_eq!((before.vms.len(), before.network.len()), (2, 2));
    let locked = before.locks();
    assert_eq!(locked.len(), 2);
    for (n, vm) in before.vms.values().enumerate() {
        let command = Command::RegisterVm {
            id: vm.id.clone(),
            instance: VmInstance(Uuid::from_u128(100 + n as u128)),
            location: vm.location.clone(),
            os: vm.os,
            addresses: vm.addresses.clone(),
        };
        let events = act(&store, command.clone()).await.events;
        let puts = |event: &Event| matches!(event, Event::ResourcePut { .. });
        assert!(
            !events.is_empty() && events.iter().all(puts),
            "JIT knows it as it did: {events:?}"
        );
        assert!(act(&store, command).await.events.is_empty(), "once is enough");
    }
    drop(store);
    let store = place.open(&clock);
    let after = store.everything().await.unwrap();
    assert_eq!((&after.vms, after.locks()), (&before.vms, locked));
    for vm in after.vms.values() {
        let machine = after.network.get(&ResourceId::from(&vm.id)).expect("a resource");
        assert_eq!(machine.instance, vm.instance.0);
        let interfaces = &machine.virtual_machine().expect("a machine").interfaces;
        assert_eq!(after.network.addresses_of(interfaces), vm.addresses);
    }
    // The one beside its interface took that; the other got one.
    let mut names: Vec<String> = after
        .network
        .of_kind(Kind::NetworkInterfaces, None)
        .map(|nic| nic.id.name.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["db-front", "web-1-nic"]);
    let verdict = store.verify_log().await.unwrap();
    assert!(verdict.first_bad.is_none() && verdict.rows_hold, "{verdict:?}");
}
