//! `hourgate activate` and `hourgate pim …`: roles that are had for a time, who may activate them, and on whose word.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::{
    paths::{ApprovalRoute, Of, PimRoute, RoleRoute, Route},
    time::{IsoDuration, UtcTime},
};
use hourgate_core::{role::Scope, time::later};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Session;
use crate::{
    client::Call,
    clock,
    exit::{Exit, Failure},
    input::{duration, start},
    mint,
    named::{self, At},
    output::{Answer, Table, human},
};

/// Roles that are activated for a time
#[derive(Debug, Subcommand)]
pub(crate) enum Pim {
    Activate(Activate),
    Deactivate(Deactivate),
    List(List),
    /// Say yes to somebody's activation
    Approve(Decide),
    /// Say no to somebody's activation
    Deny(Decide),
    /// Who may activate what
    #[command(subcommand)]
    Eligible(Eligible),
    /// What it takes to activate a role
    #[command(subcommand)]
    Rules(Rules),
}

/// Activate a role that you are eligible for
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate activate approver --for 2h --reason 'on call'
  hourgate activate requester -g prod --reason 'disk is full' --ticket INC-4711")]
pub(crate) struct Activate {
    /// Which role: its name, or a word of it such as approver
    role: String,
    #[command(flatten)]
    at: At,
    /// For how long [default: the longest that its rules allow]
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = duration::parse)]
    length: Option<Duration>,
    /// Why
    #[arg(long, visible_alias = "justification")]
    reason: Option<String>,
    /// The ticket
    #[arg(long)]
    ticket: Option<String>,
}

/// Give an activated role back before its end
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pim deactivate approver")]
pub(crate) struct Deactivate {
    /// Which role: its name, or a word of it such as approver
    role: String,
    #[command(flatten)]
    at: At,
}

/// Show which roles you may activate, have activated, or wait for; and whose wait for your word
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pim list
  hourgate pim list --state to-decide")]
pub(crate) struct List {
    /// Only these
    #[arg(long, value_enum)]
    state: Option<State>,
}

/// How far a role has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// You may activate it
    Eligible,
    /// It is yours
    Active,
    /// It waits for somebody's word
    Pending,
    /// It waits for yours
    ToDecide,
}

/// A decision
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pim approve 7b0d7a2e-3c52-4a31-9d0e-6d6f6b1c2a55
  hourgate pim deny 7b0d7a2e-3c52-4a31-9d0e-6d6f6b1c2a55 --reason 'not on call'")]
pub(crate) struct Decide {
    /// Which: the id that `pim list` shows
    id: Uuid,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

/// Who may activate what
#[derive(Debug, Subcommand)]
pub(crate) enum Eligible {
    /// Let somebody activate a role
    #[command(after_help = "\
Examples:
  hourgate pim eligible create --assignee ops --role requester -g prod
  hourgate pim eligible create --assignee anna --role approver --for 90d")]
    Create(MakeEligible),
    /// Show who may activate what
    #[command(after_help = "\
Examples:
  hourgate pim eligible list")]
    List(At),
    /// Let somebody activate it no longer
    #[command(after_help = "\
Examples:
  hourgate pim eligible delete --assignee ops --role requester -g prod")]
    Delete(Whose),
}

/// Whose, and which role.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Who: an object id, a name or a sign-in name; each person of a group
    #[arg(long, value_name = "WHO")]
    assignee: String,
    /// Which role: its name, or a word of it such as approver
    #[arg(long)]
    role: String,
    #[command(flatten)]
    at: At,
}

/// The same, and until when.
#[derive(Debug, Args)]
pub(crate) struct MakeEligible {
    #[command(flatten)]
    whose: Whose,
    /// Until when [default: for good]
    #[arg(long, value_name = "TIME", conflicts_with = "length")]
    until: Option<String>,
    /// For how long
    #[arg(long = "for", id = "length", value_name = "DURATION", value_parser = duration::parse)]
    length: Option<Duration>,
}

/// What it takes to activate a role
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Show what it takes
    #[command(after_help = "\
Examples:
  hourgate pim rules show approver")]
    Show(OfRole),
    Set(SetRules),
}

