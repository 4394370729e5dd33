//! What somebody may do, where: the roles that count for them at one moment.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Action, Directory, Scope,
    assignment::Assignment,
    definition::Definition,
    principal::{Membership, Principal, PrincipalId},
};
use crate::{
    id::{PolicyId, VmId},
    policy::Settings,
    time::{Now, Timestamp, distance},
};

/// The roles that count for somebody at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    rights: Vec<Right>,
    /// The most that whoever vouches for them can give.
    highest: Option<Arc<Definition>>,
}

/// A role that counts at a scope and below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// As it was given.
    pub assignment: Arc<Assignment>,
    /// What it allows.
    pub role: Arc<Definition>,
}

/// Which word about somebody's groups counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Only one that is fresh enough by the settings: for whoever asks for something new.
    Fresh,
    /// The last one: for what was given and runs. That nobody has spoken of a group for an hour does not
    /// mean that somebody left it.
    Last,
}

impl Rights {
    /// Those of a principal. Nobody has any who is not known, or disabled.
    pub fn of(
        directory: &Directory,
        settings: &Settings,
        principal: PrincipalId,
        groups: Groups,
        now: Now,
    ) -> Rights {
        let Some(who) = directory.principal(principal).filter(|who| !who.disabled) else {
            return Rights::default();
        };
        let groups = Rights::groups_of(directory, settings, who, groups, now);
        let holders = std::iter::once(who.id).chain(groups);
        let given = holders.flat_map(|holder| directory.assignments_of(holder));
        let rights = given.filter_map(|assignment| {
            let over = assignment.until.is_some_and(|until| until.is_over(now));
            let role = directory.definition(assignment.role).filter(|_| !over)?;
            Some(Right { assignment: Arc::clone(assignment), role: Arc::clone(role) })
        });
        let highest = match settings.highest_roles.get(&who.issuer) {
            None => None,
            // A role that is gone is none: whoever vouches for them can give nothing then.
            Some(role) => match directory.definition(*role) {
                Some(role) => Some(Arc::clone(role)),
                None => return Rights::default(),
            },
        };
        Rights { rights: rights.collect(), highest }
    }

    /// The groups of somebody that count.
    pub fn groups_of(
        directory: &Directory,
        settings: &Settings,
        who: &Principal,
        groups: Groups,
        now: Now,
    ) -> BTreeSet<PrincipalId> {
        match groups {
            Groups::Fresh
                if !is_fresh(&who.groups, settings.groups_hold_of(&who.issuer), now.wall) =>
            {
                return BTreeSet::new();
            }
            Groups::Fresh | Groups::Last => {}
        }
        let in_use = |group: &&PrincipalId| {
            directory.principal(**group).is_some_and(|group| !group.disabled)
        };
        who.groups.groups.iter().filter(in_use).copied().collect()
    }

    /// Whether they allow that there.
    pub fn allow(&self, action: Action, scope: &Scope) -> bool {
        self.of_action(action).any(|right| right.assignment.scope.holds(scope))
    }

    /// Whether they allow that there, or somewhere below.
    pub fn allow_within(&self, action: Action, scope: &Scope) -> bool {
        self.of_action(action).any(|Right { assignment, .. }| {
            assignment.scope.holds(scope) || scope.holds(&assignment.scope)
        })
    }

    /// Whether they allow to ask a policy for access to these machines: on the policy, as Azure has it, or on
    /// each machine, for whoever was given the role there alone.
    pub fn may_ask<'a>(&self, policy: &PolicyId, vms: impl IntoIterator<Item = &'a VmId>) -> bool {
        self.allow(Action::Initiate, &Scope::from(policy)) || {
            let mut vms = vms.into_iter().peekable();
            vms.peek().is_some() && vms.all(|vm| self.allow(Action::Initiate, &Scope::from(vm)))
        }
    }

    /// Every one.
    pub fn all(&self) -> &[Right] {
        &self.rights
    }

    fn of_action(&self, action: Action) -> impl Iterator<Item = &Right> {
        let can = self.highest.as_ref().is_none_or(|highest| highest.allows(action));
        self.rights.iter().filter(move |right| can && right.role.allows(action))
    }
}

fn is_fresh(membership: &Membership, hold: Duration, now: Timestamp) -> bool {
    membership.at.is_some_and(|at| distance(at, now) <= hold)
}
