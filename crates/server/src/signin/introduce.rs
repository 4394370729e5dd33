//! Whoever signs in with a provider is made known to the directory, with the groups that the provider says.

use std::collections::BTreeSet;

use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        change::{DirectoryCommand, Introduction},
        principal::{PRINCIPAL_NAME_CHARS_MAX, PrincipalKind},
    },
};
use hourgate_store::{Origin, Store};
use uuid::Uuid;

use super::{
    object::object_id,
    provider::{Groups, Verified},
};
use crate::{operations::Problem, server::Server};

/// Whether the directory knows somebody as a token says: then nothing is to be written, however often it comes.
pub(crate) fn is_known<S: Store>(server: &Server<S>, verified: &Verified) -> Option<Uuid> {
    let object = object_id(PrincipalKind::User, &verified.issuer, &verified.subject);
    let directory = server.store.directory();
    let known = directory.principal(object)?;
    let news = match &verified.groups {
        Groups::Known(_) | Groups::TooMany | Groups::Unreadable => {
            known.groups.at.is_none_or(|at| at < verified.issued)
        }
        Groups::Absent => false,
    };
    (!news).then_some(object)
}

/// Makes somebody known, or known as they are now. None where they are not let in: they are disabled, there is
/// no room, or nothing can be written and nobody knew them before.
pub(crate) async fn person<S: Store>(
    server: &Server<S>,
    origin: Origin,
    verified: &Verified,
) -> Option<Uuid> {
    let object = object_id(PrincipalKind::User, &verified.issuer, &verified.subject);
    let introduction = introduction(object, verified);
    let command = Command::Directory(DirectoryCommand::Introduce(introduction));
    match server.commit(origin, command).await {
        Ok(_) => {}
        Err(Problem::Refused(why)) => {
            tracing::warn!(%object, ?why, "somebody cannot be made known");
            return None;
        }
        // Whoever was known before comes in as they were: somebody must be able to close a port.
        Err(problem) => tracing::error!(%object, ?problem, "who signed in could not be kept"),
    }
    let directory = server.store.directory();
    directory.principal(object).is_some_and(|who| !who.disabled).then_some(object)
}

fn introduction(object: Uuid, verified: &Verified) -> Introduction {
    let text = |text: &str| Personal(text.chars().take(PRINCIPAL_NAME_CHARS_MAX).collect());
    let said = |said: &str| (!said.is_empty()).then(|| text(said));
    let group = |id: &String| object_id(PrincipalKind::Group, &verified.issuer, id);
    let mail = verified.email.as_ref().filter(|(_, is_verified)| *is_verified);
    Introduction {
        id: object,
        kind: PrincipalKind::User,
        issuer: verified.issuer.to_string(),
        subject: Personal(verified.subject.clone()),
        name: said(&verified.name)
            .or_else(|| said(&verified.upn))
            .unwrap_or_else(|| text(&verified.subject)),
        upn: said(&verified.upn),
        verified_mail: mail.map(|(mail, _)| text(mail)),
        groups: match &verified.groups {
            Groups::Known(groups) => Some(groups.iter().map(group).collect()),
            // Nothing is known of them: what was known before must not go on.
            Groups::TooMany | Groups::Unreadable => Some(BTreeSet::new()),
            Groups::Absent => None,
        },
        said: Some(verified.issued),
    }
}
