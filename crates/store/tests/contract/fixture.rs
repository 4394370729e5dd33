//! A store to test, a clock moved by hand, and short ways to say what happens.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hourgate_core::{
    command::{AccessAsk, Ask, Command, MemberDraft, PolicyDraft, PortDraft, Precondition, Sent},
    grant::Window,
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Family, Port, Source},
    nsg::rule::RuleDraft,
    personal::Personal,
    policy::{AllowedSources, Os, Protocol, Settings},
    resource::{
        Kind, ResourceDraft, ResourceId, SubnetId, ViewDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
        virtual_network::{Subnet, VirtualNetworkDraft},
    },
    role::{OwnAddress, Person, PersonId},
    state::State,
    time::{BootTime, Clock, Now, Timestamp, later},
};
use hourgate_store::{
    Committed, Origin, Store, TransactError,
    sqlite::{Open, OpenError, OsMint, SqliteStore},
};
use uuid::Uuid;

/// A clock that stands still until it is moved.
pub(crate) struct HandClock(Mutex<Now>);

impl HandClock {
    pub(crate) fn new() -> Arc<HandClock> {
        let wall = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        let boot = BootTime { boot: Uuid::from_u128(1), nanos: 5_000_000_000 };
        Arc::new(HandClock(Mutex::new(Now { wall, boot })))
    }

    /// Both clocks go on.
    pub(crate) fn pass(&self, length: Duration) {
        let mut now = self.0.lock().unwrap();
        now.wall = later(now.wall, length);
        now.boot.nanos += length.as_nanos() as u64;
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall(&self, wall: Timestamp) {
        self.0.lock().unwrap().wall = wall;
    }

    /// The machine starts anew.
    pub(crate) fn reboot(&self) {
        let mut now = self.0.lock().unwrap();
        now.boot = BootTime { boot: Uuid::from_u128(now.boot.boot.as_u128() + 1), nanos: 1 };
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}

/// A place where stores of one kind can be opened and opened again.
pub(crate) trait Fixture: Sized {
    type Store: Store;

    /// An empty place.
    fn new() -> Self;

    /// Opens the store of this place; the one before is closed.
    fn open(&self, clock: &Arc<HandClock>) -> Self::Store;

    /// What stands by the log alone.
    fn replay(store: &Self::Store) -> impl Future<Output = State> + Send;

    fn set_settings(store: &Self::Store, settings: Settings);
}

/// SQLite in a directory of its own.
pub(crate) struct Sqlite(tempfile::TempDir);

pub(crate) const LOG_KEY: [u8; 32] = [42; 32];

impl Sqlite {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }
}

pub(crate) fn open(path: &Path, clock: &Arc<HandClock>) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(Open {
        path: path.to_owned(),
        log_key: LOG_KEY,
        settings: Settings::default(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        mint: Arc::new(OsMint),
    })
}

impl Fixture for Sqlite {
    type Store = SqliteStore;

    fn new() -> Sqlite {
        Sqlite(tempfile::tempdir().unwrap())
    }

    fn open(&self, clock: &Arc<HandClock>) -> SqliteStore {
        open(&self.path(), clock).unwrap()
    }

    async fn replay(store: &SqliteStore) -> State {
        store.replay().await.unwrap()
    }

