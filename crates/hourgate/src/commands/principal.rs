//! `hourgate principal …`: people, groups and services that are known.

use clap::{ArgGroup, Args, Subcommand};
use hourgate_api::{
    paths::{PrincipalRoute, Route},
    role::PrincipalResource,
};
use reqwest::Method;
use serde_json::json;

use super::Session;
use crate::{
    agree::{self, Question},
    client::Call,
    exit::Failure,
    named,
    output::{Answer, Table},
};

/// People, groups and services that are known
#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    List(List),
    Add(Add),
    /// Let nothing of somebody's count any more
    Disable(One),
    /// Let it count again
    Enable(One),
    /// Forget somebody, with every role they were given
    Remove(One),
}

/// Show who is known
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate principal list")]
pub(crate) struct List {}

/// Make a group or a person of a provider known before they sign in
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").required(true).args(["members", "person"]),
    after_help = "\
Examples:
  hourgate principal add --issuer https://login.example.com/realms/main --group 7f3a --name ops"
)]
pub(crate) struct Add {
    /// The provider, as it writes itself in its tokens
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// A group, by the provider's id of it
    #[arg(long = "group", id = "members", value_name = "ID")]
    members: Option<String>,
    /// A person, by the provider's `sub` of them
    #[arg(long = "user", id = "person", value_name = "ID")]
    person: Option<String>,
    /// What they are called
    #[arg(long)]
    name: String,
}

/// Somebody
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate principal disable anna
  hourgate principal remove anna --yes           without being asked")]
pub(crate) struct One {
    /// An object id, a name or a sign-in name
    #[arg(value_name = "WHO")]
    who: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Does what was typed behind `principal`.
pub(crate) async fn run(session: &Session, args: Principal) -> Result<(), Failure> {
    match args {
        Principal::List(List {}) => {
            let known = named::everybody(session).await?;
            session.output.show(&Answer::new(json!(known), table(&known)))
        }
        Principal::Add(args) => add(session, args).await,
        Principal::Enable(One { who, .. }) => {
            let id = named::who(session, &who).await?.name;
            change(session, Method::POST, PrincipalRoute::Enable(id)).await
        }
        Principal::Disable(args) => {
            let id = agreed(session, &args, "This ends every access of").await?.name;
            change(session, Method::POST, PrincipalRoute::Disable(id)).await
        }
        Principal::Remove(args) => {
            let what = "This ends every access of, takes every role from, and forgets";
            let id = agreed(session, &args, what).await?.name;
            change(session, Method::DELETE, PrincipalRoute::One(id)).await
        }
    }
}

async fn add(session: &Session, args: Add) -> Result<(), Failure> {
    let (kind, subject) = match (args.members, args.person) {
        (Some(group), _) => ("Group", group),
        (None, Some(person)) => ("User", person),
        (None, None) => return Err(Failure::usage("Say who, with --group or --user.")),
    };
    let body = json!({ "properties": {
        "type": kind,
        "issuer": args.issuer,
        "subject": subject,
        "displayName": args.name,
    }});
    let path = path(session, PrincipalRoute::All);
    let value = session.client.send(Call::new(Method::POST, &path).body(&body)).await?.body;
    let known: PrincipalResource = named::read(value.clone(), "a principal")?;
    session.output.show(&Answer::new(value, table(&[known])))
}

async fn agreed(session: &Session, args: &One, what: &str) -> Result<PrincipalResource, Failure> {
    let who = named::who(session, &args.who).await?;
    if !args.yes {
        let lines = vec![named::described(&who)];
        agree::ask(Question { what, lines, otherwise: "Nothing was changed." })?;
    }
    Ok(who)
}

async fn change(session: &Session, method: Method, what: PrincipalRoute) -> Result<(), Failure> {
    let path = path(session, what);
    let value = session.client.send(Call::new(method, &path)).await?.body;
    let known: PrincipalResource = named::read(value.clone(), "a principal")?;
    session.output.show(&Answer::new(value, table(&[known])))
}

fn path(session: &Session, what: PrincipalRoute) -> String {
    Route::Principals(session.client.profile().subscription_id, what).uri()
}

fn table(known: &[PrincipalResource]) -> Table {
    let mut table = Table::new(["NAME", "TYPE", "SIGN-IN NAME", "STATE", "ISSUER", "ID"]);
    for PrincipalResource { name, properties, .. } in known {
        table.row([
            properties.display_name.clone(),
            properties.kind.clone(),
            properties.user_principal_name.clone().unwrap_or_default(),
            if properties.disabled { "disabled" } else { "" }.to_owned(),
            properties.issuer.clone(),
            name.to_string(),
        ]);
    }
    table
}
