//! `protect`, `unprotect`, `confirm` and `vm jit-policy list|show`: what is kept closed.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hourgate_api::{
    guards::{GuardResource, GuardState},
    headers,
    jit::{PolicyPort, PolicyResource, ProvisioningState},
    paths::{LOCKS, Route},
    time::IsoDuration,
};
use hourgate_core::{
    id::{Location, Name, PolicyId, VmId},
    network::{Port, Source},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Session, outlook, reach, vm::one_or_list};
use crate::{
    client::Call,
    clock,
    exit::{Exit, Failure},
    input::{duration, network},
    output::{Answer, Table, human},
    progress,
    resolve::{self, Target, Vms},
    view::{self, Vm},
};

mod change;
mod locks;
mod own_group;
mod own_session;

use change::{Changed, Wanted};
pub(crate) use locks::reached_without;
use own_group::OwnGroup;

/// How often a policy is looked at while its locks are awaited.
const LOOK: Duration = Duration::from_millis(100);

/// Close a machine's management ports until somebody asks
///
/// Sets the rules of these VMs in the policy `default` of their group and location, leaves every other
/// VM in it as it is, and waits until a guard has reported every lock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate protect web-1                            22 on Linux, 3389 on Windows
  hourgate protect web-1 web-2 --ports 22 5985
  hourgate protect web-1 --max-duration 2h --allowed-sources 203.0.113.0/24
  hourgate protect web-1 --what-if                  what it would do, and nothing is changed
  hourgate protect web-1 --remove-standing          narrow allow rules are closed too
  hourgate protect web-1 --placement nic-and-subnet its subnet's group lets accesses through as well
  hourgate protect gw-1 --confirm-within 5m         goes back unless confirmed")]
pub(crate) struct Protect {
    #[command(flatten)]
    vms: Vms,
    /// The ports [default: those it has; for a new VM 22, 3389 or both, as its system needs]
    #[arg(
        short,
        long,
        alias = "port",
        value_name = "PORT",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::port
    )]
    ports: Vec<Port>,
    /// The longest access that can be asked for [default for a new port: 3h]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = duration::parse)]
    max_duration: Option<Duration>,
    /// From where access can be asked for: addresses, prefixes, or Any [default for a new port: Any]
    #[arg(
        short = 's',
        long,
        alias = "allowed-source",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::source
    )]
    allowed_sources: Vec<Source>,
    /// Whether connections end with the access, instead of going on as in Azure
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true
    )]
    end_sessions: Option<bool>,
    /// Go back by itself unless `hourgate confirm` follows within this time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    confirm_within: Option<Duration>,
    /// Whether the lock also closes standing exceptions: allow rules with a narrow source, which stay otherwise
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true
    )]
    remove_standing: Option<bool>,
    /// Where the rules of accesses lie, for machines behind a subnet's security group and their own
    #[arg(long, value_name = "WHERE")]
    placement: Option<Placement>,
    /// Make a security group for a machine before which none stands; it ends in HourgateAllowAllInBound
    #[arg(long)]
    create_nsg: bool,
    /// Tell where the denies would go, what they close and what stays, and change nothing
    #[arg(long)]
    what_if: bool,
}

/// Where the rules of accesses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placement {
    /// In the interface's group; in the subnet's where the interface has none
    Nic,
    /// In both: for where the subnet's group would drop what is asked for
    NicAndSubnet,
}

/// Give a machine's ports back as they were
///
/// Takes these VMs, or only some of their ports, out of the policy that holds them, and ends every access to
/// them. A policy that then holds no VM is removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate unprotect web-1
  hourgate unprotect web-1 -p 22
  hourgate vm jit-policy disable -g prod -n web-1")]
pub(crate) struct Unprotect {
    #[command(flatten)]
    vms: Vms,
    /// Only these ports [default: all]
    #[arg(
        short,
        long,
        alias = "port",
        value_name = "PORT",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::port
    )]
    ports: Vec<Port>,
}

/// Keep a lock that had to be confirmed
///
/// What was set with --confirm-within goes back by itself unless it is confirmed in time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate confirm
  hourgate confirm web-1")]