/// A role at a scope.
#[derive(Debug, Args)]
pub(crate) struct OfRole {
    /// Which role: its name, or a word of it such as approver
    role: String,
    #[command(flatten)]
    at: At,
}

/// Set what it takes; what is not named stays
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate pim rules set approver --longest 4h --require justification,second-factor
  hourgate pim rules set requester -g prod --approver anna --approver leads
  hourgate pim rules set requester -g prod --no-approval --require nothing")]
pub(crate) struct SetRules {
    #[command(flatten)]
    of: OfRole,
    /// The longest that it is had at once
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    longest: Option<Duration>,
    /// All that is needed; nothing for none of it
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    require: Vec<Required>,
    /// On whose word, besides; as often as needed. A person or a group
    #[arg(long = "approver", value_name = "WHO", conflicts_with = "no_approval")]
    approvers: Vec<String>,
    /// On nobody's word
    #[arg(long)]
    no_approval: bool,
}

/// What is needed to activate a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Required {
    /// Say why
    Justification,
    /// Name a ticket
    Ticket,
    /// Have signed in with a second factor
    SecondFactor,
    /// None of these
    Nothing,
}

impl Required {
    fn word(self) -> Option<&'static str> {
        match self {
            Required::Justification => Some("Justification"),
            Required::Ticket => Some("Ticketing"),
            Required::SecondFactor => Some("MultiFactorAuthentication"),
            Required::Nothing => None,
        }
    }
}

/// Does what was typed behind `pim`.
pub(crate) async fn run(session: &Session, args: Pim) -> Result<(), Failure> {
    match args {
        Pim::Activate(args) => activate(session, args).await,
        Pim::Deactivate(args) => deactivate(session, args).await,
        Pim::List(args) => list(session, &args).await,
        Pim::Approve(args) => decide(session, args, "Approve").await,
        Pim::Deny(args) => decide(session, args, "Deny").await,
        Pim::Eligible(Eligible::Create(args)) => make_eligible(session, args).await,
        Pim::Eligible(Eligible::List(at)) => {
            let scope = scope(session, &at).await?;
            let found = found(session, &scope, PimRoute::Schedules(Of::Eligibility), None).await?;
            session.output.show(&Answer::new(json!(found), table(&found)))
        }
        Pim::Eligible(Eligible::Delete(args)) => {
            let body = admin(session, &args, "AdminRemove", json!({})).await?;
            ask(session, Of::Eligibility, &scope(session, &args.at).await?, &body).await
        }
        Pim::Rules(Rules::Show(args)) => {
            let path = rules_path(session, &args).await?;
            let value = session.client.send(Call::new(Method::GET, &path)).await?.body;
            let table = rules_table(&value);
            session.output.show(&Answer::new(value, table))
        }
        Pim::Rules(Rules::Set(args)) => set_rules(session, args).await,
    }
}

/// `hourgate activate`.
pub(crate) async fn activate(session: &Session, args: Activate) -> Result<(), Failure> {
    let whole = whole(session);
    let route = PimRoute::Instances(Of::Eligibility);
    let eligible = found(session, &whole, route, Some("asTarget()")).await?;
    let wanted = args.at.find(session).await?;
    let one = meant(&eligible, &args.role, wanted.as_ref(), "You are eligible for")?;
    let scope = wanted.map_or_else(|| scope_of(one), Ok)?;
    let body = json!({ "properties": {
        "requestType": "SelfActivate",
        "roleDefinitionId": one["properties"]["roleDefinitionId"],
        "principalId": own(session).await?,
        "linkedRoleEligibilityScheduleId": one["name"],
        "justification": args.reason,
        "ticketInfo": args.ticket.map(|ticket| json!({ "ticketNumber": ticket })),
        "scheduleInfo": args.length.map(|length| json!({
            "expiration": { "type": "AfterDuration", "duration": IsoDuration(length) },
        })),
    }});
    ask(session, Of::Assignment, &scope, &body).await
}

