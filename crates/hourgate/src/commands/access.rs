//! `request` and `close`: the two things an engineer does.

use std::{net::IpAddr, time::Duration};

use clap::Args;
use hourgate_api::{
    headers,
    jit::{
        InitiateBody, InitiatePort, InitiateVm, PolicyResource, RequestPort, RequestResource,
        StatusReason,
    },
    paths::Route,
    time::{IsoDuration, UtcTime},
};
use hourgate_core::{
    id::{PolicyId, RequestId},
    network::{Family, Port, Source},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Session, policy, status};
use crate::{
    client::{Call, Client},
    clock,
    exit::{Exit, Failure},
    input::{duration, network, start},
    output::Answer,
    progress,
    resolve::Vms,
    view::{self, Vm},
};

mod close;
mod next;

pub(crate) use close::{Close, close};

/// How long one call waits for the request to change.
const WAIT: Duration = Duration::from_secs(2);
/// How soon a request is looked at again where the server answered without a change.
const LOOK: Duration = Duration::from_millis(20);

/// Ask for access, and wait until the port is open
///
/// Opens ports of protected VMs for one source address and a bounded time: all that is named, or
/// nothing. Prints what to type next.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate request web-1                            for your own address, the policy's longest
  hourgate request web-1 -d 1h --reason 'disk full' --ticket INC-42
  hourgate request web-1 web-2 -p 22,443 -d 90m
  hourgate request web-1 --source 203.0.113.9       for another address
  hourgate request web-1 --start 22:00 -d 2h        tonight
  hourgate request web-1 --address 10.0.0.4         one of its addresses; the others stay closed
  hourgate vm jit-policy request -g prod -n web-1 --port 22 --no-wait -o json")]
pub(crate) struct Ask {
    #[command(flatten)]
    vms: Vms,
    /// The ports [default: 22 or 3389 as its system has it, else its only one]
    #[arg(
        short,
        long = "port",
        alias = "ports",
        value_name = "PORT",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::port
    )]
    ports: Vec<Port>,
    /// How long [default: the policy's longest]
    #[arg(short, long, value_parser = duration::parse)]
    duration: Option<Duration>,
    /// From where [default: your own address, as the server sees it]
    #[arg(short, long, value_name = "CIDR", value_parser = network::source)]
    source: Option<Source>,
    /// Which of its private addresses, for a machine with several [default: all of them]
    #[arg(
        long = "address",
        visible_alias = "private-ip-address",
        alias = "addresses",
        alias = "private-ip-addresses",
        value_name = "ADDRESS",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::address
    )]
    addresses: Vec<IpAddr>,
    /// When it begins: 22:00, or a full time [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Why, for whoever reads the log
    #[arg(short, long, alias = "justification", value_name = "TEXT")]
    reason: Option<String>,
    /// The ticket it belongs to
    #[arg(long, value_name = "TEXT")]
    ticket: Option<String>,
    /// Do not wait until it is open
    #[arg(long)]
    no_wait: bool,
}

/// Asks for access to all that is named, and waits until it is observed.
pub(crate) async fn ask(session: &Session, args: Ask) -> Result<(), Failure> {
    let now = clock::local_now();
    let start = args.start.as_deref().map(|text| start::parse(text, &now));
    let start = start.transpose().map_err(Failure::usage)?;
    let vms = args.vms.find(session).await?;
    let (policy, mut vms) = one_policy(&policy::policies(session).await?, vms, &args.ports)?;
    narrow(&mut vms, &args.addresses)?;
    let body = InitiateBody {
        virtual_machines: asked(&vms, &args),
        justification: args.reason,
        ticket: args.ticket,
        start_time_utc: start.map(UtcTime),
    };
    let body = json!(body);
    let path = Route::Initiate(policy).uri();
    let other = match args.source {
        Some(_) => None,
        None => over_family_of(session, &vms).await?,
    };
    let client = other.as_ref().unwrap_or(&session.client);
    let value = client.send(Call::new(Method::POST, &path).body(&body)).await?.body;
    let value = if args.no_wait {
        value
    } else {
        let what = "waiting until the guard reports it open";
        progress::shown(what, opened(&session.client, value)).await?
    };
    let request = view::request(&value)?;
    let own = args.source.is_none();
    let next = next::lines(&request, own, &clock::local_now());
    let values = vec![value];
    let table = status::table(&values, |_| true, clock::now())?;
    session.output.show(&Answer::new(Value::Array(values), table).then(next))?;
    if args.no_wait { Ok(()) } else { verdict(&request) }
}

