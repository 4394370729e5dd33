//! A policy: what may be opened, from where, for how long, on whose approval.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    gateway::MAPPED_PORTS,
    id::{Location, PolicyId, SubscriptionId, VmId, VmInstance},
    network::{Family, Lock, Port, Sessions, Source},
    nsg::{
        band::Band,
        hold::Place,
        id::GroupId,
        lockdown::{Exceptions, Numbered},
        port::PortRange,
        word::Priority,
    },
    role::{SignIn, definition::RoleId},
    screen::standing::Standing,
    time::{Deadline, Timestamp, distance},
};

/// The longest access that any policy may allow (Azure's bound).
pub const LONGEST_ACCESS_MAX: Duration = Duration::from_hours(24);
/// The longest access of a policy that names none, for command and portal (Azure's default).
pub const LONGEST_ACCESS_DEFAULT: Duration = Duration::from_hours(3);
/// The setting for a policy's shortest "longest access" goes no lower (Azure's bound).
pub const SHORTEST_POLICY_MIN: Duration = Duration::from_mins(5);
/// The setting for the shortest access goes no lower: a guard needs time to open and to be seen.
pub const SHORTEST_ACCESS_MIN: Duration = Duration::from_secs(1);
/// How many ports one VM may have in one policy; more is a mistake, and a firewall is the better tool.
pub const PORTS_PER_VM_MAX: usize = 100;
/// How many sources one port rule may name.
pub const SOURCES_PER_RULE_MAX: usize = 100;
/// How many VMs one policy may hold; its body stays under the wire's 4 MiB.
pub const VMS_PER_POLICY_MAX: usize = 5_000;
/// How many addresses one VM may have.
pub const ADDRESSES_PER_VM_MAX: usize = 64;

/// A machine whose ports can be kept closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its resource id.
    pub id: VmId,
    /// Which registration of that id.
    pub instance: VmInstance,
    /// Where it is.
    pub location: Location,
    /// What it runs.
    pub os: Os,
    /// Its private addresses, at least one, each nobody else's.
    pub addresses: Vec<IpAddr>,
}

impl Vm {
    /// Its addresses of one family.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied().filter(move |address| Family::of(*address) == family)
    }

    /// The families it has addresses of.
    pub fn families(&self) -> Vec<Family> {
        [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| self.addresses_of(*family).next().is_some())
            .collect()
    }
}

/// What a VM runs: decides the default ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Os {
    /// Linux: 22.
    Linux,
    /// Windows: 3389.
    Windows,
    /// Not known: both.
    Unknown,
}

/// A policy, with the members that were loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its resource id.
    pub id: PolicyId,
    /// Azure's `kind`, kept as sent; `Basic` in practice.
    pub kind: Option<String>,
    /// Grows with each change; the ETag.
    pub version: u64,
    /// The VMs it holds.
    pub members: BTreeMap<VmId, Member>,
    /// Set while it waits to be confirmed.
    pub confirmation: Option<Confirmation>,
}

/// A lock that could lock out the one who set it goes back unless confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Until when.
    pub until: Deadline,
    /// What goes back in place; nothing if the policy was new.
    pub before: Option<Before>,
}

/// A policy as it was before a change that must be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its kind.
    pub kind: Option<String>,
    /// Its VMs.
    pub members: BTreeMap<VmId, Member>,
}

/// A VM within a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which registration of the VM the policy was set for.
    pub instance: VmInstance,
    /// Where it stands in the list, as sent.
    pub position: u32,
    /// Where the exception is made.
    pub placement: Placement,
    /// One rule a port, in the order sent, at least one, no port twice.
    pub ports: Vec<PortRule>,
}

impl Member {
    /// The rule of a port.
    pub fn rule(&self, port: Port) -> Option<&PortRule> {
        self.ports.iter().find(|rule| rule.port == port)
    }

    /// Where its denies stand.
    pub fn denies(&self) -> impl Iterator<Item = &Deny> {
        self.ports.iter().flat_map(|rule| &rule.denies)
    }

    /// What this keeps closed on a VM; nothing if the VM was registered anew since.
    pub fn locks<'a>(&'a self, vm: &'a Vm) -> impl Iterator<Item = (Lock, Sessions)> + 'a {
        self.ports.iter().filter(|_| vm.instance == self.instance).flat_map(|rule| {
            vm.addresses
                .iter()
                .map(|address| (Lock { address: *address, port: rule.port }, rule.sessions))
        })
    }
}

/// In which security groups an exception is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// The NIC's.
    #[default]
    Nic,
    /// The NIC's and the subnet's.
    NicAndSubnet,
}