async fn deactivate(session: &Session, args: Deactivate) -> Result<(), Failure> {
    let route = PimRoute::Instances(Of::Assignment);
    let mut active = found(session, &whole(session), route, Some("asTarget()")).await?;
    active.retain(|one| one["properties"]["assignmentType"] == "Activated");
    let wanted = args.at.find(session).await?;
    let one = meant(&active, &args.role, wanted.as_ref(), "You have activated")?;
    let body = json!({ "properties": {
        "requestType": "SelfDeactivate",
        "roleDefinitionId": one["properties"]["roleDefinitionId"],
        "principalId": own(session).await?,
    }});
    ask(session, Of::Assignment, &scope_of(one)?, &body).await
}

async fn list(session: &Session, args: &List) -> Result<(), Failure> {
    let whole = whole(session);
    let wants = |state| args.state.is_none_or(|wanted| wanted == state);
    let mut all: Vec<Value> = Vec::new();
    if wants(State::Eligible) {
        let route = PimRoute::Instances(Of::Eligibility);
        all.extend(found(session, &whole, route, Some("asTarget()")).await?);
    }
    if wants(State::Active) {
        let route = PimRoute::Instances(Of::Assignment);
        let active = found(session, &whole, route, Some("asTarget()")).await?;
        let activated = |one: &Value| one["properties"]["assignmentType"] == "Activated";
        all.extend(active.into_iter().filter(activated));
    }
    let waits = |one: &Value| one["properties"]["status"] == "PendingApproval";
    let requests = PimRoute::Requests(Of::Assignment);
    if wants(State::Pending) {
        let asked = found(session, &whole, requests, Some("asTarget()")).await?;
        all.extend(asked.into_iter().filter(waits));
    }
    if wants(State::ToDecide) {
        let asked = found(session, &whole, requests, Some("asApprover()")).await?;
        all.extend(asked.into_iter().filter(waits));
    }
    session.output.show(&Answer::new(json!(all), table(&all)))
}

async fn decide(session: &Session, args: Decide, result: &str) -> Result<(), Failure> {
    let stage = ApprovalRoute::Stage(args.id, args.id);
    let path = Route::Approvals(None, stage).uri();
    let body = json!({ "properties": { "reviewResult": result, "justification": args.reason } });
    let value = session.client.send(Call::new(Method::PATCH, &path).body(&body)).await?.body;
    let mut table = Table::new(["ID", "DECIDED"]);
    table.row([args.id.to_string(), result.to_owned()]);
    session.output.show(&Answer::new(value, table))
}

async fn make_eligible(session: &Session, args: MakeEligible) -> Result<(), Failure> {
    let now = clock::local_now();
    let until = args.until.as_deref().map(|text| start::parse(text, &now)).transpose();
    let until = until.map_err(Failure::usage)?;
    let until = until.or(args.length.map(|length| later(now.timestamp(), length)));
    let expiration = match until {
        Some(until) => json!({ "type": "AfterDateTime", "endDateTime": UtcTime(until) }),
        None => json!({ "type": "NoExpiration" }),
    };
    let more = json!({ "scheduleInfo": { "expiration": expiration } });
    let body = admin(session, &args.whose, "AdminAssign", more).await?;
    ask(session, Of::Eligibility, &scope(session, &args.whose.at).await?, &body).await
}

