//! The rules' refusals in words: what stands against it, where, and what would be accepted.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use hourgate_core::{
    event::{LetBy, LockBreak},
    named::Named,
    network::{Family, NotAVmAddress, Source},
    nsg::{
        band::NoNumber,
        cure::Cure,
        flow::Transport,
        id::GroupId,
        lockdown::{LockdownRefusal, Numbered},
        word::PRIORITY_MAX,
    },
    policy::SignInDemand,
    refusal::{ApprovalNeeded, At, Refusal, Refusals, SourceNeeded, TextProperty},
    role::SignIn,
};

use super::{ArmError, Code, Positions, known, resource, role, unseen};
use crate::text::{listed, moment, span};

/// How many allowed ports or sources one sentence names; a rule has no more.
const LISTED_MAX: usize = 100;

/// All refusals as one error. The code that stands first in [`Code`] is the error's own: what was not
/// found first, then values, then what the policy does not allow, then approval, then conflicts.
/// All of them stand in the details, each with the numbers needed to ask again correctly.
pub fn explain(refusals: &Refusals, positions: &Positions) -> ArmError {
    explain_to(refusals, positions, &|_| true)
}

/// The same for somebody who may not read all that the refusals name: what they may not is said without names.
/// Several that say the same then are one, so that not even their number is told.
pub fn explain_to(
    refusals: &Refusals,
    positions: &Positions,
    sees: &dyn Fn(&Named) -> bool,
) -> ArmError {
    let mut problems: Vec<ArmError> = Vec::new();
    let mut told = BTreeSet::new();
    for problem in refusals.0.iter().map(|refusal| one(refusal, positions, sees)) {
        // A VM that does not exist is missed once for each of its ports, and told once. There can be tens
        // of thousands: each is looked up, not compared with all before it.
        if told.insert((problem.code.clone(), problem.message.clone(), problem.target.clone())) {
            problems.push(problem);
        }
    }
    let subset = problems.iter().any(|problem| problem.code.is_not_subset());
    match positions.policy() {
        Some(policy) if subset => {
            // Azure's sentence, which scripts look for, stands above the reasons that Azure never gave.
            let mut sentence = ArmError::new(
                Code::RequestNotSubset,
                format!(
                    "The given access request is not a subset of policy '{policy}'. Please make sure that \
                     the access request is within the allowed policy properties."
                ),
            );
            let all = ArmError::of(problems);
            let worse = all.code < sentence.code;
            if worse {
                return all;
            }
            sentence.details = if all.details.is_empty() { vec![all] } else { all.details };
            sentence
        }
        Some(_) | None => ArmError::of(problems),
    }
}

fn one(refusal: &Refusal, positions: &Positions, sees: &dyn Fn(&Named) -> bool) -> ArmError {
    let (code, message) = words(refusal);
    let message = unseen::instead(refusal, sees).unwrap_or(message);
    let mut error = ArmError::new(code, message);
    error.target = target(refusal, positions);
    error
}

/// What would get a flow past a rule.
pub(crate) fn cured(cure: &Cure) -> String {
    match cure {
        Cure::AllowBefore { group, below, free } => format!(
            "Put a rule that allows it before: priority {free}, or another free one below {below}, in '{group}'."
        ),
        Cure::ChangeRule { group, rule, .. } => {
            format!("No priority before it is free: change '{rule}' of '{group}' itself.")
        }
        Cure::PlaceInSubnetToo { group, .. } => format!(
            "Let the policy place exceptions in the subnet's '{group}' too (`hourgate protect NAME --placement \
             nic-and-subnet`, \"placement\": \"nic-and-subnet\"), or put a rule that allows it there."
        ),
    }
}

