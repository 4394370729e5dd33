//! What happens next: chosen from what exists, often what cannot be, and often exactly on a deadline.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use hourgate_core::{
    command::{AccessAsk, Ask, Command, MemberDraft, PolicyDraft, PortDraft, Precondition, Sent},
    grant::Window,
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Port, Source},
    plan::Coverage,
    policy::{AllowedSources, Os, OtherAddresses, Protocol, Widest},
    role::OwnAddress,
    time::{Timestamp, later},
};
use uuid::Uuid;

use crate::{
    days::Life,
    oracle::SERVER,
    people::{ANN, BOB, person},
    scene::{hours, ip, minutes, policy, port, seconds, source, vm},
};

/// Addresses that machines may have.
pub const ADDRESSES: &[&str] = &["10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::2", "fd00::3", SERVER];
pub const PORTS: &[u16] = &[22, 443];
const VMS: &[&str] = &["a", "b", "c"];
const POLICIES: &[&str] = &["p", "q"];
const OWN: &[&str] = &["203.0.113.7", "203.0.112.9", "2001:db8::7"];
const ASKED: &[&str] = &[
    "203.0.113.7",
    "203.0.113.7/32",
    "203.0.113.0/25",
    "203.0.113.128/25",
    "203.0.113.0/24",
    "203.0.112.0/24",
    "203.0.112.0/23",
    "198.51.100.9",
    "2001:db8::7",
    "2001:db8::/48",
    "2001:db8::/47",
    "*",
    "0.0.0.0/0",
    "200.0.0.0/7",
];
const ALLOWED: &[&str] = &[
    "*",
    "203.0.113.0/24",
    "203.0.112.0/23",
    "203.0.0.0/16",
    "203.0.113.7",
    "198.51.100.0/24",
    "2001:db8::/32",
    "2001:db8::/48",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "200.0.0.0/7",
    "203.0.0.0/8",
    "::/0",
];

