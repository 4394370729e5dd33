//! One random life: what happens, and after every step the comparison with the oracle.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hourgate_core::{
    command::Command,
    event::{AccessId, Event},
    grant::Stage,
    network::Lock,
    plan::{Coverage, Desired},
    state::{State, access_id},
    time::{Timestamp, later},
};
use uuid::Uuid;

use crate::{
    choices::{ADDRESSES, Dice, PORTS},
    gate::Gate,
    oracle::{Oracle, SECOND, SERVER},
    people,
    rules::Rules,
    scene::{Scene, hours, ip, minutes, port, register, scene, seconds, stage, written},
};

/// How many things happen in a life.
const STEPS: usize = 110;

/// Where packets come from.
const FROM: &[&str] = &[
    "203.0.113.7",
    "203.0.113.200",
    "203.0.112.9",
    "198.51.100.9",
    "201.2.3.4",
    "8.8.8.8",
    "2001:db8::7",
    "2001:db8:1::1",
    "2a00::1",
];

/// What lives were about, so that a generator that went stale is noticed.
#[derive(Default)]
pub struct Told {
    said: BTreeMap<String, u64>,
}

pub struct Life<'r> {
    rules: &'r dyn Rules,
    pub dice: Dice,
    pub scene: Scene,
    pub gate: Gate,
    oracle: Oracle,
    /// The log: events as they are written, and the time of each commit.
    log: Vec<(Vec<String>, Timestamp)>,
    /// Time that really went by, in nanoseconds; when each access began to run, and for how long.
    truly: u64,
    began: BTreeMap<AccessId, (u64, Duration)>,
    reboots: u64,
}

/// Lives one life; the first thing that is not as the oracle says.
pub fn live(rules: &dyn Rules, seed: u64, told: &mut Told) -> Result<(), String> {
    let mut scene = scene();
    scene.settings.server_addresses = vec![ip(SERVER)];
    scene.settings.first_subscription = Some(Uuid::nil());
    let mut life = Life {
        rules,
        dice: Dice::new(seed),
        scene,
        gate: Gate::default(),
        oracle: Oracle::default(),
        log: Vec::new(),
        truly: 0,
        began: BTreeMap::new(),
        reboots: 0,
    };
    for command in people::first() {
        life.hears(&command, told)?;
    }
    life.hears(&register("a", 1_000_001, &["10.0.0.2", "fd00::2"]), told)?;
    life.hears(&register("b", 1_000_002, &["10.0.0.3"]), told)?;
    let first = life.set_policy();
    life.hears(&first, told)?;
    for step in 0..STEPS {
        life.step(told).map_err(|wrong| format!("{wrong}\nin step {step}"))?;
        life.agrees().map_err(|wrong| format!("{wrong}\nafter step {step}"))?;
    }
    for promise in &life.oracle.promises {
        told.tell(promise.word());
    }
    Ok(())
}

