//! The naive oracle: what the product says, written a second time and without the rules' own code.
//!
//! It keeps a flat list of promises and answers by brute force. Of core it knows the words alone (ids,
//! commands, what a guard says), none of its arithmetic and none of its functions.

mod asked;
pub mod people;
mod set;
pub mod span;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_core::{
    command::Command,
    grant::Window,
    id::{PolicyId, RequestId, VmId},
    network::{Lock, Port, Source},
    plan::{Coverage, Observed},
    role::PersonId,
    time::Now,
};
use span::{Span, spans, texts};
use uuid::Uuid;

pub const SECOND: i128 = 1_000_000_000;
/// The address of the machine that runs the server.
pub const SERVER: &str = "10.0.0.1";

/// Kinds of refusals, by their names.
pub type Kinds = BTreeSet<&'static str>;

/// Everything the oracle remembers.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    pub machines: BTreeMap<VmId, Machine>,
    pub policies: BTreeMap<PolicyId, Rulebook>,
    pub promises: Vec<Promise>,
    pub given_back: BTreeSet<(IpAddr, u16)>,
    pub highest: Option<i128>,
    pub people: people::People,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub born: Uuid,
    pub addresses: Vec<IpAddr>,
    pub location: String,
}

#[derive(Clone, Debug)]
pub struct Rulebook {
    pub version: u64,
    pub kind: Option<String>,
    pub rules: Vec<Rule>,
    /// Wall end, boot and boot end of the time to confirm in, and the rules that stand after it.
    pub pending: Option<(i128, Uuid, i128, Option<Vec<Rule>>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub vm: VmId,
    pub born: Uuid,
    pub port: Port,
    pub place: (usize, usize),
    pub from: Vec<Source>,
    pub longest: i128,
    pub widest: (u8, u8),
    pub others: bool,
    pub ends: bool,
}

/// Who may reach what from where, from when until when.
#[derive(Clone, Debug)]
pub struct Promise {
    pub request: RequestId,
    pub asked_at: i128,
    pub who: PersonId,
    pub policy: PolicyId,
    pub vm: VmId,
    pub born: Uuid,
    pub port: Port,
    pub source: Source,
    pub start: i128,
    pub window: Window,
    pub life: Life,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    Waits,
    Runs { since: i128, wall: i128, boot: Uuid, nanos: i128, seen: bool },
    Over { why: &'static str, seen: bool, gone: bool },
}

pub fn wall(now: Now) -> i128 {
    now.wall.as_nanosecond()
}

impl Promise {
    fn over(&mut self, why: &'static str) {
        let seen = matches!(self.life, Life::Runs { seen: true, .. });
        self.life = Life::Over { why, seen, gone: false };
    }

    pub fn is_over(&self) -> bool {
        matches!(self.life, Life::Over { .. })
    }

    /// Nanoseconds until the earlier of its two ends; none where it does not run.
    pub fn left(&self, now: Now) -> Option<i128> {
        let Life::Runs { wall: end, boot, nanos, .. } = self.life else { return None };
        let by_wall = end - wall(now);
        let by_boot = nanos - i128::from(now.boot.nanos);
        Some(if boot == now.boot.boot { by_wall.min(by_boot) } else { by_wall }.max(0))
    }

    /// In a word.
    pub fn word(&self) -> &'static str {
        match self.life {
            Life::Waits => "planned",
            Life::Runs { seen: false, .. } => "granted",
            Life::Runs { seen: true, .. } => "seen open",
            Life::Over { why, .. } => why,
        }
    }

