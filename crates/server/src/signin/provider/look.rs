//! What is known of a provider, and when it is asked again.
//!
//! Nothing is asked before somebody needs it, so that a server starts without its providers. Who brings
//! tokens decides when keys are missing; so how often a provider is asked is bounded by time, not by them.

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use hourgate_core::time::Now;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinHandle,
};

use super::{Down, discovery::Discovery, keys::KeySet};
use crate::{
    clock::Stopwatch,
    outgoing::{Answer, Call, HttpsUrl, Outgoing},
};

/// How often keys are asked for because of a key that is not known. A flood of invented ones costs this.
pub(super) const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);
/// After how long keys are asked for again, so that a key that was taken back ends.
pub(super) const KEYS_FRESH: Duration = Duration::from_mins(10);
/// How long keys count while the provider does not answer: its tokens rarely live longer than an hour, so
/// who has one when it goes down can go on until that is over.
pub(super) const KEYS_MAX_AGE: Duration = Duration::from_hours(2);
/// After how long it is asked again where its ends are.
const DISCOVERY_FRESH: Duration = Duration::from_hours(1);
/// How long is waited after a failure; twice as long after each further one.
pub(super) const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// The longest that becomes.
const FAILURE_PAUSE_MAX: Duration = Duration::from_mins(1);
/// How many calls wait for one provider's answer; each holds a place of the server's.
const WAITING_MAX: usize = 32;

/// One provider's ends and keys, as last seen.
pub(super) struct Known {
    name: Arc<str>,
    issuer: Arc<str>,
    outgoing: Arc<Outgoing>,
    state: RwLock<State>,
    /// Held by who asks.
    asking: Mutex<()>,
    waiting: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    seen: Option<Seen>,
    /// Rises when a key went: whatever was verified before is looked at anew.
    generation: u64,
    /// When it was last asked, on the boot clock.
    asked: Option<u64>,
    failures: u32,
    why: String,
}

/// What a provider said last.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) discovery: Arc<Discovery>,
    pub(super) keys: Arc<KeySet>,
    pub(super) generation: u64,
    /// When, on the boot clock; none if it is to be asked anew.
    discovered: Option<u64>,
    keys_at: u64,
}

/// Whether what is known is still as good as new.
pub(super) enum Age {
    Fresh(Seen),
    /// It counts, and it is time to ask again.
    Old(Seen),
    /// There is nothing, or nothing that counts any more.
    Nothing,
}

impl Known {
    pub(super) fn new(name: Arc<str>, issuer: Arc<str>, outgoing: Arc<Outgoing>) -> Known {
        Known {
            name,
            issuer,
            outgoing,
            state: RwLock::default(),
            asking: Mutex::default(),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }

    /// What is known, without asking.
    pub(super) fn now(&self, now: Now) -> Age {
        let Some(seen) = self.state().seen.clone() else { return Age::Nothing };
        match now.boot.nanos.saturating_sub(seen.keys_at) {
            age if age < nanos(KEYS_FRESH) => Age::Fresh(seen),
            age if age < nanos(KEYS_MAX_AGE) => Age::Old(seen),
            _ => Age::Nothing,
        }
    }

    /// Whether what was verified by keys of a generation still counts.
    pub(super) fn vouches(&self, generation: u64, now: Now) -> bool {
        let state = self.state();
        let counts =
            |seen: &Seen| now.boot.nanos.saturating_sub(seen.keys_at) < nanos(KEYS_MAX_AGE);
        state.generation == generation && state.seen.as_ref().is_some_and(counts)
    }

    /// What is known after asking again, if it is time for that; where somebody is asking already, after
    /// they have an answer.
    pub(super) async fn again(self: &Arc<Known>, now: Now) -> Result<Seen, Down> {
        if self.may_ask(now) || self.asking.try_lock().is_err() {
            return self.ask(now).await;
        }
        match self.now(now) {
            Age::Fresh(seen) | Age::Old(seen) => Ok(seen),
            Age::Nothing => self.ask(now).await,
        }
    }

    fn may_ask(&self, now: Now) -> bool {
        self.state().wait(now).is_zero()
    }

    /// Asks, unless that was done a moment ago, and says what is known then.
    pub(super) async fn ask(self: &Arc<Known>, now: Now) -> Result<Seen, Down> {
        let cut_off = || self.down("asking it was cut off", FAILURE_PAUSE);
        match self.begin(now) {
            Some(asked) => asked.await.unwrap_or_else(|_| Err(cut_off())),
            None => Err(self.down("too many wait for its answer", FAILURE_PAUSE)),
        }
    }

    /// Asks in the background, if it is time and nobody does already.
    pub(super) fn ask_aside(self: &Arc<Known>, now: Now) {
        if self.may_ask(now) && self.asking.try_lock().is_ok() {
            // Nobody waits for it.
            let _asked = self.begin(now);
        }
    }

    /// Asks by a task of its own: a caller who hangs up would otherwise stop it, and who does so each time
    /// would keep everybody from learning of new keys. Nothing where as many wait as may.
    fn begin(self: &Arc<Known>, now: Now) -> Option<JoinHandle<Result<Seen, Down>>> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().ok()?;
        let known = Arc::clone(self);
        Some(tokio::spawn(async move {
            let _place = place;
            known.ask_one_at_a_time(now).await
        }))
    }

