//! A small language to say what is known and what is asked, so that a test reads like its rule.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "compiled into each test binary, which speaks only a part of the language"
)]

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use hourgate_core::{
    command::{AccessAsk, Ask, Command, MemberDraft, PolicyDraft, PortDraft, Precondition, Sent},
    decide::decide,
    event::Event,
    grant::{Access, Stage, Window},
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Opening, Port, Source},
    open::open_now,
    personal::Personal,
    plan::{Coverage, Observed},
    policy::{AllowedSources, Approval, Os, OtherAddresses, Protocol, Settings, Widest},
    refusal::{At, Refusal},
    role::{OwnAddress, Person, PersonId},
    state::State,
    time::{BootTime, Now, Timestamp},
};
use uuid::Uuid;

/// The address that everybody in the tests asks from.
pub const OWN: &str = "203.0.113.7";

pub fn vm(name: &str) -> VmId {
    format!(
        "/subscriptions/{}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/{name}",
        Uuid::nil()
    )
    .parse()
    .expect("a VM's id")
}

pub fn policy(name: &str) -> PolicyId {
    format!(
        "/subscriptions/{}/resourceGroups/g/providers/Microsoft.Security/locations/local/jitNetworkAccessPolicies/{name}",
        Uuid::nil()
    )
    .parse()
    .expect("a policy's id")
}

pub fn port(number: u16) -> Port {
    Port::new(number).expect("a port")
}

pub fn at(name: &str, number: u16) -> At {
    At { vm: vm(name), port: port(number) }
}

