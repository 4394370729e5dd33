//! A request, and what becomes of each access it asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    gateway::Place,
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Family, Opening, Port, Source},
    nsg::{id::GroupId, word::Priority},
    personal::{self, Personal},
    policy::{Member, PortRule, Vm},
    resource::ResourceId,
    role::Person,
    time::{Deadline, Timestamp},
};

/// Longest justification, in characters.
pub const JUSTIFICATION_CHARS_MAX: usize = 2_000;
/// Longest ticket, in characters.
pub const TICKET_CHARS_MAX: usize = 200;
/// How many accesses one request may ask for.
pub const ACCESSES_PER_REQUEST_MAX: usize = 1_000;
/// How many accesses may wait or run on one VM at once; past that somebody runs a loop. Behind a security group
/// fewer can run: each needs a rule in it, and no group has more than 1,000 with all that it has besides.
pub const LIVE_PER_VM_MAX: usize = 5_000;
/// How far ahead an access can be planned.
pub const PLANNED_AHEAD_MAX: Duration = Duration::from_hours(24 * 90);
/// How far a client's clock may differ before its absolute times are refused instead of clamped.
pub const CLIENT_SKEW_MAX: Duration = Duration::from_mins(5);

/// Someone's ask, and everything decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The policy it was asked of.
    pub policy: PolicyId,
    /// Who asked.
    pub requester: Person,
    /// When.
    pub created: Timestamp,
    /// Why, as they said.
    pub justification: Option<Personal>,
    /// Their ticket.
    pub ticket: Option<Personal>,
    /// What they asked for: at least one, each VM and port once.
    pub accesses: Vec<Access>,
}

impl Request {
    /// The access to one VM and port.
    pub fn access(&self, vm: &VmId, port: Port) -> Option<&Access> {
        self.accesses.iter().find(|access| access.port == port && access.vm == *vm)
    }

    /// The same, to change it.
    pub fn access_mut(&mut self, vm: &VmId, port: Port) -> Option<&mut Access> {
        self.accesses.iter_mut().find(|access| access.port == port && access.vm == *vm)
    }
}

/// One VM, one port, one source of a request. Granted, it is a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The VM.
    pub vm: VmId,
    /// Which registration of it.
    pub instance: VmInstance,
    /// The port.
    pub port: Port,
    /// From where.
    #[serde(with = "personal")]
    pub source: Source,
    /// To which addresses of the VM; all of them where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<BTreeSet<IpAddr>>,
    /// How long, as it was asked.
    pub window: Window,
    /// How far it has come.
    pub stage: Stage,
}

impl Access {
    /// Whether it still waits or runs.
    pub fn is_live(&self) -> bool {
        match self.stage {
            Stage::Planned { .. } | Stage::Granted { .. } => true,
            Stage::Ended { .. } => false,
        }
    }

    /// Whether nothing more is to happen: ended, and seen closed if it was ever seen open.
    pub fn is_settled(&self) -> bool {
        match &self.stage {
            Stage::Planned { .. } | Stage::Granted { .. } => false,
            Stage::Ended { opened, closed, .. } => opened.is_none() || closed.is_some(),
        }
    }

    /// Whether it runs and was seen open.
    pub fn was_seen_open(&self) -> bool {
        match &self.stage {
            Stage::Granted { opened, .. } => opened.is_some(),
            Stage::Planned { .. } | Stage::Ended { .. } => false,
        }
    }