/// Code and sentence of each refusal.
fn words(refusal: &Refusal) -> (Code, String) {
    let value = |message: String| (Code::InvalidParameter, message);
    match refusal {
        Refusal::VmNotFound { vm } => said(known::vm_not_found(vm)),
        Refusal::PolicyNotFound { policy } => said(known::policy_not_found(policy)),
        Refusal::RequestNotFound { request } => said(known::request_not_found(*request)),
        Refusal::RequestIdTaken { request } => {
            (Code::RequestIdTaken, format!("The id '{request}' is another request's. Ask again."))
        }
        Refusal::PreconditionFailed { version } => (Code::PreconditionFailed, stands(*version)),
        Refusal::NoAddress => value("A VM needs at least one private address.".to_owned()),
        Refusal::TooManyAddresses { most } => {
            value(format!("A VM has at most {most} private addresses."))
        }
        Refusal::NotAVmAddress { address, why } => {
            value(format!("{address} {} A VM needs a unicast address of its own.", not_a_vms(*why)))
        }
        Refusal::AddressTwice { address } => {
            value(format!("The address {address} is named twice."))
        }
        Refusal::AddressTaken { address, vm } => {
            (Code::AddressInUse, format!("The address {address} is that of '{vm}'."))
        }
        Refusal::InterfaceHasMore { interface, addresses } => value(format!(
            "The network interface {interface} has {} too: a VM has all addresses of its interfaces. Name them as \
             well, or take them away from it first.",
            listed(addresses, LISTED_MAX)
        )),
        Refusal::VmHasPolicy { vm, policy } => (
            Code::VmHasPolicy,
            format!(
                "The policy '{policy}' holds '{vm}', so it can neither be unregistered nor change its \
                 addresses or location. Take it out of the policy first."
            ),
        ),
        Refusal::NotEnforced { vm } => (
            Code::NotEnforced,
            format!(
                "No guard covers all addresses of '{vm}', so nothing would keep its ports closed. Configure \
                 a guard that covers them."
            ),
        ),
        Refusal::MappedPortsFull { at, firewall, ports } => (
            Code::MappedPortsFull,
            format!(
                "Every port from {ports} of the public address of {firewall} leads to another machine, so port {} of \
                 {} cannot be reached through it. Ask again when an access has ended, or have more ports \
                 configured ('mapped_ports').",
                at.port, at.vm
            ),
        ),
        Refusal::FirewallNotEnforced { at, firewall, address } => (
            Code::NotEnforced,
            format!(
                "No guard covers {address}, the public address of {firewall}, which stands in front of {}. Have a \
                 guard on that firewall cover it.",
                at.vm
            ),
        ),
        Refusal::Blocked { group, rule, priority, cure, at } => (
            Code::Blocked,
            format!(
                "The rule '{rule}' (priority {priority}) of '{group}' would drop what is asked for on port \
                 {} of '{}', so nothing was opened. {}",
                at.port,
                at.vm,
                cured(cure)
            ),
        ),
        Refusal::NoNumber { why: NoNumber::BandFull { group, first, before }, at } => (
            Code::NoFreePriority,
            format!(
                "'{group}' has no free priority from {first} on and before {before}, where the rule for port {} \
                 of '{}' would have to stand. End accesses that are no longer needed, free a priority there, or \
                 configure a larger band (jit_rule_priorities).",
                at.port, at.vm
            ),
        ),
        Refusal::NoNumber { why: NoNumber::GroupFull { group, most }, .. } => {
            group_full(group, *most)
        }
        Refusal::NoPlace { at, address, why } => no_place(at, *address, why),
        Refusal::LockWouldBreak { broken } => (Code::JitLockWouldBreak, lock_would_break(broken)),
        Refusal::AddressNotOfVm { at, address, addresses } => value(format!(
            "{address} is no address of '{}'. It has {}.",
            at.vm,
            listed(addresses, LISTED_MAX)
        )),
        Refusal::NoVms => {
            value("A policy needs at least one VM. To remove it, DELETE it.".to_owned())
        }
        Refusal::TooManyVms { most } => value(format!("A policy holds at most {most} VMs.")),
        Refusal::VmTwice { vm } => value(format!("The VM '{vm}' is named twice.")),
        Refusal::VmOfAnotherGroup { vm, policy } => value(format!(
            "'{vm}' is not in the policy's resource group. This policy holds VMs of subscription '{}' and \
             resource group '{}'.",
            policy.subscription, policy.group
        )),
        Refusal::NoPorts { vm } => value(no_ports(vm)),
        Refusal::TooManyPorts { vm, most } => {
            value(format!("'{vm}' has more than {most} ports, the most that one VM may have."))
        }
        Refusal::PortTwice { at } => {
            value(format!("Port {} of '{}' is named twice.", at.port, at.vm))
        }
        Refusal::TooManySources { at, most } => value(format!(
            "Port {} names more than {most} sources, the most there may be.",
            at.port
        )),
        Refusal::LongestOutOfBounds { longest, least, most, .. } => value(format!(
            "The longest access is {}; from {} to {} is accepted.",
            span(*longest),
            span(*least),
            span(*most)
        )),
        Refusal::WidestOutOfBounds { length, family, .. } => value(format!(
            "The prefix length is {length}; for {family} 0 to {} is accepted.",
            family.all().max_prefix_len()
        )),
        Refusal::PortInOtherPolicy { at, policy } => (
            Code::PortInOtherPolicy,
            format!(
                "Port {} of '{}' is held by the policy '{policy}'. A port is in one policy: take it out there, \
                 or change it there.",
                at.port, at.vm
            ),
        ),
        Refusal::ConfirmationNeeded { at } => (
            Code::ConfirmationNeeded,
            format!(
                "Port {} of '{}' is on the machine that runs this server: the lock could lock you out. Send it \
                 again with the header 'Hourgate-Confirm-Within: PT5M', and confirm within that time; otherwise \
                 it goes back.",
                at.port, at.vm
            ),
        ),
        Refusal::ConfirmWithinOutOfBounds { least, most } => {
            value(format!("The time to confirm in is from {} to {}.", span(*least), span(*most)))
        }
        Refusal::ConfirmationPending { until } => (
            Code::ConfirmationPending,
            format!(
                "The policy waits for confirmation until {}. Confirm it first, or wait.",
                moment(*until)
            ),
        ),
        Refusal::NothingToConfirm { policy } => (
            Code::NothingToConfirm,
            format!("The policy '{policy}' does not wait for confirmation."),
        ),
        Refusal::NothingAsked => {
            value("The request names no VM. Name at least one VM and port.".to_owned())
        }
        Refusal::TooManyAccesses { most } => {
            value(format!("One request asks for at most {most} ports, over all VMs."))
        }
        Refusal::TooManyOnVm { vm, most } => (
            Code::TooManyRequests,
            format!(
                "'{vm}' has {most} accesses that wait or run, the most there may be. End some first."
            ),
        ),
        Refusal::TextTooLong { property, most } => {
            value(format!("The {} is longer than {most} characters.", property_name(*property)))
        }
        Refusal::VmNotInPolicy { vm, policy } => {
            (Code::VmNotInPolicy, format!("The policy '{policy}' does not hold '{vm}'."))
        }
        Refusal::PortNotInPolicy { at, ports } => (
            Code::PortNotInPolicy,
            format!(
                "Asked port {} of '{}'; the policy allows {}.",
                at.port,
                at.vm,
                listed(ports, LISTED_MAX)
            ),
        ),
        Refusal::SourceNotAllowed { at, source, allowed } => (
            Code::SourceNotAllowed,
            format!(
                "Asked source {source} for port {} of '{}'; the policy allows {}.",
                at.port,
                at.vm,
                listed(allowed, LISTED_MAX)
            ),
        ),
        Refusal::NoAddressInFamily { at, source, families } => value(format!(
            "The source {source} cannot reach '{}': what is asked for of it are {} addresses only. Name a source \
             of that family.",
            at.vm,
            listed(families, LISTED_MAX)
        )),
        Refusal::SourceNeeded { at, seen, why } => (
            Code::SourceNeeded,
            format!("{} Name the source for port {}.", cannot_stand_in(seen, *why, at), at.port),
        ),
        Refusal::LongerThanPolicy { at, asked, longest } => (
            Code::LongerThanPolicy,
            format!(
                "Asked {} for port {} of '{}'; the policy allows at most {}.",
                longer(*asked, *longest),
                at.port,
                at.vm,
                span(*longest)
            ),
        ),
        Refusal::TooShort { asked, shortest, .. } => {
            value(format!("Asked {}; at least {} is accepted.", span(*asked), span(*shortest)))
        }
        Refusal::EndInPast { end, begin, .. } => value(format!(
            "The end {} is not after the beginning {}. Name a later end, or a duration.",
            moment(*end),
            moment(*begin)
        )),
        Refusal::StartInPast { start, now } => value(format!(
            "The start {} is past: it is {}. Name a later one, or none to begin now.",
            moment(*start),
            moment(*now)
        )),
        Refusal::StartTooFarAhead { start, furthest } => value(format!(
            "The start {} is too far ahead; until {} is accepted.",
            moment(*start),
            moment(*furthest)
        )),
        Refusal::ApprovalRequired { at, source, why } => {
            (Code::ApprovalRequired, approval(at, *source, *why))
        }
        Refusal::SignInNeeded { at, demand, was } => {
            (Code::SignInNeeded, sign_in_needed(at, *demand, *was))
        }
        Refusal::SignInOutOfBounds { least, most, .. } => value(format!(
            "A sign-in within {} at least and {} at most can be asked for.",
            span(*least),
            span(*most)
        )),
        Refusal::Resource { id, fault } => resource::words(id, fault),
        Refusal::Unsupported { vm, reason } => {
            let (_, why) = super::reason(reason);
            (Code::VmUnsupported, format!("'{vm}' cannot have just-in-time access: {why}"))
        }
        Refusal::Directory { why } => said(role::directory(why)),
        Refusal::PlanNeeded { subscription } => said(known::plan_needed(*subscription)),
        Refusal::ClockBehind { now, highest } => (
            Code::ClockBehind,
            format!(
                "The server's clock says {}, which is before {}, the latest time it has recorded. Nothing opens \
                 until the clock is right, or an administrator runs 'hourgate clock accept' on that machine.",
                moment(*now),
                moment(*highest)
            ),
        ),
    }
}

