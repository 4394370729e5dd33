//! Must this policy be refused, and what does its change do to the promises under it? (P1, P2, P8, P25)

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use hourgate_core::{
    command::{PolicyDraft, PortDraft, Precondition, Sent},
    id::{PolicyId, VmId},
    policy::OtherAddresses,
    time::Now,
};
use uuid::Uuid;

use super::{
    Kinds, Life, Oracle, Rule, Rulebook, SECOND, SERVER,
    span::{covers, spans},
    wall,
};

fn stands(only_if: Precondition, version: Option<u64>) -> Result<(), Kinds> {
    let ok = match only_if {
        Precondition::None => true,
        Precondition::Exists => version.is_some(),
        Precondition::Absent => version.is_none(),
        Precondition::Version(wanted) => version == Some(wanted),
        // Of resources alone, which have an oracle of their own.
        Precondition::Making { .. } => false,
    };
    if ok { Ok(()) } else { Err(Kinds::from(["PreconditionFailed"])) }
}

fn kept<T: Clone>(sent: &Sent<T>, stored: Option<T>, default: T) -> T {
    match sent {
        Sent::Omitted => stored.unwrap_or(default),
        Sent::Cleared => default,
        Sent::Value(value) => value.clone(),
    }
}

impl Oracle {
    pub(super) fn sets(
        &mut self,
        draft: &PolicyDraft,
        only_if: Precondition,
        confirm_within: Option<Duration>,
        now: Now,
    ) -> Result<(), Kinds> {
        let stored = self.policies.get(&draft.id).cloned();
        stands(only_if, stored.as_ref().map(|book| book.version))?;
        let mut kinds = Kinds::new();
        if stored.as_ref().is_some_and(|book| book.pending.is_some()) {
            kinds.insert("ConfirmationPending");
        }
        let rules = self.rules_of(draft, stored.as_ref(), &mut kinds);
        if let Some(within) = confirm_within {
            if !(1..=3_600).contains(&within.as_secs()) || within > Duration::from_secs(3_600) {
                kinds.insert("ConfirmWithinOutOfBounds");
            }
        } else {
            let server: IpAddr = SERVER.parse().expect("an address");
            let locked = self.locks();
            let new = self.locks_of(&rules);
            if new.iter().any(|lock| lock.0 == server && !locked.contains(lock)) {
                kinds.insert("ConfirmationNeeded");
            }
        }
        if !kinds.is_empty() {
            return Err(kinds);
        }
        let (version, before) = match &stored {
            Some(book) => (book.version, Some(book.rules.clone())),
            None => (0, None),
        };
        let unchanged = before.as_ref() == Some(&rules)
            && stored.as_ref().is_some_and(|book| book.kind == draft.kind);
        if unchanged && confirm_within.is_none() {
            return Ok(());
        }
        let pending = confirm_within.map(|within| {
            let length = within.as_nanos() as i128;
            let boot_end = i128::from(now.boot.nanos) + length;
            (wall(now) + length, now.boot.boot, boot_end, before)
        });
        let book = Rulebook { version: version + 1, kind: draft.kind.clone(), rules, pending };
        self.changes(&draft.id, Some(book), now);
        Ok(())
    }

    fn rules_of(
        &self,
        draft: &PolicyDraft,
        stored: Option<&Rulebook>,
        kinds: &mut Kinds,
    ) -> Vec<Rule> {
        if draft.vms.is_empty() {
            kinds.insert("NoVms");
        }
        let mut rules: Vec<Rule> = Vec::new();
        let mut seen: BTreeSet<&VmId> = BTreeSet::new();
        for (place, sent) in draft.vms.iter().enumerate() {
            let Some(machine) = self.machines.get(&sent.vm) else {
                kinds.insert("VmNotFound");
                continue;
            };
            if !seen.insert(&sent.vm) {
                kinds.insert("VmTwice");
            }
            if sent.ports.is_empty() {
                kinds.insert("NoPorts");
            }
            for (n, port) in sent.ports.iter().enumerate() {
                if sent.ports[..n].iter().any(|other| other.port == port.port) {
                    kinds.insert("PortTwice");
                }
                let longest = port.longest.as_nanos() as i128;
                if !(3_600 * SECOND..=24 * 3_600 * SECOND).contains(&longest) {
                    kinds.insert("LongestOutOfBounds");
                }
                if self.holds(&sent.vm, port, Some(&draft.id)) {
                    kinds.insert("PortInOtherPolicy");
                }
                let old = stored.and_then(|book| {
                    book.rules.iter().find(|rule| {
                        rule.vm == sent.vm && rule.born == machine.born && rule.port == port.port
                    })
                });
                rules.push(new_rule(&sent.vm, machine.born, (place, n), port, old));
            }
        }
        rules
    }

