//! Network watchers: one a location, there of itself, and what is asked of it: would this flow pass?

use std::net::IpAddr;

use hourgate_core::{
    id::{Location, Name, SubscriptionId, VmId},
    nsg::{
        flow::{Carried, Flow, Transport},
        word::{Access, Direction},
    },
    resource::ResourceId,
    role::Scope,
};
use serde::{Deserialize, Serialize};

/// The resource group in which Azure makes them.
pub const WATCHER_GROUP: &str = "NetworkWatcherRG";
/// What their names begin with, before the location (Azure's).
pub const WATCHER_PREFIX: &str = "NetworkWatcher_";
/// Their type.
pub const WATCHER_TYPE: &str = "Microsoft.Network/networkWatchers";
/// The port that a connection is taken to come from where none is said: clients choose one of the upper
/// ports each time.
pub const FROM_PORT: u16 = 50_000;

/// A watcher's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherId {
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its resource group.
    pub group: Name,
    /// Its name.
    pub name: Name,
}

impl WatcherId {
    /// The watcher of a location; none where no such name can be.
    pub fn of(subscription: SubscriptionId, location: &Location) -> Option<WatcherId> {
        let group = WATCHER_GROUP.parse().ok()?;
        let name = format!("{WATCHER_PREFIX}{location}").parse().ok()?;
        Some(WatcherId { subscription, group, name })
    }

    /// Where roles for it hold.
    pub fn scope(&self) -> Scope {
        let kind = format!("providers/{WATCHER_TYPE}");
        Scope::group(self.subscription, &self.group).part(&kind, &self.name)
    }
}

impl std::fmt::Display for WatcherId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WatcherId { subscription, group, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/{WATCHER_TYPE}/{name}"
        )
    }
}

/// A watcher as an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatcherResource {
    /// Its name.
    pub name: String,
    /// Its resource id.
    pub id: String,
    /// [`WATCHER_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Where it is.
    pub location: String,
    /// What is known of it.
    pub properties: WatcherProperties,
}

/// What is known of a watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatcherProperties {
    /// `Succeeded`.
    pub provisioning_state: String,
}

impl WatcherResource {
    /// The watcher of a location.
    pub fn new(id: &WatcherId, location: &Location) -> WatcherResource {
        WatcherResource {
            name: id.name.to_string(),
            id: id.to_string(),
            resource_type: WATCHER_TYPE.to_owned(),
            location: location.to_string(),
            properties: WatcherProperties { provisioning_state: "Succeeded".to_owned() },
        }
    }
}

/// Which flow is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowQuestion {
    /// Of which machine.
    pub vm: VmId,
    /// Through which of its interfaces; whichever has the address where not said.
    pub nic: Option<ResourceId>,
    /// To it, or from it.
    pub direction: Direction,
    /// Over what.
    pub transport: Transport,
    /// Its end.
    pub local: FlowEnd,
    /// The other end.
    pub remote: FlowEnd,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// The address.
    pub address: IpAddr,
    /// The port; none for `*`, which the end that begins may say.
    pub port: Option<u16>,
}

impl FlowQuestion {
    /// The flow; none where its two ends are of different families.
    pub fn flow(&self) -> Option<Flow> {
        let (from, to) = match self.direction {
            Direction::Inbound => (self.remote, self.local),
            Direction::Outbound => (self.local, self.remote),
        };
        let carried = Carried::Ports {
            transport: self.transport,
            source: from.port.unwrap_or(FROM_PORT),
            destination: to.port?,
        };
        Flow::new(from.address, to.address, carried)
    }

    /// The body that [`crate::body::flow`] reads back.
    pub fn body(&self) -> FlowBody {
        let port = |end: FlowEnd| end.port.map_or_else(|| "*".to_owned(), |port| port.to_string());
        FlowBody {
            target_resource_id: self.vm.to_string(),
            direction: self.direction.as_str().to_owned(),
            protocol: match self.transport {
                Transport::Tcp => "TCP".to_owned(),
                // Nothing else can be asked about.
                Transport::Udp | Transport::Other => "UDP".to_owned(),
            },
            local_port: port(self.local),
            remote_port: port(self.remote),
            local_ip_address: self.local.address,
            remote_ip_address: self.remote.address,
            target_nic_resource_id: self.nic.as_ref().map(ToString::to_string),
        }
    }
}

/// The body of `ipFlowVerify`, as our own clients send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowBody {
    /// The machine.
    pub target_resource_id: String,
    /// `Inbound` or `Outbound`.
    pub direction: String,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// As a text.
    pub local_port: String,
    /// As a text.
    pub remote_port: String,
    /// The machine's.
    #[serde(rename = "localIPAddress")]
    pub local_ip_address: IpAddr,
    /// The other end's.
    #[serde(rename = "remoteIPAddress")]
    pub remote_ip_address: IpAddr,
    /// The interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_nic_resource_id: Option<String>,
}

/// What becomes of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowAnswer {
    /// `Allow` or `Deny`.
    pub access: Access,
    /// Who has the last word, with the list that it stands in: `securityRules/NAME` or
    /// `defaultSecurityRules/NAME` as Azure writes it; where JIT has, its rule, and before a machine that stands
    /// in no network `jitNetworkAccessPolicies/NAME`.
    /// Absent where nothing stands before the address, or the caller may not read who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_name: Option<String>,
}