fn said(error: ArmError) -> (Code, String) {
    (error.code, error.message)
}

/// What a VM without ports is told, here and where the body is read.
pub(crate) fn no_ports(vm: &hourgate_core::id::VmId) -> String {
    format!("'{vm}' names no port. Name at least one.")
}

fn stands(version: Option<u64>) -> String {
    match version {
        Some(version) => {
            format!(
                "The resource is there, at version {version}, which is not what the request asks for. Read it \
                 again, and send the change with its ETag."
            )
        }
        None => "The resource does not exist, and the request asks that it does.".to_owned(),
    }
}

fn not_a_vms(why: NotAVmAddress) -> &'static str {
    match why {
        NotAVmAddress::Loopback => "is a loopback address.",
        NotAVmAddress::Multicast => "is a multicast or broadcast address.",
        NotAVmAddress::LinkLocal => {
            "is a link-local address, which means another machine on each link."
        }
        NotAVmAddress::Unspecified => "is no address that a machine can be reached at.",
        NotAVmAddress::Mapped => "is an IPv4 address written as IPv6. Write it as IPv4.",
    }
}

fn property_name(property: TextProperty) -> &'static str {
    match property {
        TextProperty::Justification => "justification",
        TextProperty::Ticket => "ticket",
        TextProperty::Kind => "kind",
    }
}

