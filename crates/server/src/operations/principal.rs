//! People, groups and services: made known before they sign in, shown, disabled, forgotten.

use std::sync::Arc;

use hourgate_api::{
    body::PrincipalSent,
    error::{ArmError, Code, not_the_id, principal_not_found},
    paths::PrincipalQuery,
    whoami::{GroupSeen, GroupsSeen},
};
use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        Action, Caller, Change, Directory, Groups, Rights,
        change::{DirectoryCommand, Introduction},
        principal::{LOCAL_ISSUER, Membership, Principal, PrincipalId, PrincipalKind},
    },
};
use hourgate_store::Store;

use super::{Call, Problem, account::shut_out, permit, role::Before, whole};
use crate::{
    server::{Server, origin},
    signin::object::object_id,
};

/// Those who are asked for, by their ids; and whether there are more.
pub(crate) async fn list_principals<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    query: &PrincipalQuery,
    most: usize,
) -> Result<(Vec<Arc<Principal>>, bool), Problem> {
    let action = Action::Principal(Change::Read);
    permit(caller, server, call, action, &whole(server)).await?;
    let directory = server.store.directory();
    let mut wanted = directory.principals().filter(|who| is_wanted(who, query));
    let page: Vec<Arc<Principal>> = wanted.by_ref().take(most).cloned().collect();
    let more = wanted.next().is_some();
    Ok((page, more))
}

fn is_wanted(who: &Principal, query: &PrincipalQuery) -> bool {
    let name = |name: &String| name.to_lowercase() == who.name.0.to_lowercase();
    query.after < Some(who.id)
        && query.kind.is_none_or(|kind| kind == who.kind)
        && query.issuer.as_ref().is_none_or(|issuer| *issuer == who.issuer)
        && query.subject.as_ref().is_none_or(|subject| *subject == who.subject.0)
        && query.name.as_ref().is_none_or(name)
}

/// One of them; oneself always.
pub(crate) async fn get_principal<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PrincipalId,
) -> Result<Arc<Principal>, Problem> {
    if caller.person.id.principal() != Some(id) {
        let action = Action::Principal(Change::Read);
        permit(caller, server, call, action, &whole(server)).await?;
    }
    known(&server.store.directory(), id)
}

/// Makes somebody known, or names them anew. `id` is the id that the sender says they have.
pub(crate) async fn put_principal<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, sent): (Option<PrincipalId>, PrincipalSent),
) -> Result<(Arc<Principal>, Before), Problem> {
    let action = Action::Principal(Change::Write);
    permit(caller, server, call, action, &whole(server)).await?;
    let right = object_id(sent.kind, &sent.issuer, &sent.subject);
    if let Some(id) = id.filter(|id| *id != right) {
        return Err(Problem::Unreadable(not_the_id(id, right).at("name")));
    }
    let directory = server.store.directory();
    let before = directory.principal(right);
    // Those have credentials here, and are made together with them.
    if before.is_none() && sent.issuer == LOCAL_ISSUER && sent.kind != PrincipalKind::Group {
        let message = format!(
            "People and services of '{LOCAL_ISSUER}' are made as accounts, with what they sign in with. Name \
             another issuer, or make a group."
        );
        let error = ArmError::new(Code::InvalidParameter, message).at("properties.issuer");
        return Err(Problem::Unreadable(error));
    }
    let introduction = Introduction {
        id: right,
        kind: sent.kind,
        issuer: sent.issuer,
        subject: Personal(sent.subject),
        name: Personal(sent.name),
        // What their issuer said of them still stands.
        upn: before.and_then(|before| before.upn.clone()),
        verified_mail: before.and_then(|before| before.verified_mail.clone()),
        groups: None,
        said: None,
    };
    let command = Command::Directory(DirectoryCommand::Introduce(introduction));
    let committed = server.commit(origin(caller, call, action), command).await?;
    let stood = before.map_or(Before::New, |_| Before::Stood);
    Ok((known(&committed.state.directory, right)?, stood))
}

/// Disables somebody, or enables them again.
pub(crate) async fn set_disabled<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (principal, disabled): (PrincipalId, bool),
) -> Result<Arc<Principal>, Problem> {
    let action = Action::Principal(Change::Write);
    permit(caller, server, call, action, &whole(server)).await?;
    if !disabled {
        // To enable somebody gives back whatever they were given.
        let give = Action::Assignment(Change::Write);
        permit(caller, server, call, give, &whole(server)).await?;
    }
    known(&server.store.directory(), principal)?;
    let command = Command::Directory(DirectoryCommand::SetDisabled { principal, disabled });
    let committed = server.commit(origin(caller, call, action), command).await?;
    if disabled {
        shut_out(server, origin(caller, call, action), principal).await;
    }
    known(&committed.state.directory, principal)
}

/// Forgets somebody, with what was given to them; none where nobody is known by that id.
pub(crate) async fn forget_principal<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    principal: PrincipalId,
) -> Result<Option<Arc<Principal>>, Problem> {
    let action = Action::Principal(Change::Delete);
    permit(caller, server, call, action, &whole(server)).await?;
    let Some(gone) = server.store.directory().principal(principal).cloned() else {
        return Ok(None);
    };
    let command = Command::Directory(DirectoryCommand::Forget { principal });
    server.commit(origin(caller, call, action), command).await?;
    shut_out(server, origin(caller, call, action), principal).await;
    Ok(Some(gone))
}

/// The groups that the caller is in, with their names, which are told to them by their issuer too.
pub(crate) fn own_groups<S: Store>(caller: &Caller, server: &Server<S>) -> Option<GroupsSeen> {
    let directory = server.store.directory();
    let who = directory.principal(caller.person.id.principal()?)?;
    let Membership { groups, at } = &who.groups;
    let seen = |id: &PrincipalId| GroupSeen {
        id: *id,
        name: directory.principal(*id).map(|group| group.name.0.clone()),
    };
    let settings = server.store.settings();
    let (hold, now) = (settings.groups_hold_of(&who.issuer), server.now());
    let count = !Rights::groups_of(&directory, &settings, who, Groups::Fresh, now).is_empty();
    (!groups.is_empty()).then(|| GroupsSeen {
        groups: groups.iter().map(seen).collect(),
        at: *at,
        hold,
        count,
    })
}

pub(super) fn known(directory: &Directory, id: PrincipalId) -> Result<Arc<Principal>, Problem> {
    let who = directory.principal(id).cloned();
    who.ok_or_else(|| Problem::Missing(principal_not_found(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_kinds_issuers_and_subjects_apart_and_stays_the_same() {
        let of = |kind, issuer, subject| object_id(kind, issuer, subject);
        let (user, group) = (PrincipalKind::User, PrincipalKind::Group);
        let first = of(user, "https://a.example", "1");
        assert_eq!(first.get_version_num(), 8);
        // Stored with every installation: another derivation would make everybody a stranger.
        assert_eq!(first.to_string(), of(user, "https://a.example", "1").to_string());
        for other in [
            of(group, "https://a.example", "1"),
            of(user, "https://b.example", "1"),
            of(user, "https://a.example", "2"),
            of(user, "https://a.example1", ""),
        ] {
            assert_ne!(first, other);
        }
    }
}
