//! A link that lets somebody set a password, once: the first administrator's way in, and a new account's.

use hourgate_api::paths::{Page, Route};
use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        Scope,
        built_in::OWNER,
        change::{AssignmentDraft, DirectoryCommand, Introduction},
        principal::{LOCAL_ISSUER, PrincipalKind},
    },
};
use hourgate_store::{Store, TransactError};
use hyper::StatusCode;
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    layout::{alert, input, shown},
    next::Next,
    sign_in::let_in,
    visit::{Reply, Visit},
};
use crate::{
    mint,
    signin::{
        Method,
        local::{
            accounts::{AccountFault, Draft, OpenLink, Purpose},
            password::{PASSWORD_CHARS_MIN, Password},
        },
    },
};

/// What everybody is told whose link is none.
const NO_LINK: &str = "This link is over, was used, or never was. Have a new one made.";

/// The form.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let secret = visit.field("link");
    match visit.server.accounts.link(secret, visit.now) {
        Some(link) => visit.page("Welcome", form(visit, (secret, &link), None)),
        None => no_link(visit),
    }
}

fn no_link<S: Store>(visit: &Visit<'_, S>) -> Reply {
    match visit.server.sign_in.guessed(Uuid::nil(), visit.from, visit.now) {
        Some(wait) => visit.too_often(wait),
        None => visit.problem(StatusCode::NOT_FOUND, "No such link", alert(NO_LINK)),
    }
}

fn form<S: Store>(
    visit: &Visit<'_, S>,
    (secret, link): (&str, &OpenLink),
    wrong: Option<&str>,
) -> Markup {
    let password = format!("Password, at least {PASSWORD_CHARS_MIN} characters");
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form method="post" action=(Route::Page(Page::Welcome)) {
            (visit.form_token())
            input type="hidden" name="link" value=(secret);
            @match link.purpose {
                Purpose::FirstAdministrator => {
                    p { "You become the first administrator of this server." }
                    (input("Name that you sign in with", "login", "text", "username", true))
                    (input("Your name, as others see it", "name", "text", "name", false))
                }
                Purpose::SetPassword => {
                    @if let Some(account) = visit.server.accounts.get(link.object) {
                        p { "Set a password for " strong { (shown(account.name.as_str())) } "." }
                    }
                }
            }
            (input(&password, "password", "password", "new-password", false))
            (input("The same password again", "again", "password", "new-password", false))
            button { "Go on" }
        }
    }
}

/// Sets the password.
pub(super) async fn set<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let secret = visit.field("link");
    let Some(link) = visit.server.accounts.link(secret, visit.now) else { return no_link(visit) };
    let again = |why: &str| {
        let body = form(visit, (secret, &link), Some(why));
        visit.problem(StatusCode::BAD_REQUEST, "Welcome", body)
    };
    let password = visit.field("password");
    if password != visit.field("again") {
        return again("The two passwords are not the same.");
    }
    let disabled = |object| {
        let directory = visit.server.store.directory();
        directory.principal(object).is_none_or(|who| who.disabled)
    };
    if matches!(link.purpose, Purpose::SetPassword) && disabled(link.object) {
        return no_link(visit);
    }
    let set = match link.purpose {
        Purpose::FirstAdministrator => first(visit, &link, password).await,
        Purpose::SetPassword => {
            visit.server.accounts.use_link(visit.occasion(), &link, password).await
        }
    };
    let object = match set {
        Ok(object) => object,
        Err(AccountFault::Link) => return no_link(visit),
        Err(AccountFault::Hash(_)) => return visit.busy(),
        Err(why) => return again(&why.to_string()),
    };
    visit.shut_out(object).await;
    let_in(visit, object, [Method::Pwd], &Next::to(&Route::Page(Page::Factors), None)).await
}

/// Makes the first administrator: known and Owner first, since an account without a right is no use, and a right
/// without an account is nobody's.
async fn first<S: Store>(
    visit: &Visit<'_, S>,
    link: &OpenLink,
    password: &str,
) -> Result<Uuid, AccountFault> {
    let accounts = &visit.server.accounts;
    let draft = accounts.draft_first(link, visit.field("login"), visit.field("name"))?;
    // Looked at before anything is made known.
    Password::chosen(password, &[draft.name.as_str(), &draft.display])?;
    let object = draft.object;
    make_owner(visit, &draft).await?;
    accounts.make_first(visit.occasion(), link, draft, password).await?;
    Ok(object)
}

async fn make_owner<S: Store>(visit: &Visit<'_, S>, draft: &Draft) -> Result<(), AccountFault> {
    let server = visit.server;
    let introduction = Introduction {
        id: draft.object,
        kind: PrincipalKind::User,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal(draft.subject.to_string()),
        name: Personal(draft.display.clone()),
        upn: Some(Personal(draft.name.to_string())),
        verified_mail: None,
        groups: None,
        said: None,
    };
    let scope = Scope::subscription(server.installation.subscription);
    let is_owner = server.store.directory().given(draft.object, OWNER, &scope).is_some();
    let owner = AssignmentDraft {
        id: mint::uuid()?,
        scope,
        role: OWNER,
        principal: draft.object,
        kind: Some(PrincipalKind::User),
        description: Some("The first administrator, by a link.".to_owned()),
        until: None,
        by: None,
    };
    let steps = [
        Some(DirectoryCommand::Introduce(introduction)),
        (!is_owner).then_some(DirectoryCommand::Assign(owner)),
    ];
    for step in steps.into_iter().flatten() {
        let done = server.store.transact(visit.origin(None), Command::Directory(step)).await;
        match done {
            Ok(_) => {}
            Err(TransactError::Refused(why)) => {
                tracing::error!(?why, "the first administrator cannot be made Owner");
                return Err(AccountFault::Link);
            }
            Err(TransactError::Store(error)) => {
                return Err(AccountFault::Vault(error.into()));
            }
        }
    }
    Ok(())
}
