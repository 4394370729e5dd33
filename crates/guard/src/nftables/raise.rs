//! Builds the whole table anew in one transaction, so that at no instant there is none: at the start, over
//! whatever an older version or a stranger left, and whenever somebody laid hands on it.

use std::{collections::BTreeMap, time::Duration};

use hourgate_core::{
    gateway::Onward,
    network::{Family, Lock, Opening},
    time::{Clock, Now},
};

use super::State;
use crate::{
    floor::Floor,
    mirror::{Mirror, SINGLES, slot},
    netlink::{Element, SetOf, Survey, WireError},
    refusals::ACCESS_MAX,
    remembered::Remembered,
    screened::Change,
    translated::NatMap,
};

/// How much more the kernel may tell of what an element has left than is true: it counts in ticks of its clock, of
/// which there are a hundred a second at least.
const TICK_MAX: Duration = Duration::from_millis(10);
/// How often somebody else may get between before we give up.
const ATTEMPTS_MAX: u32 = 20;

impl State {
    /// Takes up what stands: locks from the kernel and the floor, openings with what they have left. Says
    /// which generation of the rules that made.
    pub(super) async fn adopt(
        &mut self,
        floor: Floor,
        mut remembered: Option<Remembered>,
        clock: &dyn Clock,
    ) -> Result<u32, WireError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.wire.generation().await?;
            // A survey of a hundred thousand openings takes a while, and no restart may lengthen one.
            let read_at = clock.now();
            let survey = self.wire.survey().await?;
            self.mirror = adopted(&floor, survey.as_ref(), read_at);
            if let Some(remembered) = &remembered {
                let locks = &self.mirror.locks;
                let stands = survey.as_ref().map(|survey| survey.points.clone());
                self.mirror.screened = remembered.adopted(&stands.unwrap_or_default(), locks);
            }
            match self.raise(survey.as_ref(), clock.now()).await {
                // Each transaction makes one; with anybody else's beside ours there are more.
                Ok(()) => return Ok(before.wrapping_add(1)),
                Err(WireError::Raced) => {}
                // Locks stand without the rules of before, and a guard that does not start opens nothing.
                Err(error @ (WireError::Refused(_) | WireError::Full)) if remembered.is_some() => {
                    tracing::error!(%error, "the rules of before are not taken up: until the server speaks only locks hold");
                    remembered = None;
                }
                Err(error) => return Err(error),
            }
        }
        Err(WireError::Raced)
    }

    /// Makes the kernel hold what the mirror holds, whatever is there.
    pub(super) async fn restore(&mut self, clock: &dyn Clock) -> Result<(), WireError> {
        for _ in 0..ATTEMPTS_MAX {
            let survey = self.wire.survey().await?;
            match self.raise(survey.as_ref(), clock.now()).await {
                Err(WireError::Raced) => {}
                result => return result,
            }
        }
        Err(WireError::Raced)
    }

    /// Whether the kernel holds something else than the mirror.
    pub(super) fn differs(&self, survey: Option<&Survey>, now: Now) -> bool {
        let Some(survey) = survey else { return true };
        let live = self.mirror.live(now);
        // What ends in this moment may be gone on one side and not yet on the other.
        let standing = live.filter(|(_, left)| left.as_secs() > 0).map(|(opening, _)| opening);
        survey.locks != self.mirror.locks
            || self.rules.as_ref().is_some_and(|rules| survey.rules != *rules)
            || survey.strange > 0
            || survey.points != self.mirror.screened.points()
            || survey.installation != self.mirror.installation
            || self.translates_otherwise(survey, now)
            || survey.openings.keys().any(|opening| !self.mirror.holds(opening))
            || standing.into_iter().any(|opening| !survey.openings.contains_key(&opening))
    }

    /// Whether the kernel translates something else than the mirror says.
    fn translates_otherwise(&self, survey: &Survey, now: Now) -> bool {
        let ours = &self.mirror.translated;
        let strange = survey.translations.iter().any(|(translation, (to, left))| {
            ours.get(translation)
                .is_none_or(|is| is.to != *to || is.until.is_some() != left.is_some())
        });
        // As with openings: what ends in this moment may be gone on one side.
        let standing = ours.live(now).filter(|(.., left)| left.is_none_or(|l| l.as_secs() > 0));
        let missing = standing.into_iter().any(|(t, ..)| !survey.translations.contains_key(&t));
        strange || missing || survey.silent != ours.silent || survey.maps != ours.maps
    }

    async fn raise(&mut self, survey: Option<&Survey>, now: Now) -> Result<(), WireError> {
        let mut batch = self.wire.batch();
        if let Some(survey) = survey {
            batch = batch.at(survey.generation).raze();
        }
        let locks: Vec<_> = self
            .mirror
            .locks
            .iter()
            .map(|(lock, sessions)| lock_element(lock, *sessions))
            .collect();
        let openings: Vec<_> =
            self.mirror.live(now).map(|(opening, left)| Element::opening(&opening, left)).collect();
        let mut batch = batch
            .raise(self.mirror.installation, self.mirror.slots())?
            .make(&self.mirror.screened.everything())?
            .point(&Change::to(self.mirror.screened.points()))?
            .put_new(&locks)
            .put_new(&openings);
        let translated = &self.mirror.translated;
        if translated.raised {
            let translations: Vec<_> = translated
                .live(now)
                .map(|(t, onward, left)| Element::translation(&t, onward.to, left))
                .collect();
            batch = batch
                .translating(translated.maps.iter(), |_| true, false)?
                .silence(&BTreeMap::new(), &translated.silent)
                .put_new(&translations);
        }
        self.wire.commit(batch).await?;
        self.doubtful = false;
        self.rules = Some(self.wire.rules().await?);
        Ok(())
    }
}