impl Life<'_> {
    fn step(&mut self, told: &mut Told) -> Result<(), String> {
        // No two things happen in the same nanosecond.
        let moment = Duration::from_nanos(1 + self.dice.number() % 1_000_000);
        self.waits(moment);
        if self.oracle.clock_is_behind(self.scene.now) && self.dice.in_hundred(25) {
            return self.hears(&Command::AcceptClock, told);
        }
        match self.dice.below(100) {
            0..=49 => {
                let command = self.command();
                self.hears(&command, told)
            }
            50..=58 => {
                let length = self.dice.one(&[
                    seconds(1),
                    seconds(30),
                    minutes(1),
                    minutes(5),
                    minutes(20),
                    hours(1),
                ]);
                self.waits(length);
                Ok(())
            }
            59..=68 => {
                self.lands_on_a_deadline();
                Ok(())
            }
            69..=74 => self.hears(&Command::Tick, told),
            75..=84 => self.reconciles(),
            85..=91 => match self.word() {
                Some(word) => self.hears(&word, told),
                None => Ok(()),
            },
            92 | 93 => {
                let length = self.dice.one(&[seconds(4), minutes(10), hours(2)]);
                self.scene.now.wall = later(self.scene.now.wall, length);
                Ok(())
            }
            94 | 95 => {
                let length = self.dice.one(&[seconds(2), seconds(5), minutes(10), hours(2)]);
                self.scene.is_set_back(length);
                Ok(())
            }
            96 | 97 => {
                self.scene.reboots();
                self.gate.boots();
                self.reboots += 1;
                // A machine without a battery wakes up in the past.
                if self.dice.in_hundred(30) {
                    self.scene.is_set_back(minutes(10));
                }
                Ok(())
            }
            98 => self.meets_an_empty_memory(),
            _ => self.crashes(),
        }
    }

    fn waits(&mut self, length: Duration) {
        self.scene.waits(length);
        self.truly += u64::try_from(length.as_nanos()).expect("in range");
    }

    /// Exactly on an end or a beginning, a nanosecond before or after it.
    fn lands_on_a_deadline(&mut self) {
        let now = self.scene.now;
        let wall = now.wall.as_nanosecond();
        let mut ahead: Vec<i128> = Vec::new();
        for promise in &self.oracle.promises {
            ahead.extend(promise.left(now));
            if promise.word() == "planned" {
                ahead.push(promise.start - wall);
            }
        }
        ahead.extend(
            self.oracle.policies.values().filter_map(|book| Some(book.pending.as_ref()?.0 - wall)),
        );
        let roles = self.oracle.people.given.values();
        ahead.extend(roles.filter_map(|given| Some(given.until?.0 - wall)));
        ahead.retain(|length| (2..4 * 3_600 * SECOND).contains(length));
        if !ahead.is_empty() {
            let length = self.dice.one(&ahead) + self.dice.one(&[-1, 0, 0, 0, 1]);
            self.waits(Duration::from_nanos(u64::try_from(length).expect("in range")));
        }
    }

    /// Asks the rules and the oracle, and holds their answers against each other.
    fn hears(&mut self, command: &Command, told: &mut Told) -> Result<(), String> {
        let now = self.scene.now;
        let waits_in_vain = self.oracle.policies.values().any(|book| {
            book.pending.as_ref().is_some_and(|(end, boot, boot_end, _)| {
                *end <= now.wall.as_nanosecond()
                    || *boot == now.boot.boot && *boot_end <= i128::from(now.boot.nanos)
            })
        });
        if waits_in_vain && *command != Command::Tick {
            // A roll-back is Tick's, who loads all of a policy; the table holds the rest.
            self.hears(&Command::Tick, told)?;
        }
        let answer = self.rules.decide(&self.scene.state, &self.scene.settings, command, now);
        match (answer, self.oracle.hears(command, now)) {
            (Ok(events), Ok(after)) => {
                self.oracle = after;
                self.takes_in(&events);
                events.iter().for_each(|event| told.tell(&named(event)));
                Ok(())
            }
            (Err(refusals), Err(kinds)) => {
                let said: BTreeSet<String> = refusals.0.iter().map(named).collect();
                let kinds: BTreeSet<String> = kinds.into_iter().map(str::to_owned).collect();
                said.iter().for_each(|kind| told.tell(kind));
                if said == kinds {
                    return Ok(());
                }
                Err(format!("refused for {said:?}, not {kinds:?}\n{command:?}"))
            }
            (Ok(_), Err(kinds)) => Err(format!("given, though {kinds:?}\n{command:?}")),
            (Err(refusals), Ok(_)) => Err(format!("refused for {refusals:?}\n{command:?}")),
        }
    }

    fn takes_in(&mut self, events: &[Event]) {
        for event in events {
            self.rules.evolve(&mut self.scene.state, event);
        }
        self.scene.state.pass(self.scene.now.wall);
        let written =
            events.iter().map(|event| serde_json::to_string(event).expect("events can be written"));
        self.log.push((written.collect(), self.scene.now.wall));
        for (request, access) in self.scene.state.live() {
            if let Stage::Granted { until, .. } = access.stage {
                let id = access_id(request, &access.vm, access.port);
                let length = until.remaining(self.scene.now);
                self.began.entry(id).or_insert((self.truly, length));
            }
        }
    }

    fn agrees(&self) -> Result<(), String> {
        let now = self.scene.now;
        let desired = self.rules.open_now(&self.scene.state, now);
        let locks: BTreeSet<_> =
            desired.locks.keys().map(|lock| (lock.address, lock.port.number())).collect();
        same("locks", &locks, &self.oracle.locks())?;
        let released: BTreeSet<_> =
            desired.released.iter().map(|lock| (lock.address, lock.port.number())).collect();
        same("given back", &released, &self.oracle.given_back)?;
        let open: BTreeMap<String, i128> = desired
            .openings
            .iter()
            .map(|(opening, until)| (written(opening), until.remaining(now).as_nanos() as i128))
            .collect();
        same("open, and for how long", &open, &self.oracle.open(now))?;
        self.packets_agree(&desired)?;
        self.stages_agree()?;
        self.people_agree()?;
        self.nothing_outlives_its_time(&desired)
    }

    /// Packets, one by one: is this one let through at this moment?
    fn packets_agree(&self, desired: &Desired) -> Result<(), String> {
        for address in ADDRESSES.iter().map(|text| ip(text)) {
            for number in PORTS {
                let lock = Lock { address, port: port(*number) };
                for from in FROM.iter().map(|text| ip(text)) {
                    let open = desired
                        .openings
                        .keys()
                        .any(|opening| opening.lock() == lock && opening.source().contains(&from));
                    let right = self.oracle.is_open(from, address, *number, self.scene.now);
                    if open != right {
                        return Err(format!(
                            "{from} > {address} {number}: open {open}, not {right}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn stages_agree(&self) -> Result<(), String> {
        for promise in &self.oracle.promises {
            let request = self.scene.state.requests.get(&promise.request);
            let access = request.and_then(|request| request.access(&promise.vm, promise.port));
            let Some(access) = access else { return Err(format!("forgotten: {promise:?}")) };
            if stage(access) != promise.word() {
                return Err(format!("{}, not {}: {promise:?}", stage(access), promise.word()));
            }
            let settled = match promise.life {
                crate::oracle::Life::Over { seen, gone, .. } => !seen || gone,
                _ => false,
            };
            if access.is_settled() != settled {
                return Err(format!("settled {}, not {settled}: {access:?}", !settled));
            }
        }
        let known: usize = self.scene.state.requests.values().map(|r| r.accesses.len()).sum();
        same("accesses", &known, &self.oracle.promises.len())
    }

    fn people_agree(&self) -> Result<(), String> {
        let directory = &self.scene.state.directory;
        let known: BTreeMap<_, _> = directory.principals().map(|w| (w.id, w.disabled)).collect();
        let right = self.oracle.people.known.iter().map(|(id, known)| (*id, known.disabled));
        same("known", &known, &right.collect())?;
        let given: BTreeSet<_> = directory.assignments().map(|given| given.id).collect();
        same("given", &given, &self.oracle.people.given.keys().copied().collect())
    }

    /// However clocks were set: in the time that really went by, nothing runs longer than it was given,
    /// and nothing is open that no running access explains.
    fn nothing_outlives_its_time(&self, desired: &Desired) -> Result<(), String> {
        let now = self.scene.now;
        let mut explained = BTreeSet::new();
        for (request, access) in self.scene.state.live() {
            let Stage::Granted { until, .. } = access.stage else { continue };
            if until.is_over(now) {
                continue;
            }
            if let Some(vm) = self.scene.state.vms.get(&access.vm) {
                explained.extend(access.openings(vm));
            }
            let id = access_id(request, &access.vm, access.port);
            let Some((began, length)) = self.began.get(&id) else { continue };
            let ran = Duration::from_nanos(self.truly - began);
            if self.reboots == 0 && ran >= *length {
                return Err(format!("{id:?} runs for {ran:?}, not {length:?}"));
            }
        }
        match desired.openings.keys().find(|opening| !explained.contains(opening)) {
            Some(opening) => Err(format!("nobody was given {}", written(opening))),
            None => Ok(()),
        }
    }

    /// The gate is reached: it is made to agree, and packets pass it as the oracle says.
    fn reconciles(&mut self) -> Result<(), String> {
        let now = self.scene.now;
        let desired = self.rules.open_now(&self.scene.state, now);
        let desired = Desired { coverage: Coverage::All, ..desired };
        let plan = self.rules.plan(&desired, &self.gate.observed(now));
        let refused = plan.open.keys().next().copied().filter(|_| self.dice.in_hundred(10));
        self.gate.carries_out(&plan, refused, now);
        if refused.is_some() {
            return Ok(());
        }
        let stands = self.gate.observed(now);
        same("the gate's openings", &stands.openings, &desired.openings)?;
        let left = self.rules.plan(&desired, &stands);
        if !left.is_empty() {
            return Err(format!("a plan leaves something to do: {left:?}"));
        }
        same("the gate's locks", &self.gate.locked(), &self.oracle.locks())?;
        self.gate_agrees()
    }

    fn gate_agrees(&self) -> Result<(), String> {
        let now = self.scene.now;
        let locks = self.oracle.locks();
        for address in ADDRESSES.iter().map(|text| ip(text)) {
            for number in PORTS {
                let lock = Lock { address, port: port(*number) };
                for from in FROM.iter().map(|text| ip(text)) {
                    let right = !locks.contains(&(address, *number))
                        || self.oracle.is_open(from, address, *number, now);
                    if self.gate.passes(from, lock, now) != right {
                        return Err(format!("the gate: {from} > {address} {number}: not {right}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// A server whose memory is empty reaches the gate: it closes, and unlocks nothing.
    fn meets_an_empty_memory(&mut self) -> Result<(), String> {
        let now = self.scene.now;
        let desired = self.rules.open_now(&State::default(), now);
        let desired = Desired { coverage: Coverage::All, ..desired };
        let locked = self.gate.locked();
        let plan = self.rules.plan(&desired, &self.gate.observed(now));
        self.gate.carries_out(&plan, None, now);
        same("the gate's locks", &self.gate.locked(), &locked)?;
        match self.gate.observed(now).openings.keys().next() {
            Some(opening) => Err(format!("emptiness keeps {} open", written(opening))),
            None => Ok(()),
        }
    }

    /// The process dies; what it knew is made from the log alone.
    fn crashes(&mut self) -> Result<(), String> {
        let mut state = State::default();
        for (events, at) in &self.log {
            for text in events {
                let event: Event =
                    serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))?;
                self.rules.evolve(&mut state, &event);
            }
            state.pass(*at);
        }
        same("what the log tells", &state, &self.scene.state)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, right: &T) -> Result<(), String> {
    if found == right { Ok(()) } else { Err(format!("{what}: {found:?}, not {right:?}")) }
}

/// The name of an event's or refusal's kind.
fn named(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let of_people = text.strip_prefix("Directory { why: ");
    let of_people = of_people.or_else(|| text.strip_prefix("Directory { change: "));
    let text = of_people.unwrap_or(&text);
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

impl Told {
    fn tell(&mut self, what: &str) {
        *self.said.entry(what.to_owned()).or_default() += 1;
    }

    /// Every stage, event and refusal that a life can bring has been brought, and often.
    pub fn has_seen_enough(&self) {
        let wanted = [
            "planned",
            "granted",
            "seen open",
            "expired",
            "ended",
            "replaced",
            "withdrawn",
            "lapsed",
            "failed",
            "VmRegistered",
            "VmUnregistered",
            "PolicySet",
            "PolicyConfirmed",
            "PolicyRemoved",
            "Requested",
            "Started",
            "EndMoved",
            "Ended",
            "Opened",
            "Closed",
            "Unlocked",
            "ClockAccepted",
            "VmNotFound",
            "PolicyNotFound",
            "RequestNotFound",
            "RequestIdTaken",
            "PreconditionFailed",
            "NoAddress",
            "NotAVmAddress",
            "AddressTwice",
            "AddressTaken",
            "VmHasPolicy",
            "NoVms",
            "VmTwice",
            "PortTwice",
            "LongestOutOfBounds",
            "PortInOtherPolicy",
            "ConfirmationNeeded",
            "ConfirmWithinOutOfBounds",
            "ConfirmationPending",
            "NothingToConfirm",
            "NothingAsked",
            "VmNotInPolicy",
            "PortNotInPolicy",
            "SourceNotAllowed",
            "NoAddressInFamily",
            "SourceNeeded",
            "LongerThanPolicy",
            "TooShort",
            "EndInPast",
            "StartInPast",
            "StartTooFarAhead",
            "ApprovalRequired",
            "ClockBehind",
            "lost",
            "PrincipalSet",
            "PrincipalForgotten",
            "RoleDefined",
            "RoleUndefined",
            "Assigned",
            "Unassigned",
            "MayNotAsk",
            "LastOwner",
            "PrincipalNotFound",
            "RoleNotFound",
            "RoleIsGiven",
            "RoleNotAssignable",
            "ScopeNotFound",
            "EndsInThePast",
            "AssignmentIsFixed",
            "AssignmentExists",
        ];
        let rare: Vec<_> = wanted
            .into_iter()
            .map(|what| (what, self.said.get(what).copied().unwrap_or(0)))
            .filter(|(_, times)| *times < 3)
            .collect();
        println!("{:?}", self.said);
        assert!(rare.is_empty(), "lives have become dull: {rare:?}");
    }
}