pub(crate) struct Confirm {
    /// Machines whose policies are confirmed [default: every policy that waits]
    #[arg(value_name = "NAME", value_parser = resolve::target)]
    names: Vec<Target>,
    /// Their resource group, where a name is not unique
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// The policies there are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm jit-policy list
  hourgate vm jit-policy list -g prod -l westeurope -o json")]
pub(crate) struct List {
    /// Only those of this resource group
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
    /// Only those of this location
    #[arg(short, long, value_parser = network::location)]
    location: Option<Location>,
}

/// The policy that holds a machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate vm jit-policy show web-1
  hourgate vm jit-policy show -g prod -n web-1")]
pub(crate) struct Show {
    #[command(flatten)]
    vms: Vms,
}

/// Sets the rules of these machines, and waits until their locks are observed.
pub(crate) async fn protect(session: &Session, args: Protect) -> Result<(), Failure> {
    let vms = args.vms.find(session).await?;
    let wanted = Wanted {
        ports: args.ports,
        longest: args.max_duration,
        sources: args.allowed_sources,
        end_sessions: args.end_sessions,
        remove_standing: args.remove_standing,
        placement: args.placement,
    };
    wanted.check()?;
    let within = args.confirm_within;
    let own = if args.create_nsg { own_group::missing(session, &vms).await? } else { Vec::new() };
    if args.what_if {
        return what_if(session, &wanted, &vms, within, &own).await;
    }
    let made: Vec<String> = own.iter().map(OwnGroup::done).collect();
    for group in own {
        group.make(session).await?;
    }
    let mut shown = Vec::new();
    let mut stored_before: Vec<Vm> = Vec::new();
    for (id, vms) in by_default_policy(&vms)? {
        let change = |policy: Option<&Value>| {
            let body = wanted.merged(policy, &vms)?;
            if within.is_none() {
                own_session::check(&body, policy, &vms)?;
            }
            Ok(Changed::Put(body))
        };
        let stored = change::commit(session, &id, within, change).await;
        let stored = stored.map_err(|failure| half_done(failure, "is stored", &stored_before))?;
        stored_before.extend(vms.iter().cloned());
        let what = format!("waiting until the locks of {} are observed", names(&vms));
        let observed = observed(session, &id, stored.unwrap_or_default());
        let observed = progress::shown(&what, observed).await;
        shown.push(observed.map_err(|failure| half_done(failure, "is stored", &stored_before))?);
    }
    let all_observed = shown.iter().all(|(_, is_observed)| *is_observed);
    let values: Vec<Value> = shown.into_iter().map(|(value, _)| value).collect();
    let table = table(&values, Some(&vms))?;
    let mut next = made;
    next.extend(after_protect(&vms, within, all_observed));
    // Nobody shall take for closed what a standing exception leaves open.
    for value in &values {
        let is_named = |id: &VmId| vms.iter().any(|vm| vm.id == *id);
        next.extend(locks::reached_without(&view::policy(value)?, is_named));
    }
    next.extend(outlook::warnings(session, &vms, &[]).await);
    session.output.show(&Answer::new(one_or_list(values), table).then(next))?;
    if all_observed { Ok(()) } else { Err(not_observed(session, &vms).await) }
}

/// Tells what setting the rules would do, with the refusals that it would get.
async fn what_if(
    session: &Session,
    wanted: &Wanted,
    vms: &[Vm],
    within: Option<Duration>,
    own: &[OwnGroup],
) -> Result<(), Failure> {
    let mut next: Vec<String> = own.iter().map(OwnGroup::told).collect();
    // Before a group that is not there no deny has a number yet.
    let has_group = |vm: &&Vm| own.iter().all(|group| group.vm.id != vm.id);
    let placed: Vec<Vm> = vms.iter().filter(has_group).cloned().collect();
    let mut values = Vec::new();
    for (id, vms) in by_default_policy(&placed)? {
        let change = |policy: Option<&Value>| {
            let body = wanted.merged(policy, &vms)?;
            if within.is_none() {
                own_session::check(&body, policy, &vms)?;
            }
            Ok(body)
        };
        values.push(change::what_if(session, &id, within, change).await?);
    }
    next.push("Nothing was changed.".to_owned());
    let table = locks::what_if(&values, &placed)?;
    session.output.show(&Answer::new(one_or_list(values), table).then(next))
}

/// Each policy is set by itself: where a later one fails, those before it stand, and that must be known.
fn half_done(failure: Failure, how: &str, done: &[Vm]) -> Failure {
    if done.is_empty() {
        return failure;
    }
    let mut details = failure.details.clone();
    details.push(format!("what was asked of {} {how} already, and stays so", names(done)));
    failure.because(details)
}

fn after_protect(vms: &[Vm], within: Option<Duration>, is_observed: bool) -> Vec<String> {
    let Some(first) = vms.first() else { return Vec::new() };
    let name = &first.id.name;
    let mut next = Vec::new();
    if let Some(within) = within {
        let now = clock::local_now();
        let until = now.timestamp().checked_add(within).unwrap_or(jiff::Timestamp::MAX);
        next.push(format!(
            "Look whether you still get in, then type `hourgate confirm {name}` before {}; else it goes \
             back by itself.",
            human::moment(until, &now)
        ));
    } else if is_observed {
        next.push(format!("Closed. Ask for access with: hourgate request {name}"));
    }
    next
}

async fn not_observed(session: &Session, vms: &[Vm]) -> Failure {
    // Where even that cannot be asked, the sentence stands without it.
    let why = reach::unreached(session).await.unwrap_or_default();
    let sentence = format!(
        "The policy is stored, but no guard has reported every lock of {} within the time to wait: \
         do not take the ports for closed.",
        names(vms)
    );
    Failure::new(Exit::NotObserved, sentence).because(why).advise(
        "Is the guard running, and does it cover these addresses? It closes them as soon as it is \
         reached; `hourgate vm jit-policy show` tells (Succeeded).",
    )
}

/// Takes these machines out of the policies that hold them.
pub(crate) async fn unprotect(session: &Session, args: Unprotect) -> Result<(), Failure> {
    let vms = args.vms.find(session).await?;
    let mut done_before: Vec<Vm> = Vec::new();
    for (id, vms) in by_holder(&policies(session).await?, &vms)? {
        let change = |policy: Option<&Value>| Ok(change::without(policy, &vms, &args.ports));
        let done = change::commit(session, &id, None, change).await;
        done.map_err(|failure| half_done(failure, "is done", &done_before))?;
        done_before.extend(vms);
    }
    // A policy says when its locks are there, not when others are gone; whether anybody can take them
    // away is known.
    let guards = reach::guards(session).await?;
    let unreached = |vm: &&Vm| {
        let of = |guard: &&GuardResource| {
            vm.addresses.iter().all(|address| guard.covers.iter().any(|net| net.contains(address)))
        };
        guards.iter().find(of).is_none_or(|guard| guard.state == GuardState::Unreached)
    };
    let closed: Vec<Vm> = vms.iter().filter(unreached).cloned().collect();
    let mut gone = Table::new(["VM", "GROUP", "POLICY"]);
    let ports: Vec<String> = args.ports.iter().map(ToString::to_string).collect();
    let none = match ports.is_empty() {
        true => "none any more".to_owned(),
        false => format!("none any more for {}", ports.join(", ")),
    };
    for vm in &vms {
        gone.row([vm.id.name.to_string(), vm.id.group.to_string(), none.clone()]);
    }
    let values = vms.iter().map(|vm| json!({ "id": vm.id, "policy": null })).collect();
    session.output.show(&Answer::new(one_or_list(values), gone))?;
    if closed.is_empty() {
        return Ok(());
    }
    let sentence =
        format!("No policy holds {} any more, but the guard is not reached.", names(&closed));
    Err(Failure::new(Exit::NotObserved, sentence).advise("The ports stay closed until it is."))
}

/// Confirms the policies that hold these machines, or all that wait.
pub(crate) async fn confirm(session: &Session, args: Confirm) -> Result<(), Failure> {
    let policies = policies(session).await?;
    let ids: Vec<PolicyId> = if args.names.is_empty() {
        let waits = |policy: &&PolicyResource| policy.properties.confirm_until_utc.is_some();
        policies.iter().filter(waits).map(|policy| policy.id.clone()).collect()
    } else {
        let vms = resolve::find(session, &args.names, args.group.as_ref()).await?;
        by_holder(&policies, &vms)?.into_iter().map(|(id, _)| id).collect()
    };
    if ids.is_empty() {
        return Err(Failure::new(Exit::NotFound, "No policy waits to be confirmed.")
            .advise("What was not confirmed in time has gone back as it was."));
    }
    let mut values = Vec::new();
    for id in ids {
        let (confirm, policy) = (Route::Confirm(id.clone()).uri(), Route::Policy(id).uri());
        session.client.send(Call::new(Method::POST, &confirm)).await?;
        values.push(session.client.get(&policy).await?.body);
    }
    let table = table(&values, None)?;
    let next = vec!["Confirmed: it stays.".to_owned()];
    session.output.show(&Answer::new(one_or_list(values), table).then(next))
}

/// Shows the policies.
pub(crate) async fn list(session: &Session, args: &List) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    let (group, location) = (args.group.clone(), args.location.clone());
    let list = Route::Policies { subscription, group, location };
    let values = session.client.list(&list.uri()).await?;
    let table = table(&values, None)?;
    session.output.show(&Answer::new(Value::Array(values), table))
}