fn cannot_stand_in(seen: &std::net::IpAddr, why: SourceNeeded, at: &At) -> String {
    match why {
        SourceNeeded::Nobodys => format!(
            "No source was named, and the address that the server sees, {seen}, is not the caller's own: it is \
             loopback, a proxy's, the server's or a guard's."
        ),
        SourceNeeded::OtherFamily => format!(
            "No source was named, and the address that the server sees, {seen}, is {}, of which '{}' has none.",
            Family::of(*seen),
            at.vm
        ),
    }
}

/// The asked length, never written as the longest that it is over.
fn longer(asked: Duration, longest: Duration) -> String {
    if span(asked) == span(longest) { format!("more than {}", span(longest)) } else { span(asked) }
}

fn approval(at: &At, source: Source, why: ApprovalNeeded) -> String {
    let port = at.port;
    let vm = &at.vm;
    match why {
        ApprovalNeeded::NotOwnAddress { own } => {
            let own = match own {
                Some(own) => format!("Ask for {own}, your own"),
                None => "Ask from your own address".to_owned(),
            };
            format!(
                "Port {port} of '{vm}' is open to any source, so {source}, which is not your own address, needs \
                 approval, and there is no approval yet. {own}; or have the policy name a prefix that holds \
                 {source}, or set 'otherAddresses' to 'allowed' there."
            )
        }
        ApprovalNeeded::TooWide { widest, family } => format!(
            "For port {port} of '{vm}' your sources, {source} among them, are together wider than an {family} /{widest}, \
             the widest without approval, and there is no approval yet. Ask for a smaller source, end other \
             accesses of yours, or have the policy raise 'widestUnapproved'."
        ),
    }
}