    async fn ask_one_at_a_time(&self, now: Now) -> Result<Seen, Down> {
        let _asking = self.asking.lock().await;
        // Whoever asked while we waited asked for us too.
        let wait = self.state().wait(now);
        if !wait.is_zero() {
            return match self.now(now) {
                Age::Fresh(seen) | Age::Old(seen) => Ok(seen),
                Age::Nothing => {
                    let why = self.state().why.clone();
                    Err(self.down(&why, wait))
                }
            };
        }
        self.change().asked = Some(now.boot.nanos);
        let taken = Stopwatch::start();
        match self.look(now).await {
            Ok(seen) => Ok(self.learned(seen)),
            Err(why) => Err(self.failed(why, now, taken.elapsed())),
        }
    }

    /// Asks where its ends are, if that was long ago, and which keys it has.
    async fn look(&self, now: Now) -> Result<Seen, String> {
        let fresh = |at: u64| now.boot.nanos.saturating_sub(at) < nanos(DISCOVERY_FRESH);
        let earlier = self.state().seen.clone().filter(|seen| seen.discovered.is_some_and(fresh));
        let (discovery, discovered) = match earlier {
            Some(seen) => (seen.discovery, seen.discovered),
            None => (Arc::new(self.discover().await?), Some(now.boot.nanos)),
        };
        let answer = self.get(&discovery.keys, "its keys").await?;
        let keys = KeySet::read(&answer.body).map_err(|error| error.to_string())?;
        let keys_at = now.boot.nanos;
        Ok(Seen { discovery, keys: Arc::new(keys), generation: 0, discovered, keys_at })
    }

    async fn discover(&self) -> Result<Discovery, String> {
        let place = Discovery::place(&self.issuer);
        let place = HttpsUrl::parse(&place).map_err(|error| error.to_string())?;
        let answer = self.get(&place, "what it says about itself").await?;
        Discovery::read(&answer.body, &self.issuer).map_err(|error| error.to_string())
    }

    async fn get(&self, url: &HttpsUrl, what: &str) -> Result<Answer, String> {
        let answer = self.outgoing.make(Call::get(url)).await;
        let answer = answer.map_err(|error| format!("{what}: {error}"))?;
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("{what}: the answer's status is {status}")),
        }
    }

    fn learned(&self, mut seen: Seen) -> Seen {
        let mut state = self.change();
        let keeps = |earlier: &Seen| seen.keys.keeps_all_of(&earlier.keys);
        if !state.seen.as_ref().is_some_and(keeps) {
            state.generation = state.generation.saturating_add(1);
        }
        seen.generation = state.generation;
        state.seen = Some(seen.clone());
        if state.failures > 0 {
            tracing::info!(provider = &*self.name, "the provider answers again");
        }
        state.failures = 0;
        state.why.clear();
        seen
    }

    fn failed(&self, why: String, now: Now, taken: Duration) -> Down {
        let wait = {
            let mut state = self.change();
            // Where its ends are may be what is wrong.
            if let Some(seen) = &mut state.seen {
                seen.discovered = None;
            }
            state.failures = state.failures.saturating_add(1);
            // The pause begins now. Else, of one that is slow to fail, it would be over before it began, and
            // callers would wait for one failure after the other.
            state.asked = Some(now.boot.nanos.saturating_add(nanos(taken)));
            state.why.clone_from(&why);
            state.wait(now)
        };
        tracing::warn!(provider = &*self.name, why, "the provider cannot be asked");
        self.down(&why, wait)
    }

    fn down(&self, why: &str, wait: Duration) -> Down {
        Down { provider: Arc::clone(&self.name), why: why.to_owned(), wait }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long it is not asked any more.
    fn wait(&self, now: Now) -> Duration {
        let Some(asked) = self.asked else { return Duration::ZERO };
        let pause = match self.failures {
            0 => UNKNOWN_KEY_PAUSE,
            failures => FAILURE_PAUSE
                .saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX))
                .min(FAILURE_PAUSE_MAX),
        };
        pause.saturating_sub(Duration::from_nanos(now.boot.nanos.saturating_sub(asked)))
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
