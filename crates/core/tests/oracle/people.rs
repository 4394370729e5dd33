//! Who may have what? (P8, P14)

use std::collections::{BTreeMap, BTreeSet};

use hourgate_core::{
    id::{PolicyId, VmId},
    role::{
        built_in::{JIT_REQUESTER, OWNER, READER},
        change::DirectoryCommand,
        principal::PrincipalKind,
    },
    time::Now,
};
use uuid::Uuid;

use super::{Kinds, Oracle, wall};

/// The one subscription that there is.
pub const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";

/// Everybody, and what they were given.
#[derive(Clone, Debug, Default)]
pub struct People {
    pub known: BTreeMap<Uuid, Known>,
    pub given: BTreeMap<Uuid, Given>,
    /// The one role that people make, and whether it lets somebody ask; it always lets them see.
    pub own_role: Option<(Uuid, bool)>,
}

#[derive(Clone, Debug)]
pub struct Known {
    pub disabled: bool,
    pub kind: PrincipalKind,
    pub in_groups: BTreeSet<Uuid>,
    /// Whether they are whom the first start made.
    pub first: bool,
}

#[derive(Clone, Debug)]
pub struct Given {
    pub at: String,
    pub role: Uuid,
    pub who: Uuid,
    /// Wall end, boot and boot end.
    pub until: Option<(i128, Uuid, i128)>,
}

impl Given {
    fn is_over(&self, now: Now) -> bool {
        self.until.is_some_and(|(end, boot, boot_end)| {
            end <= wall(now) || boot == now.boot.boot && boot_end <= i128::from(now.boot.nanos)
        })
    }
}

/// What somebody can do with a role.
#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Ask,
    See,
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
}

fn lies_in(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (parts(inner), parts(outer));
    inner.len() >= outer.len() && inner[..outer.len()] == outer[..]
}

impl People {
    fn can(&self, role: Uuid, verb: Verb) -> bool {
        let own = self.own_role.filter(|(id, _)| *id == role);
        match verb {
            Verb::Ask => {
                role == OWNER || role == JIT_REQUESTER || own.is_some_and(|(_, asks)| asks)
            }
            Verb::See => role == OWNER || role == JIT_REQUESTER || role == READER || own.is_some(),
        }
    }

    fn may(&self, who: Uuid, verb: Verb, path: &str, now: Now) -> bool {
        let Some(person) = self.known.get(&who) else { return false };
        let counts = |group: &Uuid| self.known.get(group).is_some_and(|group| !group.disabled);
        !person.disabled
            && self.given.values().any(|given| {
                (given.who == who || person.in_groups.contains(&given.who) && counts(&given.who))
                    && !given.is_over(now)
                    && self.can(given.role, verb)
                    && lies_in(path, &given.at)
            })
    }

    pub fn may_ask(&self, who: Uuid, policy: &PolicyId, vms: &[&VmId], now: Now) -> bool {
        let asks = |path: String| self.may(who, Verb::Ask, &path, now);
        let all = !vms.is_empty() && vms.iter().all(|vm| asks(vm.to_string()));
        (asks(policy.to_string()) || all)
            && vms.iter().all(|vm| self.may(who, Verb::See, &vm.to_string(), now))
    }

    fn has_an_owner(&self) -> bool {
        self.known.iter().any(|(who, person)| {
            let lasts = self.given.values().any(|given| {
                given.who == *who
                    && given.role == OWNER
                    && given.until.is_none()
                    && parts(&given.at) == parts(SUBSCRIPTION)
            });
            let counts = person.first || person.kind == PrincipalKind::User;
            lasts && counts && !person.disabled
        })
    }

    fn with_members(&self, id: Uuid) -> BTreeSet<Uuid> {
        let members = self.known.iter().filter(|(_, person)| person.in_groups.contains(&id));
        members.map(|(who, _)| *who).chain([id]).collect()
    }
}

fn no(kind: &'static str) -> Result<(), Kinds> {
    Err(Kinds::from([kind]))
}

impl Oracle {
    pub(super) fn is_told_of_people(
        &mut self,
        command: &DirectoryCommand,
        now: Now,
    ) -> Result<(), Kinds> {
        let touched = self.touched(command);
        let before = self.people.clone();
        let changed = self.changes_people(command, now);
        let takes = match command {
            DirectoryCommand::SetDisabled { disabled, .. } => *disabled,
            DirectoryCommand::Forget { .. } | DirectoryCommand::Unassign { .. } => true,
            DirectoryCommand::Assign(draft) => draft.until.is_some(),
            _ => false,
        };
        let changed = changed.and_then(|()| {
            if takes && !self.people.has_an_owner() { no("LastOwner") } else { Ok(()) }
        });
        if changed.is_err() {
            self.people = before;
            return changed;
        }
        self.take_from(&touched, now);
        Ok(())
    }

    fn touched(&self, command: &DirectoryCommand) -> BTreeSet<Uuid> {
        let people = &self.people;
        let of_given = |id: &Uuid| match people.given.get(id) {
            Some(given) => people.with_members(given.who),
            None => BTreeSet::new(),
        };
        match command {
            DirectoryCommand::Introduce(said) => BTreeSet::from([said.id]),
            DirectoryCommand::SetDisabled { principal, .. }
            | DirectoryCommand::Forget { principal } => people.with_members(*principal),
            DirectoryCommand::Define(_) | DirectoryCommand::Undefine { .. } => {
                let own = people.own_role.map(|(id, _)| id);
                let given = people.given.values().filter(|given| Some(given.role) == own);
                given.flat_map(|given| people.with_members(given.who)).collect()
            }
            DirectoryCommand::Unassign { assignment } => of_given(assignment),
            DirectoryCommand::Assign(draft) => of_given(&draft.id),
            _ => BTreeSet::new(),
        }
    }