/// What may be opened on one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRule {
    /// Which.
    pub port: Port,
    /// As sent; JIT opens TCP either way.
    pub protocol: Protocol,
    /// From where.
    pub allowed: AllowedSources,
    /// For how long at most.
    pub longest: Duration,
    /// On whose approval.
    pub approval: Approval,
    /// What becomes of connections at the end.
    pub sessions: Sessions,
    /// How wide a source may be without approval.
    pub widest_unapproved: Widest,
    /// What of addresses that are not the caller's, where only Any allows them.
    pub other_addresses: OtherAddresses,
    /// What becomes of standing exceptions.
    #[serde(default, skip_serializing_if = "stay")]
    pub exceptions: Exceptions,
    /// How somebody must have signed in to ask for it.
    #[serde(default, skip_serializing_if = "SignInDemand::is_nothing")]
    pub sign_in: SignInDemand,
    /// Where its denies stand: one for each address of the VM before which a group stood when it was locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denies: Vec<Deny>,
}

impl PortRule {
    /// The deny of an address; none where no group stood before it when it was locked.
    pub fn deny(&self, address: IpAddr) -> Option<&Deny> {
        self.denies.iter().find(|deny| deny.address == address)
    }
}

/// How somebody must have signed in to ask for access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDemand {
    /// No longer ago than this; at any time, if none.
    pub within: Option<Duration>,
    /// With a second factor.
    pub second_factor: bool,
}

/// The shortest time within which somebody can be told to have signed in: it takes a while to type.
pub const SIGNED_IN_WITHIN_MIN: Duration = Duration::from_mins(1);
/// The longest: past a day it says nothing.
pub const SIGNED_IN_WITHIN_MAX: Duration = Duration::from_hours(24);

impl SignInDemand {
    fn is_nothing(&self) -> bool {
        *self == SignInDemand::default()
    }

    /// Whether somebody who signed in so may ask now. A service never signed in as a person does.
    pub fn is_met(&self, sign_in: Option<SignIn>, now: Timestamp) -> bool {
        let fresh = self.within.is_none_or(|within| {
            sign_in.is_some_and(|sign_in| distance(sign_in.at, now) <= within)
        });
        fresh && (!self.second_factor || sign_in.is_some_and(|sign_in| sign_in.second_factor))
    }
}

fn stay(exceptions: &Exceptions) -> bool {
    *exceptions == Exceptions::Stay
}

/// The deny of a locked port in the security group before one address: inbound, every protocol, from
/// everywhere. It stands beside the group, whose resource holds other people's rules alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny {
    /// Of which address.
    pub address: IpAddr,
    /// In which group.
    pub group: GroupId,
    /// Its number there.
    pub priority: Priority,
    /// The standing exceptions that were listed when it was locked: rules before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Numbered>,
    /// The flows that they let through then. More than these is exposed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Standing>,
}

impl Deny {
    /// Where it stands.
    pub fn place(&self) -> Place<'_> {
        Place { group: &self.group, priority: self.priority }
    }
}

/// A port rule's protocol on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// `TCP`.
    Tcp,
    /// `*`: every protocol that JIT supports, which is TCP.
    Any,
}

/// Whether an opening needs somebody else's yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Approval {
    /// It does not. Stages of approvers will stand beside this.
    #[default]
    NotNeeded,
}

/// The widest sources that pass without approval, as prefix lengths; 0 waives the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widest {
    /// For IPv4, 0 to 32.
    pub ipv4: u8,
    /// For IPv6, 0 to 128.
    pub ipv6: u8,
}

impl Default for Widest {
    fn default() -> Widest {
        Widest { ipv4: 24, ipv6: 48 }
    }
}

impl Widest {
    /// The prefix length for one family.
    pub fn of(self, family: Family) -> u8 {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6,
        }
    }
}

/// What of a source that only Any covers and that is not the caller's own address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtherAddresses {
    /// It needs approval.
    #[default]
    Approval,
    /// One single address passes, as in Azure.
    Allowed,
}

/// The sources a rule names, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedSources {
    // INVARIANT: not empty; exactly one where `form` is One.
    sources: Vec<Source>,
    form: SourcesForm,
}

/// How they were sent, and are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourcesForm {
    /// `allowedSourceAddressPrefix`.
    One,
    /// `allowedSourceAddressPrefixes`.
    List,
}

/// How a rule's sources cover a source that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Prefixes that name a place cover it.
    Named,
    /// Only a source that means the world does.
    OnlyAny,
    /// Not at all, or not all of it.
    No,
}

impl AllowedSources {
    /// One source.
    pub fn one(source: Source) -> AllowedSources {
        AllowedSources { sources: vec![source], form: SourcesForm::One }
    }