    fn spans(&self) -> Vec<Span> {
        spans(self.source)
    }
}

impl Oracle {
    /// What is so after the command, or the kinds of everything that stands against it.
    pub fn hears(&self, command: &Command, now: Now) -> Result<Oracle, Kinds> {
        let mut after = self.clone();
        after.time_passes(*command == Command::Tick, now);
        match command {
            Command::RegisterVm { id, instance, location, addresses, .. } => {
                after.registers(id, instance.0, location.as_str(), addresses)?;
            }
            Command::UnregisterVm { id } => after.unregisters(id)?,
            Command::SetPolicy { draft, only_if, confirm_within } => {
                after.sets(draft, *only_if, *confirm_within, now)?;
            }
            Command::ConfirmPolicy { id } => {
                let Some(rulebook) = after.policies.get_mut(id) else {
                    return Err(Kinds::from(["PolicyNotFound"]));
                };
                if rulebook.pending.take().is_none() {
                    return Err(Kinds::from(["NothingToConfirm"]));
                }
            }
            Command::RemovePolicy { id, only_if } => after.removes(id, *only_if, now)?,
            Command::Request(ask) => after.asked(ask, now)?,
            Command::End { request, only } => {
                if !after.promises.iter().any(|promise| promise.request == *request) {
                    return Err(Kinds::from(["RequestNotFound"]));
                }
                for promise in &mut after.promises {
                    let meant = only
                        .as_ref()
                        .is_none_or(|only| only.contains(&(promise.vm.clone(), promise.port)));
                    if promise.request == *request && meant && !promise.is_over() {
                        promise.over("ended");
                    }
                }
            }
            Command::Observe { observed, .. } => after.is_told(observed),
            Command::AcceptClock => after.highest = Some(wall(now)),
            // Resources have an oracle of their own.
            Command::PutResource { .. }
            | Command::DeleteResource { .. }
            | Command::DeleteJitRule { .. } => {}
            // Every subscription of a random life has its plan.
            Command::SetPricing { .. } => {}
            Command::Directory(command) => after.is_told_of_people(command, now)?,
            Command::Tick => {}
        }
        after.clears_up();
        after.highest = Some(after.highest.map_or(wall(now), |highest| highest.max(wall(now))));
        Ok(after)
    }

    pub fn clock_is_behind(&self, now: Now) -> bool {
        self.highest.is_some_and(|highest| highest - wall(now) > 5 * SECOND)
    }

    /// Time first, then people.
    fn time_passes(&mut self, ticks: bool, now: Now) {
        for promise in &mut self.promises {
            if promise.left(now) == Some(0) {
                promise.over("expired");
            }
        }
        // Nobody else looks at what people have.
        if ticks {
            self.roles_end(now);
        }
        self.goes_back(now);
        if self.clock_is_behind(now) {
            return;
        }
        for promise in &mut self.promises {
            if let Life::Runs { since, wall: end, boot, nanos, .. } = &mut promise.life
                && *boot != now.boot.boot
            {
                if *since - wall(now) > 5 * SECOND {
                    promise.over("failed");
                } else {
                    (*boot, *nanos) =
                        (now.boot.boot, i128::from(now.boot.nanos) + *end - wall(now));
                }
            }
        }
        let mut due: Vec<usize> = (0..self.promises.len())
            .filter(|n| {
                self.promises[*n].life == Life::Waits && self.promises[*n].start <= wall(now)
            })
            .collect();
        due.sort_by_key(|n| {
            let promise = &self.promises[*n];
            (promise.start, promise.request, promise.vm.clone(), promise.port)
        });
        for n in due {
            self.begins(n, now);
        }
    }

    fn begins(&mut self, n: usize, now: Now) {
        let promise = &self.promises[n];
        if promise.life != Life::Waits {
            return;
        }
        let who = promise.who.0.parse().expect("a principal");
        if !self.people.may_ask(who, &promise.policy, &[&promise.vm], now) {
            self.promises[n].over("lost");
            return;
        }
        let Some(rule) = self.rule(&promise.policy, &promise.vm, promise.born, promise.port) else {
            self.promises[n].over("withdrawn");
            return;
        };
        let end = match promise.window {
            Window::Until(end) => end.as_nanosecond(),
            Window::For(length) => promise.start + length.as_nanos() as i128,
        }
        .min(promise.start + rule.longest);
        if end <= wall(now) {
            self.promises[n].over("lapsed");
            return;
        }
        self.runs(n, end, now);
        let asked_at = self.promises[n].asked_at;
        self.takes_the_place(n, end, |older| older.asked_at <= asked_at);
    }

