//! A JIT policy as an answer.

use std::net::IpAddr;

use hourgate_core::{
    gateway::{Front, front},
    grant::Request,
    id::{PolicyId, VmId},
    network::Sessions,
    nsg::lockdown::Exceptions,
    policy::{
        Member, OtherAddresses, Placement, Policy, PortRule, Protocol, SignInDemand, SourcesForm,
        Widest,
    },
};
use serde::{Deserialize, Serialize};

use super::{LockShown, POLICY_TYPE, RequestResource, View};
use crate::time::{IsoDuration, UtcTime};

/// A JIT policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResource {
    /// Azure's `kind`, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it says.
    pub properties: PolicyProperties,
    /// Its resource id.
    pub id: PolicyId,
    /// Its name.
    pub name: String,
    /// [`POLICY_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its location.
    pub location: String,
}

/// What a JIT policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyProperties {
    /// Its VMs, in the order sent.
    pub virtual_machines: Vec<PolicyVm>,
    /// Its requests.
    #[serde(default)]
    pub requests: Vec<RequestResource>,
    /// How far it is carried out.
    pub provisioning_state: ProvisioningState,
    /// Azure writes it, always `false`.
    #[serde(default)]
    pub append_mode: bool,
    /// Ours: until when it waits to be confirmed before it goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_until_utc: Option<UtcTime>,
    /// Ours: true where this is what would be, and nothing was changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub what_if: bool,
}

/// How far a policy is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProvisioningState {
    /// Durable, and not every lock is observed yet.
    Updating,
    /// Every lock was observed.
    Succeeded,
    /// A lock cannot be made.
    Failed,
}

/// A VM of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVm {
    /// Its resource id.
    pub id: VmId,
    /// Its ports, in the order sent.
    pub ports: Vec<PolicyPort>,
    /// The public address of the firewall in front of it.
    #[serde(rename = "publicIpAddress", default, skip_serializing_if = "Option::is_none")]
    pub public_ip_address: Option<IpAddr>,
    /// Ours, where it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
}

/// A port of a policy. Ours stand behind Azure's, and only where they are not the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPort {
    /// Which.
    pub number: u16,
    /// `TCP` or `*`, as it was sent.
    pub protocol: String,
    /// The allowed source, where one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_source_address_prefix: Option<String>,
    /// The allowed sources, where a list was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_source_address_prefixes: Option<Vec<String>>,
    /// The longest access.
    pub max_request_access_duration: IsoDuration,
    /// Ours: whether sessions end with the access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_sessions: Option<bool>,
    /// Ours: the widest source without approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_unapproved: Option<WidestUnapproved>,
    /// Ours: `allowed`, where somebody else's single address passes under Any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_addresses: Option<String>,
    /// Ours: how somebody must have signed in to ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignInShown>,
    /// Ours: whether standing exceptions are closed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_standing: Option<bool>,
    /// Ours: what the lock does to the rules around it, address by address. Only ever told; sent back, it is
    /// overlooked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockShown>,
}

/// How somebody must have signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInShown {
    /// No longer ago than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<IsoDuration>,
    /// With a second factor.
    #[serde(default)]
    pub second_factor: bool,
}

/// The widest sources without approval, as prefix lengths; 0 waives the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WidestUnapproved {
    /// For IPv4.
    pub ipv4: u8,
    /// For IPv6.
    pub ipv6: u8,
}

