//! `hourgate role definition …`: which roles there are, and roles of one's own.

use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand};
use hourgate_api::{
    paths::{RoleRoute, Route},
    role::DefinitionResource,
};
use hourgate_core::role::Scope;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Session;
use crate::{
    agree::{self, Question},
    client::Call,
    exit::Failure,
    mint,
    named::{self, At},
    output::{Answer, Table},
};

/// Longest role that is read, in bytes: far more than one may have.
const ROLE_BYTES_MAX: u64 = 1 << 20;

/// Which roles there are
#[derive(Debug, Subcommand)]
pub(crate) enum Definition {
    List(List),
    Show(One),
    Create(Write),
    /// Change a role of one's own
    Update(Write),
    /// Remove a role of one's own
    Delete(Delete),
}

/// Show the roles that can be given
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role definition list
  hourgate role definition list --custom-role-only")]
pub(crate) struct List {
    #[command(flatten)]
    at: At,
    /// Only the role of this name, or with this word in it
    #[arg(long)]
    name: Option<String>,
    /// Only roles that were made here
    #[arg(long)]
    custom_role_only: bool,
}

/// Show all of one role
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role definition show requester -o json")]
pub(crate) struct One {
    /// Its name, its id, or a word of its name that no other has
    #[arg(value_name = "ROLE")]
    role: String,
}

/// Make a role
///
/// The JSON is az's: Name, Description, Actions, NotActions, DataActions, NotDataActions and AssignableScopes. A word
/// that is none of these is refused, so that a NotActions with a slip in it gives nothing more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role definition create --role-definition closer.json
  hourgate role definition create --role-definition - < closer.json")]
pub(crate) struct Write {
    /// A file, or - for what is piped in
    #[arg(long, value_name = "FILE")]
    role_definition: PathBuf,
}

