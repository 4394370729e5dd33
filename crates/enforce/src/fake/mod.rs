//! A guard in memory: behaves as nftables does, and fails, lags and forgets when told to.
//!
//! Tests ask it what a packet would meet; the demo runs on it where it may not make namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hourgate_core::{
    gateway::{Carrier, Onward, Place, Translation, Translations},
    network::{Lock, Opening, Port, Sessions},
    nsg::port::PortRange,
    plan::{Coverage, Desired, Observed, OpeningFailure, Plan, plan},
    screen::{Screen, standing::Standing},
    time::{Clock, Deadline, Now},
};
use tokio::sync::{Notify, watch};

use crate::guard::{Guard, GuardError};

/// The longest any opening may last, as for a guard on a kernel.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// The guard. Clones are the same guard.
#[derive(Clone)]
pub struct FakeGuard {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    capacity: usize,
    gate: Mutex<Gate>,
    changed: Notify,
    /// Whether questions are kept waiting.
    lagging: watch::Sender<bool>,
}

#[derive(Default)]
struct Gate {
    locks: BTreeMap<Lock, Sessions>,
    openings: BTreeMap<Opening, Element>,
    standing: BTreeMap<Lock, Vec<Standing>>,
    screens: BTreeMap<IpAddr, Screen>,
    translations: BTreeMap<Translation, Translated>,
    silent: BTreeMap<IpAddr, PortRange>,
    failures: Vec<GuardError>,
    refuses: bool,
    ignores: BTreeSet<Opening>,
    statements: u64,
}

/// An element of a set: ends by itself, on the boot clock, as the kernel's do.
#[derive(Clone, Copy)]
struct Element {
    until: Deadline,
    ends: u64,
}

/// A translation that stands; one without an end stays.
#[derive(Clone, Copy)]
struct Translated {
    onward: Onward,
    ends: Option<u64>,
}

impl FakeGuard {
    /// A guard without locks or openings.
    pub fn new(clock: Arc<dyn Clock>) -> FakeGuard {
        FakeGuard::with_capacity(clock, usize::MAX)
    }

    /// One that holds no more than `capacity` openings.
    pub fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> FakeGuard {
        let (lagging, _) = watch::channel(false);
        let (gate, changed) = (Mutex::default(), Notify::new());
        FakeGuard { inner: Arc::new(Inner { clock, capacity, gate, changed, lagging }) }
    }

    /// Whether a new flow from `source` to `port` of `address` would be let through now.
    pub fn accepts(&self, source: IpAddr, address: IpAddr, port: Port) -> bool {
        let now = self.inner.clock.now();
        let gate = self.gate();
        let open = |(opening, element): (&Opening, &Element)| {
            opening.address() == address
                && opening.port() == port
                && opening.source().contains(&source)
                && element.stands(now)
        };
        !gate.locks.contains_key(&Lock { address, port }) || gate.openings.iter().any(open)
    }

    /// What new flows of each address meet.
    pub fn screens(&self) -> BTreeMap<IpAddr, Screen> {
        self.gate().screens.clone()
    }

    /// What holds on public addresses now.
    pub fn translations(&self) -> Translations {
        self.gate().translated(&Coverage::All, self.inner.clock.now())
    }

    /// Where a flow from `source` to a port of a public address would go on now.
    pub fn translates(&self, source: IpAddr, at: Place, carrier: Carrier) -> Option<Place> {
        let translations = self.translations().each;
        let fits = |translation: &Translation| {
            translation.at() == at
                && translation.carrier() == carrier
                && translation.source().contains(&source)
        };
        let fitting = translations.iter().filter(|(translation, _)| fits(translation));
        let (_, onward) =
            fitting.max_by_key(|(translation, _)| translation.source().prefix_len())?;
        Some(onward.to)
    }

    /// Every lock that stands.
    pub fn locks(&self) -> BTreeMap<Lock, Sessions> {
        self.gate().locks.clone()
    }

    /// Every opening that stands now, and its end.
    pub fn openings(&self) -> BTreeMap<Opening, Deadline> {
        self.gate().standing(self.inner.clock.now())
    }

    /// How many statements it took in: what was asked for together counts once.
    pub fn statements(&self) -> u64 {
        self.gate().statements
    }

    /// Answers the next questions with these errors, and does nothing of what they ask.
    pub fn fail(&self, errors: impl IntoIterator<Item = GuardError>) {
        self.gate().failures.extend(errors);
    }

    /// Answers as it is asked again.
    pub fn recover(&self) {
        self.gate().failures.clear();
    }

    /// Refuses every statement that says something, or no more.
    pub fn refuse(&self, refuses: bool) {
        self.gate().refuses = refuses;
    }

    /// Keeps every question waiting, before anything of it is done; or lets them go on.
    pub fn lag(&self, lagging: bool) {
        self.inner.lagging.send_replace(lagging);
    }

    /// Forgets everything, as after a boot without its floor, and says that it changed.
    pub fn forget(&self) {
        let mut gate = self.gate();
        gate.locks.clear();
        gate.openings.clear();
        gate.standing.clear();
        gate.screens.clear();
        gate.translations.clear();
        gate.silent.clear();
        drop(gate);
        self.inner.changed.notify_one();
    }

    /// Loses an opening without a word.
    pub fn lose(&self, opening: &Opening) {
        self.gate().openings.remove(opening);
    }

    /// Lets somebody else open something behind our back, without a word.
    pub fn intrude(&self, opening: Opening, until: Deadline) {
        let element = Element::new(until, self.inner.clock.now());
        self.gate().openings.insert(opening, element);
    }