    fn take_from(&mut self, people: &BTreeSet<Uuid>, now: Now) {
        let may = self.people.clone();
        for promise in self.promises.iter_mut().filter(|promise| !promise.is_over()) {
            let who: Uuid = promise.who.0.parse().expect("a principal");
            if people.contains(&who) && !may.may_ask(who, &promise.policy, &[&promise.vm], now) {
                promise.over("lost");
            }
        }
    }

    fn changes_people(&mut self, command: &DirectoryCommand, now: Now) -> Result<(), Kinds> {
        match command {
            DirectoryCommand::Introduce(said) => {
                let known = self.people.known.entry(said.id).or_insert(Known {
                    disabled: false,
                    kind: said.kind,
                    in_groups: BTreeSet::new(),
                    first: said.subject.0 == "administrator",
                });
                if let Some(groups) = &said.groups {
                    known.in_groups.clone_from(groups);
                }
                Ok(())
            }
            DirectoryCommand::SetDisabled { principal, disabled } => {
                match self.people.known.get_mut(principal) {
                    Some(known) => known.disabled = *disabled,
                    None => return no("PrincipalNotFound"),
                }
                Ok(())
            }
            DirectoryCommand::Forget { principal } => {
                self.people.known.remove(principal);
                self.people.given.retain(|_, given| given.who != *principal);
                Ok(())
            }
            DirectoryCommand::Define(draft) => {
                let asks = |action: &&hourgate_core::role::pattern::Pattern| {
                    action.as_str().ends_with("initiate/action")
                };
                let asks = draft.permissions[0].actions.iter().any(|action| asks(&action));
                self.people.own_role = Some((draft.id, asks));
                Ok(())
            }
            DirectoryCommand::Undefine { role } => {
                if self.people.given.values().any(|given| given.role == *role) {
                    return no("RoleIsGiven");
                }
                self.people.own_role = None;
                Ok(())
            }
            DirectoryCommand::Unassign { assignment } => {
                self.people.given.remove(assignment);
                Ok(())
            }
            DirectoryCommand::Assign(draft) => {
                let (at, own) = (draft.scope.to_string(), self.people.own_role.map(|(id, _)| id));
                let built_in = [OWNER, JIT_REQUESTER, READER].contains(&draft.role);
                if !built_in && Some(draft.role) != own {
                    return no("RoleNotFound");
                }
                if !self.people.known.contains_key(&draft.principal) {
                    return no("PrincipalNotFound");
                }
                if !self.is_there(&at) {
                    return no("ScopeNotFound");
                }
                if !built_in && parts(&at).len() < 4 {
                    return no("RoleNotAssignable");
                }
                let end = draft.until.map(|until| until.as_nanosecond());
                if end.is_some_and(|end| end <= wall(now)) {
                    return no("EndsInThePast");
                }
                let same = |given: &Given| {
                    parts(&given.at) == parts(&at)
                        && given.role == draft.role
                        && given.who == draft.principal
                };
                let stands = self.people.given.get(&draft.id);
                match stands {
                    Some(stands) if !same(stands) => return no("AssignmentIsFixed"),
                    None if self.people.given.values().any(same) => {
                        return no("AssignmentExists");
                    }
                    Some(_) | None => {}
                }
                let until = match stands.and_then(|stands| stands.until) {
                    Some(until) if Some(until.0) == end => Some(until),
                    _ => end.map(|end| {
                        let boot_end = i128::from(now.boot.nanos) + end - wall(now);
                        (end, now.boot.boot, boot_end)
                    }),
                };
                let (role, who) = (draft.role, draft.principal);
                self.people.given.insert(draft.id, Given { at, role, who, until });
                Ok(())
            }
            other => panic!("a random life does not bring {other:?}"),
        }
    }

    /// Whether there is anything at a path.
    fn is_there(&self, path: &str) -> bool {
        let same = |other: String| parts(&other) == parts(path);
        parts(path) == parts(SUBSCRIPTION)
            || same(format!("{SUBSCRIPTION}/resourceGroups/g")) && !self.machines.is_empty()
            || self.machines.keys().any(|vm| same(vm.to_string()))
            || self.policies.keys().any(|policy| same(policy.to_string()))
    }

    /// What was given at what is gone goes too.
    pub(super) fn clears_up(&mut self) {
        let gone: Vec<Uuid> = self
            .people
            .given
            .iter()
            .filter(|(_, given)| !self.is_there(&given.at))
            .map(|(id, _)| *id)
            .collect();
        gone.iter().for_each(|id| drop(self.people.given.remove(id)));
    }

    /// Roles whose time is over go, with what they let people have; the others get an end on this boot's clock.
    pub(super) fn roles_end(&mut self, now: Now) {
        let over: Vec<Given> =
            self.people.given.values().filter(|given| given.is_over(now)).cloned().collect();
        let touched = over.iter().flat_map(|given| self.people.with_members(given.who)).collect();
        self.people.given.retain(|_, given| !given.is_over(now));
        self.take_from(&touched, now);
        if self.clock_is_behind(now) {
            return;
        }
        for given in self.people.given.values_mut() {
            if let Some((end, boot, boot_end)) = &mut given.until
                && *boot != now.boot.boot
            {
                (*boot, *boot_end) = (now.boot.boot, i128::from(now.boot.nanos) + *end - wall(now));
            }
        }
    }
}
