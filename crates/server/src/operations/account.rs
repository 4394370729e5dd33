//! Local accounts and service accounts: made, disabled, reset, removed, and given what they sign in with.
//!
//! Whoever can let themselves in as somebody has what that somebody has. So to reset an account, or to add what
//! a service signs in with, one must be able to give roles, besides changing accounts.

use hourgate_api::error::{ArmError, Code};
use hourgate_core::{
    command::Command,
    event::Note,
    personal::Personal,
    role::{
        Action, Caller, Change,
        change::{DirectoryCommand, Introduction},
        principal::{LOCAL_ISSUER, PrincipalKind},
    },
    time::Timestamp,
};
use hourgate_store::{Origin, Store};
use uuid::Uuid;

use super::{Call, Problem, permit, whole};
use crate::{
    server::{Server, origin},
    signin::local::{
        accounts::{Account, AccountFault, Occasion},
        service::{Service, ServiceCredential, ServiceFault, ServiceKey, Trust},
        vault::VaultError,
    },
};

const READ: Action = Action::Account(Change::Read);
const WRITE: Action = Action::Account(Change::Write);
const DELETE: Action = Action::Account(Change::Delete);

/// Every local account, by name.
pub(crate) async fn list_accounts<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
) -> Result<Vec<Account>, Problem> {
    permit(caller, server, call, READ, &whole(server)).await?;
    Ok(server.accounts.list())
}

/// One local account.
pub(crate) async fn get_account<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    object: Uuid,
) -> Result<Account, Problem> {
    permit(caller, server, call, READ, &whole(server)).await?;
    account(server, object)
}

/// Makes a local account. The answer has the secret of a link with which its owner sets a password. It may
/// nothing until it is given a role.
pub(crate) async fn make_account<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (name, display): (&str, &str),
) -> Result<(Account, String), Problem> {
    permit(caller, server, call, WRITE, &whole(server)).await?;
    let origin = origin(caller, call, WRITE);
    let draft = server.accounts.draft(name, display).map_err(told)?;
    let object = draft.object;
    // Known first: an account that nobody knows would be let in nowhere and could not be disabled.
    let introduction = Introduction {
        id: object,
        kind: PrincipalKind::User,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal(draft.subject.to_string()),
        name: Personal(draft.display.clone()),
        upn: Some(Personal(draft.name.to_string())),
        verified_mail: None,
        groups: None,
        said: None,
    };
    introduce(server, origin.clone(), introduction).await?;
    match server.accounts.make(on(server, caller, origin.clone()), draft).await {
        Ok(link) => Ok((account(server, object)?, link)),
        Err(fault) => {
            // Somebody took the name meanwhile.
            forget(server, origin, object).await;
            Err(told(fault))
        }
    }
}

/// Disables an account, or enables it again. What its owner holds lets nobody in from then on.
pub(crate) async fn set_account_disabled<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (object, disabled): (Uuid, bool),
) -> Result<(), Problem> {
    may_disable(caller, server, call, disabled).await?;
    account(server, object)?;
    set_disabled(server, origin(caller, call, WRITE), object, disabled).await
}

/// Disables a service account, or enables it again.
pub(crate) async fn set_service_disabled<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (client, disabled): (Uuid, bool),
) -> Result<(), Problem> {
    may_disable(caller, server, call, disabled).await?;
    let object = service(server, client)?.object;
    set_disabled(server, origin(caller, call, WRITE), object, disabled).await
}

async fn set_disabled<S: Store>(
    server: &Server<S>,
    origin: Origin,
    object: Uuid,
    disabled: bool,
) -> Result<(), Problem> {
    let command = DirectoryCommand::SetDisabled { principal: object, disabled };
    server.commit(origin.clone(), Command::Directory(command)).await?;
    if disabled {
        shut_out(server, origin, object).await;
    }
    Ok(())
}

/// Takes all that an account could be signed in with, ends its sessions, and makes a link to begin anew.
pub(crate) async fn reset_account<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    object: Uuid,
) -> Result<(Account, String), Problem> {
    may_let_in(caller, server, call).await?;
    let origin = origin(caller, call, WRITE);
    account(server, object)?;
    let link = server.accounts.reset(on(server, caller, origin.clone()), object).await;
    let link = link.map_err(told)?;
    shut_out(server, origin, object).await;
    Ok((account(server, object)?, link))
}

