//! The six rules that stand behind every group's own, by their names on Azure's wire.

use std::sync::LazyLock;

use super::{
    name::{Description, RuleName},
    place::{Places, ServiceTag},
    port::Ports,
    rule::SecurityRule,
    word::{Access, Direction, Priority, Protocol},
};

/// The default rules of one direction, in the order in which they are looked at.
pub(super) struct Defaults {
    /// The two that let through.
    pub(super) allows: [SecurityRule; 2],
    /// The one that matches every flow, so that something always decides.
    pub(super) deny_all: SecurityRule,
}

impl Defaults {
    pub(super) fn of(direction: Direction) -> &'static Defaults {
        match direction {
            Direction::Inbound => &INBOUND,
            Direction::Outbound => &OUTBOUND,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SecurityRule> {
        self.allows.iter().chain([&self.deny_all])
    }
}

/// The default rules of one direction, in the order in which they are looked at.
pub fn default_rules(direction: Direction) -> impl Iterator<Item = &'static SecurityRule> {
    Defaults::of(direction).iter()
}

static INBOUND: LazyLock<Defaults> = LazyLock::new(|| {
    let allow = |place, name, from, to, text| {
        rule(place, name, (Direction::Inbound, Access::Allow), (from, to), text)
    };
    let vnet = || Places::Tag(ServiceTag::VirtualNetwork);
    let balancer = Places::Tag(ServiceTag::AzureLoadBalancer);
    Defaults {
        allows: [
            allow(
                0,
                "AllowVnetInBound",
                vnet(),
                vnet(),
                "Allow inbound traffic from all VMs in VNET",
            ),
            allow(
                1,
                "AllowAzureLoadBalancerInBound",
                balancer,
                Places::Any,
                "Allow inbound traffic from azure load balancer",
            ),
        ],
        deny_all: rule(
            2,
            "DenyAllInBound",
            (Direction::Inbound, Access::Deny),
            (Places::Any, Places::Any),
            "Deny all inbound traffic",
        ),
    }
});

static OUTBOUND: LazyLock<Defaults> = LazyLock::new(|| {
    let allow = |place, name, from, to, text| {
        rule(place, name, (Direction::Outbound, Access::Allow), (from, to), text)
    };
    let vnet = || Places::Tag(ServiceTag::VirtualNetwork);
    let internet = Places::Tag(ServiceTag::Internet);
    Defaults {
        allows: [
            allow(
                0,
                "AllowVnetOutBound",
                vnet(),
                vnet(),
                "Allow outbound traffic from all VMs to all VMs in VNET",
            ),
            allow(
                1,
                "AllowInternetOutBound",
                Places::Any,
                internet,
                "Allow outbound traffic from all VMs to Internet",
            ),
        ],
        deny_all: rule(
            2,
            "DenyAllOutBound",
            (Direction::Outbound, Access::Deny),
            (Places::Any, Places::Any),
            "Deny all outbound traffic",
        ),
    }
});

fn rule(
    place: usize,
    name: &str,
    (direction, access): (Direction, Access),
    (from, to): (Places, Places),
    text: &str,
) -> SecurityRule {
    SecurityRule::from_anywhere(
        RuleName::known(name.to_owned()),
        Priority::of_default(place),
        (direction, access, Protocol::Any),
        (to, Ports::Any),
    )
    .with_sources(from)
    .described(Description::known(text.to_owned()))
}
