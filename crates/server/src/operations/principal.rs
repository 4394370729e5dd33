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
        Action, Caller, Change, Directory, Groups, Rights, Scope,
        change::{DirectoryCommand, Introduction},
        principal::{LOCAL_ISSUER, Membership, Principal, PrincipalId, PrincipalKind},
    },
};
use hourgate_store::Store;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Call, Problem,
    role::{Before, permit_at},
};
use crate::server::{Server, origin};

/// The object id of somebody: it follows from what they are, who vouches for them and who they are there.
pub(crate) fn object_id(kind: PrincipalKind, issuer: &str, subject: &str) -> PrincipalId {
    let mut digest = Sha256::new();
    // Neither has a zero in it, so that no two read the same.
    digest.update(["hourgate principal", kind.as_str(), issuer, subject].join("\0"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Those who are asked for, by their ids; and whether there are more.
pub(crate) async fn list_principals<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    query: &PrincipalQuery,
    most: usize,
) -> Result<(Vec<Arc<Principal>>, bool), Problem> {
    let action = Action::Principal(Change::Read);
    permit_at(caller, server, call, action, &whole(server)).await?;
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
        permit_at(caller, server, call, action, &whole(server)).await?;
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
    permit_at(caller, server, call, action, &whole(server)).await?;
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
    permit_at(caller, server, call, action, &whole(server)).await?;
    known(&server.store.directory(), principal)?;
    let command = Command::Directory(DirectoryCommand::SetDisabled { principal, disabled });
    let committed = server.commit(origin(caller, call, action), command).await?;
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
    permit_at(caller, server, call, action, &whole(server)).await?;
    let Some(gone) = server.store.directory().principal(principal).cloned() else {
        return Ok(None);
    };
    let command = Command::Directory(DirectoryCommand::Forget { principal });
    server.commit(origin(caller, call, action), command).await?;
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
    let (hold, now) = (settings.groups_hold, server.now());
    let count = !Rights::groups_of(&directory, &settings, who, Groups::Fresh, now).is_empty();
    (!groups.is_empty()).then(|| GroupsSeen {
        groups: groups.iter().map(seen).collect(),
        at: *at,
        hold,
        count,
    })
}

pub(super) fn known(directory: &Directory, id: Uuid) -> Result<Arc<Principal>, Problem> {
    let who = directory.principal(id).cloned();
    who.ok_or_else(|| Problem::Missing(principal_not_found(id)))
}

/// People are of the whole installation.
fn whole<S: Store>(server: &Server<S>) -> Scope {
    Scope::subscription(server.installation.subscription)
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