/// Removes an account, and whatever was given to its owner. Nothing to do where there is none.
pub(crate) async fn remove_account<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    object: Uuid,
) -> Result<bool, Problem> {
    permit(caller, server, call, DELETE, &whole(server)).await?;
    if server.accounts.get(object).is_none() {
        return Ok(false);
    }
    let origin = origin(caller, call, DELETE);
    // Forgotten first: the last Owner is not removed, and stays able to come in.
    let command = Command::Directory(DirectoryCommand::Forget { principal: object });
    server.commit(origin.clone(), command).await?;
    server.accounts.remove(on(server, caller, origin.clone()), object).await.map_err(told)?;
    shut_out(server, origin, object).await;
    Ok(true)
}

/// Every service account, each with what it signs in with.
pub(crate) async fn list_services<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
) -> Result<Vec<(Service, Vec<ServiceCredential>)>, Problem> {
    permit(caller, server, call, READ, &whole(server)).await?;
    let services = server.services.list().into_iter();
    Ok(services.map(|service| with_credentials(server, service)).collect())
}

/// One service account.
pub(crate) async fn get_service<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    client: Uuid,
) -> Result<(Service, Vec<ServiceCredential>), Problem> {
    permit(caller, server, call, READ, &whole(server)).await?;
    Ok(with_credentials(server, service(server, client)?))
}

/// Makes a service account. It cannot sign in, and may nothing, until it is given both.
pub(crate) async fn make_service<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    name: &str,
) -> Result<Service, Problem> {
    permit(caller, server, call, WRITE, &whole(server)).await?;
    let origin = origin(caller, call, WRITE);
    let draft = server.services.draft(name).map_err(told_service)?;
    let (client, object) = (draft.client, draft.object);
    let introduction = Introduction {
        id: object,
        kind: PrincipalKind::ServicePrincipal,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal(client.to_string()),
        name: Personal(draft.name.clone()),
        upn: None,
        verified_mail: None,
        groups: None,
        said: None,
    };
    introduce(server, origin.clone(), introduction).await?;
    if let Err(fault) = server.services.make(on(server, caller, origin.clone()), draft).await {
        forget(server, origin, object).await;
        return Err(told_service(fault));
    }
    service(server, client)
}

/// What a service is to sign in with.
pub(crate) enum NewCredential {
    /// A secret, until then.
    Secret(Option<Timestamp>),
    /// A key, until then.
    Key(ServiceKey, Option<Timestamp>),
    /// Another issuer's tokens.
    Trust(Trust),
}

/// Gives a service something to sign in with. The secret comes back where it is one, this once.
pub(crate) async fn add_credential<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (client, name): (Uuid, &str),
    new: NewCredential,
) -> Result<(ServiceCredential, Option<String>), Problem> {
    may_let_in(caller, server, call).await?;
    let on = on(server, caller, origin(caller, call, WRITE));
    let services = &server.services;
    let added = match new {
        NewCredential::Secret(until) => services
            .add_secret(on, client, name, until)
            .await
            .map(|(added, secret)| (added, Some(secret))),
        NewCredential::Key(key, until) => {
            services.add_key(on, client, name, key, until).await.map(|added| (added, None))
        }
        NewCredential::Trust(trust) => {
            services.add_trust(on, client, name, trust).await.map(|added| (added, None))
        }
    };
    added.map_err(told_service)
}

/// Removes what a service signs in with. Tokens that it was given for it are dead with that.
pub(crate) async fn remove_credential<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (client, id): (Uuid, Uuid),
) -> Result<bool, Problem> {
    permit(caller, server, call, DELETE, &whole(server)).await?;
    let on = on(server, caller, origin(caller, call, DELETE));
    match server.services.remove_credential(on, client, id).await {
        Ok(()) => Ok(true),
        Err(ServiceFault::NoCredential | ServiceFault::NotFound) => Ok(false),
        Err(fault) => Err(told_service(fault)),
    }
}

/// Removes a service account, and whatever was given to it. Nothing to do where there is none.
pub(crate) async fn remove_service<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    client: Uuid,
) -> Result<bool, Problem> {
    permit(caller, server, call, DELETE, &whole(server)).await?;
    let Some(Service { object, .. }) = server.services.get(client) else { return Ok(false) };
    let origin = origin(caller, call, DELETE);
    let command = Command::Directory(DirectoryCommand::Forget { principal: object });
    server.commit(origin.clone(), command).await?;
    let removed = server.services.remove(on(server, caller, origin), client).await;
    removed.map_err(told_service)?;
    Ok(true)
}

