//! What a refusal names that whoever asked did not name themselves, and what they must be able to read to hear of it.

use crate::{
    eligible::Reason,
    id::{PolicyId, SubscriptionId, VmId},
    jit_rules::JitRuleOf,
    nsg::{band::NoNumber, id::GroupId, lockdown::LockdownRefusal},
    refusal::Refusal,
    resource::{Kind, ResourceFault, ResourceId},
    role::{Action, NetworkThing, Scope, Verb, change::DirectoryRefusal},
};

/// Something that can be read: by which action, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What must be allowed.
    pub action: Action,
    /// Where.
    pub scope: Scope,
}

impl Named {
    /// A resource.
    pub fn resource(id: &ResourceId) -> Named {
        let action = Action::Network(NetworkThing::Of(id.kind), Verb::Read);
        Named { action, scope: Scope::from(id) }
    }

    /// A security group, and with it its rules.
    pub fn group(id: &GroupId) -> Named {
        Named::resource(&ResourceId::from(id))
    }

    /// A VM.
    pub fn vm(id: &VmId) -> Named {
        Named { action: Action::VM_READ, scope: Scope::from(id) }
    }

    /// A policy.
    pub fn policy(id: &PolicyId) -> Named {
        Named { action: Action::PolicyRead, scope: Scope::from(id) }
    }

    /// Requests of whichever policy: an id of one does not say whose it is.
    fn requests(subscription: SubscriptionId) -> Named {
        Named { action: Action::PolicyRead, scope: Scope::subscription(subscription) }
    }
}

impl Refusal {
    /// What it names beside what was sent. Who may not read one of these is told the refusal without names
    /// ([`Refusal::users`] apart, of which each is told to whoever may read it).
    pub fn names(&self) -> Vec<Named> {
        match self {
            Refusal::Directory { why: DirectoryRefusal::RoleIsGiven { scope, .. } } => {
                let action = Action::Assignment(crate::role::Change::Read);
                vec![Named { action, scope: scope.clone() }]
            }
            Refusal::MappedPortsFull { firewall, .. }
            | Refusal::FirewallNotEnforced { firewall, .. } => vec![Named::resource(firewall)],
            Refusal::AddressTaken { vm, .. } | Refusal::NotEnforced { vm } => vec![Named::vm(vm)],
            Refusal::InterfaceHasMore { interface, .. } => vec![Named::resource(interface)],
            Refusal::VmHasPolicy { vm, policy } => vec![Named::vm(vm), Named::policy(policy)],
            Refusal::Blocked { group, cure, .. } => {
                vec![Named::group(group), Named::group(cure.group())]
            }
            Refusal::NoNumber { why, .. } => match why {
                NoNumber::BandFull { group, .. } | NoNumber::GroupFull { group, .. } => {
                    vec![Named::group(group)]
                }
            },
            Refusal::NoPlace { why, .. } => match why {
                LockdownRefusal::MissingSecurityGroup => Vec::new(),
                LockdownRefusal::NoFreeNumber { group, .. }
                | LockdownRefusal::GroupFull { group, .. } => vec![Named::group(group)],
            },
            Refusal::LockWouldBreak { broken } => {
                let by = broken.by.iter().map(|by| Named::group(&by.group));
                [Named::vm(&broken.vm), Named::group(&broken.group)].into_iter().chain(by).collect()
            }
            Refusal::AddressNotOfVm { at, .. } | Refusal::NoAddressInFamily { at, .. } => {
                vec![Named::vm(&at.vm)]
            }
            Refusal::PortInOtherPolicy { policy, .. } => vec![Named::policy(policy)],
            Refusal::Unsupported { reason, .. } => reason.names(),
            Refusal::Resource { id, fault } => of_fault(id, fault),
            Refusal::Directory { .. }
            | Refusal::VmNotFound { .. }
            | Refusal::PolicyNotFound { .. }
            | Refusal::RequestNotFound { .. }
            | Refusal::RequestIdTaken { .. }
            | Refusal::PreconditionFailed { .. }
            | Refusal::NoAddress
            | Refusal::TooManyAddresses { .. }
            | Refusal::NotAVmAddress { .. }
            | Refusal::AddressTwice { .. }
            | Refusal::NoVms
            | Refusal::TooManyVms { .. }
            | Refusal::VmTwice { .. }
            | Refusal::VmOfAnotherGroup { .. }
            | Refusal::NoPorts { .. }
            | Refusal::TooManyPorts { .. }
            | Refusal::PortTwice { .. }
            | Refusal::TooManySources { .. }
            | Refusal::LongestOutOfBounds { .. }
            | Refusal::WidestOutOfBounds { .. }
            | Refusal::ConfirmationNeeded { .. }
            | Refusal::ConfirmWithinOutOfBounds { .. }
            | Refusal::ConfirmationPending { .. }
            | Refusal::NothingToConfirm { .. }
            | Refusal::NothingAsked
            | Refusal::TooManyAccesses { .. }
            | Refusal::TooManyOnVm { .. }
            | Refusal::TextTooLong { .. }
            // Whoever may ask for a machine may hear what of it can be asked.
            | Refusal::VmNotInPolicy { .. }
            | Refusal::PortNotInPolicy { .. }
            | Refusal::SourceNotAllowed { .. }
            | Refusal::SourceNeeded { .. }
            | Refusal::LongerThanPolicy { .. }
            | Refusal::TooShort { .. }
            | Refusal::EndInPast { .. }
            | Refusal::StartInPast { .. }
            | Refusal::StartTooFarAhead { .. }
            | Refusal::ApprovalRequired { .. }
            | Refusal::SignInNeeded { .. }
            | Refusal::SignInOutOfBounds { .. }
            | Refusal::ClockBehind { .. }
            | Refusal::PlanNeeded { .. } => Vec::new(),
        }
    }

