//! Typed reasons to say no, with the numbers needed to ask again correctly. Text is made at the edge.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    eligible::Reason,
    event::LockBreak,
    id::{PolicyId, RequestId, SubscriptionId, VmId},
    network::{Family, NotAVmAddress, Port, Source},
    nsg::{
        band::NoNumber, cure::Cure, id::GroupId, lockdown::LockdownRefusal, name::RuleName,
        port::PortRange, word::Priority,
    },
    policy::SignInDemand,
    resource::{ResourceFault, ResourceId},
    role::{SignIn, change::DirectoryRefusal},
    time::Timestamp,
};

/// Everything that stands against a command, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals(pub Vec<Refusal>);

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Refusals {
        Refusals(vec![refusal])
    }
}

/// Which VM and port a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The VM.
    pub vm: VmId,
    /// The port.
    pub port: Port,
}

/// One reason to say no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "camelCase")]
pub enum Refusal {
    /// People and roles are left as they are.
    Directory {
        /// Why.
        why: DirectoryRefusal,
    },
    /// Every port of a firewall's public address that accesses are mapped to is taken.
    MappedPortsFull {
        /// For which VM and port one was needed.
        at: At,
        /// The firewall.
        firewall: ResourceId,
        /// The ports there are.
        ports: PortRange,
    },
    /// No guard covers the public address of the firewall in front of a VM.
    FirewallNotEnforced {
        /// Which VM and port.
        at: At,
        /// The firewall.
        firewall: ResourceId,
        /// Its public address.
        address: IpAddr,
    },
    /// No such VM.
    VmNotFound {
        /// Which.
        vm: VmId,
    },
    /// No such policy.
    PolicyNotFound {
        /// Which.
        policy: PolicyId,
    },
    /// No such request.
    RequestNotFound {
        /// Which.
        request: RequestId,
    },
    /// That id is another request's: mint another and ask again.
    RequestIdTaken {
        /// Which.
        request: RequestId,
    },
    /// The resource does not stand as the caller says (`If-Match`).
    PreconditionFailed {
        /// The version it has; none if it does not exist.
        version: Option<u64>,
    },

    /// A VM needs an address.
    NoAddress,
    /// More addresses than a VM may have.
    TooManyAddresses {
        /// How many may.
        most: usize,
    },
    /// The address cannot be a VM's.
    NotAVmAddress {
        /// Which.
        address: IpAddr,
        /// Why.
        why: NotAVmAddress,
    },
    /// An address stands twice.
    AddressTwice {
        /// Which.
        address: IpAddr,
    },
    /// Another VM has the address.
    AddressTaken {
        /// Which.
        address: IpAddr,
        /// Whose it is.
        vm: VmId,
    },
    /// A VM is named by addresses of an interface that has more than those: a VM has all of an interface's.
    InterfaceHasMore {
        /// The interface.
        interface: ResourceId,
        /// What else it has.
        addresses: Vec<IpAddr>,
    },
    /// The VM is held by a policy, so it can neither go nor change its addresses.
    VmHasPolicy {
        /// The VM.
        vm: VmId,
        /// The policy.
        policy: PolicyId,
    },
    /// A rule of a security group would drop what is asked for: it takes effect, or it is refused.
    Blocked {
        /// Where.
        at: At,
        /// The group the rule is in.
        group: GroupId,
        /// The rule; it may be a default rule.
        rule: RuleName,
        /// Its number.
        priority: Priority,
        /// What would help.
        cure: Cure,
    },
    /// The grant's rule finds no number in a security group.
    NoNumber {
        /// Where.
        at: At,
        /// Why.
        why: NoNumber,
    },
    /// The lock's deny finds no place before an address.
    NoPlace {
        /// Where.
        at: At,
        /// Before which address.
        address: IpAddr,
        /// Why.
        why: LockdownRefusal,
    },
    /// A change of the network would let flows through to a locked port that nobody granted.
    LockWouldBreak {
        /// What.
        broken: LockBreak,
    },
    /// The VM does not have an address that was named.
    AddressNotOfVm {
        /// Where.
        at: At,
        /// What was named.
        address: IpAddr,
        /// Those that it has.
        addresses: Vec<IpAddr>,
    },
    /// No guard covers all addresses of the VM: a lock would be a word only.
    NotEnforced {
        /// The VM.
        vm: VmId,
    },

    /// A policy needs a VM.
    NoVms,
    /// More VMs than a policy may have.
    TooManyVms {
        /// How many may.
        most: usize,
    },
    /// A VM stands twice.
    VmTwice {
        /// Which.
        vm: VmId,
    },
    /// A VM is in another group or subscription than the policy (Azure's policies hold their group's).
    VmOfAnotherGroup {
        /// Which.
        vm: VmId,
        /// The policy.
        policy: PolicyId,
    },
    /// A VM without ports.
    NoPorts {
        /// Which.
        vm: VmId,
    },
    /// More ports than a VM may have.
    TooManyPorts {
        /// Which VM.
        vm: VmId,
        /// How many may.
        most: usize,
    },
    /// A port stands twice.
    PortTwice {
        /// Which.
        at: At,
    },
    /// More sources than a rule may name.
    TooManySources {
        /// Of which.
        at: At,
        /// How many may.
        most: usize,
    },
    /// The longest access is out of bounds.
    LongestOutOfBounds {
        /// Of which.
        at: At,
        /// What was sent.
        longest: Duration,
        /// The least that may be.
        least: Duration,
        /// The most that may be.
        most: Duration,
    },
    /// A prefix length that the family does not have.
    WidestOutOfBounds {
        /// Of which.
        at: At,
        /// What was sent.
        length: u8,
        /// For which family.
        family: Family,
    },
    /// The port is another policy's.
    PortInOtherPolicy {
        /// Which.
        at: At,
        /// Whose it is.
        policy: PolicyId,
    },
    /// The lock could lock out the one who sets it.
    ConfirmationNeeded {
        /// Which.
        at: At,
    },
    /// The time to confirm in is out of bounds.
    ConfirmWithinOutOfBounds {
        /// The least that may be.
        least: Duration,
        /// The most that may be.
        most: Duration,
    },
    /// The policy waits for confirmation, so it cannot be changed.
    ConfirmationPending {
        /// Until when.
        until: Timestamp,
    },
    /// The policy does not wait for confirmation.
    NothingToConfirm {
        /// Which.
        policy: PolicyId,
    },

