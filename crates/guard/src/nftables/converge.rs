//! Makes a statement true: closes first and alone, then locks, standing exceptions and screens in one
//! transaction, then opens, then unlocks. What public addresses lead to (`translate`) stops before it closes and
//! leads there only once it is open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    network::{Lock, Opening, Sessions},
    plan::{Desired, Observed, OpeningFailure, Plan, plan},
    time::{Clock, Deadline, Now},
};
use hourgate_enforce::guard::GuardError;

use super::{Inner, State, failed, raise::lock_element, translate::Untranslated};
use crate::{
    mirror::{Slot, slot},
    netlink::{Element, WireError},
    refusals::{refuse, refuse_opening},
};

/// How many elements one transaction holds: a hundred thousand are opened in pieces, and other commits
/// get their turn between.
pub(super) const BATCH_ELEMENTS_MAX: usize = 4096;

/// Openings that could not be made.
type Failed = BTreeMap<Opening, OpeningFailure>;

impl Inner {
    pub(super) async fn converge(
        self: Arc<Self>,
        desired: Arc<Desired>,
    ) -> Result<Observed, GuardError> {
        if let Some(reason) = refuse(&desired, &self.settings.covers) {
            return Err(GuardError::Refused(reason));
        }
        let mut state = self.state.lock().await;
        if state.doubtful {
            state.restore(&*self.clock).await.map_err(failed)?;
        }
        let now = self.clock.now();
        let before = state.mirror.observed(&desired.coverage, now);
        let mut plan = plan(&desired, &before);
        let (mut refused, mut untranslated) = (Failed::new(), Untranslated::new());
        self.judge(&state, &desired, &mut plan, &mut refused, now);
        self.judge_translations(&mut plan, &mut untranslated, now);
        if plan.is_empty() {
            return Ok(Observed { failed: refused, untranslated, ..before });
        }
        let rescreened = !plan.stand.is_empty() || !plan.screen.is_empty();
        let relocked = !plan.lock.is_empty() || !plan.unlock.is_empty() || !plan.silence.is_empty();
        let silenced = silenced(&state, &plan);
        let carried = self.carry_out(&mut state, plan, &mut refused, &mut untranslated).await;
        if carried.is_err() {
            // Which part was carried out is not known: what stands is compared with what must.
            state.doubtful = true;
        }
        let observed = state.mirror.observed(&desired.coverage, self.clock.now());
        drop(state);
        self.deadlines.notify_one();
        Arc::clone(&self).end_sessions(silenced);
        if relocked {
            self.write_floor().await;
        }
        if rescreened {
            self.write_screens().await;
        }
        carried.map_err(failed)?;
        Ok(Observed { failed: refused, untranslated, ..observed })
    }

    /// Takes out of the plan what the guard itself does not allow.
    fn judge(
        &self,
        state: &State,
        desired: &Desired,
        plan: &mut Plan,
        refused: &mut Failed,
        now: Now,
    ) {
        for opening in plan.unlock.iter().flat_map(|lock| state.mirror.through(*lock)) {
            // Without its lock an opening means nothing; it must not wake up with a later lock.
            plan.close.insert(opening);
            if desired.openings.contains_key(&opening) {
                refused.insert(opening, OpeningFailure::NotLocked);
            }
        }
        for opening in &plan.close {
            plan.shorten.remove(opening);
            plan.open.remove(opening);
        }
        plan.open.retain(|opening, until| {
            let lock = opening.lock();
            let locked = (state.mirror.locks.contains_key(&lock) || plan.lock.contains_key(&lock))
                && !plan.unlock.contains(&lock);
            let failure = refuse_opening(opening, until, &self.settings.covers, now)
                .or((!locked).then_some(OpeningFailure::NotLocked));
            failure.is_none_or(|failure| {
                refused.insert(*opening, failure);
                false
            })
        });
    }

