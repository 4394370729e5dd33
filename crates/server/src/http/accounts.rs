//! Our own routes of local accounts and of service accounts.

use hourgate_api::{
    account::{
        AccountLink, AccountResource, SecretResource, ServiceAccountResource,
        ServiceCredentialResource, TrustResource,
    },
    body,
    error::{ArmError, Code, Positions},
    list::List,
    paths::{AccountRoute, AccountStep, CredentialSort, Page, Route},
    time::UtcTime,
};
use hourgate_core::time::later;
use hourgate_store::Store;
use hyper::{Method, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::{asked::Asked, exchange::Answer};
use crate::{
    operations::{self, NewCredential, Problem},
    signin::local::{
        accounts::{Account, LINK_LIFE},
        service::{Service, ServiceCredential, ServiceKey, Trust, What},
    },
};

/// Answers one of them.
pub(super) async fn answer<S: Store>(
    asked: &Asked<'_, S>,
    route: AccountRoute,
) -> Result<Answer, ArmError> {
    let delete = asked.method == Method::DELETE;
    match route {
        AccountRoute::Accounts if asked.method == Method::POST => make_account(asked).await,
        AccountRoute::Accounts => {
            let found = operations::list_accounts(&asked.caller, asked.server, &asked.call()).await;
            let found = asked.done(found)?.iter().map(|one| shown(asked, one)).collect();
            Ok(asked.exchange.json(StatusCode::OK, &List::whole(found)))
        }
        AccountRoute::Account(object) if delete => {
            let call = asked.call();
            asked.removed(
                operations::remove_account(&asked.caller, asked.server, &call, object).await,
            )
        }
        AccountRoute::Account(object) => account(asked, object).await,
        AccountRoute::AccountStep(object, AccountStep::Reset) => {
            let call = asked.call();
            let reset = operations::reset_account(&asked.caller, asked.server, &call, object).await;
            let (account, link) = asked.done(reset)?;
            Ok(asked.exchange.json(StatusCode::OK, &with_link(asked, &account, &link)))
        }
        AccountRoute::AccountStep(object, step) => {
            let (call, what) = (asked.call(), (object, disables(step)));
            let (caller, server) = (&asked.caller, asked.server);
            asked.done(operations::set_account_disabled(caller, server, &call, what).await)?;
            account(asked, object).await
        }
        AccountRoute::Services if asked.method == Method::POST => make_service(asked).await,
        AccountRoute::Services => {
            let found = operations::list_services(&asked.caller, asked.server, &asked.call()).await;
            let found = asked.done(found)?;
            let found = found.iter().map(|(one, with)| service_shown(asked, one, with)).collect();
            Ok(asked.exchange.json(StatusCode::OK, &List::whole(found)))
        }
        AccountRoute::Service(client) if delete => {
            let call = asked.call();
            asked.removed(
                operations::remove_service(&asked.caller, asked.server, &call, client).await,
            )
        }
        AccountRoute::Service(client) => service(asked, client).await,
        AccountRoute::ServiceStep(client, step) => {
            let (call, what) = (asked.call(), (client, disables(step)));
            let (caller, server) = (&asked.caller, asked.server);
            asked.done(operations::set_service_disabled(caller, server, &call, what).await)?;
            service(asked, client).await
        }
        AccountRoute::Credentials(client, sort) => add(asked, client, sort).await,
        AccountRoute::Credential(client, id) => {
            let (call, which) = (asked.call(), (client, id));
            asked.removed(
                operations::remove_credential(&asked.caller, asked.server, &call, which).await,
            )
        }
    }
}

async fn account<S: Store>(asked: &Asked<'_, S>, object: Uuid) -> Result<Answer, ArmError> {
    let found = operations::get_account(&asked.caller, asked.server, &asked.call(), object).await;
    Ok(asked.exchange.json(StatusCode::OK, &shown(asked, &asked.done(found)?)))
}

async fn service<S: Store>(asked: &Asked<'_, S>, client: Uuid) -> Result<Answer, ArmError> {
    let found = operations::get_service(&asked.caller, asked.server, &asked.call(), client).await;
    let (service, with) = asked.done(found)?;
    Ok(asked.exchange.json(StatusCode::OK, &service_shown(asked, &service, &with)))
}

async fn make_account<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let new = asked.parse(body::account).await?;
    let names = (new.name.as_str(), new.display_name.as_str());
    let made = operations::make_account(&asked.caller, asked.server, &asked.call(), names).await;
    let (account, link) = asked.done(made)?;
    Ok(asked.exchange.json(StatusCode::CREATED, &with_link(asked, &account, &link)))
}

