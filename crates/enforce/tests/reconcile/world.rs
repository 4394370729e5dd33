//! A world in memory: the rules of core over a state, a clock that tests move, a guard that obeys.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hourgate_core::{
    command::{AccessAsk, Ask, Command, MemberDraft, PolicyDraft, PortDraft, Precondition, Sent},
    decide::decide,
    event::Event,
    grant::{Access, Stage, Window},
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Lock, Opening, Port, Source},
    open,
    personal::Personal,
    plan::Observed,
    policy::{AllowedSources, GuardCover, Os, Protocol, Settings},
    refusal::Refusals,
    resource::{Kind, ResourceId},
    role::{OwnAddress, Person, PersonId},
    state::State,
    time::{BootTime, Clock, Now, Timestamp},
};
use hourgate_enforce::{
    facts::{Alarm, Facts, FactsError, Named, Which},
    fake::FakeGuard,
    guard::Guard,
    reconcile::{Pace, Reconciler},
};
use uuid::Uuid;

/// A clock that follows tokio's, which stands still until a test moves it.
pub(crate) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(crate) fn new() -> TestClock {
        TestClock(tokio::time::Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let since = self.0.elapsed();
        let wall = Timestamp::from_second(1_800_000_000).unwrap() + since;
        let nanos = 1_000_000_000 + u64::try_from(since.as_nanos()).unwrap();
        Now { wall, boot: BootTime { boot: Uuid::from_u128(7), nanos } }
    }
}

/// The facts: what a store would hold.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) state: Mutex<State>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// The database is gone.
    down: AtomicBool,
    /// How long loading everything takes after it was read, in milliseconds.
    pub(crate) slow: AtomicU64,
    /// How often everything was loaded.
    pub(crate) looks_at_everything: AtomicU64,
    pub(crate) alarms: Mutex<Vec<Alarm>>,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl std::ops::Deref for Memory {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Memory {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Memory {
        let settings = Settings {
            shortest_access: Duration::from_secs(1),
            // What is decided is not asked here, and groups come and go.
            allow_lock_breaks: true,
            ..Settings::default()
        };
        Memory(Arc::new(Inner {
            state: Mutex::default(),
            clock,
            settings,
            down: AtomicBool::new(false),
            slow: AtomicU64::new(0),
            looks_at_everything: AtomicU64::new(0),
            alarms: Mutex::default(),
            events: Mutex::default(),
        }))
    }

    pub(crate) fn go_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<(), FactsError> {
        if self.down.load(Ordering::SeqCst) {
            Err(FactsError("the database is gone".to_owned()))
        } else {
            Ok(())
        }
    }

    pub(crate) fn command(&self, command: &Command) -> Result<Vec<Event>, Refusals> {
        Ok(self.commit(command)?.0)
    }

    /// What happens, and the addresses that it concerns.
    pub(crate) fn commit(
        &self,
        command: &Command,
    ) -> Result<(Vec<Event>, BTreeSet<IpAddr>), Refusals> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        let events = decide(&state, &self.settings, command, now)?;
        let concerned = state.evolve_all(&events);
        state.pass(now.wall);
        self.events.lock().unwrap().extend(events.iter().cloned());
        Ok((events, concerned))
    }
}

impl Facts for Memory {
    async fn load(&self, which: &Which) -> Result<State, FactsError> {
        self.reach()?;
        let state = self.state.lock().unwrap().clone();
        Ok(match which {
            Which::Everything => {
                let slow = self.slow.load(Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(slow)).await;
                self.looks_at_everything.fetch_add(1, Ordering::SeqCst);
                state
            }
            Which::Named(named) => only(state, named),
        })
    }

    async fn noticed(
        &self,
        guard: &str,
        vms: BTreeSet<VmId>,
        observed: Observed,
    ) -> Result<BTreeSet<VmId>, FactsError> {
        self.reach()?;
        let command = Command::Observe { guard: guard.to_owned(), vms, observed };
        let events = self.command(&command).map_err(|_| FactsError("refused".to_owned()))?;
        Ok(ended(&events))
    }

    async fn next_deadline(&self) -> Result<Option<Duration>, FactsError> {
        self.reach()?;
        Ok(open::next_deadline(&self.state.lock().unwrap(), self.clock.now()))
    }

    async fn tick(&self) -> Result<BTreeSet<VmId>, FactsError> {
        self.reach()?;
        Ok(ended(&self.command(&Command::Tick).map_err(|_| FactsError("refused".to_owned()))?))
    }

    fn alarm(&self, alarm: Alarm) {
        self.alarms.lock().unwrap().push(alarm);
    }
}

fn ended(events: &[Event]) -> BTreeSet<VmId> {
    let mut vms = BTreeSet::new();
    for event in events {
        if let Event::Ended { access, .. } | Event::Started { access, .. } = event {
            vms.insert(access.vm.clone());
        }
    }
    vms
}

/// What a store loads for these VMs, and for those at these addresses.
fn only(mut state: State, named: &Named) -> State {
    let at = named.addresses.iter().filter_map(|address| state.owners.get(address));
    let vms: BTreeSet<VmId> = named.vms.iter().chain(at).cloned().collect();
    state.vms.retain(|id, _| vms.contains(id));
    for policy in state.policies.values_mut() {
        policy.members.retain(|id, _| vms.contains(id));
    }
    state.requests.retain(|_, request| {
        let request = Arc::make_mut(request);
        request.accesses.retain(|access| vms.contains(&access.vm) && !access.is_settled());
        !request.accesses.is_empty()
    });
    let addresses = state.vms.values().flat_map(|vm| vm.addresses.clone());
    let addresses: BTreeSet<IpAddr> = addresses.chain(named.addresses.iter().copied()).collect();
    state.released.retain(|lock| addresses.contains(&lock.address));
    state
}