pub fn source(text: &str) -> Source {
    text.parse().expect("a source")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

pub fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

pub fn person(name: &str) -> Person {
    Person {
        id: PersonId(name.to_owned()),
        name: Personal(name.to_owned()),
        upn: Some(Personal(format!("{name}@example.org"))),
    }
}

/// When every scene begins: noon.
pub fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

/// `length` after noon.
pub fn noon_and(length: Duration) -> Timestamp {
    noon().checked_add(length).expect("in range")
}

/// What is known, the settings, and what time it is.
#[derive(Clone)]
pub struct Scene {
    pub state: State,
    pub settings: Settings,
    pub now: Now,
    pub minted: u64,
}

pub fn scene() -> Scene {
    let boot = BootTime { boot: Uuid::from_u128(1), nanos: 1_000_000_000_000 };
    Scene {
        state: State::default(),
        settings: Settings::default(),
        now: Now { wall: noon(), boot },
        minted: 0,
    }
}

/// One VM `web` at 10.0.0.4 and fd00::4, whose policy `p` has this rule.
pub fn web(rule: PortDraft) -> Scene {
    scene().vm("web", &["10.0.0.4", "fd00::4"]).policy("p", vec![member("web", vec![rule])])
}

impl Scene {
    /// Asks, and takes in what happens, as a store does.
    pub fn hears(&mut self, command: &Command) -> Result<Vec<Event>, Vec<Refusal>> {
        let events = decide(&self.state, &self.settings, command, self.now)
            .map_err(|refusals| refusals.0)?;
        for event in &events {
            self.state.evolve(event);
        }
        if !events.is_empty() {
            self.state.pass(self.now.wall);
        }
        Ok(events)
    }

    /// The same, where nothing must stand against it.
    #[track_caller]
    pub fn does(&mut self, command: &Command) -> Vec<Event> {
        self.hears(command).expect("nothing stands against it")
    }

    /// The same, where something must.
    #[track_caller]
    pub fn refuses(&mut self, command: &Command) -> Vec<Refusal> {
        let before = self.state.clone();
        let refusals = self.hears(command).expect_err("something stands against it");
        assert_eq!(self.state, before, "a refusal leaves nothing behind");
        assert!(!refusals.is_empty(), "a refusal says why");
        refusals
    }

    /// Registers a VM.
    #[track_caller]
    pub fn vm(mut self, name: &str, addresses: &[&str]) -> Scene {
        self.minted += 1;
        self.does(&register(name, self.minted, addresses));
        self
    }

    /// Sets a policy.
    #[track_caller]
    pub fn policy(mut self, name: &str, vms: Vec<MemberDraft>) -> Scene {
        self.does(&set(name, vms));
        self
    }

    /// Asks for access; an id is minted.
    #[track_caller]
    pub fn gets(&mut self, ask: Asking) -> RequestId {
        let ask = self.minting(ask);
        let id = ask.0.id;
        self.does(&Command::Request(ask.0));
        id
    }

    /// Asks for access that must not be given.
    #[track_caller]
    pub fn denies(&mut self, ask: Asking) -> Vec<Refusal> {
        let ask = self.minting(ask);
        self.refuses(&Command::Request(ask.0))
    }

    fn minting(&mut self, mut ask: Asking) -> Asking {
        self.minted += 1;
        ask.0.id = RequestId::mint(self.minted);
        ask
    }

    /// Time goes by, on both clocks.
    pub fn waits(&mut self, length: Duration) {
        self.now.wall = self.now.wall.checked_add(length).expect("in range");
        self.now.boot.nanos += u64::try_from(length.as_nanos()).expect("in range");
    }

    /// The wall clock alone is set back.
    pub fn is_set_back(&mut self, length: Duration) {
        self.now.wall = self.now.wall.checked_sub(length).expect("in range");
    }

    /// The machine boots; no time goes by.
    pub fn reboots(&mut self) {
        let boot = Uuid::from_u128(self.now.boot.boot.as_u128() + 1);
        self.now.boot = BootTime { boot, nanos: 1 };
    }

    pub fn ticks(&mut self) -> Vec<Event> {
        self.does(&Command::Tick)
    }

    /// The openings that must be there now: source, address and port.
    pub fn open(&self) -> Vec<String> {
        let openings = open_now(&self.state, self.now).openings;
        openings.keys().map(written).collect()
    }

    /// How long each opening still lasts.
    pub fn left(&self) -> Vec<Duration> {
        let openings = open_now(&self.state, self.now).openings;
        openings.values().map(|until| until.remaining(self.now)).collect()
    }

    pub fn locks(&self) -> Vec<String> {
        let locks = open_now(&self.state, self.now).locks;
        locks.keys().map(|lock| format!("{} {}", lock.address, lock.port)).collect()
    }

    pub fn access(&self, id: RequestId) -> &Access {
        self.state.requests.get(&id).expect("known").accesses.first().expect("one access")
    }

    pub fn stage(&self, id: RequestId) -> &'static str {
        stage(self.access(id))
    }

    /// The word of a guard that sees exactly what must be, for these addresses.
    pub fn word(&self, addresses: &[&str]) -> Command {
        let desired = open_now(&self.state, self.now);
        let covered: BTreeSet<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
        Command::Observe {
            guard: "local".to_owned(),
            vms: self.state.vms.keys().cloned().collect(),
            observed: Observed {
                standing: Default::default(),
                screens: Default::default(),
                translations: Default::default(),
                untranslated: Default::default(),
                locks: desired
                    .locks
                    .into_iter()
                    .filter(|(lock, _)| covered.contains(&lock.address))
                    .collect(),
                openings: desired
                    .openings
                    .into_iter()
                    .filter(|(opening, _)| covered.contains(&opening.address()))
                    .collect(),
                coverage: Coverage::Only(covered),
                failed: std::collections::BTreeMap::new(),
            },
        }
    }
}

/// `source > address port`.
pub fn written(opening: &Opening) -> String {
    format!("{} > {} {}", opening.source(), opening.address(), opening.port())
}

/// How far an access has come, in a word.
pub fn stage(access: &Access) -> &'static str {
    use hourgate_core::grant::EndReason;
    match &access.stage {
        Stage::Planned { .. } => "planned",
        Stage::Granted { opened: None, .. } => "granted",
        Stage::Granted { opened: Some(_), .. } => "seen open",
        Stage::Ended { reason, .. } => match reason {
            EndReason::Expired => "expired",
            EndReason::UserRequested => "ended",
            EndReason::Replaced { .. } => "replaced",
            EndReason::PolicyChanged => "withdrawn",
            EndReason::RightLost => "lost",
            EndReason::Lapsed => "lapsed",
            EndReason::Failed { .. } => "failed",
        },
    }
}

pub fn register(name: &str, instance: u64, addresses: &[&str]) -> Command {
    Command::RegisterVm {
        id: vm(name),
        instance: VmInstance(Uuid::from_u128(u128::from(instance))),
        location: "local".parse().expect("a location"),
        os: Os::Linux,
        addresses: addresses.iter().map(|text| ip(text)).collect(),
    }
}

pub fn draft(name: &str, vms: Vec<MemberDraft>) -> PolicyDraft {
    PolicyDraft { id: policy(name), kind: Some("Basic".to_owned()), vms }
}

