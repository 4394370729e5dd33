//! What happened: the records of the log, and all that rows are made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    grant::{EndReason, GrantRule, Mapped, Request, Seen},
    id::{PolicyId, RequestId, SubscriptionId, VmId},
    network::{Lock, Port},
    nsg::{flow::Transport, id::GroupId, name::RuleName, word::Priority},
    personal::Personal,
    policy::{Before, Confirmation, Member, Vm},
    pricing::Tier,
    refusal::Refusals,
    resource::{Resource, ResourceId},
    role::{Scope, change::DirectoryChange},
    time::{Deadline, Timestamp},
};

/// One thing that happened. [`crate::state::State::evolve`] says what it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// A machine became known, or known differently.
    VmRegistered {
        /// As it is now.
        vm: Vm,
    },
    /// A machine was forgotten.
    VmUnregistered {
        /// Which.
        id: VmId,
    },
    /// A policy stands as this says.
    PolicySet {
        /// Which.
        id: PolicyId,
        /// Azure's `kind`.
        kind: Option<String>,
        /// The version it has now.
        version: u64,
        /// Its VMs.
        members: BTreeMap<VmId, Member>,
        /// What it waits for, if it must be confirmed.
        confirmation: Option<Confirmation>,
        /// How it stood before, for the reader of the log; nothing if it is new.
        before: Option<Before>,
        /// Why it was set.
        why: PolicySetBecause,
    },
    /// A policy was confirmed in time.
    PolicyConfirmed {
        /// Which.
        id: PolicyId,
    },
    /// A policy is gone.
    PolicyRemoved {
        /// Which.
        id: PolicyId,
        /// How it stood.
        before: Before,
        /// Why it is gone.
        why: PolicySetBecause,
    },
    /// Access was asked for; what needs no waiting is granted in it.
    Requested {
        /// All of it.
        request: Request,
    },
    /// A planned access began.
    Started {
        /// Which.
        access: AccessId,
        /// When.
        since: Timestamp,
        /// Until when.
        until: Deadline,
        /// Its rules in the groups before its VM.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<GrantRule>,
        /// The ports of firewalls that lead to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mapped: Vec<Mapped>,
    },
    /// A running access ends at another time.
    EndMoved {
        /// Which.
        access: AccessId,
        /// When.
        until: Deadline,
    },
    /// An access is over.
    Ended {
        /// Which.
        access: AccessId,
        /// When.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
    /// A guard reported an access open.
    Opened {
        /// Which.
        access: AccessId,
        /// Whose word, and when.
        seen: Seen,
    },
    /// A guard reported an access closed.
    Closed {
        /// Which.
        access: AccessId,
        /// Whose word, and when.
        seen: Seen,
    },
    /// A guard reported that it gave back locks that were released.
    Unlocked {
        /// Which.
        locks: BTreeSet<Lock>,
        /// Whose word, and when.
        seen: Seen,
    },
    /// A change of the network let flows through to a locked port that nobody granted; the settings allow it.
    LockBroken {
        /// What.
        broken: LockBreak,
    },
    /// A rule drops some of what a running access is for, since a change of the network.
    AccessBlocked {
        /// Which.
        access: AccessId,
        /// The rule's group.
        group: GroupId,
        /// The rule; it may be a default rule.
        rule: RuleName,
        /// Its number.
        priority: Priority,
    },
    /// No rule does any more.
    AccessUnblocked {
        /// Which.
        access: AccessId,
    },
    /// A resource of the network stands as this says.
    ResourcePut {
        /// As it is now.
        resource: Box<Resource>,
        /// The version it had before; nothing if it is new. How it stood then the record of that version
        /// tells: a group of a thousand rules is not written twice for each rule.
        before: Option<u64>,
    },
    /// A resource of the network is gone.
    ResourceDeleted {
        /// Which.
        id: ResourceId,
        /// The version it had.
        before: u64,
    },
    /// Somebody on the machine said that its clock is right.
    ClockAccepted {
        /// The time believed from now on.
        at: Timestamp,
        /// The latest time that had been committed.
        before: Timestamp,
    },
    /// Something changed of who there is, which roles there are, or who was given which.
    Directory {
        /// What.
        change: DirectoryChange,
    },
    /// The plan of a subscription was turned on or off.
    PricingSet {
        /// Whose.
        subscription: SubscriptionId,
        /// The tier it has now.
        tier: Tier,
        /// The tier it had.
        before: Tier,
    },
}

impl Event {
    /// The resource of the network that it changes.
    pub fn resource(&self) -> Option<&ResourceId> {
        match self {
            Event::ResourcePut { resource, .. } => Some(&resource.id),
            Event::ResourceDeleted { id, .. } => Some(id),
            Event::VmRegistered { .. }
            | Event::VmUnregistered { .. }
            | Event::PolicySet { .. }
            | Event::PolicyConfirmed { .. }
            | Event::PolicyRemoved { .. }
            | Event::Requested { .. }
            | Event::Started { .. }
            | Event::EndMoved { .. }
            | Event::Ended { .. }
            | Event::Opened { .. }
            | Event::Closed { .. }
            | Event::Unlocked { .. }
            | Event::LockBroken { .. }
            | Event::AccessBlocked { .. }
            | Event::AccessUnblocked { .. }
            | Event::PricingSet { .. }
            | Event::Directory { .. }
            | Event::ClockAccepted { .. } => None,
        }
    }