    async fn carry_out(
        &self,
        state: &mut State,
        mut plan: Plan,
        refused: &mut Failed,
        untranslated: &mut Untranslated,
    ) -> Result<(), WireError> {
        let (close, shorten) = (std::mem::take(&mut plan.close), std::mem::take(&mut plan.shorten));
        let (stop, divert) = (std::mem::take(&mut plan.stop), std::mem::take(&mut plan.divert));
        // What lies outside closes first; where it cannot be closed, what lies inside closes all the same.
        let stopped = state.stop(stop, divert, &*self.clock).await;
        self.close(state, close, shorten).await?;
        stopped?;
        self.change(state, &plan).await?;
        state.silence(&plan.silence).await?;
        self.open(state, plan.open, refused).await?;
        self.translate(state, plan.translate, untranslated).await?;
        let unlocked: Vec<_> = plan
            .unlock
            .iter()
            .filter_map(|lock| Some(lock_element(lock, *state.mirror.locks.get(lock)?)))
            .collect();
        if !unlocked.is_empty() {
            state.wire.commit(state.wire.batch().take(&unlocked)).await?;
            state.mirror.locks.retain(|lock, _| !plan.unlock.contains(lock));
        }
        Ok(())
    }

    /// Closes and shortens, before anything else and in transactions of their own.
    async fn close(
        &self,
        state: &mut State,
        mut close: BTreeSet<Opening>,
        shorten: BTreeMap<Opening, Deadline>,
    ) -> Result<(), WireError> {
        let now = self.clock.now();
        let (over, shorter): (Vec<_>, Vec<_>) =
            shorten.into_iter().partition(|(_, until)| lasts(until, now).is_none());
        close.extend(over.into_iter().map(|(opening, _)| opening));
        state.close(close).await?;
        for part in shorter.chunks(BATCH_ELEMENTS_MAX) {
            let now = self.clock.now();
            state.commit_put(&timed(part, now)).await?;
            for (opening, until) in part {
                state.mirror.hold(*opening, *until, now);
            }
        }
        Ok(())
    }