/// Whether somebody is enabled, as far as the directory knows them.
pub(crate) fn is_enabled<S: Store>(server: &Server<S>, object: Uuid) -> bool {
    server.store.directory().principal(object).is_some_and(|known| !known.disabled)
}

/// To enable somebody gives back whatever they were given.
async fn may_disable<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    disabled: bool,
) -> Result<(), Problem> {
    if disabled {
        permit(caller, server, call, WRITE, &whole(server)).await
    } else {
        may_let_in(caller, server, call).await
    }
}

async fn may_let_in<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
) -> Result<(), Problem> {
    permit(caller, server, call, WRITE, &whole(server)).await?;
    permit(caller, server, call, Action::Assignment(Change::Write), &whole(server)).await
}

fn account<S: Store>(server: &Server<S>, object: Uuid) -> Result<Account, Problem> {
    server.accounts.get(object).ok_or_else(|| told(AccountFault::NotFound))
}

fn service<S: Store>(server: &Server<S>, client: Uuid) -> Result<Service, Problem> {
    server.services.get(client).ok_or_else(|| told_service(ServiceFault::NotFound))
}

fn with_credentials<S: Store>(
    server: &Server<S>,
    service: Service,
) -> (Service, Vec<ServiceCredential>) {
    let credentials = server.services.credentials(&service);
    (service, credentials)
}

async fn introduce<S: Store>(
    server: &Server<S>,
    origin: Origin,
    introduction: Introduction,
) -> Result<(), Problem> {
    let command = Command::Directory(DirectoryCommand::Introduce(introduction));
    server.commit(origin, command).await.map(drop)
}

async fn forget<S: Store>(server: &Server<S>, origin: Origin, object: Uuid) {
    let command = Command::Directory(DirectoryCommand::Forget { principal: object });
    if server.commit(origin, command).await.is_err() {
        tracing::warn!(%object, "somebody is known who has no account");
    }
}

/// Ends all that somebody holds; it cannot fail, whatever the store does.
pub(super) async fn shut_out<S: Store>(server: &Server<S>, origin: Origin, object: Uuid) {
    let changes = server.sign_in.shut_out(object);
    if !changes.is_empty() {
        let note = Note::SessionEnded { object, session: String::new() };
        server.keep(origin, changes, note).await;
    }
}

fn on<'a, S: Store>(server: &'a Server<S>, caller: &Caller, origin: Origin) -> Occasion<'a, S> {
    Occasion { store: &server.store, origin, from: caller.address.seen(), now: server.now() }
}

/// Why an account is as it was.
fn told(fault: AccountFault) -> Problem {
    let code = match &fault {
        AccountFault::NameTaken(_) => Code::AccountNameTaken,
        AccountFault::NotFound | AccountFault::Link => Code::ResourceNotFound,
        AccountFault::TooMany | AccountFault::Enough => Code::AccountLimitReached,
        AccountFault::Vault(VaultError::Store(error)) => return Problem::Store(error.clone()),
        AccountFault::Vault(VaultError::Full) => Code::AccountLimitReached,
        AccountFault::NoRandomness(error) => return Problem::NoRandomness(*error),
        AccountFault::Hash(_) => Code::TooManyRequests,
        AccountFault::Seal(_) => Code::InternalServerError,
        AccountFault::Name(_)
        | AccountFault::Display
        | AccountFault::PasskeyName
        | AccountFault::Password(_)
        | AccountFault::Code
        | AccountFault::Passkey(_) => Code::InvalidParameter,
    };
    Problem::Unreadable(ArmError::new(code, fault.to_string()))
}

/// Why a service account is as it was.
fn told_service(fault: ServiceFault) -> Problem {
    let code = match &fault {
        ServiceFault::NotFound | ServiceFault::NoCredential => Code::ResourceNotFound,
        ServiceFault::TooMany | ServiceFault::Enough | ServiceFault::Vault(VaultError::Full) => {
            Code::AccountLimitReached
        }
        ServiceFault::Vault(VaultError::Store(error)) => return Problem::Store(error.clone()),
        ServiceFault::NoRandomness(error) => return Problem::NoRandomness(*error),
        ServiceFault::Name | ServiceFault::End | ServiceFault::Key(_) | ServiceFault::Trust => {
            Code::InvalidParameter
        }
    };
    Problem::Unreadable(ArmError::new(code, fault.to_string()))
}
