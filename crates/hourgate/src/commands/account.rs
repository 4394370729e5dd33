//! `hourgate account`: people whom this server itself knows, without any provider.

use clap::{Args, Subcommand};
use hourgate_api::{
    account::{AccountLink, AccountResource, NewAccount},
    paths::{AccountRoute, AccountStep, Route},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Session;
use crate::{
    agree::{self, Question},
    client::Call,
    clock,
    exit::{Exit, Failure},
    output::{Answer, Table, human},
    view::not_understood,
};

/// People with a password here, besides those of your providers
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    Create(Create),
    List(List),
    Disable(Disable),
    Enable(Enable),
    Reset(Reset),
    Remove(Remove),
}

/// Make an account, and a link with which its owner sets a password
///
/// It may nothing until it is given a role: `hourgate role assignment create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account create ann
  hourgate account create ann@example.com --display-name 'Ann Example'")]
pub(crate) struct Create {
    /// What its owner signs in with: letters, digits and . _ - + @
    name: String,
    /// What its owner is called [default: the name]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    display_name: String,
}

/// List accounts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account list")]
pub(crate) struct List {}

/// Let nobody in to an account: its sessions end, and what it has open closes within a second
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account disable ann")]
pub(crate) struct Disable {
    /// Which: its name, or its id
    account: String,
}

/// Let its owner in again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account enable ann")]
pub(crate) struct Enable {
    /// Which: its name, or its id
    account: String,
}

/// Take password, second factors and sessions, and make a link to begin anew
///
/// Whoever resets an account could come in as its owner: it takes the right to give roles too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account reset ann")]
pub(crate) struct Reset {
    /// Which: its name, or its id
    account: String,
}

/// Remove an account and all roles that it has
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate account remove ann
  hourgate account remove ann --yes          without being asked")]
pub(crate) struct Remove {
    /// Which: its name, or its id
    account: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Does what was typed behind `account`.
pub(crate) async fn run(session: &Session, args: Account) -> Result<(), Failure> {
    match args {
        Account::Create(Create { name, display_name }) => {
            let body = json!(NewAccount { name, display_name });
            let path = path(session, AccountRoute::Accounts);
            linked(session, Call::new(Method::POST, &path).body(&body)).await
        }
        Account::List(List {}) => {
            let found = all(session).await?;
            let table = table(&found);
            session.output.show(&Answer::new(json!(found), table))
        }
        Account::Disable(Disable { account }) => {
            step(session, &account, AccountStep::Disable).await
        }
        Account::Enable(Enable { account }) => step(session, &account, AccountStep::Enable).await,
        Account::Reset(Reset { account }) => {
            let id = find(session, &account).await?.id;
            let path = path(session, AccountRoute::AccountStep(id, AccountStep::Reset));
            linked(session, Call::new(Method::POST, &path)).await
        }
        Account::Remove(Remove { account, yes }) => {
            let found = find(session, &account).await?;
            if !yes {
                let lines = vec![format!("the account {} and all its roles", found.name)];
                let (what, otherwise) = ("This removes, for good", "Nothing was removed.");
                agree::ask(Question { what, lines, otherwise })?;
            }
            let path = path(session, AccountRoute::Account(found.id));
            session.client.send(Call::new(Method::DELETE, &path)).await?;
            let mut table = Table::new(["REMOVED"]);
            table.row([found.name.clone()]);
            session.output.show(&Answer::new(json!({ "removed": found.name }), table))
        }
    }
}

/// Makes a link, and shows it.
async fn linked(session: &Session, call: Call<'_>) -> Result<(), Failure> {
    let value = session.client.send(call).await?.body;
    let made: AccountLink = understood(&value)?;
    let mut table = Table::new(["NAME", "LINK", "UNTIL"]);
    let until = human::moment(made.link_ends_at.0, &clock::local_now());
    table.row([made.account.name, made.link, until]);
    let next = "Send the link to its owner, who sets a password with it, once.".to_owned();
    session.output.show(&Answer::new(value, table).then(vec![next]))
}

async fn step(session: &Session, account: &str, step: AccountStep) -> Result<(), Failure> {
    let id = find(session, account).await?.id;
    let path = path(session, AccountRoute::AccountStep(id, step));
    let value = session.client.send(Call::new(Method::POST, &path)).await?.body;
    let done: AccountResource = understood(&value)?;
    session.output.show(&Answer::new(value, table(&[done])))
}

async fn all(session: &Session) -> Result<Vec<AccountResource>, Failure> {
    let found = session.client.list(&path(session, AccountRoute::Accounts)).await?;
    found.iter().map(understood).collect()
}

async fn find(session: &Session, account: &str) -> Result<AccountResource, Failure> {
    let id: Option<Uuid> = account.parse().ok();
    let is_it =
        |one: &AccountResource| Some(one.id) == id || one.name.eq_ignore_ascii_case(account);
    let found = all(session).await?.into_iter().find(is_it);
    found.ok_or_else(|| {
        let sentence = format!("There is no account {}.", hourgate_api::text::quoted(account));
        Failure::new(Exit::NotFound, sentence).advise("`hourgate account list` shows all.")
    })
}

fn table(found: &[AccountResource]) -> Table {
    let mut table = Table::new(["NAME", "CALLED", "ENABLED", "PASSWORD", "SECOND FACTOR", "ID"]);
    let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
    for one in found {
        table.row([
            one.name.clone(),
            one.display_name.clone(),
            word(one.enabled),
            word(one.has_password),
            word(one.has_second_factor),
            one.id.to_string(),
        ]);
    }
    table
}

fn understood<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone()).map_err(|_| not_understood("an account that is none"))
}

fn path(session: &Session, route: AccountRoute) -> String {
    Route::Account(session.client.profile().subscription_id, route).uri()
}
