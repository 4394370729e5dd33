//! Roles that are activated, shown: to everybody their own, and to those who may read them others'.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_api::{
    paths::{Of, PimQuery},
    pim::{
        Member, PimResource, activation_request, assignment, assignment_request, eligibility,
        eligibility_request,
    },
    time::UtcTime,
    whoami::RoleAt,
};
use hourgate_core::role::{
    Action, Caller, Change, Directory, Groups, Rights, Scope, activation::Eligibility,
    assignment::Assignment, may, principal::PrincipalId,
};
use hourgate_store::Store;
use uuid::Uuid;

use super::{Call, Problem, activation::missing, permit};
use crate::server::Server;

/// What was asked for, as far as the caller may see it.
pub(crate) async fn list_requests_of<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of, query): (&Scope, Of, &PimQuery),
) -> Result<Vec<PimResource>, Problem> {
    let directory = server.store.directory();
    let own = Own::of(caller, server, &directory);
    let mut listed = Vec::new();
    match of {
        Of::Eligibility => {
            let shown = directory.eligibilities().filter(|given| own.eligible(caller, given));
            let shown = shown.filter(|given| {
                is_wanted(query, scope, &own, (&given.scope, given.role, given.principal))
            });
            listed.extend(shown.map(|given| eligibility_request(&directory, given)));
        }
        Of::Assignment => {
            for activation in directory.activations() {
                let who = activation.person.id.principal().unwrap_or_default();
                let place = (&activation.scope, activation.role, who);
                if !is_wanted(query, scope, &own, place) {
                    continue;
                }
                let mine = own.id == Some(who);
                let read = may(caller, Action::Assignment(Change::Read), &activation.scope);
                let asked = query.as_approver || !(mine || read);
                let decides = asked && super::approval::decides(caller, server, activation).await;
                let shown = if query.as_approver { decides } else { mine || read || decides };
                if shown {
                    listed.push(activation_request(&directory, activation));
                }
            }
        }
    }
    or_permitted(caller, server, call, (scope, of), listed).await
}

/// A list; where it is empty, whoever may not read there is told so.
async fn or_permitted<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of): (&Scope, Of),
    listed: Vec<PimResource>,
) -> Result<Vec<PimResource>, Problem> {
    let action = read(of);
    // Whoever has or may have a role anywhere may ask what is theirs.
    let known = !caller.rights.all().is_empty() || caller.rights.allow_within(action, scope);
    if listed.is_empty() && !known {
        let directory = server.store.directory();
        let own = Own::of(caller, server, &directory);
        let eligible = directory.eligibilities().any(|given| own.has(given.principal));
        if !eligible {
            permit(caller, server, call, action, scope).await?;
        }
    }
    Ok(listed)
}

const fn read(of: Of) -> Action {
    match of {
        Of::Assignment => Action::Assignment(Change::Read),
        Of::Eligibility => Action::Eligibility(Change::Read),
    }
}

/// What stands, or what holds now (which is the same here), as far as the caller may see it.
pub(crate) async fn list_schedules<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of, instance): (&Scope, Of, bool),
    query: &PimQuery,
) -> Result<Vec<PimResource>, Problem> {
    let directory = server.store.directory();
    let own = Own::of(caller, server, &directory);
    let listed = match of {
        Of::Eligibility => directory
            .eligibilities()
            .filter(|given| own.eligible(caller, given))
            .filter(|given| {
                is_wanted(query, scope, &own, (&given.scope, given.role, given.principal))
            })
            .map(|given| eligibility(&directory, given, own.member(given.principal), instance))
            .collect(),
        Of::Assignment => directory
            .assignments()
            .filter(|given| own.assigned(caller, given))
            .filter(|given| {
                is_wanted(query, scope, &own, (&given.scope, given.role, given.principal))
            })
            .map(|given| assignment(&directory, given, own.member(given.principal), instance))
            .collect(),
    };
    or_permitted(caller, server, call, (scope, of), listed).await
}

/// One of what stands or was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum One {
    /// A request.
    Request,
    /// What stands.
    Schedule,
    /// What holds now.
    Instance,
}