fn group_full(group: &GroupId, most: usize) -> (Code, String) {
    (
        Code::SecurityRuleCountLimitReached,
        format!(
            "'{group}' has {most} rules, those of JIT counted, the most that it may have. End accesses that are \
             no longer needed, or remove rules."
        ),
    )
}

/// Why a lock's deny finds no place, and what helps.
fn no_place(at: &At, address: IpAddr, why: &LockdownRefusal) -> (Code, String) {
    let At { vm, port } = at;
    match why {
        LockdownRefusal::MissingSecurityGroup => (
            Code::MissingNetworkSecurityGroup,
            format!(
                "Missing NSG: neither the network interface that has {address} of '{vm}' nor its subnet has a \
                 network security group. Give one of them a group first; `hourgate protect {} --create-nsg` makes one.",
                vm.name
            ),
        ),
        LockdownRefusal::GroupFull { group, most } => group_full(group, *most),
        LockdownRefusal::NoFreeNumber { group, after, before } => {
            let named = |numbered: &Numbered| {
                format!("'{}' (priority {})", numbered.rule, numbered.priority)
            };
            let (between, helps) = match (after, before) {
                (Some(after), Some(before)) => (
                    format!("between {} and {}", named(after), named(before)),
                    "Give one of the two another priority, or send \"removeStanding\": true to close the \
                     standing exceptions too.",
                ),
                (Some(after), None) => (
                    format!("behind {}", named(after)),
                    "Give it a smaller priority, or send \"removeStanding\": true to close the standing \
                     exceptions too.",
                ),
                (None, Some(before)) => (
                    format!("before {}", named(before)),
                    "Give that rule, or one before it, another priority.",
                ),
                (None, None) => ("at all".to_owned(), "Free one."),
            };
            (
                Code::NoFreePriority,
                format!(
                    "'{group}' has no free priority {between}, where the deny that closes port {port} of \
                     {address} ('{vm}') would have to stand. No rule is renumbered for it. {helps}"
                ),
            )
        }
    }
}

/// What a change would let through to a locked port, by which rule, and what helps.
fn lock_would_break(broken: &LockBreak) -> String {
    let LockBreak { vm, lock, group, deny, from, transport, by } = broken;
    let over = match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Other => "other transports",
    };
    let (by, helps) = match by {
        Some(LetBy { group: of, rule, priority }) if of == group => (
            format!("The rule '{rule}' (priority {priority}) of '{of}'"),
            match deny.number() {
                // Nothing can stand behind the last number.
                PRIORITY_MAX => "The lock's deny has the last priority (4096), so leave that port, that \
                                 source or that address out of it; whoever needs access asks for it."
                    .to_owned(),
                _ => format!(
                    "Give it a priority behind the lock's deny ({deny}), or leave that port or that source out \
                     of it; whoever needs access asks for it."
                ),
            },
        ),
        Some(LetBy { group: of, rule, priority }) => (
            format!("The rule '{rule}' (priority {priority}) of '{of}'"),
            format!(
                "The lock's deny (priority {deny}) stands in '{group}'. Deny that port in '{of}' before the rule, \
                 leave the port or that source out of it, or keep the address behind '{group}'."
            ),
        ),
        None => (
            "No network security group any more".to_owned(),
            format!(
                "Keep the address behind '{group}', or take the port out of its JIT policy first."
            ),
        ),
    };
    let lets = if broken.by.is_some() { "would let" } else { "would stand before it, which lets" };
    format!(
        "{by} {lets} {over} from {from} through to port {} of {} ('{vm}'), which JIT keeps closed, although \
         nobody granted it. {helps}",
        lock.port, lock.address
    )
}

/// What the policy wants of a sign-in, how it was, and what to do.
fn sign_in_needed(at: &At, demand: SignInDemand, was: Option<SignIn>) -> String {
    let within = demand.within.map(|within| format!("within the last {}", span(within)));
    let factor = demand.second_factor.then(|| "with a second factor".to_owned());
    let wants: Vec<String> = within.into_iter().chain(factor).collect();
    let wants = wants.join(" and ");
    let (port, vm) = (at.port, &at.vm);
    let Some(was) = was else {
        return format!(
            "Port {port} of '{vm}' is for people who signed in {wants}; a service cannot."
        );
    };
    let with = if was.second_factor { "with" } else { "without" };
    format!(
        "Port {port} of '{vm}' is for people who signed in {wants}. You signed in at {}, {with} a second factor: \
         sign in again, with 'hourgate login'.",
        moment(was.at)
    )
}