async fn make_service<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let new = asked.parse(body::service).await?;
    let (call, name) = (asked.call(), new.display_name.as_str());
    let made = operations::make_service(&asked.caller, asked.server, &call, name).await;
    Ok(asked.exchange.json(StatusCode::CREATED, &service_shown(asked, &asked.done(made)?, &[])))
}

fn disables(step: AccountStep) -> bool {
    match step {
        AccountStep::Disable => true,
        AccountStep::Enable | AccountStep::Reset => false,
    }
}

async fn add<S: Store>(
    asked: &Asked<'_, S>,
    client: Uuid,
    sort: CredentialSort,
) -> Result<Answer, ArmError> {
    let (name, new) = match sort {
        CredentialSort::Secrets => {
            let new = asked.parse(body::secret).await?;
            (new.display_name, NewCredential::Secret(new.ends_at.map(|at| at.0)))
        }
        CredentialSort::Keys => {
            let new = asked.parse(body::key).await?;
            let key = ServiceKey::read(&new.jwk).map_err(|unusable| {
                ArmError::new(Code::InvalidParameter, unusable.to_string()).at("jwk")
            })?;
            (new.display_name, NewCredential::Key(key, new.ends_at.map(|at| at.0)))
        }
        CredentialSort::Trusts => {
            let new = asked.parse(body::trust).await?;
            let (issuer, subject, audience) = (new.issuer, new.subject, new.audience);
            (new.display_name, NewCredential::Trust(Trust { issuer, subject, audience }))
        }
    };
    let (call, which) = (asked.call(), (client, name.as_str()));
    let added = operations::add_credential(&asked.caller, asked.server, &call, which, new).await;
    Ok(match asked.done(added)? {
        (added, Some(secret)) => {
            let credential = credential_shown(&added);
            asked.exchange.json(StatusCode::CREATED, &SecretResource { credential, secret })
        }
        (added, None) => asked.exchange.json(StatusCode::CREATED, &credential_shown(&added)),
    })
}

impl<S: Store> Asked<'_, S> {
    fn done<T>(&self, done: Result<T, Problem>) -> Result<T, ArmError> {
        done.map_err(|problem| self.problem(&problem, &Positions::none()))
    }

    /// 204 where there was nothing to remove, as Azure answers.
    fn removed(&self, removed: Result<bool, Problem>) -> Result<Answer, ArmError> {
        let status = if self.done(removed)? { StatusCode::OK } else { StatusCode::NO_CONTENT };
        Ok(self.exchange.empty(status))
    }
}

fn shown<S: Store>(asked: &Asked<'_, S>, account: &Account) -> AccountResource {
    AccountResource {
        id: account.object,
        name: account.name.to_string(),
        display_name: account.display.clone(),
        enabled: operations::is_enabled(asked.server, account.object),
        created_at: UtcTime(account.made),
        has_password: account.has_password,
        has_second_factor: account.has_second_factor,
    }
}

fn with_link<S: Store>(
    asked: &Asked<'_, S>,
    account: &Account,
    secret: &str,
) -> impl Serialize + use<S> {
    let server = asked.server;
    AccountLink {
        account: shown(asked, account),
        link: format!("{}{}?link={secret}", server.base, Route::Page(Page::Welcome)),
        link_ends_at: UtcTime(later(server.now().wall, LINK_LIFE)),
    }
}

fn service_shown<S: Store>(
    asked: &Asked<'_, S>,
    service: &Service,
    with: &[ServiceCredential],
) -> ServiceAccountResource {
    ServiceAccountResource {
        id: service.object,
        client_id: service.client,
        display_name: service.name.clone(),
        enabled: operations::is_enabled(asked.server, service.object),
        created_at: UtcTime(service.made),
        credentials: with.iter().map(credential_shown).collect(),
    }
}

fn credential_shown(credential: &ServiceCredential) -> ServiceCredentialResource {
    let (kind, hint, thumbprint, trust) = match &credential.what {
        What::Secret { hint } => ("secret", Some(hint.clone()), None, None),
        What::Key(key) => ("key", None, Some(key.thumbprint()), None),
        What::Trust(Trust { issuer, subject, audience }) => {
            let (issuer, subject, audience) = (issuer.clone(), subject.clone(), audience.clone());
            ("trust", None, None, Some(TrustResource { issuer, subject, audience }))
        }
    };
    ServiceCredentialResource {
        id: credential.id,
        display_name: credential.name.clone(),
        kind: kind.to_owned(),
        created_at: UtcTime(credential.made),
        ends_at: credential.until.map(UtcTime),
        hint,
        thumbprint,
        trust,
    }
}
