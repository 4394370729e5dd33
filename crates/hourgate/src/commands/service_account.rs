//! `hourgate service-account`: programs that sign in with a secret, a key, or another issuer's token.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use hourgate_api::{
    account::{
        NewKey, NewSecret, NewService, NewTrust, SecretResource, ServiceAccountResource,
        ServiceCredentialResource,
    },
    paths::{AccountRoute, AccountStep, CredentialSort, Route},
    time::UtcTime,
};
use hourgate_core::time::later;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Session;
use crate::{
    agree::{self, Question},
    client::Call,
    clock,
    exit::{Exit, Failure},
    input,
    output::{Answer, Table, human},
    view::not_understood,
};

/// Largest file that is read as a key: one of 4,096 bits has under 1 KiB.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Programs that sign in: pipelines, agents, scripts
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceAccount {
    Create(Create),
    List(List),
    #[command(subcommand)]
    Secret(Secret),
    #[command(subcommand)]
    Key(Key),
    #[command(subcommand)]
    Trust(Trust),
    Disable(Disable),
    Enable(Enable),
    Remove(Remove),
}

/// Make a service account
///
/// It cannot sign in until it has a secret, a key or a trust, and may nothing until it is given a role.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account create pipeline")]
pub(crate) struct Create {
    /// What it is called
    name: String,
}

/// List service accounts, each with what it signs in with
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account list
  hourgate service-account list --query '[].credentials[]' -o json")]
pub(crate) struct List {}

/// Secrets, several at once, each with an end
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    Add(AddSecret),
    Remove(RemoveCredential),
}

/// Make a secret; it is shown this once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account secret add pipeline
  hourgate service-account secret add pipeline --name 2027 --for 90d")]
pub(crate) struct AddSecret {
    /// For which: its name, its client id or its id
    service: String,
    /// What to call the secret
    #[arg(long, default_value = "secret")]
    name: String,
    /// For how long it holds; two years at most [default: 180d]
    #[arg(long = "for", value_name = "DURATION", value_parser = input::duration::parse)]
    lasts: Option<Duration>,
}

/// Remove a secret, a key or a trust: tokens that were given for it are dead at once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account secret remove pipeline 4f6c2d1e-…")]
pub(crate) struct RemoveCredential {
    /// Whose: its name, its client id or its id
    service: String,
    /// Which: its id, as `service-account list` shows it
    id: Uuid,
}

/// Keys of its own, whose private half never leaves it
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    Add(AddKey),
    Remove(RemoveCredential),
}

/// Take a public key: assertions that its other half signs stand for the service
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account key add pipeline --file public.jwk")]
pub(crate) struct AddKey {
    /// For which: its name, its client id or its id
    service: String,
    /// A file with the public half, as a JSON Web Key: EC on P-256 or P-384, Ed25519, or RSA
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// What to call the key
    #[arg(long, default_value = "key")]
    name: String,
    /// For how long it holds [default: until it is removed]
    #[arg(long = "for", value_name = "DURATION", value_parser = input::duration::parse)]
    lasts: Option<Duration>,
}

/// Other issuers' tokens, so that no secret is kept anywhere
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    Add(AddTrust),
    Remove(RemoveCredential),
}

/// Let another issuer's tokens stand for the service
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account trust add pipeline --issuer https://token.actions.githubusercontent.com \\
    --subject repo:org/app:ref:refs/heads/main --audience hourgate")]
pub(crate) struct AddTrust {
    /// For which: its name, its client id or its id
    service: String,
    /// Who vouches for it: the `iss` of its tokens
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Who it is there, exactly: the `sub` of its tokens
    #[arg(long)]
    subject: String,
    /// For whom its tokens must be made: their `aud`
    #[arg(long)]
    audience: String,
    /// What to call the trust
    #[arg(long, default_value = "trust")]
    name: String,
}

/// Let a service account in no more: what it has open closes within a second
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account disable pipeline")]
pub(crate) struct Disable {
    /// Which: its name, its client id or its id
    service: String,
}

/// Let it in again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account enable pipeline")]
pub(crate) struct Enable {
    /// Which: its name, its client id or its id
    service: String,
}

/// Remove a service account and all roles that it has
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate service-account remove pipeline
  hourgate service-account remove pipeline --yes             without being asked")]