/// Random numbers (SplitMix64): a life is its seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.number() % count as u64).expect("small")
    }

    /// True in so many of a hundred.
    pub fn in_hundred(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn some(&mut self, of: &[&'static str], most: usize) -> Vec<&'static str> {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.one(of)).collect()
    }
}

impl Life<'_> {
    /// Somebody asks for something.
    pub fn command(&mut self) -> Command {
        match self.dice.below(112) {
            0..=52 => self.request(),
            53..=70 => self.set_policy(),
            71..=72 => Command::RemovePolicy {
                id: policy(self.dice.one(POLICIES)),
                only_if: self.only_if(),
            },
            73..=80 => self.end(),
            81..=86 => self.register(),
            87..=89 => Command::UnregisterVm { id: self.vm() },
            90..=91 => Command::ConfirmPolicy { id: policy(self.dice.one(POLICIES)) },
            92..=108 => self.people(),
            _ => Command::Tick,
        }
    }

    fn vm(&mut self) -> VmId {
        vm(self.dice.one(VMS))
    }

    fn port(&mut self) -> Port {
        port(self.dice.one(PORTS))
    }

    fn only_if(&mut self) -> Precondition {
        let version = 1 + self.dice.number() % 3;
        let rare = [Precondition::Exists, Precondition::Absent, Precondition::Version(version)];
        if self.dice.in_hundred(85) { Precondition::None } else { self.dice.one(&rare) }
    }

    pub fn register(&mut self) -> Command {
        let count = self.dice.below(20).clamp(1, 3) - usize::from(self.dice.in_hundred(8));
        let mut addresses: Vec<IpAddr> =
            (0..count).map(|_| ip(self.dice.one(&ADDRESSES[..5]))).collect();
        if self.dice.in_hundred(20) {
            addresses.push(ip(self.dice.one(&["127.0.0.1", SERVER, SERVER])));
        }
        self.scene.minted += 1;
        Command::RegisterVm {
            id: self.vm(),
            instance: VmInstance(Uuid::from_u128(u128::from(self.scene.minted))),
            location: "local".parse().expect("a location"),
            os: Os::Linux,
            addresses,
        }
    }

    pub fn set_policy(&mut self) -> Command {
        let known: Vec<VmId> = self.scene.state.vms.keys().cloned().collect();
        let mut ids: BTreeSet<VmId> =
            (0..1 + self.dice.below(3)).filter_map(|_| self.one_of(&known)).collect();
        if self.dice.in_hundred(4) {
            ids.insert(self.vm());
        }
        let mut vms: Vec<MemberDraft> = ids
            .into_iter()
            .map(|vm| MemberDraft { vm, placement: Sent::Omitted, ports: self.rules_of_one_vm() })
            .collect();
        if self.dice.in_hundred(2) && !vms.is_empty() {
            vms.push(vms[0].clone());
        }
        let confirm = self.dice.in_hundred(20).then(|| {
            let rare = [hours(1) + seconds(1), Duration::ZERO];
            let usual = [minutes(5), minutes(1), minutes(20), hours(1)];
            if self.dice.in_hundred(8) { self.dice.one(&rare) } else { self.dice.one(&usual) }
        });
        Command::SetPolicy {
            draft: PolicyDraft {
                id: policy(self.dice.one(&["p", "p", "p", "q"])),
                kind: Some("Basic".to_owned()),
                vms,
            },
            only_if: self.only_if(),
            confirm_within: confirm,
        }
    }

    fn rules_of_one_vm(&mut self) -> Vec<PortDraft> {
        let numbers: &[u16] = match self.dice.below(40) {
            0 => &[],
            1 => &[22, 22],
            2..=20 => &[22, 443],
            21..=33 => &[22],
            _ => &[443],
        };
        numbers.iter().map(|number| self.rule(*number)).collect()
    }

    fn rule(&mut self, number: u16) -> PortDraft {
        let dice = &mut self.dice;
        let mut sources: Vec<Source> = dice.some(ALLOWED, 3).into_iter().map(source).collect();
        if dice.in_hundred(50) {
            sources.push(source("*"));
        }
        let longest = if dice.in_hundred(4) {
            dice.one(&[hours(25), minutes(59)])
        } else {
            dice.one(&[hours(1), hours(1), hours(2), hours(3), hours(24)])
        };
        let widest = dice.one(&[
            Sent::Omitted,
            Sent::Omitted,
            Sent::Cleared,
            Sent::Value(Widest { ipv4: 0, ipv6: 0 }),
            Sent::Value(Widest { ipv4: 23, ipv6: 47 }),
            Sent::Value(Widest { ipv4: 32, ipv6: 128 }),
        ]);
        PortDraft {
            port: port(number),
            protocol: Protocol::Tcp,
            allowed: AllowedSources::list(sources).expect("at least one"),
            longest,
            approval: Sent::Omitted,
            end_sessions: dice.one(&[Sent::Omitted, Sent::Value(true), Sent::Cleared]),
            widest_unapproved: widest,
            other_addresses: dice.one(&[
                Sent::Omitted,
                Sent::Omitted,
                Sent::Value(OtherAddresses::Allowed),
                Sent::Cleared,
            ]),
            exceptions: Sent::Omitted,
            sign_in: Sent::Omitted,
        }
    }

    fn request(&mut self) -> Command {
        let held: Vec<(PolicyId, VmId, Port)> = self
            .scene
            .state
            .members()
            .flat_map(|(policy, member, vm)| {
                member.ports.iter().map(|rule| (policy.id.clone(), vm.clone(), rule.port))
            })
            .collect();
        let of = self.one_of(&held).map_or_else(|| policy("p"), |(policy, _, _)| policy);
        let of = if self.dice.in_hundred(3) { policy("q") } else { of };
        let held: Vec<(VmId, Port)> = held
            .into_iter()
            .filter(|(policy, _, _)| *policy == of)
            .map(|(_, vm, port)| (vm, port))
            .collect();
        let count = match self.dice.below(40) {
            0 => 0,
            1..=30 => 1,
            31..=36 => 2,
            _ => 3,
        };
        let mut asked: Vec<(VmId, Port)> = (0..count).filter_map(|_| self.one_of(&held)).collect();
        if !self.dice.in_hundred(6) {
            asked.sort();
            asked.dedup();
        }
        if self.dice.in_hundred(6) {
            asked.push((self.vm(), self.port()));
        }
        let accesses = asked.into_iter().map(|(vm, port)| self.access(vm, port)).collect();
        let start = self.dice.in_hundred(30).then(|| self.start());
        let own = ip(self.dice.one(OWN));
        let known: Vec<RequestId> = self.scene.state.requests.keys().copied().collect();
        self.scene.minted += 1;
        let fresh = RequestId::mint(self.scene.minted.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let taken = !known.is_empty() && self.dice.in_hundred(1);
        Command::Request(Ask {
            id: if taken { self.dice.one(&known) } else { fresh },
            policy: of,
            requester: person(self.dice.one(&[ANN, BOB])),
            address: if self.dice.in_hundred(6) {
                OwnAddress::Nobodys(ip("127.0.0.1"))
            } else {
                OwnAddress::Seen(own)
            },
            sign_in: None,
            start,
            justification: None,
            ticket: None,
            accesses,
        })
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| self.dice.one(of))
    }

    fn access(&mut self, vm: VmId, port: Port) -> AccessAsk {
        let source = self.dice.in_hundred(55).then(|| source(self.dice.one(ASKED)));
        let window = match self.dice.below(10) {
            0..=2 => None,
            3..=6 => Some(Window::For(self.dice.one(&[
                minutes(1),
                minutes(10),
                minutes(10),
                minutes(30),
                minutes(30),
                hours(1),
                hours(1) + seconds(1),
                hours(3),
                seconds(59),
            ]))),
            _ => {
                let (end, skew) = (
                    self.dice.one(&[minutes(10), minutes(45), hours(1), hours(3), Duration::ZERO]),
                    self.dice.one(&[
                        Duration::ZERO,
                        Duration::ZERO,
                        minutes(5),
                        minutes(5) + seconds(1),
                    ]),
                );
                Some(Window::Until(later(self.scene.now.wall, end + skew)))
            }
        };
        AccessAsk { vm, port, source, addresses: None, window }
    }

    fn start(&mut self) -> Timestamp {
        let now = self.scene.now.wall;
        let back = |length| now.checked_sub(length).expect("in range");
        match self.dice.below(24) {
            0 => now,
            1 => back(minutes(5)),
            2 => back(minutes(5) + seconds(1)),
            3 => later(now, hours(24 * 91)),
            4..=12 => later(now, minutes(5)),
            13..=19 => later(now, minutes(20)),
            _ => later(now, hours(1)),
        }
    }

    fn end(&mut self) -> Command {
        let known: Vec<RequestId> = self.scene.state.requests.keys().copied().collect();
        let request = if known.is_empty() || self.dice.in_hundred(3) {
            RequestId::mint(4_711)
        } else {
            self.dice.one(&known)
        };
        let only = self.dice.in_hundred(25).then(|| [(self.vm(), self.port())].into());
        Command::End { request, only }
    }

    /// The gate's last word, however late it comes, or a part of it.
    pub fn word(&mut self) -> Option<Command> {
        let mut observed = if self.dice.in_hundred(30) && self.gate.last_word.is_some() {
            self.gate.last_word.clone()?
        } else {
            self.gate.observed(self.scene.now)
        };
        if self.dice.in_hundred(25) {
            let covered: BTreeSet<IpAddr> = (0..3).map(|_| ip(self.dice.one(ADDRESSES))).collect();
            observed.locks.retain(|lock, _| covered.contains(&lock.address));
            observed.openings.retain(|opening, _| covered.contains(&opening.address()));
            observed.failed.retain(|opening, _| covered.contains(&opening.address()));
            observed.coverage = Coverage::Only(covered);
        }
        let vms = self.scene.state.vms.keys().cloned().collect();
        Some(Command::Observe { guard: "local".to_owned(), vms, observed })
    }
}