/// What an administrator asks for somebody.
async fn admin(
    session: &Session,
    whose: &Whose,
    request: &str,
    more: Value,
) -> Result<Value, Failure> {
    let scope = scope(session, &whose.at).await?;
    let roles = named::roles(session, &scope).await?;
    let mut properties = json!({
        "requestType": request,
        "roleDefinitionId": named::role(&roles, &whose.role)?.id,
        "principalId": named::who(session, &whose.assignee).await?.name,
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut properties, more) {
        all.extend(more);
    }
    Ok(json!({ "properties": properties }))
}

/// Sends a request under a name of its own, and shows what came of it.
async fn ask(session: &Session, of: Of, scope: &Scope, body: &Value) -> Result<(), Failure> {
    let route = RoleRoute::Pim(PimRoute::Request(of, mint::uuid()?));
    let path = Route::Roles(scope.clone(), route).uri();
    let value = session.client.send(Call::new(Method::PUT, &path).body(body)).await?.body;
    let waits = value["properties"]["status"] == "PendingApproval";
    let next = waits.then(|| "It waits for somebody's word: hourgate pim list".to_owned());
    let table = table(std::slice::from_ref(&value));
    session.output.show(&Answer::new(value, table).then(next.into_iter().collect()))
}

async fn set_rules(session: &Session, args: SetRules) -> Result<(), Failure> {
    let mut rules = Vec::new();
    if let Some(longest) = args.longest {
        let maximum = IsoDuration(longest);
        rules.push(json!({ "id": "Expiration_EndUser_Assignment", "maximumDuration": maximum }));
    }
    if !args.require.is_empty() {
        let words: Vec<&str> = args.require.iter().filter_map(|what| what.word()).collect();
        rules.push(json!({ "id": "Enablement_EndUser_Assignment", "enabledRules": words }));
    }
    if args.no_approval || !args.approvers.is_empty() {
        let mut approvers = Vec::new();
        for called in &args.approvers {
            approvers.push(json!({ "id": named::who(session, called).await?.name }));
        }
        rules.push(json!({ "id": "Approval_EndUser_Assignment", "setting": {
            "isApprovalRequired": !args.no_approval,
            "approvalStages": [{ "primaryApprovers": approvers }],
        }}));
    }
    if rules.is_empty() {
        return Err(Failure::usage(
            "Say what is to change: --longest, --require, --approver or --no-approval.",
        ));
    }
    let path = rules_path(session, &args.of).await?;
    let body = json!({ "properties": { "rules": rules } });
    let value = session.client.send(Call::new(Method::PATCH, &path).body(&body)).await?.body;
    let table = rules_table(&value);
    session.output.show(&Answer::new(value, table))
}

async fn rules_path(session: &Session, of: &OfRole) -> Result<String, Failure> {
    let scope = scope(session, &of.at).await?;
    let roles = named::roles(session, &scope).await?;
    let role = named::role(&roles, &of.role)?;
    let id = role.name.parse().map_err(|_| crate::view::not_understood("the id of a role"))?;
    Ok(Route::Roles(scope, RoleRoute::Pim(PimRoute::Policy(id))).uri())
}

fn rules_table(policy: &Value) -> Table {
    let mut table = Table::new(["RULE", "IS"]);
    let rules = policy["properties"]["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    for rule in rules {
        let id = rule["id"].as_str().unwrap_or_default();
        let (name, is) = match id.split('_').next().unwrap_or_default() {
            "Expiration" => ("longest", text(&rule["maximumDuration"])),
            "Enablement" => ("needs", texts(&rule["enabledRules"], None)),
            "Approval" if rule["setting"]["isApprovalRequired"] == true => {
                let stage = &rule["setting"]["approvalStages"][0]["primaryApprovers"];
                let named = texts(stage, Some("description"));
                let anybody = "whoever can give the role".to_owned();
                ("on the word of", if named.is_empty() { anybody } else { named })
            }
            "Approval" => ("on the word of", "nobody".to_owned()),
            _ => (id, String::new()),
        };
        table.row([name.to_owned(), is]);
    }
    table
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value, member: Option<&str>) -> String {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |one: &Value| text(member.map_or(one, |member| &one[member]));
    all.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn whole(session: &Session) -> Scope {
    Scope::subscription(session.client.profile().subscription_id)
}

async fn scope(session: &Session, at: &At) -> Result<Scope, Failure> {
    Ok(at.find(session).await?.unwrap_or_else(|| whole(session)))
}

async fn own(session: &Session) -> Result<Value, Failure> {
    let path = Route::Whoami(None).uri();
    let told = session.client.send(Call::new(Method::GET, &path)).await?.body;
    Ok(told["id"].clone())
}

async fn found(
    session: &Session,
    scope: &Scope,
    route: PimRoute,
    filter: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    let query: Vec<(&str, &str)> = filter.iter().map(|filter| ("$filter", *filter)).collect();
    let path = Route::Roles(scope.clone(), RoleRoute::Pim(route)).with_query(&query);
    session.client.list(&path).await
}

fn role_name(one: &Value) -> &str {
    one["properties"]["expandedProperties"]["roleDefinition"]["displayName"]
        .as_str()
        .unwrap_or_default()
}

fn scope_of(one: &Value) -> Result<Scope, Failure> {
    let scope = one["properties"]["scope"].as_str().unwrap_or_default();
    scope.parse().map_err(|_| crate::view::not_understood("a scope"))
}

/// The one that is meant: by the role's name or a word of it, and by the scope where one is named.
fn meant<'a>(
    all: &'a [Value],
    called: &str,
    wanted: Option<&Scope>,
    what: &str,
) -> Result<&'a Value, Failure> {
    let folded = called.trim().to_lowercase();
    let is_called = |one: &&Value| {
        let name = role_name(one).to_lowercase();
        name == folded || name.split(' ').any(|word| word == folded)
    };
    let is_there = |one: &&Value| {
        wanted.is_none_or(|wanted| scope_of(one).is_ok_and(|scope| scope.holds(wanted)))
    };
    let fits: Vec<&Value> = all.iter().filter(is_called).filter(is_there).collect();
    let told = |all: &[&Value]| -> Vec<String> {
        let line = |one: &&Value| {
            let place = scope_of(one).map(|scope| named::place(&scope)).unwrap_or_default();
            format!("{} at {place}", role_name(one))
        };
        all.iter().map(line).collect()
    };
    match fits.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::new(Exit::NotFound, format!("{what} no role called {called} there."))
            .because(told(&all.iter().collect::<Vec<_>>()))),
        several => {
            Err(Failure::usage(format!("{what} {} that are called {called}.", several.len()))
                .because(told(several))
                .advise("Say the whole name, or where, with --scope, -g or --vm."))
        }
    }
}

