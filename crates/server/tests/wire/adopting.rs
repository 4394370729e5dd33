//! A store of the version that knew machines by their addresses alone: the next start makes them resources.

use std::{fs, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc};

use hourgate_core::{
    command::{Command, Precondition},
    network::{Lock, Sessions},
    policy::Settings,
    resource::{
        Kind, Resource, ResourceId, ViewDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted as Address},
    },
    state::State,
};
use hourgate_server::clock::SystemClock;
use hourgate_store::{
    Origin, Store,
    sqlite::{Open, OsMint, SqliteStore},
};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::{SOON, Wanted, fresh_dir, start_in};

/// Every statement that the earlier version's tables are made of: `web-1` at 10.0.0.4 and fd00::4, its port 22
/// locked by a policy; and `db-1` at 10.0.0.5, which is also the address of the interface `db-front`.
const WRITTEN: &str = include_str!("../../../store/tests/contract/before_machines.sql");
/// The key with which its log is sealed.
const LOG_KEY: [u8; 32] = [42; 32];

/// A directory that holds it.
async fn written() -> Arc<TempDir> {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::DirBuilder::new().mode(0o700).create(&data).expect("a directory");
    let database = Connection::open(database(&dir)).expect("a database");
    database.execute_batch(WRITTEN).expect("its tables");
    fs::write(data.join("log.key"), hex::encode(LOG_KEY)).expect("its key");
    // The harness reads the administrator's file.
    hourgate_server::rotate_admin(&data).await.expect("a secret");
    dir
}

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join("data/hourgate.db")
}

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(Open {
        path: database(dir),
        log_key: LOG_KEY,
        settings: Settings::default(),
        clock: Arc::new(SystemClock::new().expect("a clock")),
        mint: Arc::new(OsMint),
    })
    .expect("a store")
}

/// What stands in a directory on which no server works.
async fn stands(dir: &TempDir) -> State {
    let store = open(dir);
    let verdict = store.verify_log().await.expect("a verdict");
    assert!(verdict.first_bad.is_none() && verdict.rows_hold, "{verdict:?}");
    let state = store.everything().await.expect("what stands");
    store.close().await;
    state
}

/// Another address of an interface, or an interface with both: before the start that adopts.
async fn joined(dir: &TempDir, name: &str, addresses: &[&str]) {
    let store = open(dir);
    let state = store.everything().await.expect("what stands");
    let front = interface(&state, "db-front").expect("an interface").clone();
    let mut draft = front.draft();
    draft.id.name = name.parse().expect("a name");
    let its = front.network_interface().expect("an interface").configurations.first();
    let subnet = its.and_then(|first| first.subnet.clone());
    let configuration = |(n, address): (usize, &&str)| IpConfigurationDraft {
        name: format!("ipconfig{}", n + 1).parse().expect("a name"),
        wanted: Address::Static(address.parse().expect("an address")),
        subnet: subnet.clone(),
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: n == 0,
    };
    let configurations = addresses.iter().enumerate().map(configuration).collect();
    let view = NetworkInterfaceDraft { security_group: None, configurations };
    draft.view = ViewDraft::NetworkInterface(view);
    let origin = Origin {
        person: None,
        address: None,
        action: String::new(),
        target: String::new(),
        correlation: Uuid::from_u128(1),
    };
    let (draft, instance) = (Box::new(draft), Uuid::from_u128(2));
    let command = Command::PutResource { draft, instance, only_if: Precondition::None };
    store.transact(origin, command).await.expect("an interface");
    store.close().await;
}