pub(crate) struct World<G: Guard + Clone = FakeGuard> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memory: Memory,
    pub(crate) guard: G,
    pub(crate) reconciler: Reconciler,
}

pub(crate) fn world() -> World {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::new());
    let guard = FakeGuard::new(Arc::clone(&clock));
    world_of(clock, guard)
}

pub(crate) fn world_of<G: Guard + Clone>(clock: Arc<dyn Clock>, guard: G) -> World<G> {
    let memory = protected(&clock);
    let guards = vec![(GuardCover::everything("local"), guard.clone())];
    let reconciler = Reconciler::start(memory.clone(), guards, Arc::clone(&clock), Pace::default());
    World { clock, memory, guard, reconciler }
}

/// Facts of some machines, each of which has a policy.
pub(crate) fn protected(clock: &Arc<dyn Clock>) -> Memory {
    let memory = Memory::new(Arc::clone(clock));
    for number in 1..=VMS {
        let command = Command::RegisterVm {
            id: vm(number),
            instance: VmInstance(Uuid::from_u128(number.into())),
            location: "local".parse().unwrap(),
            os: Os::Linux,
            addresses: vec![address(number)],
        };
        memory.command(&command).unwrap();
    }
    memory.command(&protect(1..=VMS)).unwrap();
    memory
}

pub(crate) const VMS: u8 = 6;

impl<G: Guard + Clone> World<G> {
    /// Asks for access for some seconds, and wakes the reconciler as an operation does.
    pub(crate) fn request(&self, id: u64, number: u8, from: IpAddr, seconds: u64) -> RequestId {
        let events = self.memory.command(&ask(id, number, from, seconds)).unwrap();
        assert!(!events.is_empty());
        self.reconciler.wake([vm(number)]);
        RequestId::mint(id)
    }

    /// What the facts say of one access.
    pub(crate) fn access(&self, id: RequestId) -> Access {
        self.memory.state.lock().unwrap().requests[&id].accesses[0].clone()
    }

    pub(crate) fn is_recorded_open(&self, id: RequestId) -> bool {
        matches!(self.access(id).stage, Stage::Granted { opened: Some(_), .. })
    }

    pub(crate) fn is_recorded_closed(&self, id: RequestId) -> bool {
        matches!(self.access(id).stage, Stage::Ended { closed: Some(_), .. })
    }

    pub(crate) fn end(&self, id: RequestId) {
        self.memory.command(&Command::End { request: id, only: None }).unwrap();
        self.reconciler.wake([self.access(id).vm]);
    }
}

/// Lets time pass until something holds; fails after a minute of it.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    began.elapsed()
}

pub(crate) fn port() -> Port {
    Port::new(22).unwrap()
}

pub(crate) fn vm(number: u8) -> VmId {
    VmId {
        subscription: Uuid::nil(),
        group: "default".parse().unwrap(),
        name: format!("vm-{number}").parse().unwrap(),
    }
}

/// What a machine got beside it when it was registered: its interface and its group.
pub(crate) fn made(number: u8, kind: Kind, end: &str) -> ResourceId {
    let machine = ResourceId::from(&vm(number));
    ResourceId { kind, name: format!("vm-{number}-{end}").parse().unwrap(), ..machine }
}

pub(crate) fn address(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

pub(crate) fn lock(number: u8) -> Lock {
    Lock { address: address(number), port: port() }
}

pub(crate) fn source(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

pub(crate) fn opening(from: u8, number: u8) -> Opening {
    Opening::new(source(from).into(), address(number), port()).unwrap()
}

pub(crate) fn protect(vms: impl Iterator<Item = u8>) -> Command {
    let port = || PortDraft {
        port: port(),
        protocol: Protocol::Tcp,
        allowed: AllowedSources::one(Source::Any),
        longest: Duration::from_hours(3),
        approval: Sent::Omitted,
        end_sessions: Sent::Omitted,
        widest_unapproved: Sent::Omitted,
        other_addresses: Sent::Omitted,
        exceptions: Sent::Omitted,
        sign_in: Sent::Omitted,
    };
    let member =
        |number| MemberDraft { vm: vm(number), placement: Sent::Omitted, ports: vec![port()] };
    let draft = PolicyDraft { id: policy(), kind: None, vms: vms.map(member).collect() };
    Command::SetPolicy { draft, only_if: Precondition::None, confirm_within: None }
}

pub(crate) fn policy() -> PolicyId {
    PolicyId {
        subscription: Uuid::nil(),
        group: "default".parse().unwrap(),
        location: "local".parse().unwrap(),
        name: "default".parse().unwrap(),
    }
}

pub(crate) fn ask(id: u64, number: u8, from: IpAddr, seconds: u64) -> Command {
    Command::Request(Ask {
        id: RequestId::mint(id),
        policy: policy(),
        requester: Person {
            id: PersonId(format!("person-{id}")),
            name: Personal(format!("Person {id}")),
            upn: None,
        },
        address: OwnAddress::Seen(from),
        sign_in: None,
        start: None,
        justification: None,
        ticket: None,
        accesses: vec![AccessAsk {
            vm: vm(number),
            port: port(),
            source: None,
            addresses: None,
            window: Some(Window::For(Duration::from_secs(seconds))),
        }],
    })
}
