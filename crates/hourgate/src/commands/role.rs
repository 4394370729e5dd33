//! `hourgate role assignment …`: who has which role where, in the words of az.

use std::time::Duration;

use clap::{Args, Subcommand};
use hourgate_api::{
    paths::{RoleRoute, Route},
    role::{AssignmentResource, DefinitionResource, PrincipalResource},
    time::UtcTime,
};
use hourgate_core::{role::Scope, time::later};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Session,
    definition::{self, Definition},
};
use crate::{
    agree::{self, Question},
    client::Call,
    clock,
    exit::{Exit, Failure},
    input::{duration, start},
    mint,
    named::{self, At},
    output::{Answer, Table, human},
};

/// Roles: who has which, where
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Who has which role, where
    #[command(subcommand)]
    Assignment(Assignment),
    /// Which roles there are
    #[command(subcommand)]
    Definition(Definition),
}

/// Who has which role, where
#[derive(Debug, Subcommand)]
pub(crate) enum Assignment {
    Create(Create),
    List(List),
    Delete(Delete),
}

/// Give somebody a role
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role assignment create --assignee anna --role requester -g prod
  hourgate role assignment create --assignee ops --role approver --vm web-1 --for 8h")]
pub(crate) struct Create {
    /// To whom: an object id, a name or a sign-in name
    #[arg(long, value_name = "WHO", required_unless_present = "object_id")]
    assignee: Option<String>,
    /// The same by the object id, which is not looked up
    #[arg(
        long = "assignee-object-id",
        id = "object_id",
        value_name = "ID",
        conflicts_with = "assignee"
    )]
    object_id: Option<Uuid>,
    /// Which role: its name, its id, or a word such as approver
    #[arg(long)]
    role: String,
    #[command(flatten)]
    at: At,
    /// Until when: 22:00, or a full time [default: for good]
    #[arg(long, value_name = "TIME", conflicts_with = "length")]
    until: Option<String>,
    /// For how long
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = duration::parse)]
    length: Option<Duration>,
    /// Why
    #[arg(long)]
    description: Option<String>,
}

/// Show who has which role
///
/// Those at exactly one scope, as az does: --all also shows those below it, --include-inherited those above.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role assignment list --all
  hourgate role assignment list --vm web-1 --include-inherited
  hourgate role assignment list --assignee anna --all --include-groups")]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// Those below the scope too
    #[arg(long)]
    all: bool,
    /// Those of the groups of the assignee too
    #[arg(long, requires = "assignee")]
    include_groups: bool,
}

/// Take roles away
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate role assignment delete --assignee anna --role requester -g prod
  hourgate role assignment delete --assignee anna -g prod --yes          without being asked")]
pub(crate) struct Delete {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Which assignments are meant.
#[derive(Debug, Args)]
struct Which {
    /// Only those of: an object id, a name or a sign-in name
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// Only those of this role
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    at: At,
    /// Those above the scope too
    #[arg(long)]
    include_inherited: bool,
}

/// Does what was typed behind `role`.
pub(crate) async fn run(session: &Session, args: Role) -> Result<(), Failure> {
    match args {
        Role::Assignment(Assignment::Create(args)) => create(session, args).await,
        Role::Assignment(Assignment::List(args)) => list(session, args).await,
        Role::Assignment(Assignment::Delete(args)) => delete(session, args).await,
        Role::Definition(args) => definition::run(session, args).await,
    }
}

fn whole(session: &Session) -> Scope {
    Scope::subscription(session.client.profile().subscription_id)
}

async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let now = clock::local_now();
    let until = args.until.as_deref().map(|text| start::parse(text, &now)).transpose();
    let until = until.map_err(Failure::usage)?;
    let until = until.or(args.length.map(|length| later(now.timestamp(), length)));
    let scope = args.at.find(session).await?.unwrap_or_else(|| whole(session));
    let principal = match (args.object_id, &args.assignee) {
        (Some(id), _) => id,
        (None, Some(called)) => named::who(session, called).await?.name,
        (None, None) => return Err(Failure::usage("Nobody is named.")),
    };
    let roles = named::roles(session, &scope).await?;
    let mut properties = json!({
        "roleDefinitionId": named::role(&roles, &args.role)?.id,
        "principalId": principal,
        "description": args.description,
    });
    if let Some(until) = until {
        properties["expiresOn"] = json!(UtcTime(until));
    }
    let body = json!({ "properties": properties });
    let path = Route::Roles(scope, RoleRoute::Assignment(mint::uuid()?)).uri();
    let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
    let given = named::read(value.clone(), "a role assignment")?;
    let names = Names { people: people(session).await, roles };
    session.output.show(&Answer::new(value, names.table(&[given])))
}