pub(crate) struct Remove {
    /// Which: its name, its client id or its id
    service: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Does what was typed behind `service-account`.
pub(crate) async fn run(session: &Session, args: ServiceAccount) -> Result<(), Failure> {
    match args {
        ServiceAccount::Create(Create { name }) => {
            let body = json!(NewService { display_name: name });
            let path = path(session, AccountRoute::Services);
            let call = Call::new(Method::POST, &path).body(&body);
            let value = session.client.send(call).await?.body;
            let made: ServiceAccountResource = understood(&value)?;
            session.output.show(&Answer::new(value, table(&[made])))
        }
        ServiceAccount::List(List {}) => {
            let found = all(session).await?;
            let table = table(&found);
            session.output.show(&Answer::new(json!(found), table))
        }
        ServiceAccount::Secret(Secret::Add(args)) => add_secret(session, args).await,
        ServiceAccount::Key(Key::Add(args)) => add_key(session, args).await,
        ServiceAccount::Trust(Trust::Add(args)) => add_trust(session, args).await,
        ServiceAccount::Secret(Secret::Remove(args))
        | ServiceAccount::Key(Key::Remove(args))
        | ServiceAccount::Trust(Trust::Remove(args)) => remove_credential(session, args).await,
        ServiceAccount::Disable(Disable { service }) => {
            step(session, &service, AccountStep::Disable).await
        }
        ServiceAccount::Enable(Enable { service }) => {
            step(session, &service, AccountStep::Enable).await
        }
        ServiceAccount::Remove(args) => remove(session, args).await,
    }
}

async fn add_secret(session: &Session, args: AddSecret) -> Result<(), Failure> {
    let AddSecret { service, name, lasts } = args;
    let client = find(session, &service).await?.client_id;
    let body = json!(NewSecret { display_name: name, ends_at: lasts.map(end) });
    let value = added(session, client, CredentialSort::Secrets, &body).await?;
    let made: SecretResource = understood(&value)?;
    let mut table = Table::new(["CLIENT ID", "SECRET", "UNTIL", "ID"]);
    let until = made.credential.ends_at.map(|at| human::moment(at.0, &clock::local_now()));
    let until = until.unwrap_or_default();
    table.row([client.to_string(), made.secret, until, made.credential.id.to_string()]);
    let next = "This is the only time that the secret is shown.".to_owned();
    session.output.show(&Answer::new(value, table).then(vec![next]))
}

async fn add_key(session: &Session, args: AddKey) -> Result<(), Failure> {
    let AddKey { service, file, name, lasts } = args;
    let unread = |why: String| {
        Failure::usage(format!("{} is no public JSON Web Key: {why}.", file.display()))
    };
    let length = std::fs::metadata(&file).map_err(|error| unread(error.to_string()))?.len();
    if length > KEY_BYTES_MAX {
        return Err(unread(format!("it has more than {KEY_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| unread(error.to_string()))?;
    let jwk: Value = serde_json::from_str(&text).map_err(|_| unread("it is no JSON".to_owned()))?;
    // Not even sent: whoever does that by mistake has lost nothing yet.
    if jwk.get("d").is_some() || jwk.get("k").is_some() {
        return Err(unread("it holds the private half, which stays with the service".to_owned()));
    }
    let client = find(session, &service).await?.client_id;
    let body = json!(NewKey { display_name: name, jwk, ends_at: lasts.map(end) });
    credential(session, added(session, client, CredentialSort::Keys, &body).await?)
}

async fn add_trust(session: &Session, args: AddTrust) -> Result<(), Failure> {
    let AddTrust { service, issuer, subject, audience, name } = args;
    let client = find(session, &service).await?.client_id;
    let body = json!(NewTrust { display_name: name, issuer, subject, audience });
    credential(session, added(session, client, CredentialSort::Trusts, &body).await?)
}

async fn added(
    session: &Session,
    client: Uuid,
    sort: CredentialSort,
    body: &Value,
) -> Result<Value, Failure> {
    let path = path(session, AccountRoute::Credentials(client, sort));
    Ok(session.client.send(Call::new(Method::POST, &path).body(body)).await?.body)
}

fn credential(session: &Session, value: Value) -> Result<(), Failure> {
    let made: ServiceCredentialResource = understood(&value)?;
    let mut table = Table::new(["NAME", "KIND", "ID"]);
    table.row([made.display_name, made.kind, made.id.to_string()]);
    session.output.show(&Answer::new(value, table))
}

async fn remove_credential(session: &Session, args: RemoveCredential) -> Result<(), Failure> {
    let RemoveCredential { service, id } = args;
    let found = find(session, &service).await?;
    if !found.credentials.iter().any(|credential| credential.id == id) {
        let sentence = format!("The service account has nothing with the id {id}.");
        return Err(Failure::new(Exit::NotFound, sentence));
    }
    let path = path(session, AccountRoute::Credential(found.client_id, id));
    session.client.send(Call::new(Method::DELETE, &path)).await?;
    removed(session, &id.to_string())
}

async fn step(session: &Session, service: &str, step: AccountStep) -> Result<(), Failure> {
    let client = find(session, service).await?.client_id;
    let path = path(session, AccountRoute::ServiceStep(client, step));
    let value = session.client.send(Call::new(Method::POST, &path)).await?.body;
    let done: ServiceAccountResource = understood(&value)?;
    session.output.show(&Answer::new(value, table(&[done])))
}

async fn remove(session: &Session, args: Remove) -> Result<(), Failure> {
    let found = find(session, &args.service).await?;
    if !args.yes {
        let lines = vec![format!("the service account {} and all its roles", found.display_name)];
        let (what, otherwise) = ("This removes, for good", "Nothing was removed.");
        agree::ask(Question { what, lines, otherwise })?;
    }
    let path = path(session, AccountRoute::Service(found.client_id));
    session.client.send(Call::new(Method::DELETE, &path)).await?;
    removed(session, &found.display_name)
}

fn removed(session: &Session, what: &str) -> Result<(), Failure> {
    let mut table = Table::new(["REMOVED"]);
    table.row([what.to_owned()]);
    session.output.show(&Answer::new(json!({ "removed": what }), table))
}

async fn all(session: &Session) -> Result<Vec<ServiceAccountResource>, Failure> {
    let found = session.client.list(&path(session, AccountRoute::Services)).await?;
    found.iter().map(understood).collect()
}

/// The one that is meant. Names need not be distinct: where several have one, none is guessed.
async fn find(session: &Session, service: &str) -> Result<ServiceAccountResource, Failure> {
    let id: Option<Uuid> = service.parse().ok();
    let mut found = all(session).await?;
    found.retain(|one| match id {
        Some(id) => one.client_id == id || one.id == id,
        None => one.display_name.eq_ignore_ascii_case(service),
    });
    let named = hourgate_api::text::quoted(service);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let sentence = format!("There is no service account {named}.");
            let advice = "`hourgate service-account list` shows all.";
            Err(Failure::new(Exit::NotFound, sentence).advise(advice))
        }
        more => {
            let lines = more.iter().map(|one| one.client_id.to_string()).collect();
            let sentence = format!("{} service accounts are called {named}.", more.len());
            Err(Failure::usage(sentence).because(lines).advise("Name one by its client id."))
        }
    }
}

fn table(found: &[ServiceAccountResource]) -> Table {
    let now = clock::local_now();
    let mut table = Table::new(["NAME", "CLIENT ID", "ENABLED", "SIGNS IN WITH", "ID"]);
    for one in found {
        let with = one.credentials.iter().map(|credential| {
            let until =
                credential.ends_at.map(|at| format!(" until {}", human::moment(at.0, &now)));
            let (kind, until) = (&credential.kind, until.unwrap_or_default());
            format!("{kind} '{}'{until}", credential.display_name)
        });
        table.row([
            one.display_name.clone(),
            one.client_id.to_string(),
            if one.enabled { "yes" } else { "no" }.to_owned(),
            with.collect::<Vec<_>>().join(", "),
            one.id.to_string(),
        ]);
    }
    table
}

fn end(lasts: Duration) -> UtcTime {
    UtcTime(later(clock::now(), lasts))
}

fn understood<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    let read = serde_json::from_value(value.clone());
    read.map_err(|_| not_understood("a service account that is none"))
}

fn path(session: &Session, route: AccountRoute) -> String {
    Route::Account(session.client.profile().subscription_id, route).uri()
}