    fn runs(&mut self, n: usize, end: i128, now: Now) {
        self.promises[n].life = Life::Runs {
            since: wall(now),
            wall: end,
            boot: now.boot.boot,
            nanos: i128::from(now.boot.nanos) + end - wall(now),
            seen: false,
        };
    }

    fn takes_the_place(&mut self, n: usize, end: i128, is_older: impl Fn(&Promise) -> bool) {
        let newer = self.promises[n].clone();
        for older in &mut self.promises {
            let same = older.who == newer.who
                && older.vm == newer.vm
                && older.port == newer.port
                && older.spans() == newer.spans()
                && older.request != newer.request;
            let overlaps = match older.life {
                Life::Waits => older.start < end,
                Life::Runs { .. } => true,
                Life::Over { .. } => false,
            };
            if same && overlaps && is_older(older) {
                older.over("replaced");
            }
        }
    }

    fn rule(&self, policy: &PolicyId, vm: &VmId, born: Uuid, port: Port) -> Option<&Rule> {
        let rules = &self.policies.get(policy)?.rules;
        rules.iter().find(|rule| rule.vm == *vm && rule.born == born && rule.port == port)
    }

    fn registers(
        &mut self,
        id: &VmId,
        born: Uuid,
        location: &str,
        addresses: &[IpAddr],
    ) -> Result<(), Kinds> {
        let known = self.machines.get(id);
        let same_set = |machine: &Machine| {
            let (a, b): (BTreeSet<_>, BTreeSet<_>) =
                (machine.addresses.iter().collect(), addresses.iter().collect());
            a == b && machine.location == location
        };
        let mut kinds = Kinds::new();
        if addresses.is_empty() {
            kinds.insert("NoAddress");
        }
        for (n, address) in addresses.iter().enumerate() {
            if address.is_loopback() {
                kinds.insert("NotAVmAddress");
            }
            if addresses[..n].contains(address) {
                kinds.insert("AddressTwice");
            }
            let others = self.machines.iter().filter(|(other, _)| *other != id);
            if others.into_iter().any(|(_, machine)| machine.addresses.contains(address)) {
                kinds.insert("AddressTaken");
            }
        }
        let held = self.policies.values().any(|book| book.rules.iter().any(|rule| rule.vm == *id));
        if held && known.is_some_and(|machine| !same_set(machine)) {
            kinds.insert("VmHasPolicy");
        }
        if !kinds.is_empty() {
            return Err(kinds);
        }
        let born = known.map_or(born, |machine| machine.born);
        let (addresses, location) = (addresses.to_vec(), location.to_owned());
        self.machines.insert(id.clone(), Machine { born, addresses, location });
        Ok(())
    }

    fn unregisters(&mut self, id: &VmId) -> Result<(), Kinds> {
        if !self.machines.contains_key(id) {
            return Err(Kinds::from(["VmNotFound"]));
        }
        if self.policies.values().any(|book| book.rules.iter().any(|rule| rule.vm == *id)) {
            return Err(Kinds::from(["VmHasPolicy"]));
        }
        self.machines.remove(id);
        Ok(())
    }