/// Shows the policies that hold these machines.
pub(crate) async fn show(session: &Session, args: &Show) -> Result<(), Failure> {
    let vms = args.vms.find(session).await?;
    let policies = policies(session).await?;
    let mut values = Vec::new();
    for (id, _) in by_holder(&policies, &vms)? {
        values.push(session.client.get(&Route::Policy(id).uri()).await?.body);
    }
    let table = table(&values, Some(&vms))?;
    let mut next = Vec::new();
    for value in &values {
        let is_shown = |id: &VmId| vms.iter().any(|vm| vm.id == *id);
        next.extend(locks::reached_without(&view::policy(value)?, is_shown));
    }
    session.output.show(&Answer::new(one_or_list(values), table).then(next))
}

/// The policies there are, and what is reached without access in spite of them.
pub(crate) async fn with_locks(session: &Session) -> Result<Vec<PolicyResource>, Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Policies { subscription, group: None, location: None };
    let path = list.with_query(&[(LOCKS, "true")]);
    session.client.list(&path).await?.iter().map(view::policy).collect()
}

/// Every policy there is.
pub(crate) async fn policies(session: &Session) -> Result<Vec<PolicyResource>, Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Policies { subscription, group: None, location: None };
    session.client.list(&list.uri()).await?.iter().map(view::policy).collect()
}