    /// The rule under which it stands, where a policy has these VMs; none for another registration.
    pub fn rule_in<'a>(&self, members: &'a BTreeMap<VmId, Member>) -> Option<&'a PortRule> {
        let member = members.get(&self.vm)?;
        if member.instance == self.instance { member.rule(self.port) } else { None }
    }

    /// The ports of firewalls that lead to it while it runs.
    pub fn mapped(&self) -> &[Mapped] {
        match &self.stage {
            Stage::Granted { mapped, .. } => mapped,
            Stage::Planned { .. } | Stage::Ended { .. } => &[],
        }
    }

    /// What a firewall must let through for it on that VM.
    pub fn openings<'a>(&'a self, vm: &'a Vm) -> impl Iterator<Item = Opening> + 'a {
        Access::openings_of(vm, self.source, self.port, self.addresses.as_ref())
    }

    /// The same for an access that is not yet granted.
    pub fn openings_of<'a>(
        vm: &'a Vm,
        source: Source,
        port: Port,
        only: Option<&'a BTreeSet<IpAddr>>,
    ) -> impl Iterator<Item = Opening> + 'a {
        let asked = move |address: &&IpAddr| only.is_none_or(|only| only.contains(address));
        let nets = vm.families().into_iter().filter_map(move |family| source.within(family));
        nets.flat_map(move |net| {
            let addresses = vm.addresses.iter().filter(asked);
            addresses.filter_map(move |address| Opening::new(net, *address, port))
        })
    }

    /// Its rules, while it runs.
    pub fn rules(&self) -> &[GrantRule] {
        match &self.stage {
            Stage::Granted { rules, .. } => rules,
            Stage::Planned { .. } | Stage::Ended { .. } => &[],
        }
    }

    /// The number of its rule for an address in a group; none where it has no rule there.
    pub fn number_in(&self, group: &GroupId, address: IpAddr) -> Option<Priority> {
        number_in(self.rules(), group, address)
    }
}

/// The rule of a grant in one security group: an allow from its source to some addresses of its VM, of one
/// family. It stands beside the group, whose resource holds other people's rules alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantRule {
    /// In which group.
    pub group: GroupId,
    /// Its number there.
    pub priority: Priority,
    /// The addresses: at least one, sorted, all of one family.
    pub addresses: Vec<IpAddr>,
}

impl GrantRule {
    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.addresses.first().map_or(Family::V4, |address| Family::of(*address))
    }
}

/// The number of the rule for an address in a group; none where none of these is.
pub fn number_in(rules: &[GrantRule], group: &GroupId, address: IpAddr) -> Option<Priority> {
    let rule = rules.iter().find(|rule| rule.group == *group && rule.addresses.contains(&address));
    rule.map(|rule| rule.priority)
}

/// A port of a firewall's public address that leads to a machine while an access runs (product P13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// The firewall.
    pub firewall: ResourceId,
    /// Its public address, and the port on it.
    pub at: Place,
    /// The machine's address, and the port on it.
    pub to: Place,
}

/// How long an access was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// To a moment, whenever it begins.
    Until(Timestamp),
    /// For a time, from when it begins.
    For(Duration),
}

/// How far an access has come. Approval will add a stage before these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It begins later.
    Planned {
        /// When.
        start: Timestamp,
    },
    /// It runs: desired open.
    Granted {
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Deadline,
        /// When a guard first reported it open.
        opened: Option<Seen>,
        /// Its rules in the groups before its VM; none where no group stands there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<GrantRule>,
        /// The ports of firewalls that lead to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mapped: Vec<Mapped>,
    },
    /// It is over, and never revives.
    Ended {
        /// Since when it ran; nothing if it never did.
        since: Option<Timestamp>,
        /// When it was to end while it ran, or had ended.
        until: Option<Timestamp>,
        /// When it ended.
        at: Timestamp,
        /// Why.
        reason: EndReason,
        /// When a guard first reported it open.
        opened: Option<Seen>,
        /// When a guard first reported it closed after that.
        closed: Option<Seen>,
    },
}

/// A guard's word, and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was received.
    pub at: Timestamp,
    /// Whose word.
    pub guard: String,
}

/// Why an access is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// Its time was over.
    Expired,
    /// Somebody ended it.
    UserRequested,
    /// The same person's newer request took its place.
    Replaced {
        /// Which.
        by: RequestId,
    },
    /// The policy no longer covers it.
    PolicyChanged,
    /// Who has it was disabled, or may no longer ask for it.
    RightLost,
    /// It was to begin, and its time had passed before that was possible.
    Lapsed,
    /// It could not be opened.
    Failed {
        /// Why, for people.
        why: String,
    },
}