/// Where in the body it stands.
fn target(refusal: &Refusal, positions: &Positions) -> Option<String> {
    match refusal {
        Refusal::PolicyNotFound { .. }
        | Refusal::RequestNotFound { .. }
        | Refusal::RequestIdTaken { .. }
        | Refusal::ConfirmationPending { .. }
        | Refusal::NothingToConfirm { .. }
        | Refusal::Resource { .. }
        | Refusal::PlanNeeded { .. }
        | Refusal::Unsupported { .. }
        | Refusal::LockWouldBreak { .. }
        | Refusal::ClockBehind { .. } => None,
        Refusal::Directory { why } => role::directory(why).target,
        Refusal::PreconditionFailed { .. } => Some("If-Match".to_owned()),
        Refusal::ConfirmWithinOutOfBounds { .. } => Some("Hourgate-Confirm-Within".to_owned()),
        Refusal::NoAddress
        | Refusal::TooManyAddresses { .. }
        | Refusal::InterfaceHasMore { .. } => Some("properties.privateAddresses".to_owned()),
        Refusal::NotAVmAddress { address, .. }
        | Refusal::AddressTwice { address }
        | Refusal::AddressTaken { address, .. } => positions.of_address(*address),
        Refusal::NoVms
        | Refusal::TooManyVms { .. }
        | Refusal::NothingAsked
        | Refusal::TooManyAccesses { .. } => positions.list(),
        Refusal::VmNotFound { vm }
        | Refusal::VmHasPolicy { vm, .. }
        | Refusal::NotEnforced { vm }
        | Refusal::VmOfAnotherGroup { vm, .. }
        | Refusal::TooManyOnVm { vm, .. }
        | Refusal::VmNotInPolicy { vm, .. } => positions.of_vm(vm, "id"),
        Refusal::VmTwice { vm } => positions.of_vm_again(vm),
        Refusal::NoPorts { vm } | Refusal::TooManyPorts { vm, .. } => positions.of_vm(vm, "ports"),
        Refusal::PortTwice { at } => positions.of_port_again(at),
        Refusal::PortInOtherPolicy { at, .. }
        | Refusal::ConfirmationNeeded { at }
        | Refusal::NoPlace { at, .. }
        | Refusal::PortNotInPolicy { at, .. } => positions.of_port(at, "number"),
        Refusal::AddressNotOfVm { at, .. } => positions.of_vm(&at.vm, "addresses"),
        Refusal::TooManySources { at, .. } => positions.of_source(at),
        Refusal::LongestOutOfBounds { at, .. } => positions.of_length(at),
        Refusal::WidestOutOfBounds { at, family, .. } => {
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            positions.of_port(at, &format!("widestUnapproved.{family}"))
        }
        Refusal::TextTooLong { property, .. } => Some(property_name(*property).to_owned()),
        Refusal::SourceNotAllowed { at, .. }
        | Refusal::MappedPortsFull { at, .. }
        | Refusal::FirewallNotEnforced { at, .. }
        | Refusal::Blocked { at, .. }
        | Refusal::NoNumber { at, .. }
        | Refusal::NoAddressInFamily { at, .. }
        | Refusal::SourceNeeded { at, .. }
        | Refusal::ApprovalRequired { at, .. } => positions.of_source(at),
        Refusal::SignInNeeded { at, .. } => positions.of_port(at, "number"),
        Refusal::SignInOutOfBounds { at, .. } => positions.of_port(at, "signIn.within"),
        Refusal::LongerThanPolicy { at, .. } | Refusal::TooShort { at, .. } => {
            positions.of_length(at)
        }
        Refusal::EndInPast { at, .. } => positions.of_port(at, "endTimeUtc"),
        Refusal::StartInPast { .. } | Refusal::StartTooFarAhead { .. } => {
            Some("startTimeUtc".to_owned())
        }
    }
}