/// A machine, and the ports of it that are asked for.
struct Wanted {
    vm: Vm,
    ports: Vec<u16>,
    /// Only these of its addresses; all of them if none is said.
    addresses: Option<Vec<IpAddr>>,
}

/// The one policy that holds all these machines, and the ports that are meant of each.
fn one_policy(
    policies: &[PolicyResource],
    vms: Vec<Vm>,
    ports: &[Port],
) -> Result<(PolicyId, Vec<Wanted>), Failure> {
    let mut found: Vec<(&PolicyResource, Wanted)> = Vec::new();
    for vm in vms {
        let policy = policy::holder(policies, &vm)?;
        let ports = if ports.is_empty() {
            usual_ports(policy, &vm)?
        } else {
            ports.iter().map(|port| port.number()).collect()
        };
        found.push((policy, Wanted { vm, ports, addresses: None }));
    }
    let Some(first) = found.first().map(|(policy, _)| policy.id.clone()) else {
        return Err(Failure::usage("No VM is named."));
    };
    if found.iter().any(|(policy, _)| policy.id != first) {
        let held = found.iter().map(|(policy, wanted)| {
            let PolicyId { group, location, name, .. } = &policy.id;
            format!("{} is in {name} of {group} ({location})", wanted.vm.id.name)
        });
        return Err(Failure::usage("These VMs are in different policies.")
            .because(held.collect())
            .advise("Ask for those of each policy in a request of their own."));
    }
    Ok((first, found.into_iter().map(|(_, wanted)| wanted).collect()))
}