/// The policy that holds a machine.
pub(crate) fn holder<'a>(
    policies: &'a [PolicyResource],
    vm: &Vm,
) -> Result<&'a PolicyResource, Failure> {
    policies.iter().find(|policy| view::member(policy, &vm.id).is_some()).ok_or_else(|| {
        let name = &vm.id.name;
        Failure::new(Exit::NotFound, format!("No policy holds {name}: its ports are as they were."))
            .advise(format!("Close them with `hourgate protect {name}`."))
    })
}

/// Machines by the policy that holds them, in the order named.
fn by_holder(policies: &[PolicyResource], vms: &[Vm]) -> Result<Vec<(PolicyId, Vec<Vm>)>, Failure> {
    let mut groups = Vec::new();
    for vm in vms {
        add(&mut groups, holder(policies, vm)?.id.clone(), vm);
    }
    Ok(groups)
}

/// Machines by the policy `default` of their group and location, in the order named.
fn by_default_policy(vms: &[Vm]) -> Result<Vec<(PolicyId, Vec<Vm>)>, Failure> {
    let name = network::name("default").map_err(Failure::usage)?;
    let mut groups = Vec::new();
    for vm in vms {
        let (subscription, group) = (vm.id.subscription, vm.id.group.clone());
        let location = vm.location.clone();
        add(&mut groups, PolicyId { subscription, group, location, name: name.clone() }, vm);
    }
    Ok(groups)
}

fn add(groups: &mut Vec<(PolicyId, Vec<Vm>)>, id: PolicyId, vm: &Vm) {
    match groups.iter_mut().find(|(other, _)| *other == id) {
        Some((_, vms)) => vms.push(vm.clone()),
        None => groups.push((id, vec![vm.clone()])),
    }
}

fn names(vms: &[Vm]) -> String {
    vms.iter().map(|vm| vm.id.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Waits until every lock of a policy is observed, and says whether it was.
async fn observed(
    session: &Session,
    id: &PolicyId,
    stored: Value,
) -> Result<(Value, bool), Failure> {
    let path = Route::Policy(id.clone()).uri();
    let mut value = stored;
    loop {
        if view::is_observed(&view::policy(&value)?) {
            return Ok((value, true));
        }
        if session.client.patience.left().is_zero() {
            return Ok((value, false));
        }
        session.client.patience.pause(LOOK).await;
        value = session.client.get(&path).await?.body;
    }
}

fn table(values: &[Value], only: Option<&[Vm]>) -> Result<Table, Failure> {
    let mut table =
        Table::new(["VM", "GROUP", "PORT", "SOURCES", "LONGEST", "SESSIONS", "POLICY", "STATE"]);
    let exposed = |state: &str, rule: &PolicyPort| match locks::exposed(rule) {
        Some(from) => format!("EXPOSED to {from}"),
        None => state.to_owned(),
    };
    for value in values {
        let policy = view::policy(value)?;
        let state = match policy.properties.provisioning_state {
            ProvisioningState::Succeeded => "closed",
            ProvisioningState::Updating => "not yet observed",
            ProvisioningState::Failed => "FAILED",
        };
        let state = match policy.properties.confirm_until_utc {
            Some(_) => format!("{state}, to be confirmed"),
            None => state.to_owned(),
        };
        let members = policy.properties.virtual_machines.iter();
        let shown = members
            .filter(|member| only.is_none_or(|only| only.iter().any(|vm| vm.id == member.id)));
        for (member, rule) in shown.flat_map(|one| one.ports.iter().map(move |rule| (one, rule))) {
            table.row([
                member.id.name.to_string(),
                member.id.group.to_string(),
                rule.number.to_string(),
                view::allowed(rule),
                human::length(rule.max_request_access_duration.0),
                if rule.end_sessions == Some(true) { "end" } else { "go on" }.to_owned(),
                policy.name.clone(),
                exposed(&state, rule),
            ]);
        }
    }
    Ok(table)
}

/// The header that has a policy go back unless it is confirmed.
fn confirm_header(within: Duration) -> (&'static str, String) {
    (headers::CONFIRM_WITHIN, IsoDuration(within).to_string())
}