    fn set_settings(store: &SqliteStore, settings: Settings) {
        store.set_settings(settings);
    }
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(crate) fn vm_id(store: &impl Store, name: &str) -> VmId {
    let subscription = store.installation().subscription;
    format!(
        "/subscriptions/{subscription}/resourceGroups/Prod\
         /providers/Microsoft.Compute/virtualMachines/{name}"
    )
    .parse()
    .unwrap()
}

pub(crate) fn policy_id(store: &impl Store, name: &str) -> PolicyId {
    let subscription = store.installation().subscription;
    format!(
        "/subscriptions/{subscription}/resourceGroups/Prod\
         /providers/Microsoft.Security/locations/local/jitNetworkAccessPolicies/{name}"
    )
    .parse()
    .unwrap()
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(crate) fn person(name: &str) -> Person {
    Person {
        id: PersonId(format!("id-of-{name}")),
        name: Personal(name.to_owned()),
        upn: Some(Personal(format!("{name}@example.com"))),
    }
}

pub(crate) fn origin(name: &str) -> Origin {
    Origin {
        person: Some(person(name)),
        address: Some("192.0.2.7".parse().unwrap()),
        action: "test/action".to_owned(),
        target: "/target".to_owned(),
        correlation: Uuid::from_u128(9),
    }
}

/// Each registration is another machine.
static INSTANCES: AtomicU64 = AtomicU64::new(1);

pub(crate) fn register(store: &impl Store, name: &str, addresses: &[&str]) -> Command {
    Command::RegisterVm {
        id: vm_id(store, name),
        instance: VmInstance(Uuid::from_u128(INSTANCES.fetch_add(1, Ordering::Relaxed).into())),
        location: "local".parse().unwrap(),
        os: Os::Linux,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

pub(crate) fn draft(store: &impl Store, policy: &str, vms: &[(&str, &[u16])]) -> PolicyDraft {
    let rule = |number: &u16| PortDraft {
        port: port(*number),
        protocol: Protocol::Any,
        allowed: AllowedSources::list(vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/64".parse().unwrap(),
        ])
        .unwrap(),
        longest: Duration::from_hours(3),
        approval: Sent::Omitted,
        end_sessions: Sent::Value(true),
        widest_unapproved: Sent::Omitted,
        other_addresses: Sent::Omitted,
        exceptions: Sent::Omitted,
        sign_in: Sent::Omitted,
    };
    PolicyDraft {
        id: policy_id(store, policy),
        kind: Some("Basic".to_owned()),
        vms: vms
            .iter()
            .map(|(vm, ports)| MemberDraft {
                vm: vm_id(store, vm),
                placement: Sent::Omitted,
                ports: ports.iter().map(rule).collect(),
            })
            .collect(),
    }
}

pub(crate) fn set(store: &impl Store, policy: &str, vms: &[(&str, &[u16])]) -> Command {
    let draft = draft(store, policy, vms);
    Command::SetPolicy { draft, only_if: Precondition::None, confirm_within: None }
}

/// Somebody's ask, from their own address 192.0.2.7, to ports of VMs.
pub(crate) fn ask(store: &impl Store, id: u64, who: &str, what: &[(&str, u16)]) -> Ask {
    let access = |(vm, number): &(&str, u16)| AccessAsk {
        vm: vm_id(store, vm),
        port: port(*number),
        source: Some(Source::Address("192.0.2.7".parse::<IpAddr>().unwrap())),
        addresses: None,
        window: Some(Window::For(minutes(60))),
    };
    Ask {
        id: RequestId::mint(id),
        policy: policy_id(store, "default"),
        requester: person(who),
        address: OwnAddress::Seen("192.0.2.7".parse().unwrap()),
        sign_in: None,
        start: None,
        justification: Some(format!("{who} must \u{1b}[31m look\n")),
        ticket: None,
        accesses: what.iter().map(access).collect(),
    }
}

pub(crate) fn resource_id(store: &impl Store, kind: Kind, name: &str) -> ResourceId {
    ResourceId {
        subscription: store.installation().subscription,
        group: "Prod".parse().unwrap(),
        kind,
        name: name.parse().unwrap(),
    }
}

fn put_resource(id: ResourceId, view: ViewDraft) -> Command {
    let draft = ResourceDraft {
        id,
        location: "local".parse().unwrap(),
        // What the log's own marks look like, and what a terminal must not see.
        tags: [("personal".to_owned(), "\u{1b}[31m\u{202e}".to_owned())].into(),
        view,
        document: "{\"kept\":1.5}".to_owned(),
    };
    let instance = Uuid::from_u128(INSTANCES.fetch_add(1, Ordering::Relaxed).into());
    Command::PutResource { draft: Box::new(draft), instance, only_if: Precondition::None }
}

/// A network with one subnet `a`.
pub(crate) fn put_network(store: &impl Store, name: &str, prefix: &str) -> Command {
    let subnet = Subnet { prefixes: vec![prefix.parse().unwrap()], security_group: None };
    let view = VirtualNetworkDraft {
        address_space: vec!["10.0.0.0/16".parse().unwrap()],
        subnets: Some(vec![("a".parse().unwrap(), subnet)]),
        peers: Some(Vec::new()),
    };
    let id = resource_id(store, Kind::VirtualNetworks, name);
    put_resource(id, ViewDraft::VirtualNetwork(view))
}

/// An interface with any address of the subnet `a`, in the group `g` by its own.
pub(crate) fn put_nic(store: &impl Store, name: &str, network: &str) -> Command {
    let network = resource_id(store, Kind::VirtualNetworks, network);
    let configuration = IpConfigurationDraft {
        name: "ip".parse().unwrap(),
        wanted: Wanted::Dynamic(Family::V4),
        subnet: Some(SubnetId { network, name: "a".parse().unwrap() }),
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: true,
    };
    let view = NetworkInterfaceDraft { security_group: None, configurations: vec![configuration] };
    let id = resource_id(store, Kind::NetworkInterfaces, name);
    put_resource(id, ViewDraft::NetworkInterface(view))
}

/// A security group.
pub(crate) fn put_group(store: &impl Store, name: &str, rules: Vec<RuleDraft>) -> Command {
    let id = resource_id(store, Kind::NetworkSecurityGroups, name);
    put_resource(id, ViewDraft::SecurityGroup(rules))
}

/// An interface with that address of the subnet `a`, behind a group.
pub(crate) fn put_nic_at(
    store: &impl Store,
    name: &str,
    network: &str,
    address: &str,
    group: &str,
) -> Command {
    let network = resource_id(store, Kind::VirtualNetworks, network);
    let configuration = IpConfigurationDraft {
        name: "ip".parse().unwrap(),
        wanted: Wanted::Static(address.parse().unwrap()),
        subnet: Some(SubnetId { network, name: "a".parse().unwrap() }),
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: true,
    };
    let group = resource_id(store, Kind::NetworkSecurityGroups, group).security_group();
    let view = NetworkInterfaceDraft { security_group: group, configurations: vec![configuration] };
    put_resource(
        resource_id(store, Kind::NetworkInterfaces, name),
        ViewDraft::NetworkInterface(view),
    )
}

/// Anything that can become of a few resources.
pub(crate) fn resource_command(
    store: &impl Store,
    step: u64,
    below: &mut impl FnMut(usize) -> usize,
) -> Command {
    let (network, nic) = (["v", "w"][below(2)], ["k", "l", "m"][below(3)]);
    let kinds = [(Kind::VirtualNetworks, network), (Kind::NetworkInterfaces, nic)];
    match below(5) {
        0 => {
            let (kind, name) = kinds[below(2)];
            let id = resource_id(store, kind, name);
            Command::DeleteResource { id, only_if: Precondition::None }
        }
        1 => put_network(store, network, ["10.0.0.0/24", "10.0.1.0/29"][below(2)]),
        2 => {
            let rule = RuleDraft {
                name: format!("r{step}"),
                description: Some("\u{202e}".to_owned()),
                priority: 100 + i64::try_from(step % 5_000).unwrap(),
                direction: "Inbound".to_owned(),
                access: "Allow".to_owned(),
                protocol: "*".to_owned(),
                sources: vec!["VirtualNetwork".to_owned()],
                source_ports: vec!["*".to_owned()],
                destinations: vec!["10.0.0.0/8".to_owned()],
                destination_ports: vec!["22-30".to_owned()],
            };
            let id = resource_id(store, Kind::NetworkSecurityGroups, "g");
            put_resource(id, ViewDraft::SecurityGroup(vec![rule]))
        }
        _ => put_nic(store, nic, network),
    }
}

pub(crate) async fn act(store: &impl Store, command: Command) -> Committed {
    store.transact(origin("ann"), command).await.unwrap()
}

pub(crate) async fn try_act(
    store: &impl Store,
    command: Command,
) -> Result<Committed, TransactError> {
    store.transact(origin("ann"), command).await
}

/// Two VMs, web with both families, and a policy `default` that holds both.
pub(crate) async fn prepare(store: &impl Store) {
    act(store, register(store, "web", &["10.0.0.4", "fd00::4"])).await;
    act(store, register(store, "db", &["10.0.0.5"])).await;
    act(store, set(store, "default", &[("web", &[443, 22]), ("db", &[22])])).await;
}

/// Rows and log agree, and the log is whole.
pub(crate) async fn agree<F: Fixture>(store: &F::Store) {
    let verdict = store.verify_log().await.unwrap();
    assert!(verdict.first_bad.is_none() && verdict.rows_hold, "{verdict:?}");
    assert_eq!(F::replay(store).await, store.everything().await.unwrap());
}