pub fn set(name: &str, vms: Vec<MemberDraft>) -> Command {
    Command::SetPolicy {
        draft: draft(name, vms),
        only_if: Precondition::None,
        confirm_within: None,
    }
}

pub fn set_unless_confirmed(name: &str, vms: Vec<MemberDraft>, within: Duration) -> Command {
    Command::SetPolicy {
        draft: draft(name, vms),
        only_if: Precondition::None,
        confirm_within: Some(within),
    }
}

pub fn set_if(name: &str, vms: Vec<MemberDraft>, only_if: Precondition) -> Command {
    Command::SetPolicy { draft: draft(name, vms), only_if, confirm_within: None }
}

pub fn remove(name: &str) -> Command {
    Command::RemovePolicy { id: policy(name), only_if: Precondition::None }
}

pub fn end(request: RequestId) -> Command {
    Command::End { request, only: None }
}

pub fn member(name: &str, ports: Vec<PortDraft>) -> MemberDraft {
    MemberDraft { vm: vm(name), placement: Sent::Omitted, ports }
}

/// A rule from any source for three hours.
pub fn rule(number: u16) -> PortDraft {
    PortDraft {
        port: port(number),
        protocol: Protocol::Tcp,
        allowed: AllowedSources::one(Source::Any),
        longest: hours(3),
        approval: Sent::Omitted,
        end_sessions: Sent::Omitted,
        widest_unapproved: Sent::Omitted,
        other_addresses: Sent::Omitted,
        exceptions: Sent::Omitted,
        sign_in: Sent::Omitted,
    }
}

/// A rule from these sources.
pub fn rule_from(number: u16, sources: &[&str]) -> PortDraft {
    let sources = sources.iter().map(|text| source(text)).collect();
    PortDraft { allowed: AllowedSources::list(sources).expect("a source"), ..rule(number) }
}

pub fn widest(ipv4: u8, ipv6: u8, rule: PortDraft) -> PortDraft {
    PortDraft { widest_unapproved: Sent::Value(Widest { ipv4, ipv6 }), ..rule }
}

pub fn others_allowed(rule: PortDraft) -> PortDraft {
    PortDraft { other_addresses: Sent::Value(OtherAddresses::Allowed), ..rule }
}

pub fn for_at_most(longest: Duration, rule: PortDraft) -> PortDraft {
    PortDraft { longest, ..rule }
}

pub fn no_approval(rule: PortDraft) -> PortDraft {
    PortDraft { approval: Sent::Value(Approval::NotNeeded), ..rule }
}

/// An ask in the making.
#[derive(Clone)]
pub struct Asking(pub Ask);

/// Ann asks policy `p` for one port of a VM, from her own address, for as long as may be.
pub fn ask(name: &str, number: u16) -> Asking {
    let access =
        AccessAsk { vm: vm(name), port: port(number), source: None, addresses: None, window: None };
    Asking(Ask {
        id: RequestId::mint(0),
        policy: policy("p"),
        requester: person("ann"),
        address: OwnAddress::Seen(ip(OWN)),
        sign_in: None,
        start: None,
        justification: None,
        ticket: None,
        accesses: vec![access],
    })
}

impl Asking {
    pub fn and(mut self, other: Asking) -> Asking {
        self.0.accesses.extend(other.0.accesses);
        self
    }

    pub fn of(mut self, name: &str) -> Asking {
        self.0.policy = policy(name);
        self
    }

    pub fn by(mut self, name: &str) -> Asking {
        self.0.requester = person(name);
        self
    }

    pub fn seen(mut self, address: &str) -> Asking {
        self.0.address = OwnAddress::Seen(ip(address));
        self
    }

    pub fn seen_at_nobodys(mut self, address: &str) -> Asking {
        self.0.address = OwnAddress::Nobodys(ip(address));
        self
    }

    pub fn from(mut self, text: &str) -> Asking {
        self.0.accesses.iter_mut().for_each(|access| access.source = Some(source(text)));
        self
    }

    pub fn lasting(mut self, length: Duration) -> Asking {
        let window = Some(Window::For(length));
        self.0.accesses.iter_mut().for_each(|access| access.window = window);
        self
    }

    pub fn until(mut self, end: Timestamp) -> Asking {
        let window = Some(Window::Until(end));
        self.0.accesses.iter_mut().for_each(|access| access.window = window);
        self
    }

    pub fn starting(mut self, start: Timestamp) -> Asking {
        self.0.start = Some(start);
        self
    }
}