    /// The resources that keep something from going: each is told to whoever may read it.
    pub fn users(&self) -> &[ResourceId] {
        if let Refusal::Resource { fault: ResourceFault::InUse { by, .. }, .. } = self {
            by
        } else {
            &[]
        }
    }
}

impl Reason {
    /// What it names beside the machine.
    pub fn names(&self) -> Vec<Named> {
        match self {
            Reason::MissingGroup { interface } => vec![Named::resource(interface)],
            Reason::UnfitFirewall { firewall, .. } => vec![Named::resource(firewall)],
            Reason::Plan { .. }
            | Reason::Location { .. }
            | Reason::NotCovered
            | Reason::UnmanagedDisks
            | Reason::NoInterface => Vec::new(),
        }
    }
}

fn of_fault(id: &ResourceId, fault: &ResourceFault) -> Vec<Named> {
    match fault {
        // With a group goes what is in it, and that is not what was sent.
        ResourceFault::InUse { target, .. } if id.kind == Kind::ResourceGroups => {
            vec![Named::resource(target.resource())]
        }
        ResourceFault::JitRule { of, .. } => match of {
            JitRuleOf::Lock { policy, vm, .. } => vec![Named::policy(policy), Named::vm(vm)],
            JitRuleOf::Grant { vm, .. } => {
                vec![Named::vm(vm), Named::requests(vm.subscription)]
            }
        },
        ResourceFault::AddressLeft { by, .. }
        | ResourceFault::AddressInUse { by, .. }
        | ResourceFault::InterfaceInUse { by, .. }
        | ResourceFault::PublicAddressInUse { by, .. }
        | ResourceFault::NatRuleTaken { by, .. } => vec![Named::resource(by)],
        ResourceFault::PeersOverlap { peer, .. } => vec![Named::resource(peer)],
        ResourceFault::LeadsForAccesses { .. } | ResourceFault::PortLeadsForAccess { .. } => {
            vec![Named::resource(id), Named::requests(id.subscription)]
        }
        ResourceFault::AddressOutside { subnet, .. } => vec![Named::resource(&subnet.network)],
        ResourceFault::AddressReserved { .. }
        | ResourceFault::NotFound
        | ResourceFault::ReferenceNotFound { .. }
        | ResourceFault::OtherSubscription { .. }
        | ResourceFault::WrongKind { .. }
        | ResourceFault::InUse { .. }
        | ResourceFault::TooManyResources { .. }
        | ResourceFault::TooManyTags { .. }
        | ResourceFault::TagName { .. }
        | ResourceFault::TagValue { .. }
        | ResourceFault::NameTwice { .. }
        | ResourceFault::TooManyParts { .. }
        | ResourceFault::NoPart { .. }
        | ResourceFault::Rule { .. }
        | ResourceFault::JitName { .. }
        | ResourceFault::Rules { .. }
        | ResourceFault::HostBits { .. }
        | ResourceFault::PrefixLength { .. }
        | ResourceFault::AddressSpacesOverlap { .. }
        | ResourceFault::SubnetOutside { .. }
        | ResourceFault::SubnetsOverlap { .. }
        | ResourceFault::PeerOfItself
        | ResourceFault::AddressUnfit { .. }
        | ResourceFault::AddressFamily { .. }
        | ResourceFault::SubnetFull { .. }
        | ResourceFault::NoSubnet { .. }
        | ResourceFault::TwoNetworks { .. }
        | ResourceFault::TwoPrimaries { .. }
        | ResourceFault::InterfaceTwice { .. }
        | ResourceFault::TwoPrimaryInterfaces { .. }
        | ResourceFault::AddressesDisagree { .. }
        | ResourceFault::Elsewhere { .. }
        | ResourceFault::FrontendNotFound { .. }
        | ResourceFault::FrontendPortTwice { .. }
        | ResourceFault::NotFirewallSubnet { .. }
        | ResourceFault::SecondSubnet { .. }
        | ResourceFault::PriorityOutside { .. }
        | ResourceFault::DnatFamilies { .. } => Vec::new(),
    }
}