async fn list(session: &Session, args: List) -> Result<(), Failure> {
    let (found, names) = meant(session, &args.which, args.all, args.include_groups).await?;
    let table = names.table(&found);
    session.output.show(&Answer::new(json!(found), table))
}

async fn delete(session: &Session, args: Delete) -> Result<(), Failure> {
    if args.which.assignee.is_none() && args.which.role.is_none() {
        return Err(Failure::usage("Say whose roles with --assignee, or which with --role."));
    }
    let (found, names) = meant(session, &args.which, false, false).await?;
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, "No such role is given at that scope.")
            .advise("`hourgate role assignment list --all` shows where which is."));
    }
    if !args.yes {
        let lines = names.table(&found).rows.iter().map(|row| row.join("  ")).collect();
        let what = "This takes away, and ends the accesses that need it";
        agree::ask(Question { what, lines, otherwise: "Nothing was taken away." })?;
    }
    for given in &found {
        let path = path_of(given)?;
        session.client.send(Call::new(Method::DELETE, &path)).await?;
    }
    session.output.show(&Answer::new(json!(found), names.table(&found)))
}

fn path_of(given: &AssignmentResource) -> Result<String, Failure> {
    Route::parse(&given.id)
        .map(|route| route.uri())
        .map_err(|_| crate::view::not_understood("the id of a role assignment"))
}

/// The assignments that are meant, and what to call what they speak of.
async fn meant(
    session: &Session,
    which: &Which,
    below: bool,
    by_groups: bool,
) -> Result<(Vec<AssignmentResource>, Names), Failure> {
    let scope = which.at.find(session).await?.unwrap_or_else(|| whole(session));
    let who = match &which.assignee {
        Some(called) => Some(named::who(session, called).await?.name),
        None => None,
    };
    let filter = who.map(|id| match by_groups {
        true => format!("assignedTo('{id}')"),
        false => format!("principalId eq '{id}'"),
    });
    let query: Vec<(&str, &str)> =
        filter.iter().map(|filter| ("$filter", filter.as_str())).collect();
    let path = Route::Roles(scope.clone(), RoleRoute::Assignments).with_query(&query);
    let read = |value: Value| named::read::<AssignmentResource>(value, "a role assignment");
    let mut found: Vec<AssignmentResource> =
        session.client.list(&path).await?.into_iter().map(read).collect::<Result<_, _>>()?;
    found.retain(|given| {
        given.properties.scope.parse::<Scope>().is_ok_and(|at| {
            at == scope
                || (below && scope.holds(&at))
                || (which.include_inherited && at.holds(&scope))
        })
    });
    let roles = named::roles(session, &whole(session)).await?;
    if let Some(called) = &which.role {
        let id = &named::role(&roles, called)?.name;
        found.retain(|given| given.properties.role_definition_id.ends_with(id.as_str()));
    }
    Ok((found, Names { people: people(session).await, roles }))
}

/// Those whose names we may know; ids are shown for the others.
async fn people(session: &Session) -> Vec<PrincipalResource> {
    named::everybody(session).await.unwrap_or_default()
}

/// What to call people and roles.
struct Names {
    people: Vec<PrincipalResource>,
    roles: Vec<DefinitionResource>,
}

impl Names {
    fn table(&self, found: &[AssignmentResource]) -> Table {
        let now = clock::local_now();
        let mut table = Table::new(["WHO", "TYPE", "ROLE", "WHERE", "UNTIL", "WHY"]);
        for AssignmentResource { properties, .. } in found {
            let who = self.people.iter().find(|who| who.name == properties.principal_id);
            let role = self.roles.iter().find(|role| role.id == properties.role_definition_id);
            let scope = properties.scope.parse::<Scope>().map(|scope| named::place(&scope));
            table.row([
                who.map_or_else(
                    || properties.principal_id.to_string(),
                    |who| who.properties.display_name.clone(),
                ),
                properties.principal_type.clone(),
                role.map_or_else(
                    || properties.role_definition_id.clone(),
                    |role| role.properties.role_name.clone(),
                ),
                scope.unwrap_or_else(|_| properties.scope.clone()),
                properties.expires_on.map_or_else(String::new, |at| human::moment(at.0, &now)),
                properties.description.clone().unwrap_or_default(),
            ]);
        }
        table
    }
}