    /// What is gone since, with all that was in it.
    pub fn gone(&self) -> Option<Scope> {
        match self {
            Event::ResourceDeleted { id, .. } => Some(id.into()),
            Event::PolicyRemoved { id, .. } => Some(id.into()),
            Event::ResourcePut { .. }
            | Event::VmRegistered { .. }
            | Event::VmUnregistered { .. }
            | Event::PolicySet { .. }
            | Event::PolicyConfirmed { .. }
            | Event::Requested { .. }
            | Event::Started { .. }
            | Event::EndMoved { .. }
            | Event::Ended { .. }
            | Event::Opened { .. }
            | Event::Closed { .. }
            | Event::Unlocked { .. }
            | Event::LockBroken { .. }
            | Event::AccessBlocked { .. }
            | Event::AccessUnblocked { .. }
            | Event::PricingSet { .. }
            | Event::Directory { .. }
            | Event::ClockAccepted { .. } => None,
        }
    }
}

/// Which access of which request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccessId {
    /// The request.
    pub request: RequestId,
    /// The VM.
    pub vm: VmId,
    /// The port.
    pub port: Port,
}

/// What a change of the network would newly let through to a locked port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockBreak {
    /// The VM.
    pub vm: VmId,
    /// The locked port.
    pub lock: Lock,
    /// Where the lock's deny stands.
    pub group: GroupId,
    /// Its number there.
    pub deny: Priority,
    /// One address from which it would be reached.
    pub from: IpAddr,
    /// Over which transport.
    pub transport: Transport,
    /// The rule that would let it through; none where no group would stand before the address.
    pub by: Option<LetBy>,
}

/// A rule that lets something through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetBy {
    /// Its group.
    pub group: GroupId,
    /// Its name; it may be a default rule.
    pub rule: RuleName,
    /// Its number.
    pub priority: Priority,
}

/// Why a policy changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicySetBecause {
    /// Somebody asked.
    Asked,
    /// It was not confirmed in time and went back.
    NotConfirmed,
}

/// Something worth remembering that changes no state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "camelCase")]
pub enum Note {
    /// The server began to work.
    ServerStarted {
        /// Its version.
        version: String,
    },
    /// The server stopped in good order; the gate stays as it is.
    ServerStopped,
    /// A command was refused.
    Refused {
        /// The action that was called.
        action: String,
        /// On what.
        target: String,
        /// Why: the first of what stands against it.
        refusals: Refusals,
        /// How much more does.
        more: u64,
    },
    /// More was refused than is worth a line each.
    MoreRefused {
        /// How many.
        count: u64,
    },
    /// A caller lacked the right.
    Denied {
        /// The action that was called.
        action: String,
        /// On what.
        target: String,
    },
    /// Somebody signed in.
    SignedIn {
        /// As which client.
        client: String,
    },
    /// Somebody could not sign in.
    SignInFailed {
        /// As which client, as they said.
        client: String,
    },
    /// The administrator's secret was replaced, on the machine.
    SecretRotated {
        /// Whose.
        client: String,
    },
    /// A local account or a service account was made.
    AccountMade {
        /// Its object id.
        object: Uuid,
        /// What it is called.
        name: Personal,
    },
    /// An account is gone, with all that it could be signed in with.
    AccountRemoved {
        /// Whose.
        object: Uuid,
    },
    /// An account has another password. Its sessions ended with the old one.
    PasswordSet {
        /// Whose.
        object: Uuid,
    },
    /// An account can be signed in with something more.
    CredentialMade {
        /// Whose.
        object: Uuid,
        /// What: `totp`, `passkey`, `recoveryCode`, `serviceSecret`, `serviceKey`, `federatedTrust`.
        kind: String,
        /// Which; empty where an account has one of them.
        id: String,
    },
    /// Something no longer signs in.
    CredentialRemoved {
        /// Whose.
        object: Uuid,
        /// What.
        kind: String,
        /// Which; empty where all of them went.
        id: String,
    },
    /// A link was made with which somebody sets a password, once.
    LinkMade {
        /// Whose password; nil where it makes the first administrator.
        object: Uuid,
        /// Until when it does.
        until: Timestamp,
    },
    /// Somebody proved with a part of it who they are.
    FactorRight {
        /// Who.
        object: Uuid,
        /// With what: `password`, `totp`, `passkey`, `recoveryCode`, `serviceKey`, `federatedTrust`.
        factor: String,
    },
    /// Somebody did not. What they sent is not written: a password is soon typed where a name belongs.
    FactorWrong {
        /// As whom; nobody where no account has that name.
        object: Option<Uuid>,
        /// With what.
        factor: String,
    },
    /// Somebody has a session.
    SessionBegan {
        /// Who.
        object: Uuid,
        /// What it is called; no secret.
        session: String,
    },
    /// A session is over before its time.
    SessionEnded {
        /// Whose.
        object: Uuid,
        /// What it was called.
        session: String,
    },
    /// A refresh token was given for the next one.
    TokensRenewed {
        /// Whose.
        object: Uuid,
        /// What its family is called; no secret.
        family: String,
    },
    /// A refresh token came a second time: somebody else may hold it, so that its family ended.
    RefreshReused {
        /// Whose.
        object: Uuid,
        /// What its family was called.
        family: String,
    },
    /// Tokens are signed with another key.
    KeyRotated {
        /// Its id.
        key: String,
    },
    /// What was past its end is gone.
    CredentialsSwept {
        /// How many.
        count: u64,
    },
    /// Something that somebody must look at.
    Alarm {
        /// What.
        what: String,
    },
}