/// A role to remove
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role definition delete --name 'Access Closer'")]
pub(crate) struct Delete {
    /// Its name, its id, or a word of its name that no other has
    #[arg(long)]
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Does what was typed behind `role definition`.
pub(crate) async fn run(session: &Session, args: Definition) -> Result<(), Failure> {
    let whole = Scope::subscription(session.client.profile().subscription_id);
    match args {
        Definition::List(args) => list(session, args, whole).await,
        Definition::Show(One { role }) => {
            let roles = named::roles(session, &whole).await?;
            let role = named::role(&roles, &role)?;
            session.output.show(&Answer::new(json!(role), table(std::slice::from_ref(role))))
        }
        Definition::Create(args) => write(session, &args, whole, true).await,
        Definition::Update(args) => write(session, &args, whole, false).await,
        Definition::Delete(args) => {
            let roles = named::roles(session, &whole).await?;
            let role = named::role(&roles, &args.name)?;
            if !args.yes {
                let lines = vec![format!("{} ({})", role.properties.role_name, role.name)];
                let what = "This removes the role";
                agree::ask(Question { what, lines, otherwise: "Nothing was removed." })?;
            }
            let path = path(&whole, &role.name)?;
            session.client.send(Call::new(Method::DELETE, &path)).await?;
            session.output.show(&Answer::new(json!(role), table(std::slice::from_ref(role))))
        }
    }
}

async fn list(session: &Session, args: List, whole: Scope) -> Result<(), Failure> {
    let scope = args.at.find(session).await?.unwrap_or(whole);
    let mut roles = named::roles(session, &scope).await?;
    roles.retain(|role| {
        let name = role.properties.role_name.to_lowercase();
        let wanted = args.name.as_ref().map(|name| name.trim().to_lowercase());
        wanted.is_none_or(|wanted| name.contains(&wanted))
            && (!args.custom_role_only || role.properties.kind == "CustomRole")
    });
    session.output.show(&Answer::new(json!(roles), table(&roles)))
}

async fn write(session: &Session, args: &Write, whole: Scope, new: bool) -> Result<(), Failure> {
    let sent = read(&args.role_definition)?;
    let (name, properties) = properties(sent, &whole).map_err(Failure::usage)?;
    let roles = named::roles(session, &whole).await?;
    let known =
        roles.iter().find(|role| role.properties.role_name.to_lowercase() == name.to_lowercase());
    let id = match (known, new) {
        (Some(role), false) => role.name.clone(),
        (None, true) => mint::uuid()?.to_string(),
        (Some(role), true) => {
            return Err(Failure::usage(format!("There is a role {name} already ({}).", role.name))
                .advise("`hourgate role definition update` changes it."));
        }
        (None, false) => return named::role(&roles, &name).map(|_| ()),
    };
    let path = path(&whole, &id)?;
    let body = json!({ "properties": properties });
    let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
    let role: DefinitionResource = named::read(value.clone(), "a role")?;
    session.output.show(&Answer::new(value, table(&[role])))
}

fn path(scope: &Scope, id: &str) -> Result<String, Failure> {
    let id: Uuid = id.parse().map_err(|_| crate::view::not_understood("the id of a role"))?;
    Ok(Route::Roles(scope.clone(), RoleRoute::Definition(id)).uri())
}

fn read(file: &PathBuf) -> Result<Value, Failure> {
    let mut text = String::new();
    let failed = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", file.display()))
    };
    let mut from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    from.by_ref().take(ROLE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let json = serde_json::from_str(&text);
    json.map_err(|error| Failure::usage(format!("{} is no JSON: {error}", file.display())))
}

/// From az's words to the wire's, and its name.
fn properties(sent: Value, whole: &Scope) -> Result<(String, Value), String> {
    let Value::Object(sent) = sent else {
        return Err("A role is an object with Name, Actions and AssignableScopes.".to_owned());
    };
    let (mut said, mut permission) = (Map::new(), Map::new());
    for (word, value) in sent {
        let (to, name) = match word.to_lowercase().as_str() {
            "name" | "rolename" => (&mut said, "roleName"),
            "description" => (&mut said, "description"),
            "assignablescopes" => (&mut said, "assignableScopes"),
            "actions" => (&mut permission, "actions"),
            "notactions" => (&mut permission, "notActions"),
            "dataactions" => (&mut permission, "dataActions"),
            "notdataactions" => (&mut permission, "notDataActions"),
            // What az writes of a role that stands, and takes back unread.
            "id" | "iscustom" | "roletype" | "type" => continue,
            _ => {
                return Err(format!(
                    "{word:?} is no word of a role. Those are Name, Description, Actions, NotActions, \
                     DataActions, NotDataActions and AssignableScopes."
                ));
            }
        };
        if to.insert(name.to_owned(), value).is_some() {
            return Err(format!("{word:?} is said twice."));
        }
    }
    let name = said.get("roleName").and_then(Value::as_str).map(str::to_owned);
    let name = name.ok_or("A role needs a Name.")?;
    said.entry("assignableScopes").or_insert_with(|| json!([whole]));
    said.insert("type".to_owned(), json!("CustomRole"));
    said.insert("permissions".to_owned(), json!([permission]));
    Ok((name, Value::Object(said)))
}

fn table(roles: &[DefinitionResource]) -> Table {
    let mut table = Table::new(["NAME", "TYPE", "DESCRIPTION", "ID"]);
    for role in roles {
        table.row([
            role.properties.role_name.clone(),
            role.properties.kind.clone(),
            role.properties.description.clone(),
            role.name.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azs_words_are_taken_and_a_slip_is_refused() {
        let whole = Scope::subscription(Uuid::nil());
        let sent = json!({"Name": "Closer", "IsCustom": true, "Actions": ["*/read"],
            "NotActions": ["Microsoft.Network/*"], "AssignableScopes": ["/x"]});
        let (name, properties) = super::properties(sent, &whole).expect("a role");
        assert_eq!(name, "Closer");
        assert_eq!(
            properties,
            json!({"roleName": "Closer", "type": "CustomRole", "assignableScopes": ["/x"],
                "permissions": [{"actions": ["*/read"], "notActions": ["Microsoft.Network/*"]}]})
        );
        for wrong in [
            json!({"Name": "X", "NotAction": []}),
            json!({"Actions": ["*"]}),
            json!({"Name": "X", "Actions": [], "actions": ["*"]}),
            json!([]),
        ] {
            assert!(super::properties(wrong.clone(), &whole).is_err(), "{wrong}");
        }
    }
}
