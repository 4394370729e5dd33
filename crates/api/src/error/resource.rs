//! Why a resource of the network cannot be set or removed, in words.
//!
//! Codes and sentences are Azure's where reports of its users show them; ours say the value and what would be
//! accepted. Azure answers all of these with 400, conflicts too.

use std::fmt::Display;

use hourgate_core::{
    jit_rules::JitRuleOf,
    nsg::{
        fault::{GroupFault, RuleFault},
        name::RuleName,
        place::PlaceProblem,
        port::PortProblem,
        word::Side,
    },
    resource::{Kind, ResourceFault, ResourceId, Target, fault::Part, firewall::SUBNET_NAME},
};

use super::{ArmError, Code};
use crate::text::{listed, quoted};

/// How many resources or prefixes one sentence names.
const LISTED_MAX: usize = 20;

/// 404.
pub fn resource_not_found(id: &ResourceId) -> ArmError {
    let ResourceId { group, kind, name, .. } = id;
    child_not_found(&format!("{}/{name}", kind.type_name()), group)
}

/// 404: `what` is a type and name below a resource group.
pub fn child_not_found(what: &str, group: &impl Display) -> ArmError {
    let message = format!(
        "The Resource '{what}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    ArmError::new(Code::ResourceNotFound, message)
}

/// Code and sentence of each fault.
#[expect(clippy::too_many_lines, reason = "one arm for each fault")]
pub(super) fn words(id: &ResourceId, fault: &ResourceFault) -> (Code, String) {
    let name = &id.name;
    match fault {
        ResourceFault::NotFound => {
            let error = resource_not_found(id);
            (error.code, error.message)
        }
        ResourceFault::InUse { target, by } => in_use(target, &listed(by, LISTED_MAX)),
        ResourceFault::Rule { rule, problem } => rule_words(rule, problem),
        ResourceFault::Rules { problem } => rules_words(id, problem),
        ResourceFault::JitRule { rule, of } => (Code::JitRuleReadOnly, jit_rule(id, rule, of)),
        ResourceFault::JitName { rule } => (
            Code::InvalidResourceName,
            format!(
                "Security rule {} has a name of the form that JIT's own rules have, and belongs to no request and no \
                 policy that is known in {id}. If it was read there before, leave it out; else give it another name.",
                quoted(rule)
            ),
        ),
        ResourceFault::ReferenceNotFound { target } => (
            Code::InvalidResourceReference,
            format!(
                "Resource {target} referenced by resource {id} was not found. Please make sure that the referenced \
                 resource exists, and that both resources are in the same region."
            ),
        ),
        ResourceFault::OtherSubscription { target } => (
            Code::InvalidResourceReference,
            format!(
                "Resource {target} referenced by resource {id} is in another subscription; one of subscription \
                 '{}' is accepted.",
                id.subscription
            ),
        ),
        ResourceFault::WrongKind { target, needed } => (
            Code::InvalidResourceReference,
            format!("Resource {target} referenced by resource {id} is no {}.", needed.type_name()),
        ),
        ResourceFault::TooManyResources { most } => (
            Code::TooManyRequests,
            format!("There are {most} resources, the most there may be. Delete some first."),
        ),
        ResourceFault::TooManyTags { most } => {
            (Code::InvalidParameter, format!("A resource has at most {most} tags."))
        }
        ResourceFault::TagName { name, most } => (
            Code::InvalidParameter,
            format!("{} is no tag's name: 1 to {most} characters are accepted.", quoted(name)),
        ),
        ResourceFault::TagValue { name, most } => (
            Code::InvalidParameter,
            format!("The value of the tag {} has more than {most} characters.", quoted(name)),
        ),
        ResourceFault::NameTwice { name } => twice(id, name),
        ResourceFault::TooManyParts { part, most } => (
            Code::InvalidRequestFormat,
            format!("Resource {id} has more than {most} {}.", noun(*part)),
        ),
        ResourceFault::NoPart { part } => (
            Code::InvalidRequestFormat,
            format!("Resource {id} needs {}: none was sent.", noun(*part)),
        ),
        ResourceFault::HostBits { prefix, meant } => (
            Code::InvalidCIDRNotation,
            format!(
                "The address prefix {prefix} in resource {id} has an invalid CIDR notation. For the given prefix \
                 length, the address prefix should be {meant}."
            ),
        ),
        ResourceFault::PrefixLength { prefix, least, most } => (
            Code::InvalidCIDRNotation,
            format!(
                "The address prefix {prefix} in resource {id} has an invalid length: /{least} to /{most} is \
                 accepted."
            ),
        ),
        ResourceFault::AddressSpacesOverlap { one, other } => (
            Code::VnetAddressSpacesOverlap,
            format!("The address spaces {one} and {other} of virtual network '{name}' overlap."),
        ),
        ResourceFault::SubnetOutside { subnet, prefix, space } => (
            Code::NetcfgInvalidSubnet,
            format!(
                "Subnet '{subnet}' is not valid in virtual network '{name}'. Its address prefix {prefix} lies \
                 outside the address space {}.",
                listed(space, LISTED_MAX)
            ),
        ),
        ResourceFault::SubnetsOverlap { subnet, prefix, other, other_prefix } => (
            Code::NetcfgInvalidSubnet,
            format!(
                "Subnet '{subnet}' is not valid in virtual network '{name}'. Its address prefix {prefix} overlaps \
                 {other_prefix} of subnet '{other}'."
            ),
        ),
        ResourceFault::AddressLeft { subnet, by, address } => (
            Code::InUsePrefixCannotBeDeleted,
            format!("Subnet '{subnet}' cannot lose the address {address}: {by} has it."),
        ),
        ResourceFault::PeerOfItself => (
            Code::InvalidResourceReference,
            format!("The virtual network '{name}' cannot be peered with itself."),
        ),
        ResourceFault::PeersOverlap { peer, prefix, other } => (
            Code::VnetAddressSpacesOverlap,
            format!(
                "Virtual network {id} cannot be peered with {peer} because their address spaces overlap: {prefix} \
                 and {other}."
            ),
        ),
        ResourceFault::AddressOutside { address, prefixes, .. } => (
            Code::PrivateIPAddressNotInSubnet,
            format!(
                "Private static IP address {address} does not belong to the range of subnet prefix {}.",
                listed(prefixes, LISTED_MAX)
            ),
        ),
        ResourceFault::AddressReserved { address, prefix, .. } => (
            Code::PrivateIPAddressInReservedRange,
            format!(
                "Private static IP address {address} falls within reserved IP range of subnet prefix {prefix}."
            ),
        ),
        ResourceFault::AddressInUse { configuration: Some(name), address, by } => (
            Code::PrivateIPAddressIsAllocated,
            format!(
                "IP configuration {id}/ipConfigurations/{name} is using the private IP address {address} which is \
                 already allocated to resource {by}."
            ),
        ),
        ResourceFault::AddressInUse { configuration: None, address, by } => (
            Code::PublicIPAddressInUse,
            format!("The address {address} is already allocated to resource {by}."),
        ),
        ResourceFault::AddressUnfit { address } => (
            Code::InvalidParameter,
            format!("{address} is no address of a machine; a unicast address is accepted."),
        ),
        ResourceFault::AddressFamily { address, family } => {
            (Code::InvalidParameter, format!("{address} is no {family} address."))
        }
        ResourceFault::SubnetFull { subnet, family, .. } => {
            (Code::SubnetIsFull, format!("Subnet {} has no free {family} address.", subnet.name))
        }
        ResourceFault::NoSubnet { configuration } => (
            Code::InvalidRequestFormat,
            format!(
                "IP configuration '{configuration}' names no subnet to pick an address from. Name one, or a \
                 static address."
            ),
        ),
        ResourceFault::TwoNetworks { configuration } => (
            Code::InvalidRequestFormat,
            format!(
                "IP configuration '{configuration}' is in another virtual network than the first of the interface; \
                 all are in one."
            ),
        ),
        ResourceFault::TwoPrimaries { configuration } => (
            Code::InvalidRequestFormat,
            format!(
                "IP configuration '{configuration}' is a second primary one; an interface has one."
            ),
        ),
        ResourceFault::InterfaceInUse { interface, by } => {
            (Code::NicInUse, format!("Network Interface {interface} is used by existing VM {by}."))
        }
        ResourceFault::InterfaceTwice { interface } => (
            Code::InvalidRequestFormat,
            format!("Network interface {interface} is named twice in {id}; each is named once."),
        ),
        ResourceFault::TwoPrimaryInterfaces { interface } => (
            Code::InvalidRequestFormat,
            format!(
                "Network interface {interface} is a second primary one of {id}; a virtual machine has one."
            ),
        ),
        ResourceFault::Elsewhere { sent, location } if id.kind == Kind::ResourceGroups => (
            Code::InvalidResourceGroupLocation,
            format!(
                "Invalid resource group location '{sent}'. The Resource group already exists in location \
                 '{location}'."
            ),
        ),
        ResourceFault::Elsewhere { sent, location } => (
            Code::InvalidResourceLocation,
            format!(
                "The resource '{}' already exists in location '{location}' in resource group '{}'. A resource \
                 with the same name cannot be created in location '{sent}'. Please select a new resource name.",
                id.name, id.group
            ),
        ),
        ResourceFault::AddressesDisagree { sent, interfaces } => (
            Code::InvalidParameter,
            format!(
                "'privateAddresses' names {}, and the network interfaces have {}. Send one of the two, or both \
                 alike.",
                listed(sent, LISTED_MAX),
                listed(interfaces, LISTED_MAX)
            ),
        ),
        ResourceFault::PublicAddressInUse { configuration, target, by } => (
            Code::PublicIPAddressInUse,
            format!(
                "Resource {id}/ipConfigurations/{configuration} is referencing public IP address {target} that is \
                 already allocated to resource {by}."
            ),
        ),
        ResourceFault::FrontendNotFound { rule, frontend } => (
            Code::InvalidResourceReference,
            format!(
                "Resource {id}/frontendIPConfigurations/{frontend} referenced by resource \
                 {id}/inboundNatRules/{rule} was not found."
            ),
        ),
        ResourceFault::FrontendPortTwice { rule, other, port, carrier } => (
            Code::RulesUseSameFrontendPort,
            format!(
                "Load balancer {id} has the inbound NAT rules {other} and {rule} with the same frontend, the same \
                 protocol ({}) and the same port ({port}). A port leads to one machine.",
                carrier.as_str()
            ),
        ),
        ResourceFault::NatRuleTaken { configuration, rule, by } => (
            Code::InboundNatRuleInUse,
            format!(
                "Resource {id}/ipConfigurations/{configuration} is referencing the inbound NAT rule {rule} that \
                 leads to resource {by} already."
            ),
        ),
        ResourceFault::NotFirewallSubnet { configuration, subnet } => (
            Code::AzureFirewallSubnetNotFound,
            format!(
                "IP configuration '{configuration}' of firewall {id} is in subnet '{}'. A firewall stands in a \
                 subnet named '{SUBNET_NAME}'.",
                subnet.name
            ),
        ),
        ResourceFault::SecondSubnet { configuration } => (
            Code::InvalidRequestFormat,
            format!(
                "IP configuration '{configuration}' of firewall {id} names a subnet; only the first of a firewall \
                 does."
            ),
        ),
        ResourceFault::PriorityOutside { value, least, most } => (
            Code::InvalidParameter,
            format!(
                "The priority {value} in resource {id} is not accepted: a number from {least} to {most} is."
            ),
        ),
        ResourceFault::LeadsForAccesses { requests } => (
            Code::JitRuleReadOnly,
            format!(
                "Resource {id} leads to machines for the requests {}, and could not any more. End them first with \
                 `hourgate close`, or wait until they end.",
                listed(&requests.iter().collect::<Vec<_>>(), LISTED_MAX)
            ),
        ),
        ResourceFault::PortLeadsForAccess { at, request } => (
            Code::JitRuleReadOnly,
            format!(
                "A DNAT rule is about {at}, which leads to a machine through {id} for the request {request}. Take a \
                 port that no access is mapped to, or end it first: `hourgate close {request}`."
            ),
        ),
        ResourceFault::DnatFamilies { rule, address, to } => (
            Code::InvalidParameter,
            format!(
                "The rule {} of resource {id} leads from {address} to {to}, which is of another family of \
                 addresses.",
                quoted(rule)
            ),
        ),
    }
}

/// The same where not all of them may be read: those that may, and that there is something else.
pub(super) fn in_use_unseen(target: &Target, seen: &[ResourceId]) -> String {
    const UNSEEN: &str = "something that you may not see";
    let users = match seen {
        [] => UNSEEN.to_owned(),
        seen => format!("{}, and {UNSEEN}", listed(seen, LISTED_MAX)),
    };
    in_use(target, &users).1
}

fn in_use(target: &Target, users: &str) -> (Code, String) {
    let kind = match target {
        Target::Subnet(subnet) => {
            return (
                Code::InUseSubnetCannotBeDeleted,
                format!(
                    "Subnet {} is in use by {users} and cannot be deleted. In order to delete the subnet, delete \
                     all the resources within the subnet.",
                    subnet.name
                ),
            );
        }
        Target::Resource(id) => id.kind,
        Target::InboundNatRule(rule) => {
            return (
                Code::InboundNatRuleInUse,
                format!(
                    "Inbound NAT rule {} is in use by {users} and cannot be deleted. Remove it from the interface \
                     first.",
                    rule.name
                ),
            );
        }
    };
    let cure = "In order to delete it, remove the association with the resource(s).";
    let (code, noun) = match kind {
        Kind::NetworkSecurityGroups => {
            (Code::InUseNetworkSecurityGroupCannotBeDeleted, "Network security group")
        }
        Kind::PublicIpAddresses => {
            return (
                Code::PublicIPAddressCannotBeDeleted,
                format!(
                    "Public IP address {target} can not be deleted since it is still allocated to resource \
                     {users}. In order to delete the public IP, disassociate it from the resource."
                ),
            );
        }
        // The codes below are ours in Azure's manner: what Azure says there is not known.
        Kind::ApplicationSecurityGroups => {
            (Code::InUseApplicationSecurityGroupCannotBeDeleted, "Application security group")
        }
        Kind::VirtualNetworks => (Code::InUseVirtualNetworkCannotBeDeleted, "Virtual network"),
        Kind::NetworkInterfaces => {
            return (
                Code::NicInUse,
                format!(
                    "Network Interface {target} is used by existing resource {users}. In order to delete the \
                     network interface, it must be dissociated from the resource."
                ),
            );
        }
        // Nothing refers to a machine.
        Kind::VirtualMachines => (Code::InvalidResourceReference, "Virtual machine"),
        // Nor to a group: what is in it goes with it.
        Kind::ResourceGroups => (Code::InvalidResourceReference, "Resource group"),
        Kind::LoadBalancers => (Code::InUseLoadBalancerCannotBeDeleted, "Load balancer"),
        Kind::AzureFirewalls => (Code::InUseAzureFirewallCannotBeDeleted, "Firewall"),
        Kind::FirewallPolicies => (Code::InUseFirewallPolicyCannotBeDeleted, "Firewall policy"),
    };
    let message = format!(
        "{noun} {target} cannot be deleted because it is in use by the following resources: {users}. {cure}"
    );
    (code, message)
}

fn rule_words(rule: &str, problem: &RuleFault) -> (Code, String) {
    let of = format!(" (rule {})", quoted(rule));
    let unsupported = |what: &str, value: &str, accepted: &str| {
        let message = format!(
            "Security rule has invalid {what}. Value provided: {}. {accepted}{of}",
            quoted(value)
        );
        (Code::SecurityRuleParameterContainsUnsupportedValue, message)
    };
    let port = |message: String| (Code::SecurityRuleInvalidPortRange, format!("{message}{of}"));
    let place =
        |message: String| (Code::SecurityRuleInvalidAddressPrefix, format!("{message}{of}"));
    match problem {
        RuleFault::Name { value } => (
            Code::InvalidResourceName,
            format!(
                "Resource name {} is invalid. The name can be up to 80 characters long. It must begin with a \
                 word character, and it must end with a word character or with '_'. The name may contain word \
                 characters or '.', '-', '_'.",
                quoted(value)
            ),
        ),
        RuleFault::Description { units, most } => (
            Code::SecurityRuleParameterContainsUnsupportedValue,
            format!("The description has {units} characters; at most {most} are accepted.{of}"),
        ),
        RuleFault::Priority { value, least, most } => (
            Code::SecurityRuleInvalidPriority,
            format!(
                "Security rule has invalid Priority. Value provided: {value} Allowed range {least}-{most}.{of}"
            ),
        ),
        RuleFault::Access { value } => (
            Code::SecurityRuleInvalidAccessType,
            format!(
                "Security rule has invalid Access. Value provided: {}. Value should be Allow or Deny.{of}",
                quoted(value)
            ),
        ),
        RuleFault::Direction { value } => {
            unsupported("Direction", value, "Value should be Inbound or Outbound.")
        }
        RuleFault::Protocol { value } => {
            unsupported("Protocol", value, "Value should be Tcp, Udp, Icmp, Esp, Ah or *.")
        }
        RuleFault::NoPort { side } => {
            port(format!("Security rule names no {} port; '*' says every port.", end(*side)))
        }
        RuleFault::Port { side, value, problem } => {
            let sent = format!(
                "Security rule has invalid Port range. Value provided: {}. Value should be an integer OR integer \
                 range with '-' delimiter. Valid range 0-65535.",
                crate::text::escaped(value, 100)
            );
            port(match problem {
                PortProblem::NotAPort => sent,
                PortProblem::TurnedRound { meant } => {
                    format!(
                        "{sent} The {} range is turned round: did you mean {meant}?",
                        end(*side)
                    )
                }
            })
        }
        RuleFault::PortTwice { side, value } => {
            port(format!("The {} port {} is named twice.", end(*side), quoted(value)))
        }
        RuleFault::PortNotAlone { side } => port(format!(
            "'*' stands beside other {} ports; it says every port, and stands alone.",
            end(*side)
        )),
        RuleFault::NoPlace { side } => {
            place(format!("Security rule names no {} address; '*' says every address.", end(*side)))
        }
        RuleFault::Place { side, value, problem } => {
            let sent = format!(
                "Security rule has invalid {} Address prefix. Value provided: {}.",
                end(*side),
                quoted(value)
            );
            place(match problem {
                PlaceProblem::NotAPlace => format!(
                    "{sent} An address, a prefix, '*' or one of the tags VirtualNetwork, Internet and \
                     AzureLoadBalancer is accepted."
                ),
                PlaceProblem::HostBits { meant } => {
                    format!("{sent} Bits behind the prefix length are set: did you mean {meant}?")
                }
                PlaceProblem::Mapped => {
                    format!("{sent} It is an IPv4 address written as IPv6; write it as IPv4.")
                }
            })
        }
        RuleFault::PlaceTwice { side, value } => {
            place(format!("The {} address {} is named twice.", end(*side), quoted(value)))
        }
        RuleFault::PlaceNotAlone { side, value } => place(format!(
            "{} stands beside other {} addresses; '*' and tags stand alone.",
            quoted(value),
            end(*side)
        )),
        RuleFault::AsgBesidePrefix { side } => place(format!(
            "Application security groups stand beside {} address prefixes; a side names one or the other.",
            end(*side)
        )),
        RuleFault::TooManyAsgs { side, count, most } => place(format!(
            "The {} names {count} application security groups; at most {most} are accepted.",
            end(*side)
        )),
        RuleFault::FamiliesMixed { ipv4, ipv6 } => place(format!(
            "Security rule mixes IPv4 ({ipv4}) and IPv6 ({ipv6}); a rule speaks of one."
        )),
    }
}

/// Whose a rule of JIT's is, and what to do instead of changing or deleting it.
fn jit_rule(id: &ResourceId, rule: &RuleName, of: &JitRuleOf) -> String {
    let (whose, instead) = match of {
        JitRuleOf::Grant { request, vm, port } => (
            format!("the request '{request}' for port {port} of '{vm}'"),
            format!(
                "It goes when the access ends: end it with `hourgate close {request}` (POST \
                 …/Hourgate.Access/requests/{request}/close)."
            ),
        ),
        JitRuleOf::Lock { policy, vm, port } => (
            format!("the JIT policy '{policy}', which keeps port {port} of '{vm}' closed"),
            format!(
                "It goes when the port is taken out of the policy: `hourgate unprotect {} -p {port}`.",
                vm.name
            ),
        ),
    };
    format!(
        "Security rule {rule} of {id} belongs to {whose}; it can neither be changed nor deleted as a rule. {instead} \
         A network security group may be set with the rule as it was read, or without it: it stays."
    )
}

fn rules_words(id: &ResourceId, problem: &GroupFault) -> (Code, String) {
    let too_many = |what: &str, count: usize, most: usize| {
        (
            Code::SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached,
            format!(
                "Network security group {id} has {count} {what}. A security group cannot have more than {most} \
                 {what} as per the limit MaxSecurityRuleAddressesOrPortsPerSecurityGroup."
            ),
        )
    };
    match problem {
        GroupFault::PriorityTwice { existing, new, .. } => (
            Code::SecurityRuleConflict,
            format!(
                "Security rule {existing} conflicts with rule {new}. Rules cannot have the same Priority and \
                 Direction. To learn more, see aka.ms/nsgrules."
            ),
        ),
        GroupFault::NameTwice { name } => twice(id, name),
        GroupFault::TooManyRules { most, .. } => (
            Code::SecurityRuleCountLimitReached,
            format!("A security group cannot have more than {most} security rules."),
        ),
        GroupFault::TooManyPlaces { side: Side::Source, count, most } => {
            too_many("SourceAddressPrefixes", *count, *most)
        }
        GroupFault::TooManyPlaces { side: Side::Destination, count, most } => {
            too_many("DestinationAddressPrefixes", *count, *most)
        }
        GroupFault::TooManyPorts { side: Side::Source, count, most } => {
            too_many("SourcePortRanges", *count, *most)
        }
        GroupFault::TooManyPorts { side: Side::Destination, count, most } => {
            too_many("DestinationPortRanges", *count, *most)
        }
    }
}

fn twice(id: &ResourceId, name: &impl Display) -> (Code, String) {
    let message = format!("Resource {id} has two child resources with the same name ({name}).");
    (Code::DuplicateResourceName, message)
}

fn end(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Destination => "destination",
    }
}

fn noun(part: Part) -> &'static str {
    match part {
        Part::Prefixes => "address prefixes",
        Part::Subnets => "subnets",
        Part::Peers => "peerings",
        Part::IpConfigurations => "IP configurations",
        Part::Asgs => "application security groups",
        Part::NetworkInterfaces => "network interfaces",
        Part::Frontends => "frontend IP configurations",
        Part::InboundNatRules => "inbound NAT rules",
        Part::RuleCollectionGroups => "rule collection groups",
        Part::DnatRules => "DNAT rules",
        Part::DnatFlows => "combinations of source, address, port and protocol in its DNAT rules",
    }
}