/// One request, one of what stands, or one of what holds now, at exactly that scope.
pub(crate) async fn get_schedule<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of, id): (&Scope, Of, Uuid),
    one: One,
) -> Result<PimResource, Problem> {
    let directory = server.store.directory();
    let own = Own::of(caller, server, &directory);
    let instance = one == One::Instance;
    let found = match (of, one) {
        (Of::Eligibility, one) => {
            let given = directory.eligibility(id).filter(|given| given.scope == *scope);
            given.filter(|given| own.eligible(caller, given)).map(|given| match one {
                One::Request => eligibility_request(&directory, given),
                One::Schedule | One::Instance => {
                    eligibility(&directory, given, own.member(given.principal), instance)
                }
            })
        }
        (Of::Assignment, One::Request) => {
            let asked = directory.activation(id).filter(|asked| asked.scope == *scope);
            match asked {
                Some(asked) if super::approval::sees(caller, server, asked).await => {
                    Some(activation_request(&directory, asked))
                }
                Some(_) => None,
                // What somebody gave by a request has the request's id.
                None => directory
                    .assignment(id)
                    .filter(|given| given.scope == *scope && own.assigned(caller, given))
                    .map(|given| assignment_request(&directory, given)),
            }
        }
        (Of::Assignment, One::Schedule | One::Instance) => {
            let given = directory.assignment(id).filter(|given| given.scope == *scope);
            let given = given.filter(|given| own.assigned(caller, given));
            given.map(|given| assignment(&directory, given, own.member(given.principal), instance))
        }
    };
    if found.is_none() {
        permit(caller, server, call, read(of), scope).await?;
    }
    found.ok_or_else(|| missing(id))
}

/// The roles that the caller may activate, and has not.
pub(crate) fn own_eligible<S: Store>(caller: &Caller, server: &Server<S>) -> Vec<RoleAt> {
    let directory = server.store.directory();
    let own = Own::of(caller, server, &directory);
    let now = server.now();
    let open = directory.eligibilities().filter(|given| {
        let over = given.until.is_some_and(|until| until.is_over(now));
        let active = own.id.and_then(|id| directory.given(id, given.role, &given.scope));
        !over && active.is_none() && own.has(given.principal)
    });
    let seen = |given: &Arc<Eligibility>| {
        Some(RoleAt {
            role: directory.definition(given.role)?.said().name.clone(),
            scope: given.scope.to_string(),
            through: Some(given.principal).filter(|holder| own.id != Some(*holder)),
            until: given.until.map(|until| UtcTime(until.wall)),
        })
    };
    open.filter_map(seen).collect()
}

/// Who the caller is, and in which groups: what is theirs they may see.
struct Own {
    id: Option<PrincipalId>,
    groups: BTreeSet<PrincipalId>,
}

impl Own {
    fn of<S: Store>(caller: &Caller, server: &Server<S>, directory: &Directory) -> Own {
        let id = caller.person.id.principal();
        let who = id.and_then(|id| directory.principal(id));
        let (settings, now) = (server.store.settings(), server.now());
        let groups =
            who.map(|who| Rights::groups_of(directory, &settings, who, Groups::Fresh, now));
        Own { id, groups: groups.unwrap_or_default() }
    }

    fn has(&self, principal: PrincipalId) -> bool {
        self.id == Some(principal) || self.groups.contains(&principal)
    }

    fn member(&self, principal: PrincipalId) -> Member {
        if self.groups.contains(&principal) { Member::Group } else { Member::Direct }
    }

    fn eligible(&self, caller: &Caller, given: &Eligibility) -> bool {
        self.has(given.principal) || may(caller, Action::Eligibility(Change::Read), &given.scope)
    }

    fn assigned(&self, caller: &Caller, given: &Assignment) -> bool {
        self.has(given.principal) || may(caller, Action::Assignment(Change::Read), &given.scope)
    }
}

/// Whether something is among what is asked for: without a filter what is at a scope, above it and below it.
fn is_wanted(
    query: &PimQuery,
    scope: &Scope,
    own: &Own,
    (at, role, principal): (&Scope, Uuid, PrincipalId),
) -> bool {
    let placed = at.holds(scope) || (!query.at_scope && scope.holds(at));
    placed
        && (!query.as_target || own.has(principal))
        && (!query.as_requestor || own.id == Some(principal))
        && query.principal.is_none_or(|wanted| wanted == principal)
        && query.role.is_none_or(|wanted| wanted == role)
}