fn table(all: &[Value]) -> Table {
    let now = clock::local_now();
    let mut table = Table::new(["WHO", "ROLE", "WHERE", "STATE", "UNTIL", "ID"]);
    for one in all {
        let properties = &one["properties"];
        let kind = text(&one["type"]);
        let state = match (text(&properties["status"]), kind.rsplit('/').next()) {
            (_, Some(kind)) if kind.starts_with("roleEligibility") => "eligible".to_owned(),
            (_, Some(kind)) if kind.starts_with("roleAssignment") => "active".to_owned(),
            (status, _) => status,
        };
        let until = properties["endDateTime"].as_str().and_then(|text| text.parse().ok());
        table.row([
            text(&properties["expandedProperties"]["principal"]["displayName"]),
            role_name(one).to_owned(),
            scope_of(one).map(|scope| named::place(&scope)).unwrap_or_default(),
            state,
            until.map_or_else(String::new, |until| human::moment(until, &now)),
            text(&one["name"]),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eligible(role: &str, scope: &str) -> Value {
        let scope = format!("/subscriptions/{}{scope}", Uuid::nil());
        json!({ "properties": {
            "scope": scope,
            "expandedProperties": { "roleDefinition": { "displayName": role } },
        }})
    }

    #[test]
    fn a_role_that_could_be_meant_twice_is_none() {
        let all = [
            eligible("JIT Access Approver", ""),
            eligible("JIT Access Requester", "/resourceGroups/prod"),
            eligible("JIT Access Requester", "/resourceGroups/dev"),
        ];
        let approver = meant(&all, "approver", None, "You are eligible for").expect("one");
        assert_eq!(role_name(approver), "JIT Access Approver");
        let two = meant(&all, "Requester", None, "You are eligible for").expect_err("two");
        assert_eq!((two.exit, two.details.len()), (Exit::Usage, 2));
        let prod = format!("/subscriptions/{}/resourceGroups/prod", Uuid::nil());
        let prod: Scope = prod.parse().expect("a scope");
        let one = meant(&all, "requester", Some(&prod), "You are eligible for").expect("one");
        assert_eq!(scope_of(one).expect("a scope"), prod);
        let none = meant(&all, "owner", None, "You are eligible for").expect_err("none");
        assert_eq!((none.exit, none.details.len()), (Exit::NotFound, 3));
    }
}