/// Starts a server on it, waits until its guard holds `locks` locks, and stops it.
async fn start_and_stop(dir: &Arc<TempDir>, locks: usize) {
    let mut server = start_in(dir.clone(), Wanted::default()).await.expect("a server");
    let guard = server.guard.clone().expect("a guard");
    let held = async {
        while guard.locks().len() != locks {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, held).await.expect("the locks stand");
    let lock = |address: &str| Lock {
        address: address.parse().expect("an address"),
        port: hourgate_core::network::Port::new(22).expect("a port"),
    };
    let expected = [lock("10.0.0.4"), lock("fd00::4")].map(|lock| (lock, Sessions::GoOn));
    assert_eq!(guard.locks(), expected.into(), "what was locked stays locked, and nothing else");
    server.stop().await;
}

fn interface<'a>(state: &'a State, name: &str) -> Option<&'a Resource> {
    let mut all = state.network.of_kind(Kind::NetworkInterfaces, None);
    all.find(|nic| nic.id.name.as_str() == name).map(|nic| &**nic)
}

/// The addresses of each machine that is a resource, by its interfaces.
fn machines(state: &State) -> Vec<(String, Vec<String>)> {
    let all = state.network.of_kind(Kind::VirtualMachines, None);
    all.map(|machine| {
        let view = machine.virtual_machine().expect("a machine");
        let addresses = state.network.addresses_of(&view.interfaces);
        (machine.id.name.to_string(), addresses.iter().map(ToString::to_string).collect())
    })
    .collect()
}

fn of(name: &str, addresses: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), addresses.iter().map(|&address| address.to_owned()).collect())
}

#[tokio::test]
async fn the_first_start_makes_known_machines_resources_and_the_next_changes_nothing() {
    let dir = written().await;
    let before = stands(&dir).await;
    assert_eq!((before.vms.len(), machines(&before)), (2, vec![]));
    start_and_stop(&dir, 2).await;
    let after = stands(&dir).await;
    assert_eq!((&after.vms, after.locks()), (&before.vms, before.locks()), "JIT knows as it did");
    let expected = [of("db-1", &["10.0.0.5"]), of("web-1", &["10.0.0.4", "fd00::4"])];
    assert_eq!(machines(&after), expected);
    for vm in after.vms.values() {
        let machine = after.network.get(&ResourceId::from(&vm.id)).expect("a resource");
        assert_eq!(machine.instance, vm.instance.0, "no machine is a new one");
    }
    // The one beside its interface took that; the other got one.
    let machine = |name| after.network.machine_of(&interface(&after, name).expect("one").id);
    let named = |name| machine(name).map(|machine| machine.id.name.to_string());
    assert_eq!(named("db-front").as_deref(), Some("db-1"));
    assert_eq!(named("web-1-nic").as_deref(), Some("web-1"));
    start_and_stop(&dir, 2).await;
    let again = stands(&dir).await;
    assert_eq!((&again.network, &again.vms), (&after.network, &after.vms));
}

#[tokio::test]
async fn what_else_the_interface_of_a_machine_has_becomes_the_machines() {
    let dir = written().await;
    joined(&dir, "db-front", &["10.0.0.5", "10.0.0.6"]).await;
    start_and_stop(&dir, 2).await;
    let after = stands(&dir).await;
    let expected = [of("db-1", &["10.0.0.5", "10.0.0.6"]), of("web-1", &["10.0.0.4", "fd00::4"])];
    assert_eq!(machines(&after), expected);
    let known = after.vms.values().find(|vm| vm.id.name.as_str() == "db-1").expect("a machine");
    assert_eq!(known.addresses.len(), 2, "and JIT knows of both");
}

#[tokio::test]
async fn what_cannot_become_a_resource_stays_locked_as_it_is_and_keeps_no_other_from_it() {
    let dir = written().await;
    // A policy holds `web-1`, so no address may come to it; and its interface is no other machine's.
    joined(&dir, "web-front", &["10.0.0.4", "10.0.0.7"]).await;
    let before = stands(&dir).await;
    start_and_stop(&dir, 2).await;
    let after = stands(&dir).await;
    assert_eq!(machines(&after), [of("db-1", &["10.0.0.5"])]);
    assert_eq!((&after.vms, after.locks()), (&before.vms, before.locks()));
}