    /// A request that asks for nothing.
    NothingAsked,
    /// More accesses than a request may ask for.
    TooManyAccesses {
        /// How many may.
        most: usize,
    },
    /// The VM has as many live accesses as it may.
    TooManyOnVm {
        /// Which.
        vm: VmId,
        /// How many may.
        most: usize,
    },
    /// A text that is too long.
    TextTooLong {
        /// Of which property.
        property: TextProperty,
        /// How many characters it may have.
        most: usize,
    },
    /// The policy does not hold the VM.
    VmNotInPolicy {
        /// Which.
        vm: VmId,
        /// The policy.
        policy: PolicyId,
    },
    /// The policy does not hold the port of the VM.
    PortNotInPolicy {
        /// Which.
        at: At,
        /// Those it holds.
        ports: Vec<Port>,
    },
    /// The source is not allowed.
    SourceNotAllowed {
        /// For which.
        at: At,
        /// What was asked.
        source: Source,
        /// What is allowed.
        allowed: Vec<Source>,
    },
    /// The VM has no address of the source's family.
    NoAddressInFamily {
        /// For which.
        at: At,
        /// What was asked.
        source: Source,
        /// The families it has.
        families: Vec<Family>,
    },
    /// No source was named, and what the server saw names nobody or is of a family the VM lacks.
    SourceNeeded {
        /// For which.
        at: At,
        /// What the server saw.
        seen: IpAddr,
        /// Why it cannot stand in.
        why: SourceNeeded,
    },
    /// Longer than the policy allows.
    LongerThanPolicy {
        /// For which.
        at: At,
        /// What was asked.
        asked: Duration,
        /// The longest that may be.
        longest: Duration,
    },
    /// Shorter than any access may be.
    TooShort {
        /// For which.
        at: At,
        /// What was asked.
        asked: Duration,
        /// The shortest that may be.
        shortest: Duration,
    },
    /// The end is not after the beginning.
    EndInPast {
        /// For which.
        at: At,
        /// What was asked.
        end: Timestamp,
        /// When it would begin.
        begin: Timestamp,
    },
    /// The start lies in the past.
    StartInPast {
        /// What was asked.
        start: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// The start lies too far ahead.
    StartTooFarAhead {
        /// What was asked.
        start: Timestamp,
        /// The furthest that may be.
        furthest: Timestamp,
    },
    /// Somebody else must say yes, and approval does not exist yet.
    ApprovalRequired {
        /// For which.
        at: At,
        /// What was asked.
        source: Source,
        /// Why.
        why: ApprovalNeeded,
    },
    /// Whoever asks must sign in anew, or with a second factor.
    SignInNeeded {
        /// For which.
        at: At,
        /// What the policy wants.
        demand: SignInDemand,
        /// How they signed in; none for a service.
        was: Option<SignIn>,
    },
    /// The time within which somebody must have signed in lies outside of what can be set.
    SignInOutOfBounds {
        /// Of which.
        at: At,
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
    },
    /// A resource of the network cannot be set or removed.
    Resource {
        /// Which.
        id: ResourceId,
        /// Why.
        fault: ResourceFault,
    },
    /// The clock lies behind what was committed: nothing opens until it is right or accepted.
    ClockBehind {
        /// What the clock says.
        now: Timestamp,
        /// The latest that was committed.
        highest: Timestamp,
    },
    /// The VM cannot have just-in-time access.
    Unsupported {
        /// Which.
        vm: VmId,
        /// Why.
        reason: Reason,
    },
    /// The subscription's plan is off, and just-in-time access is part of it.
    PlanNeeded {
        /// Whose.
        subscription: SubscriptionId,
    },
}

/// A property that holds a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextProperty {
    /// `justification`.
    Justification,
    /// `ticket`.
    Ticket,
    /// `kind`.
    Kind,
}

/// Why the address that the server saw cannot stand in for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceNeeded {
    /// It is loopback, a proxy's, the server's or a guard's own.
    Nobodys,
    /// The VM has no address of its family.
    OtherFamily,
}

/// Why somebody else must say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalNeeded {
    /// Only Any covers the source, and it is not the caller's own address.
    NotOwnAddress {
        /// The caller's own, if it is known.
        own: Option<IpAddr>,
    },
    /// The person's sources together are wider than passes without approval.
    TooWide {
        /// The widest that passes, as a prefix length.
        widest: u8,
        /// For which family.
        family: Family,
    },
}