    fn holds(&self, vm: &VmId, port: &PortDraft, but: Option<&PolicyId>) -> bool {
        self.policies
            .iter()
            .filter(|(id, _)| Some(*id) != but)
            .any(|(_, book)| book.rules.iter().any(|rule| rule.vm == *vm && rule.port == port.port))
    }

    pub(super) fn removes(
        &mut self,
        id: &PolicyId,
        only_if: Precondition,
        now: Now,
    ) -> Result<(), Kinds> {
        stands(only_if, self.policies.get(id).map(|book| book.version))?;
        if !self.policies.contains_key(id) {
            return Err(Kinds::from(["PolicyNotFound"]));
        }
        self.changes(id, None, now);
        Ok(())
    }

    /// What nobody confirmed in time goes back, as far as it still can.
    pub(super) fn goes_back(&mut self, now: Now) {
        for (id, book) in self.policies.clone() {
            let Some((end, boot, boot_end, before)) = book.pending else { continue };
            let over =
                end <= wall(now) || boot == now.boot.boot && boot_end <= i128::from(now.boot.nanos);
            if !over {
                continue;
            }
            let rules: Vec<Rule> = before
                .into_iter()
                .flatten()
                .filter(|rule| {
                    self.machines.get(&rule.vm).is_some_and(|machine| machine.born == rule.born)
                        && !self.policies.iter().any(|(other, book)| {
                            *other != id
                                && book.rules.iter().any(|r| r.vm == rule.vm && r.port == rule.port)
                        })
                })
                .collect();
            let back =
                Rulebook { version: book.version + 1, kind: book.kind, rules, pending: None };
            self.changes(&id, (!back.rules.is_empty()).then_some(back), now);
        }
    }

    fn changes(&mut self, id: &PolicyId, book: Option<Rulebook>, now: Now) {
        let old = self.policies.remove(id).map(|book| book.rules).unwrap_or_default();
        self.given_back.extend(self.locks_of(&old));
        let rules = book.as_ref().map(|book| book.rules.clone()).unwrap_or_default();
        if let Some(book) = book {
            self.policies.insert(id.clone(), book);
        }
        for lock in self.locks_of(&rules) {
            self.given_back.remove(&lock);
        }
        for promise in self.promises.iter_mut().filter(|promise| promise.policy == *id) {
            if promise.is_over() {
                continue;
            }
            let rule = rules.iter().find(|rule| {
                rule.vm == promise.vm && rule.born == promise.born && rule.port == promise.port
            });
            let covering = rule.filter(|rule| {
                let from: Vec<_> = rule.from.iter().flat_map(|source| spans(*source)).collect();
                spans(promise.source).iter().all(|span| covers(&from, *span))
            });
            let Some(rule) = covering else {
                promise.over("withdrawn");
                continue;
            };
            if let Life::Runs { since, wall: end, nanos, .. } = &mut promise.life {
                let too_long = (*end - *since - rule.longest).max(0);
                *end -= too_long;
                *nanos -= too_long;
            }
            if promise.left(now) == Some(0) {
                promise.over("withdrawn");
            }
        }
    }
}

fn new_rule(
    vm: &VmId,
    born: Uuid,
    place: (usize, usize),
    sent: &PortDraft,
    old: Option<&Rule>,
) -> Rule {
    let widest = match sent.widest_unapproved {
        Sent::Omitted => old.map_or((24, 48), |old| old.widest),
        Sent::Cleared => (24, 48),
        Sent::Value(widest) => (widest.ipv4, widest.ipv6),
    };
    let others = match sent.other_addresses {
        Sent::Omitted => old.is_some_and(|old| old.others),
        Sent::Cleared | Sent::Value(OtherAddresses::Approval) => false,
        Sent::Value(OtherAddresses::Allowed) => true,
    };
    Rule {
        vm: vm.clone(),
        born,
        port: sent.port,
        place,
        from: sent.allowed.sources().to_vec(),
        longest: sent.longest.as_nanos() as i128,
        widest,
        others,
        ends: kept(&sent.end_sessions, old.map(|old| old.ends), false),
    }
}