    /// A list; none if it is empty.
    pub fn list(sources: Vec<Source>) -> Option<AllowedSources> {
        (!sources.is_empty()).then_some(AllowedSources { sources, form: SourcesForm::List })
    }

    /// The sources, in the order sent.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How they were sent.
    pub fn form(&self) -> SourcesForm {
        self.form
    }

    /// How they cover `asked`: by arithmetic over addresses, each family by itself.
    ///
    /// Prefixes that together cover a family mean the world there as `*` does (product P2).
    pub fn coverage(&self, asked: Source) -> Coverage {
        let mut worst = Coverage::Named;
        for family in asked.families() {
            let Some(asked) = asked.within(family) else { continue };
            let (world, named): (Vec<Source>, Vec<Source>) = self
                .sources
                .iter()
                .filter(|source| source.within(family).is_some())
                .partition(|source| source.is_any());
            let named = union(named.iter().filter_map(|source| source.within(family)));
            let named_is_world = named.contains(&family.all());
            if !named_is_world && covers(&named, asked) {
                continue;
            }
            let every = union(
                named.into_iter().chain(world.iter().filter_map(|source| source.within(family))),
            );
            if !covers(&every, asked) {
                return Coverage::No;
            }
            worst = Coverage::OnlyAny;
        }
        worst
    }
}

/// The fewest prefixes that stand for the same addresses.
pub fn union(nets: impl Iterator<Item = IpNet>) -> Vec<IpNet> {
    IpNet::aggregate(&nets.collect())
}

fn covers(union: &[IpNet], asked: IpNet) -> bool {
    union.iter().any(|net| net.contains(&asked))
}

/// The settings that decide: what an administrator configured for the whole installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shortest access that can be asked for.
    pub shortest_access: Duration,
    /// The shortest "longest access" a policy may have.
    pub shortest_policy: Duration,
    /// The guards and the prefixes each covers.
    pub guards: Vec<GuardCover>,
    /// Addresses of the machine that runs the server: locking a port there can lock oneself out.
    pub server_addresses: Vec<IpAddr>,
    /// The subscription made at first start, which has the plan for servers until somebody turns it off; any
    /// other has not. None where no installation is known: then every one has.
    pub first_subscription: Option<SubscriptionId>,
    /// Where machines can have just-in-time access; everywhere if none.
    pub locations: Option<BTreeSet<Location>>,
    /// The numbers that rules of grants may have.
    pub band: Band,
    /// Whether a change of the network may let flows through to a locked port that were not listed as
    /// standing exceptions. Then the log says so, and the port is shown as exposed.
    pub allow_lock_breaks: bool,
    /// The ports of firewalls' public addresses that accesses are mapped to.
    pub mapped_ports: PortRange,
    /// How long an issuer's word about somebody's groups holds, where nothing else was set for that issuer.
    pub groups_hold: Duration,
    /// The same for issuers for which something was set.
    pub groups_holds: BTreeMap<String, Duration>,
    /// The most that people of an issuer may have, whatever they are given; no limit where none is named.
    pub highest_roles: BTreeMap<String, RoleId>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            shortest_access: Duration::from_mins(1),
            shortest_policy: Duration::from_hours(1),
            guards: vec![GuardCover::everything("local")],
            server_addresses: Vec::new(),
            first_subscription: None,
            locations: None,
            band: Band::default(),
            allow_lock_breaks: false,
            mapped_ports: MAPPED_PORTS,
            groups_hold: GROUPS_HOLD,
            groups_holds: BTreeMap::new(),
            highest_roles: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// How long an issuer's word about somebody's groups holds.
    pub fn groups_hold_of(&self, issuer: &str) -> Duration {
        self.groups_holds.get(issuer).copied().unwrap_or(self.groups_hold)
    }
}

/// How long an issuer's word about somebody's groups holds, unless set otherwise.
pub const GROUPS_HOLD: Duration = Duration::from_hours(1);

/// A guard and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardCover {
    /// What it is called.
    pub name: String,
    /// The prefixes whose addresses it enforces.
    pub covers: Vec<IpNet>,
}

impl GuardCover {
    /// A guard that covers every address.
    pub fn everything(name: &str) -> GuardCover {
        GuardCover { name: name.to_owned(), covers: vec![Family::V4.all(), Family::V6.all()] }
    }

    /// Whether it enforces that address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.covers.iter().any(|net| net.contains(&address))
    }
}

impl Settings {
    /// The guard that covers all addresses of a VM: the first that does.
    pub fn guard_of(&self, vm: &Vm) -> Option<&GuardCover> {
        self.guards.iter().find(|guard| vm.addresses.iter().all(|address| guard.has(*address)))
    }
}