    /// A guard's word: half a word is none.
    fn is_told(&mut self, observed: &Observed) {
        let spoken = |address: IpAddr| match &observed.coverage {
            Coverage::All => true,
            Coverage::Only(addresses) => addresses.contains(&address),
        };
        let there: BTreeSet<String> = observed.openings.keys().map(span::of_opening).collect();
        let failed: BTreeSet<String> = observed.failed.keys().map(span::of_opening).collect();
        let wanted: BTreeSet<String> = self
            .promises
            .iter()
            .filter(|promise| matches!(promise.life, Life::Runs { .. }))
            .flat_map(|promise| self.openings_of(promise))
            .map(|(_, text)| text)
            .collect();
        let told: Vec<Vec<(IpAddr, String)>> =
            self.promises.iter().map(|promise| self.openings_of(promise)).collect();
        for (promise, openings) in self.promises.iter_mut().zip(told) {
            let all_spoken = openings.iter().all(|(address, _)| spoken(*address));
            match &mut promise.life {
                Life::Runs { seen, .. } => {
                    if openings.iter().any(|(_, text)| failed.contains(text)) {
                        promise.over("failed");
                    } else if all_spoken && openings.iter().all(|(_, text)| there.contains(text)) {
                        *seen = true;
                    }
                }
                Life::Over { seen: true, gone, .. } => {
                    let still = |text: &String| there.contains(text) && !wanted.contains(text);
                    *gone |= all_spoken && !openings.iter().any(|(_, text)| still(text));
                }
                Life::Waits | Life::Over { .. } => {}
            }
        }
        self.given_back.retain(|(address, port)| {
            let lock = Lock { address: *address, port: Port::new(*port).expect("a port") };
            !spoken(*address) || observed.locks.contains_key(&lock)
        });
    }

    fn openings_of(&self, promise: &Promise) -> Vec<(IpAddr, String)> {
        let machine = self.machines.get(&promise.vm).filter(|m| m.born == promise.born);
        machine
            .into_iter()
            .flat_map(|machine| &machine.addresses)
            .filter_map(|address| {
                let net = texts(promise.source, *address)?;
                Some((*address, format!("{net} > {address} {}", promise.port)))
            })
            .collect()
    }

    /// What must be closed.
    pub fn locks(&self) -> BTreeSet<(IpAddr, u16)> {
        self.policies.values().flat_map(|book| self.locks_of(&book.rules)).collect()
    }

    fn locks_of(&self, rules: &[Rule]) -> BTreeSet<(IpAddr, u16)> {
        let mut locks = BTreeSet::new();
        for rule in rules {
            let machine = self.machines.get(&rule.vm).filter(|m| m.born == rule.born);
            for address in machine.into_iter().flat_map(|machine| &machine.addresses) {
                locks.insert((*address, rule.port.number()));
            }
        }
        locks
    }

    /// Is (source, address, port) open at this moment?
    pub fn is_open(&self, from: IpAddr, address: IpAddr, port: u16, now: Now) -> bool {
        self.locks().contains(&(address, port))
            && self.promises.iter().any(|promise| {
                promise.port.number() == port
                    && self.is_believed(promise, now)
                    && promise.spans().iter().any(|span| span.has(from))
                    && from.is_ipv4() == address.is_ipv4()
                    && self.machines.get(&promise.vm).is_some_and(|machine| {
                        machine.born == promise.born && machine.addresses.contains(&address)
                    })
            })
    }

    /// What is open, and for how many nanoseconds more.
    pub fn open(&self, now: Now) -> BTreeMap<String, i128> {
        let locks = self.locks();
        let mut open = BTreeMap::new();
        for promise in self.promises.iter().filter(|promise| self.is_believed(promise, now)) {
            let left = promise.left(now).unwrap_or(0);
            for (address, text) in self.openings_of(promise) {
                if locks.contains(&(address, promise.port.number())) {
                    let longest = open.entry(text).or_insert(left);
                    *longest = left.max(*longest);
                }
            }
        }
        open
    }

    /// Runs, is not over, and its end stands on this boot's clock or on a wall clock that can be right.
    fn is_believed(&self, promise: &Promise, now: Now) -> bool {
        let Life::Runs { since, boot, .. } = promise.life else { return false };
        promise.left(now).is_some_and(|left| left > 0)
            && (boot == now.boot.boot
                || !self.clock_is_behind(now) && since - wall(now) <= 5 * SECOND)
    }
}
