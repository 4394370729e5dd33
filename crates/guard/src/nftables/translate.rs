//! Translations: stopped before anything closes behind them, made after everything behind them is open.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    gateway::{Onward, Translation},
    nsg::port::PortRange,
    plan::{OpeningFailure, Plan},
    time::{Clock, Now},
};

use super::{
    Inner, State,
    converge::{BATCH_ELEMENTS_MAX, lasts},
};
use crate::{
    netlink::{Element, WireError},
    refusals::refuse_translation,
    translated::NatMap,
};

/// Translations that could not be made.
pub(super) type Untranslated = BTreeMap<Translation, OpeningFailure>;

impl Inner {
    /// Takes out of the plan what the guard itself does not allow.
    pub(super) fn judge_translations(&self, plan: &mut Plan, refused: &mut Untranslated, now: Now) {
        for part in [&mut plan.translate, &mut plan.divert] {
            part.retain(|translation, onward| {
                let failure = refuse_translation(translation, onward, &self.settings.covers, now);
                failure.is_none_or(|failure| {
                    refused.insert(*translation, failure);
                    false
                })
            });
        }
        // What may not go elsewhere does not go on as it does either.
        plan.stop.extend(refused.keys());
    }

    /// Makes what fits; what the kernel refuses fails alone.
    pub(super) async fn translate(
        &self,
        state: &mut State,
        translate: BTreeMap<Translation, Onward>,
        refused: &mut Untranslated,
    ) -> Result<(), WireError> {
        let mut fits: Vec<(Translation, Onward)> = Vec::with_capacity(translate.len());
        let mut room: BTreeMap<NatMap, usize> = BTreeMap::new();
        for (translation, onward) in translate {
            let map = NatMap::of(&translation, onward.until.is_some());
            let most = self.settings.openings_max;
            let counted = || most.saturating_sub(state.mirror.translated.count(map));
            let free = room.entry(map).or_insert_with(counted);
            if state.mirror.translated.get(&translation).is_none() {
                if *free == 0 {
                    refused.insert(translation, OpeningFailure::Full);
                    continue;
                }
                *free -= 1;
            }
            fits.push((translation, onward));
        }
        for part in fits.chunks(BATCH_ELEMENTS_MAX) {
            match state.replace(part, &*self.clock).await {
                Ok(()) => {}
                Err(WireError::Full | WireError::Refused(_)) => {
                    for one in part {
                        let alone = state.replace(std::slice::from_ref(one), &*self.clock).await;
                        match alone {
                            Ok(()) => {}
                            Err(error @ (WireError::Full | WireError::Refused(_))) => {
                                refused.insert(one.0, error.failure());
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl State {
    /// Takes translations away, whether or not the kernel did so already, and lets others end earlier or go
    /// elsewhere.
    pub(super) async fn stop(
        &mut self,
        stop: BTreeSet<Translation>,
        divert: BTreeMap<Translation, Onward>,
        clock: &dyn Clock,
    ) -> Result<(), WireError> {
        let now = clock.now();
        let over = |onward: &Onward| onward.until.is_some_and(|until| lasts(&until, now).is_none());
        let (ended, diverted): (Vec<_>, Vec<_>) =
            divert.into_iter().partition(|(_, onward)| over(onward));
        let all: Vec<_> = stop.into_iter().chain(ended.into_iter().map(|(t, _)| t)).collect();
        for part in all.chunks(BATCH_ELEMENTS_MAX) {
            let elements: Vec<_> = part.iter().filter_map(|t| self.standing(t)).collect();
            if self.wire.features.destroy {
                self.wire.commit(self.wire.batch().take(&elements)).await?;
            } else {
                self.close_each(elements).await?;
            }
            part.iter().for_each(|translation| self.mirror.translated.forget(translation));
        }
        for part in diverted.chunks(BATCH_ELEMENTS_MAX) {
            self.replace(part, clock).await?;
        }
        Ok(())
    }

    /// Makes translations, or lets them go on elsewhere or end at another time, without a moment in which
    /// they are neither as before nor as told.
    async fn replace(
        &mut self,
        part: &[(Translation, Onward)],
        clock: &dyn Clock,
    ) -> Result<(), WireError> {
        let of = |(translation, onward): &(Translation, Onward)| {
            NatMap::of(translation, onward.until.is_some())
        };
        self.make_maps(part.iter().map(of).collect()).await?;
        // Read only now: making a map took its time.
        let now = clock.now();
        let new: Vec<_> = part.iter().filter_map(|(t, onward)| timed(t, onward, now)).collect();
        let old: Vec<_> = part.iter().filter_map(|(t, _)| self.standing(t)).collect();
        match self.wire.commit(self.wire.batch().take(&old).put_new(&new)).await {
            // What stood is over meanwhile, and before 6.3 that fails the batch.
            Err(error) if error.is_gone() && !self.wire.features.destroy => {
                self.close_each(old).await?;
                self.wire.commit(self.wire.batch().put_new(&new)).await?;
            }
            result => result?,
        }
        for (translation, onward) in part {
            self.mirror.translated.hold(*translation, *onward, now);
        }
        Ok(())
    }

    /// Makes the maps that the kernel has not yet, and the chains that ask them.
    async fn make_maps(&mut self, maps: BTreeSet<NatMap>) -> Result<(), WireError> {
        let translated = &self.mirror.translated;
        let new = |map: &NatMap| !translated.maps.contains(map);
        if translated.raised && !maps.iter().any(new) {
            return Ok(());
        }
        let all: BTreeSet<NatMap> = translated.maps.union(&maps).copied().collect();
        let batch = self.wire.batch().translating(all.iter(), new, translated.raised)?;
        self.wire.commit(batch).await?;
        self.mirror.translated.maps = all;
        self.mirror.translated.raised = true;
        if self.rules.is_some() {
            self.rules = Some(self.wire.rules().await?);
        }
        Ok(())
    }

    /// Changes which ports of public addresses do not answer.
    pub(super) async fn silence(
        &mut self,
        silence: &BTreeMap<IpAddr, Option<PortRange>>,
    ) -> Result<(), WireError> {
        if silence.is_empty() {
            return Ok(());
        }
        self.make_maps(BTreeSet::new()).await?;
        let silent = &self.mirror.translated.silent;
        let is = silence.keys().filter_map(|at| Some((*at, *silent.get(at)?))).collect();
        let shall = silence.iter().filter_map(|(at, ports)| Some((*at, (*ports)?))).collect();
        self.wire.commit(self.wire.batch().silence(&is, &shall)).await?;
        let silent = &mut self.mirror.translated.silent;
        silent.retain(|at, _| !silence.contains_key(at));
        silent.extend(shall);
        Ok(())
    }

    /// The element that a translation has where it stands.
    fn standing(&self, translation: &Translation) -> Option<Element> {
        let onward = self.mirror.translated.get(translation)?;
        let lasts = onward.until.map(|_| Duration::ZERO);
        Some(Element::translation(translation, onward.to, lasts))
    }
}

/// The element of a translation with what it has left now; none where nothing is.
fn timed(translation: &Translation, onward: &Onward, now: Now) -> Option<Element> {
    let left = match onward.until {
        Some(until) => Some(lasts(&until, now)?),
        None => None,
    };
    Some(Element::translation(translation, onward.to, left))
}