    /// Does not close this opening, whatever it is told; its own end still closes it.
    pub fn ignore(&self, opening: Opening) {
        self.gate().ignores.insert(opening);
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.inner.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it lags; an error where the next question is to fail.
    async fn asked(&self) -> Result<(), GuardError> {
        // The sender lives as long as this guard.
        let _ = self.inner.lagging.subscribe().wait_for(|lagging| !lagging).await;
        let mut gate = self.gate();
        gate.statements += 1;
        if gate.failures.is_empty() { Ok(()) } else { Err(gate.failures.remove(0)) }
    }
}

impl Guard for FakeGuard {
    async fn converge(&self, desired: Arc<Desired>) -> Result<Observed, GuardError> {
        self.asked().await?;
        let now = self.inner.clock.now();
        let mut gate = self.gate();
        if gate.refuses && desired.coverage != Coverage::Only(BTreeSet::new()) {
            return Err(GuardError::Refused("told to refuse".to_owned()));
        }
        let failed = gate.converge(&desired, self.inner.capacity, now);
        Ok(Observed { failed, ..gate.observed(desired.coverage.clone(), now) })
    }

    async fn observe(&self) -> Result<Observed, GuardError> {
        self.asked().await?;
        Ok(self.gate().observed(Coverage::All, self.inner.clock.now()))
    }

    async fn changed(&self) {
        self.inner.changed.notified().await;
    }
}

impl Gate {
    fn converge(
        &mut self,
        desired: &Desired,
        capacity: usize,
        now: Now,
    ) -> BTreeMap<Opening, OpeningFailure> {
        self.openings.retain(|_, element| element.stands(now));
        let stands = self.observed(desired.coverage.clone(), now);
        let plan = plan(desired, &stands);
        self.translate(&plan, now);
        self.openings.retain(|o, _| !plan.close.contains(o) || self.ignores.contains(o));
        for (opening, until) in &plan.shorten {
            self.openings.insert(*opening, Element::new(*until, now));
        }
        self.locks.extend(plan.lock);
        self.standing.extend(plan.stand);
        self.standing.retain(|_, passes| !passes.is_empty());
        for (address, screen) in plan.screen {
            match screen {
                Some(screen) => self.screens.insert(address, screen),
                None => self.screens.remove(&address),
            };
        }
        let mut failed = BTreeMap::new();
        for (opening, until) in plan.open {
            let is_new = !self.openings.contains_key(&opening);
            let failure = if !self.locks.contains_key(&opening.lock()) {
                Some(OpeningFailure::NotLocked)
            } else if until.remaining(now) > AHEAD_MAX {
                Some(OpeningFailure::TooFarAhead)
            } else if is_new && self.openings.len() >= capacity {
                Some(OpeningFailure::Full)
            } else {
                None
            };
            match failure {
                Some(failure) => {
                    failed.insert(opening, failure);
                }
                None => {
                    self.openings.insert(opening, Element::new(until, now));
                }
            }
        }
        self.locks.retain(|lock, _| !plan.unlock.contains(lock));
        failed
    }

    fn observed(&self, coverage: Coverage, now: Now) -> Observed {
        let locks = self.locks.iter().filter(|(lock, _)| coverage.has(lock.address));
        let locks = locks.map(|(lock, sessions)| (*lock, *sessions)).collect();
        let mut openings = self.standing(now);
        openings.retain(|opening, _| coverage.has(opening.address()));
        let standing = self.standing.iter().filter(|(lock, _)| coverage.has(lock.address));
        let standing = standing.map(|(lock, passes)| (*lock, passes.clone())).collect();
        let screens = self.screens.iter().filter(|(address, _)| coverage.has(**address));
        let screens = screens.map(|(address, screen)| (*address, screen.clone())).collect();
        let translations = self.translated(&coverage, now);
        let (failed, untranslated) = (BTreeMap::new(), BTreeMap::new());
        Observed {
            locks,
            openings,
            failed,
            standing,
            screens,
            coverage,
            translations,
            untranslated,
        }
    }

    fn translate(&mut self, plan: &Plan, now: Now) {
        self.translations.retain(|translation, _| !plan.stop.contains(translation));
        for (translation, onward) in plan.divert.iter().chain(&plan.translate) {
            let ends = onward.until.map(|until| Element::new(until, now).ends);
            self.translations.insert(*translation, Translated { onward: *onward, ends });
        }
        for (address, ports) in &plan.silence {
            match ports {
                Some(ports) => self.silent.insert(*address, *ports),
                None => self.silent.remove(address),
            };
        }
    }

    fn translated(&self, coverage: &Coverage, now: Now) -> Translations {
        let stands = |is: &Translated| is.ends.is_none_or(|ends| now.boot.nanos < ends);
        let each = self.translations.iter().filter(|(_, is)| stands(is));
        let each = each.map(|(translation, is)| (*translation, is.onward)).collect();
        Translations { each, silent: self.silent.clone() }.about(|address| coverage.has(address))
    }

    fn standing(&self, now: Now) -> BTreeMap<Opening, Deadline> {
        let standing = self.openings.iter().filter(|(_, element)| element.stands(now));
        standing.map(|(opening, element)| (*opening, element.until)).collect()
    }
}

impl Element {
    fn new(until: Deadline, now: Now) -> Element {
        let left = u64::try_from(until.remaining(now).as_nanos()).unwrap_or(u64::MAX);
        Element { until, ends: now.boot.nanos.saturating_add(left) }
    }

    fn stands(&self, now: Now) -> bool {
        now.boot.nanos < self.ends
    }
}