/// The element of a lock.
pub(super) fn lock_element(lock: &Lock, sessions: hourgate_core::network::Sessions) -> Element {
    Element::lock(lock, SetOf::Locks(Family::of(lock.address), sessions))
}

/// The mirror of what a start finds, read not before `now`. A lock that either the kernel or the floor has is
/// locked.
fn adopted(floor: &Floor, survey: Option<&Survey>, now: Now) -> Mirror {
    let mut mirror = Mirror::default();
    SINGLES.into_iter().for_each(|slot| mirror.make_slot(slot));
    mirror.installation = floor.installation;
    mirror.locks.clone_from(&floor.locks);
    mirror.translated.silent.clone_from(&floor.silent);
    mirror.translated.raised = !floor.silent.is_empty();
    let Some(survey) = survey else { return mirror };
    mirror.installation = survey.installation.or(floor.installation);
    mirror.locks.extend(survey.locks.iter().map(|(lock, sessions)| (*lock, *sessions)));
    // No access lasts longer, so no element that does is from an honest guard.
    let ends = |left: Duration| now.after(left.saturating_sub(TICK_MAX).min(ACCESS_MAX));
    for (opening, left) in &survey.openings {
        if is_ours(&mirror, opening) {
            mirror.make_slot(slot(opening));
            mirror.hold(*opening, ends(*left), now);
        }
    }
    let translated = &mut mirror.translated;
    translated.silent.extend(&survey.silent);
    for (translation, (to, left)) in &survey.translations {
        translated.maps.insert(NatMap::of(translation, left.is_some()));
        let until = left.map(ends);
        translated.hold(*translation, Onward { to: *to, until }, now);
    }
    translated.raised = !translated.silent.is_empty() || !translated.maps.is_empty();
    mirror
}

/// An opening without a lock means nothing, so a stranger put it there, or an unlock was interrupted.
fn is_ours(mirror: &Mirror, opening: &Opening) -> bool {
    mirror.locks.contains_key(&opening.lock())
}