    /// Sets locks and what passes them, and sends flows to other chains: all in one transaction, so that no
    /// flow meets the one without the other.
    async fn change(&self, state: &mut State, plan: &Plan) -> Result<(), WireError> {
        let mut next = state.mirror.screened.clone();
        let change = next.change(plan);
        if plan.lock.is_empty() && change.is_empty() {
            return Ok(());
        }
        let standing = |lock| state.mirror.locks.get(lock);
        let old: Vec<_> = plan
            .lock
            .keys()
            .filter_map(|lock| standing(lock).map(|sessions| lock_element(lock, *sessions)))
            .collect();
        let new: Vec<_> =
            plan.lock.iter().map(|(lock, sessions)| lock_element(lock, *sessions)).collect();
        let locks = || state.wire.batch().take(&old).put_new(&new);
        let all = locks().make(&change.made)?.point(&change)?.unmake(&change.gone)?;
        match state.wire.commit(all).await {
            Ok(()) => {}
            // Whatever the kernel has against the rules, what must be closed is closed.
            Err(error @ (WireError::Refused(_) | WireError::Full)) if !plan.lock.is_empty() => {
                state.wire.commit(locks()).await?;
                state.mirror.locks.extend(&plan.lock);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        state.mirror.locks.extend(&plan.lock);
        state.mirror.screened = next;
        if !change.is_empty() {
            state.rules = None;
        }
        Ok(())
    }

    /// Opens what fits; what the kernel refuses is searched for by halving, and it alone fails.
    async fn open(
        &self,
        state: &mut State,
        open: BTreeMap<Opening, Deadline>,
        refused: &mut Failed,
    ) -> Result<(), WireError> {
        let mut room: BTreeMap<Slot, usize> = BTreeMap::new();
        let mut waiting: Vec<Vec<(Opening, Deadline)>> = vec![Vec::new()];
        for (opening, until) in open {
            let slot = slot(&opening);
            let free = room.entry(slot).or_insert_with(|| {
                self.settings.openings_max.saturating_sub(state.mirror.count(slot))
            });
            if !state.mirror.holds(&opening) {
                if *free == 0 {
                    refused.insert(opening, OpeningFailure::Full);
                    continue;
                }
                *free -= 1;
            }
            if let Some(last) = waiting.last_mut() {
                last.push((opening, until));
                if last.len() >= BATCH_ELEMENTS_MAX {
                    waiting.push(Vec::new());
                }
            }
        }
        while let Some(mut part) = waiting.pop() {
            let now = self.clock.now();
            part.retain(|(_, until)| lasts(until, now).is_some());
            if part.is_empty() {
                continue;
            }
            match state.put_openings(&part, &*self.clock).await {
                Ok(()) => {}
                Err(error @ (WireError::Owned | WireError::NotPermitted(_) | WireError::Raced)) => {
                    return Err(error);
                }
                Err(error @ (WireError::Full | WireError::Refused(_))) if part.len() == 1 => {
                    let failure = error.failure();
                    refused.extend(part.into_iter().map(|(opening, _)| (opening, failure.clone())));
                }
                Err(WireError::Full | WireError::Refused(_)) => {
                    let other = part.split_off(part.len() / 2);
                    waiting.extend([other, part]);
                }
            }
        }
        Ok(())
    }
}

impl WireError {
    /// What it means for the one opening that met it.
    pub(super) fn failure(&self) -> OpeningFailure {
        match self {
            WireError::Full => OpeningFailure::Full,
            WireError::Refused(_)
            | WireError::Raced
            | WireError::Owned
            | WireError::NotPermitted(_) => OpeningFailure::Rejected(self.to_string()),
        }
    }
}

impl State {
    /// Takes openings away, whether or not the kernel did so already.
    pub(super) async fn close(&mut self, close: BTreeSet<Opening>) -> Result<(), WireError> {
        let close: Vec<_> = close.into_iter().collect();
        for part in close.chunks(BATCH_ELEMENTS_MAX) {
            let elements: Vec<_> =
                part.iter().map(|opening| Element::opening(opening, Duration::ZERO)).collect();
            if self.wire.features.destroy {
                self.wire.commit(self.wire.batch().take(&elements)).await?;
            } else {
                self.close_each(elements).await?;
            }
            for opening in part {
                self.mirror.forget(opening);
            }
        }
        Ok(())
    }

    /// Where what is gone already fails a batch, one must not keep another open.
    pub(super) async fn close_each(&self, elements: Vec<Element>) -> Result<(), WireError> {
        if self.wire.commit(self.wire.batch().take(&elements)).await.is_ok() {
            return Ok(());
        }
        for element in elements {
            match self.wire.commit(self.wire.batch().take(&[element])).await {
                Ok(()) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn put_openings(
        &mut self,
        part: &[(Opening, Deadline)],
        clock: &dyn Clock,
    ) -> Result<(), WireError> {
        let new: BTreeSet<Slot> = part
            .iter()
            .map(|(opening, _)| slot(opening))
            .filter(|slot| !self.mirror.has_slot(*slot))
            .collect();
        if !new.is_empty() {
            let slots = new.iter();
            let batch = slots.copied().try_fold(self.wire.batch(), |batch, slot| batch.slot(slot));
            self.wire.commit(batch?).await?;
            for slot in new {
                self.mirror.make_slot(slot);
            }
            if self.rules.is_some() {
                self.rules = Some(self.wire.rules().await?);
            }
        }
        // Read only now: making a set took its time.
        let now = clock.now();
        self.commit_put(&timed(part, now)).await?;
        for (opening, until) in part {
            self.mirror.hold(*opening, *until, now);
        }
        Ok(())
    }

    /// Puts elements in or changes their ends.
    async fn commit_put(&self, elements: &[Element]) -> Result<(), WireError> {
        if self.wire.features.update_timeout {
            return self.wire.commit(self.wire.batch().put_new(elements)).await;
        }
        // Before 6.12 an element must go to come back with another end: in one batch, without a gap.
        match self.wire.commit(self.wire.batch().put(elements)).await {
            Err(error) if error.is_gone() => {
                self.wire.commit(self.wire.batch().put_new(elements)).await
            }
            result => result,
        }
    }
}

/// What is left of a deadline in whole milliseconds; none where nothing is.
pub(super) fn lasts(until: &Deadline, now: Now) -> Option<Duration> {
    let left = until.remaining(now);
    (left.as_millis() > 0).then_some(left)
}

/// The elements of openings, with what they have left now.
fn timed(openings: &[(Opening, Deadline)], now: Now) -> Vec<Element> {
    openings
        .iter()
        .filter_map(|(opening, until)| Some(Element::opening(opening, lasts(until, now)?)))
        .collect()
}

/// The locks at which sessions may have to end once the plan is carried out.
fn silenced(state: &State, plan: &Plan) -> BTreeSet<Lock> {
    let ends = |lock: &Lock| {
        let sessions = plan.lock.get(lock).or_else(|| state.mirror.locks.get(lock));
        sessions == Some(&Sessions::EndWithAccess) && !plan.unlock.contains(lock)
    };
    let closed = plan.close.iter().chain(plan.shorten.keys()).map(Opening::lock);
    closed.chain(plan.lock.keys().chain(plan.stand.keys()).copied()).filter(ends).collect()
}
