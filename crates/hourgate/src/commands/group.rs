//! `hourgate group …`: resource groups, in the words of az.

use clap::{Args, Subcommand};
use hourgate_api::paths::Route;
use hourgate_core::id::{Location, Name};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Session;
use crate::{
    agree::{self, Question},
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    view::plain,
};

/// Resource groups, in the words of az
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    Create(Create),
    List(List),
    Show(Named),
    Delete(Delete),
}

/// Make a resource group, or set its tags
///
/// A group is also there as soon as something is put into it; one that is made stays when it is empty.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate group create -n prod -l westeurope
  hourgate group create -n prod --tags owner=ops stage=prod")]
pub(crate) struct Create {
    #[command(flatten)]
    named: Named,
    /// Where it is; it stays there [default: local]
    #[arg(short, long, value_parser = network::location)]
    location: Option<Location>,
    /// Words about it: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", num_args = 0.., value_parser = tag)]
    tags: Vec<(String, String)>,
}

/// Show those there are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate group list
  hourgate group list --query '[].name' -o json")]
pub(crate) struct List {}

/// The one of that name
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate group show -n prod")]
pub(crate) struct Named {
    /// What it is called
    #[arg(
        short = 'n',
        long = "name",
        visible_alias = "resource-group",
        visible_short_alias = 'g',
        value_parser = network::name
    )]
    name: Name,
}

/// Remove a group with everything in it
///
/// Refused while a policy holds a machine of it, or something in another group uses what is in it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate group delete -n lab
  hourgate group delete -n lab --yes                         without being asked")]
pub(crate) struct Delete {
    #[command(flatten)]
    named: Named,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("a tag is NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Does what was typed behind `group`.
pub(crate) async fn run(session: &Session, args: Group) -> Result<(), Failure> {
    match args {
        Group::Create(args) => create(session, args).await,
        Group::List(List {}) => {
            let found = session.client.list(&Route::Groups(subscription(session)).uri()).await?;
            let table = table(&found);
            session.output.show(&Answer::new(Value::Array(found), table))
        }
        Group::Show(args) => {
            let value = session.client.get(&path(session, &args)).await?.body;
            session.output.show(&Answer::new(value.clone(), table(&[value])))
        }
        Group::Delete(args) => delete(session, &args).await,
    }
}

async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let location = args.location.or_else(|| session.defaults.location.clone());
    let location = location.map_or_else(|| "local".to_owned(), |l| l.to_string());
    let tags: Map<String, Value> =
        args.tags.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let body = json!({ "location": location, "tags": tags });
    let path = path(session, &args.named);
    let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
    session.output.show(&Answer::new(value.clone(), table(&[value])))
}

async fn delete(session: &Session, args: &Delete) -> Result<(), Failure> {
    let path = path(session, &args.named);
    // So that a name that is mistyped is told before anybody is asked.
    session.client.get(&path).await?;
    if !args.yes {
        let lines = vec![format!("everything in the resource group {}", args.named.name)];
        let (what, otherwise) = ("This removes, for good", "Nothing was removed.");
        agree::ask(Question { what, lines, otherwise })?;
    }
    session.client.send(Call::new(Method::DELETE, &path)).await?;
    Ok(())
}

fn subscription(session: &Session) -> hourgate_core::id::SubscriptionId {
    session.client.profile().subscription_id
}

fn path(session: &Session, named: &Named) -> String {
    Route::Group(subscription(session), named.name.clone()).uri()
}

fn table(found: &[Value]) -> Table {
    let mut table = Table::new(["NAME", "LOCATION", "TAGS"]);
    for value in found {
        let text = |at: &str| value.pointer(at).map(plain).unwrap_or_default();
        let tags = value.get("tags").and_then(Value::as_object);
        let tags =
            tags.into_iter().flatten().map(|(name, value)| format!("{name}={}", plain(value)));
        table.row([text("/name"), text("/location"), tags.collect::<Vec<_>>().join(", ")]);
    }
    table
}
