//! Random networks of few addresses and ports, so that rules, locks and openings meet.

use std::{collections::BTreeSet, net::IpAddr};

use hourgate_core::{
    network::{Lock, Opening, Port, Sessions},
    nsg::{
        band::Band,
        flow::Transport,
        group::SecurityGroup,
        port::PortRange,
        rule::{RuleDraft, SecurityRule},
        surroundings::Surroundings,
        word::Priority,
    },
    screen::{
        chain::{Hosts, PortSet},
        standing::Standing,
    },
};
use ipnet::IpNet;

/// A generator of numbers (SplitMix64): the same seed, the same numbers.
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Between `least` and `most` of these, none twice.
    fn some<T: Clone>(&mut self, of: &[T], least: usize, most: usize) -> Vec<T> {
        let mut left = of.to_vec();
        let count = (least + self.below(most - least + 1)).min(left.len());
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

/// The addresses of both sides of the gateway.
pub const NEAR: [&str; 6] =
    ["10.1.0.2", "10.1.0.3", "203.0.113.7", "203.0.113.9", "fd01::2", "2001:db8:1::7"];
pub const FAR: [&str; 5] = ["10.2.0.4", "10.2.0.5", "10.2.0.6", "fd02::4", "fd02::5"];
/// Ports that flows go from and to.
pub const PORTS: [u16; 8] = [22, 80, 443, 1500, 1, 65_535, 21, 2001];
/// Ports that are locked now and then.
const LOCKED: [u16; 3] = [22, 80, 1500];

const V4: &[&str] = &[
    "10.1.0.2",
    "10.1.0.3",
    "10.1.0.2/31",
    "10.1.0.0/24",
    "10.2.0.4",
    "10.2.0.5",
    "10.2.0.4/31",
    "10.2.0.6",
    "10.2.0.0/24",
    "10.0.0.0/8",
    "203.0.113.7",
    "203.0.113.0/24",
    "203.0.113.8/29",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "192.0.2.0/24",
];
const V6: &[&str] = &[
    "fd01::2",
    "fd01::/64",
    "fd02::4",
    "fd02::5",
    "fd02::4/127",
    "fd02::/64",
    "fd00::/8",
    "2001:db8:1::7",
    "2001:db8::/32",
    "::/0",
    "::/1",
    "8000::/1",
];
const RANGES: &[&str] =
    &["22", "80", "443", "20-25", "1-79", "1000-2000", "23-65535", "0-21", "0-65535", "1500"];

fn texts(of: &[&str]) -> Vec<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

pub fn asg(name: &str) -> String {
    format!(
        "/subscriptions/5cd41ea2-8a6d-4d2c-9e5d-3f6c0f0f0f01/resourceGroups/net\
         /providers/Microsoft.Network/applicationSecurityGroups/{name}"
    )
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Chance {
    fn places(&mut self, pool: &[&str]) -> Vec<String> {
        match self.below(10) {
            0..3 => texts(&["*"]),
            3..5 => vec![self.one(&texts(&["VirtualNetwork", "Internet", "AzureLoadBalancer"]))],
            5 => self.some(&[asg("web"), asg("jump"), asg("nobody")], 1, 2),
            6..8 => self.some(&texts(pool), 1, 1),
            _ => self.some(&texts(pool), 2, 5),
        }
    }

    fn ports(&mut self) -> Vec<String> {
        match self.below(8) {
            0..3 => texts(&["*"]),
            3..6 => self.some(&texts(RANGES), 1, 1),
            _ => self.some(&texts(RANGES), 2, 4),
        }
    }

    fn rule(&mut self, number: usize) -> Option<SecurityRule> {
        let pool = if self.percent(65) { V4 } else { V6 };
        let priorities = [100, 101, 102, 103, 104, 110, 120, 200, 300, 4000, 4095, 4096];
        let sources_open = self.percent(60);
        SecurityRule::new(&RuleDraft {
            name: format!("r{number}"),
            description: None,
            priority: self.one(&priorities),
            direction: self.one(&["Inbound", "Inbound", "Outbound"]).to_owned(),
            access: self.one(&["Allow", "Allow", "Deny"]).to_owned(),
            protocol: self.one(&["Tcp", "Udp", "Icmp", "Esp", "Ah", "*", "*", "Tcp"]).to_owned(),
            sources: self.places(pool),
            source_ports: if sources_open { texts(&["*"]) } else { self.ports() },
            destinations: self.places(pool),
            destination_ports: self.ports(),
        })
        .ok()
    }

    /// A group of rules that can stand together.
    pub fn group(&mut self, name: &str) -> SecurityGroup {
        let mut used = BTreeSet::new();
        let count = self.below(9);
        let rules = (0..count).filter_map(|number| self.rule(number));
        let rules = rules.filter(|rule| used.insert((rule.direction(), rule.priority())));
        let id = asg(name).replace("application", "network");
        SecurityGroup::new(id.parse().unwrap(), rules.collect()).unwrap()
    }

    pub fn surroundings(&mut self) -> Surroundings {
        let network: Vec<IpNet> = self
            .some(&["10.1.0.0/24", "10.2.0.0/24", "fd01::/64", "fd02::/64", "10.0.0.0/8"], 0, 4)
            .into_iter()
            .map(|net| net.parse().unwrap())
            .collect();
        let balancers = self.some(&["10.1.0.3", "fd01::2"], 0, 1);
        let members = |all: Vec<&str>| all.into_iter().map(ip).collect();
        let web = self.some(&["10.2.0.4", "10.2.0.6", "fd02::4", "10.1.0.2"], 1, 4);
        let jump = self.some(&["10.1.0.2", "203.0.113.7", "fd01::2"], 0, 2);
        Surroundings::new(
            network,
            balancers.into_iter().map(ip),
            [
                (asg("web").parse().unwrap(), members(web)),
                (asg("jump").parse().unwrap(), members(jump)),
            ],
        )
    }

    pub fn band(&mut self) -> Option<Band> {
        let first =
            self.one(&[None, Some(100), Some(100), Some(103), Some(200), Some(4095), Some(4096)])?;
        Band::new(Priority::own(first)?, Priority::MAX)
    }

    pub fn lock(&mut self) -> (Lock, Sessions) {
        let all = [&NEAR[..], &FAR, &FAR].concat();
        let lock =
            Lock { address: ip(self.one(&all)), port: Port::new(self.one(&LOCKED)).unwrap() };
        (lock, self.one(&[Sessions::GoOn, Sessions::EndWithAccess]))
    }

    /// A source of the family of an address.
    fn source(&mut self, of: IpAddr) -> IpNet {
        let pool = if of.is_ipv4() { V4 } else { V6 };
        let text = self.one(pool);
        text.parse().unwrap_or_else(|_| IpNet::from(ip(text)))
    }

    pub fn opening(&mut self, lock: Lock) -> Opening {
        Opening::new(self.source(lock.address), lock.address, lock.port).unwrap()
    }

    pub fn standing(&mut self, lock: Lock) -> Standing {
        let count = 1 + self.below(3);
        let mut nets: Vec<IpNet> = (0..count).map(|_| self.source(lock.address)).collect();
        nets.sort();
        let nets = IpNet::aggregate(&nets);
        let ranges = if self.percent(40) { texts(&["*"]) } else { self.ports() };
        let ranges = ranges.iter().map(|text| match text.as_str() {
            "*" => PortRange::ALL,
            text => text.parse().unwrap(),
        });
        Standing {
            transport: self.one(&[
                Transport::Tcp,
                Transport::Tcp,
                Transport::Udp,
                Transport::Other,
            ]),
            sources: Hosts::these(nets).unwrap(),
            source_ports: PortSet::of(ranges).unwrap(),
        }
    }
}