/// Takes of each machine the addresses of it that are named, where any is. One that nobody has, or a machine of
/// which none is named, is a mistake: all of it would be opened, or nothing of what was meant.
fn narrow(vms: &mut [Wanted], named: &[IpAddr]) -> Result<(), Failure> {
    let listed = |addresses: &[IpAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if named.is_empty() {
        return Ok(());
    }
    let has = |address: &IpAddr| vms.iter().any(|wanted| wanted.vm.addresses.contains(address));
    let mut problems: Vec<String> = named
        .iter()
        .filter(|address| !has(address))
        .map(|address| format!("{address} is no address of what is asked for"))
        .collect();
    for wanted in vms.iter_mut() {
        let of = wanted.vm.addresses.iter().filter(|address| named.contains(address));
        let of: Vec<IpAddr> = of.copied().collect();
        if of.is_empty() {
            let (name, has) = (&wanted.vm.id.name, listed(&wanted.vm.addresses));
            problems.push(format!("of {name} none is named; it has {has}"));
        }
        wanted.addresses = Some(of);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::usage("These addresses cannot be asked for.").because(problems))
}

/// The ports that somebody means who names none: those of the machine's system that are kept closed,
/// else the only one that is. Never all: what nobody asked for stays closed.
fn usual_ports(policy: &PolicyResource, vm: &Vm) -> Result<Vec<u16>, Failure> {
    let held: Vec<u16> = view::member(policy, &vm.id)
        .map(|member| member.ports.iter().map(|rule| rule.number).collect())
        .unwrap_or_default();
    let usual: Vec<u16> = view::default_ports(vm.os)
        .into_iter()
        .map(Port::number)
        .filter(|port| held.contains(port))
        .collect();
    match (usual.as_slice(), held.as_slice()) {
        ([port], _) | ([], [port]) => Ok(vec![*port]),
        (_, _) => {
            let list: Vec<String> = held.iter().map(u16::to_string).collect();
            let name = &vm.id.name;
            let sentence = format!("Which port of {name}? The policy holds {}.", list.join(", "));
            Err(Failure::usage(sentence).advise("Say it with -p PORT."))
        }
    }
}

fn asked(vms: &[Wanted], args: &Ask) -> Vec<InitiateVm> {
    let port = |number: &u16| InitiatePort {
        number: *number,
        duration: args.duration.map(IsoDuration),
        end_time_utc: None,
        allowed_source_address_prefix: args.source.map(|source| source.to_string()),
    };
    vms.iter()
        .map(|wanted| InitiateVm {
            addresses: wanted.addresses.clone(),
            id: wanted.vm.id.clone(),
            ports: wanted.ports.iter().map(port).collect(),
        })
        .collect()
}

/// A client over the family of addresses that these machines need, where they need one and the server
/// is reached over it: the server takes the address that it sees for ours.
async fn over_family_of(session: &Session, vms: &[Wanted]) -> Result<Option<Client>, Failure> {
    let has = |wanted: &Wanted, family| match &wanted.addresses {
        Some(only) => only.iter().any(|address| Family::of(*address) == family),
        None => wanted.vm.has(family),
    };
    let all_have = |family| vms.iter().all(|wanted| has(wanted, family));
    let family = match (all_have(Family::V4), all_have(Family::V6)) {
        (true, false) => Family::V4,
        (false, true) => Family::V6,
        (true, true) | (false, false) => return Ok(None),
    };
    let client = session.client_over(family)?;
    Ok(client.reaches().await.then_some(client))
}

/// Waits until every port of a request is open, is over, or begins later; or until patience ends.
async fn opened(client: &Client, initiated: Value) -> Result<Value, Failure> {
    let id = view::id_of(&view::request(&initiated)?)?;
    follow(client, id, initiated, |request| {
        let done = |port: &RequestPort| {
            view::is_seen_open(port) || view::is_over(port) || view::is_planned(port)
        };
        request.ports().all(|(_, port)| done(port))
    })
    .await
}

/// Looks at a request until it is as wanted, or until patience ends, and gives back how it then stands.
async fn follow(
    client: &Client,
    id: RequestId,
    mut value: Value,
    wanted: impl Fn(&RequestResource) -> bool,
) -> Result<Value, Failure> {
    let route = Route::Request(client.profile().subscription_id, id);
    let mut etag: Option<String> = None;
    loop {
        if wanted(&view::request(&value)?) || client.patience.left().is_zero() {
            return Ok(value);
        }
        // With the version that is known, the server answers at once if it has changed since.
        let wait = etag.as_ref().map_or(0, |_| client.patience.left().min(WAIT).as_secs());
        let path = match wait {
            0 => route.uri(),
            _ => route.with_query(&[("wait", &wait.to_string())]),
        };
        let call = Call::new(Method::GET, &path).wait(Duration::from_secs(wait));
        let is_first = etag.is_none();
        let call = match etag {
            Some(etag) if wait > 0 => call.header(headers::IF_NONE_MATCH, etag),
            Some(_) | None => call,
        };
        let reply = client.send(call).await?;
        etag = reply.etag;
        if reply.body == value && !is_first {
            client.patience.pause(LOOK).await;
        }
        value = reply.body;
    }
}

/// How the command ends: only what a guard reported open is called open.
fn verdict(request: &RequestResource) -> Result<(), Failure> {
    let mut ended = Vec::new();
    let mut waiting = Vec::new();
    for (vm, port) in request.ports() {
        let line = format!("{} port {}: {}", vm.name, port.number, view::state(port));
        let expired = port.status_reason == StatusReason::Expired;
        match (view::is_over(port), view::is_seen_open(port), view::is_planned(port)) {
            // So short that it was over before it was looked at.
            (true, _, _) if expired => waiting.push(line),
            (true, _, _) => ended.push(line),
            (false, true, _) | (false, _, true) => {}
            (false, false, false) => waiting.push(line),
        }
    }
    if !ended.is_empty() {
        return Err(Failure::new(Exit::Refused, "It could not be opened.").because(ended));
    }
    if waiting.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotObserved,
        "It is granted, but not observed open in the time to wait.",
    )
    .because(waiting)
    .advise(
        "It opens as soon as the guard is reached, if its time is not over by then; see \
             `hourgate status`.",
    ))
}

#[cfg(test)]
mod tests;