impl PolicyResource {
    /// A policy, the requests that its answer shows, and what is seen of them. A PUT's answer shows none.
    pub fn new(
        policy: &Policy,
        requests: &[Request],
        state: ProvisioningState,
        view: &View<'_>,
    ) -> PolicyResource {
        let mut members: Vec<(&VmId, &Member)> = policy.members.iter().collect();
        members.sort_by_key(|(_, member)| member.position);
        let confirmation = policy.confirmation.as_ref();
        PolicyResource {
            kind: policy.kind.clone(),
            properties: PolicyProperties {
                virtual_machines: members
                    .into_iter()
                    .map(|(id, member)| vm(id, member, view))
                    .collect(),
                requests: requests.iter().map(|one| RequestResource::new(one, view)).collect(),
                provisioning_state: state,
                append_mode: false,
                confirm_until_utc: confirmation.map(|waits| UtcTime(waits.until.wall)),
                what_if: false,
            },
            name: policy.id.name.to_string(),
            resource_type: POLICY_TYPE.to_owned(),
            location: policy.id.location.to_string(),
            id: policy.id.clone(),
        }
    }
}

fn vm(id: &VmId, member: &Member, view: &View<'_>) -> PolicyVm {
    let known = (view.vm)(id).filter(|vm| vm.instance == member.instance);
    let fronts = known.iter().flat_map(|vm| &vm.addresses).map(|at| front(view.network, *at));
    let public = fronts.filter_map(|front| match front {
        Front::Firewall { address, .. } => Some(address),
        Front::Nothing | Front::Unfit { .. } => None,
    });
    PolicyVm {
        id: id.clone(),
        public_ip_address: public.into_iter().next(),
        ports: member.ports.iter().map(|rule| port(id, rule, view)).collect(),
        placement: match member.placement {
            Placement::Nic => None,
            Placement::NicAndSubnet => Some(PLACEMENT_NIC_AND_SUBNET.to_owned()),
        },
    }
}

/// [`Placement::Nic`] on the wire.
pub const PLACEMENT_NIC: &str = "nic";
/// [`Placement::NicAndSubnet`] on the wire.
pub const PLACEMENT_NIC_AND_SUBNET: &str = "nic-and-subnet";
/// [`OtherAddresses::Approval`] on the wire.
pub(crate) const OTHERS_APPROVAL: &str = "approval";
/// [`OtherAddresses::Allowed`] on the wire.
pub(crate) const OTHERS_ALLOWED: &str = "allowed";
/// [`Protocol::Tcp`] on the wire.
pub(crate) const PROTOCOL_TCP: &str = "TCP";
/// [`Protocol::Any`] on the wire.
pub(crate) const PROTOCOL_ANY: &str = "*";

fn port(vm: &VmId, rule: &PortRule, view: &View<'_>) -> PolicyPort {
    let sources: Vec<String> = rule.allowed.sources().iter().map(ToString::to_string).collect();
    let (one, list) = match rule.allowed.form() {
        SourcesForm::One => (sources.into_iter().next(), None),
        SourcesForm::List => (None, Some(sources)),
    };
    let Widest { ipv4, ipv6 } = rule.widest_unapproved;
    PolicyPort {
        number: rule.port.number(),
        protocol: match rule.protocol {
            Protocol::Tcp => PROTOCOL_TCP.to_owned(),
            Protocol::Any => PROTOCOL_ANY.to_owned(),
        },
        allowed_source_address_prefix: one,
        allowed_source_address_prefixes: list,
        max_request_access_duration: IsoDuration(rule.longest),
        end_sessions: match rule.sessions {
            Sessions::GoOn => None,
            Sessions::EndWithAccess => Some(true),
        },
        widest_unapproved: (rule.widest_unapproved != Widest::default())
            .then_some(WidestUnapproved { ipv4, ipv6 }),
        other_addresses: match rule.other_addresses {
            OtherAddresses::Approval => None,
            OtherAddresses::Allowed => Some(OTHERS_ALLOWED.to_owned()),
        },
        sign_in: (rule.sign_in != SignInDemand::default()).then(|| SignInShown {
            within: rule.sign_in.within.map(IsoDuration),
            second_factor: rule.sign_in.second_factor,
        }),
        remove_standing: match rule.exceptions {
            Exceptions::Stay => None,
            Exceptions::Taken => Some(true),
        },
        locks: (view.locks)(vm, rule.port).iter().filter_map(LockShown::of).collect(),
    }
}
