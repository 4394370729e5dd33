//! What tags and application security groups mean around one NIC: sets of addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    addresses::Addresses,
    id::AsgId,
    place::{Places, ServiceTag},
};

/// Where the load balancer's probes come from (Azure's, in every region).
pub const PROBE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16));

/// Addresses that are not reached over the public internet (IANA's special-purpose registries): this
/// network, private, carrier-grade translation, loopback, link-local, multicast, reserved.
const NOT_PUBLIC_V4: [(Ipv4Addr, u8); 8] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// The one block of IPv6 from which public addresses are given out.
const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What names stand for around one NIC.
///
/// A name of which no address is known matches nothing, in a rule that denies as in one that allows: what
/// it would stand for cannot be guessed, and a guess would hide that a rule does nothing. The default deny
/// stands behind both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    virtual_network: Addresses,
    internet: Addresses,
    balancers: Addresses,
    asgs: BTreeMap<AsgId, Addresses>,
    /// The same by address, each with its key: a rule can name thousands of groups, and an address is in few.
    // INVARIANT: follows from `asgs` alone.
    memberships: BTreeMap<IpAddr, Vec<(u64, AsgId)>>,
}

impl Surroundings {
    /// What is known.
    ///
    /// `virtual_network` is the address space of the network and of everything that is joined to it (peers,
    /// VPN); `balancers` probe beside Azure's own [`PROBE_ADDRESS`]; `asgs` are the addresses of their
    /// members. `Internet` is what is left of the public addresses: neither the network nor a balancer, as
    /// in the effective rules that Azure shows, where private addresses outside the network are neither.
    pub fn new(
        virtual_network: impl IntoIterator<Item = IpNet>,
        balancers: impl IntoIterator<Item = IpAddr>,
        asgs: impl IntoIterator<Item = (AsgId, Vec<IpAddr>)>,
    ) -> Surroundings {
        let set = |addresses: Vec<IpAddr>| Addresses::of(addresses.into_iter().map(IpNet::from));
        let virtual_network = Addresses::of(virtual_network);
        let balancers = set([PROBE_ADDRESS].into_iter().chain(balancers).collect());
        let internet = public().minus(&virtual_network).minus(&balancers);
        let members: BTreeMap<AsgId, Vec<IpAddr>> = asgs.into_iter().collect();
        let mut memberships: BTreeMap<IpAddr, Vec<(u64, AsgId)>> = BTreeMap::new();
        for (asg, members) in &members {
            for member in members.iter().copied().collect::<BTreeSet<_>>() {
                memberships.entry(member).or_default().push((asg_key(asg), asg.clone()));
            }
        }
        let asgs = members.into_iter().map(|(id, members)| (id, set(members))).collect();
        Surroundings { virtual_network, internet, balancers, asgs, memberships }
    }

    /// What a tag stands for.
    pub fn tag(&self, tag: ServiceTag) -> &Addresses {
        match tag {
            ServiceTag::VirtualNetwork => &self.virtual_network,
            ServiceTag::Internet => &self.internet,
            ServiceTag::AzureLoadBalancer => &self.balancers,
        }
    }

    /// The members of an application security group; none if it is not known.
    pub fn asg(&self, id: &AsgId) -> Option<&Addresses> {
        self.asgs.get(id)
    }

    /// The addresses that places stand for.
    pub fn addresses(&self, places: &Places) -> Addresses {
        match places {
            Places::Any => Addresses::everything(),
            Places::Tag(tag) => self.tag(*tag).clone(),
            Places::Prefixes(prefixes) => {
                Addresses::of(prefixes.as_slice().iter().map(|prefix| prefix.net()))
            }
            Places::Asgs(asgs) => asgs
                .as_slice()
                .iter()
                .filter_map(|asg| self.asg(asg))
                .fold(Addresses::nothing(), |all, members| all.union(members)),
        }
    }

    /// The application security groups that an address is in, each with its [`asg_key`].
    pub(super) fn asgs_of(&self, address: IpAddr) -> &[(u64, AsgId)] {
        self.memberships.get(&address).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an address is among places.
    pub fn places_contain(&self, places: &Places, address: IpAddr) -> bool {
        match places {
            Places::Any => true,
            Places::Tag(tag) => self.tag(*tag).contains(address),
            Places::Prefixes(prefixes) => {
                prefixes.as_slice().iter().any(|prefix| prefix.net().contains(&address))
            }
            Places::Asgs(asgs) => asgs
                .as_slice()
                .iter()
                .any(|asg| self.asg(asg).is_some_and(|members| members.contains(address))),
        }
    }
}

/// A number that is compared sooner than an id; two groups may share one.
pub(super) fn asg_key(asg: &AsgId) -> u64 {
    let mut hasher = DefaultHasher::new();
    asg.hash(&mut hasher);
    hasher.finish()
}

fn public() -> Addresses {
    let v4 = |(address, length)| IpNet::V4(Ipv4Net::new_assert(address, length));
    let (address, length) = PUBLIC_V6;
    let everything = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
    let public = [everything, IpNet::V6(Ipv6Net::new_assert(address, length))];
    Addresses::of(public).minus(&Addresses::of(NOT_PUBLIC_V4.map(v4)))
}
