//! What stands of screens and standing exceptions: which chains the kernel has, by number, and who is sent
//! to which.
//!
//! A chain's number is this guard's own and names it on the kernel; what it says tells it from others, so no
//! two can be mixed up. Numbers are not used again while the table stands.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use hourgate_core::{
    network::{Family, Lock, Port},
    nsg::{flow::Transport, judge::Layer, word::Direction},
    plan::{Coverage, Plan},
    screen::{Place, Screen, chain::Chain, standing::Standing},
};

/// A verdict map of the kernel: who is sent to which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MapOf {
    /// By address: what new flows meet.
    Screen(Family, Place),
    /// By address: what new flows to it meet that an opening lets through.
    Granted(Family, Layer),
    /// By address and port: what passes the lock without an opening.
    Standing(Family),
    /// By address and port: the answers to it.
    Answers(Family),
}

/// Whom a map sends somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Address(IpAddr),
    Lock(Lock),
}

/// A chain of the kernel that is made of what a statement said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ChainOf {
    /// A group's lines.
    Rules(u32),
    /// Those of them that stand before the grants.
    Before(u32),
    /// What passes a lock.
    Standing(u32),
    /// The answers to that.
    Answers(u32),
}

impl std::fmt::Display for ChainOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChainOf::Rules(number) => write!(f, "rules_{number}"),
            ChainOf::Before(number) => write!(f, "before_{number}"),
            ChainOf::Standing(number) => write!(f, "standing_{number}"),
            ChainOf::Answers(number) => write!(f, "answers_{number}"),
        }
    }
}

impl ChainOf {
    /// Its number.
    pub(crate) fn number(self) -> u32 {
        match self {
            ChainOf::Rules(number)
            | ChainOf::Before(number)
            | ChainOf::Standing(number)
            | ChainOf::Answers(number) => number,
        }
    }
}

/// The standing exceptions of a lock, with the family of its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Passes {
    pub(crate) family: Family,
    pub(crate) standing: Vec<Standing>,
}

/// Who is sent where, in one order.
pub(crate) type Points = BTreeMap<(MapOf, Key), ChainOf>;

/// What stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screened {
    screens: BTreeMap<IpAddr, Screen>,
    standing: BTreeMap<Lock, Arc<Passes>>,
    chains: Numbers<Chain>,
    passes: Numbers<Passes>,
}

/// Each thing once, with its number and how many use it.
#[derive(Clone, Debug)]
struct Numbers<T> {
    numbers: BTreeMap<Arc<T>, (u32, usize)>,
    next: u32,
}

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers { numbers: BTreeMap::new(), next: 1 }
    }
}

/// What changes on the kernel: made first, then pointed to, then taken away, in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) made: Made,
    /// Who is sent somewhere else, with where to before and from now on.
    pub(crate) points: Vec<(MapOf, Key, Option<ChainOf>, Option<ChainOf>)>,
    pub(crate) gone: Made,
}

/// Chains and exceptions with their numbers.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) chains: Vec<(u32, Arc<Chain>)>,
    pub(crate) passes: Vec<(u32, Arc<Passes>)>,
}

impl Screened {
    /// Takes in what a plan says, and tells what that changes on the kernel.
    pub(crate) fn change(&mut self, plan: &Plan) -> Change {
        let mut change = Change::default();
        let (mut old_chains, mut old_passes) = (Vec::new(), Vec::new());
        for (lock, standing) in &plan.stand {
            let before = self.points_of_lock(lock);
            old_passes.extend(self.standing.remove(lock));
            if !standing.is_empty() {
                let family = Family::of(lock.address);
                let passes = Arc::new(Passes { family, standing: standing.clone() });
                let made = self.passes.take(&passes);
                change.made.passes.extend(made.map(|number| (number, Arc::clone(&passes))));
                self.standing.insert(*lock, passes);
            }
            change.moved(before, self.points_of_lock(lock));
        }
        for (address, screen) in &plan.screen {
            let before = self.points_of_address(*address);
            if let Some(old) = self.screens.remove(address) {
                old_chains.extend(old.chains().map(|(_, chain)| Arc::clone(chain)));
            }
            if let Some(screen) = screen {
                for (_, chain) in screen.chains() {
                    let made = self.chains.take(chain);
                    change.made.chains.extend(made.map(|number| (number, Arc::clone(chain))));
                }
                self.screens.insert(*address, screen.clone());
            }
            change.moved(before, self.points_of_address(*address));
        }
        // Only now: what one address no longer meets another may meet from now on.
        change.gone.chains =
            old_chains.iter().filter_map(|chain| self.chains.give(chain)).collect();
        change.gone.passes = old_passes.iter().filter_map(|one| self.passes.give(one)).collect();
        change
    }

    /// Everything that must be on the kernel, for a table that is made anew.
    pub(crate) fn everything(&self) -> Made {
        let chains = self.chains.numbers.iter();
        let passes = self.passes.numbers.iter();
        Made {
            chains: chains.map(|(chain, (number, _))| (*number, Arc::clone(chain))).collect(),
            passes: passes.map(|(passes, (number, _))| (*number, Arc::clone(passes))).collect(),
        }
    }

    /// Who is sent where.
    pub(crate) fn points(&self) -> Points {
        let locks = self.standing.keys().map(|lock| self.points_of_lock(lock));
        let addresses = self.screens.keys().map(|address| self.points_of_address(*address));
        locks.chain(addresses).flatten().collect()
    }

    /// Numbers from `number` on are free.
    pub(crate) fn number_from(&mut self, number: u32) {
        self.chains.next = self.chains.next.max(number);
        self.passes.next = self.passes.next.max(number);
    }

    /// The screens and standing exceptions of what a statement speaks of.
    pub(crate) fn observed(
        &self,
        coverage: &Coverage,
    ) -> (BTreeMap<IpAddr, Screen>, BTreeMap<Lock, Vec<Standing>>) {
        let screen = |(address, screen): (&IpAddr, &Screen)| (*address, screen.clone());
        let passes = |(lock, passes): (&Lock, &Arc<Passes>)| (*lock, passes.standing.clone());
        match coverage {
            Coverage::All => (
                self.screens.iter().map(screen).collect(),
                self.standing.iter().map(passes).collect(),
            ),
            Coverage::Only(addresses) => {
                let screens = addresses.iter().filter_map(|a| self.screens.get_key_value(a));
                let of = |address: &IpAddr| {
                    let first = Lock { address: *address, port: Port::FIRST };
                    let address = *address;
                    self.standing.range(first..).take_while(move |(l, _)| l.address == address)
                };
                let standing = addresses.iter().flat_map(of);
                (screens.map(screen).collect(), standing.map(passes).collect())
            }
        }
    }

    /// Whether a standing exception of a lock lets a client's TCP through, from whichever port.
    pub(crate) fn admits(&self, lock: Lock, client: IpAddr) -> bool {
        let passes = self.standing.get(&lock).into_iter().flat_map(|passes| &passes.standing);
        passes.into_iter().any(|one| {
            let nets = one.sources.nets();
            one.transport == Transport::Tcp
                && (nets.is_empty() || nets.iter().any(|net| net.contains(&client)))
        })
    }

    fn points_of_lock(&self, lock: &Lock) -> Points {
        let number = self.standing.get(lock).and_then(|passes| self.passes.number(passes));
        let family = Family::of(lock.address);
        let points = number.into_iter().flat_map(|number| {
            let key = Key::Lock(*lock);
            [
                ((MapOf::Standing(family), key), ChainOf::Standing(number)),
                ((MapOf::Answers(family), key), ChainOf::Answers(number)),
            ]
        });
        points.collect()
    }

    fn points_of_address(&self, address: IpAddr) -> Points {
        let (key, family) = (Key::Address(address), Family::of(address));
        let mut points = Points::new();
        let Some(screen) = self.screens.get(&address) else { return points };
        for (place, chain) in screen.chains() {
            let Some(number) = self.chains.number(chain) else { continue };
            points.insert((MapOf::Screen(family, place), key), ChainOf::Rules(number));
            let granted = match (place.direction, chain.before_grants()) {
                (Direction::Outbound, _) | (Direction::Inbound, Some([])) => None,
                (Direction::Inbound, Some(_)) => Some(ChainOf::Before(number)),
                (Direction::Inbound, None) => Some(ChainOf::Rules(number)),
            };
            let map = MapOf::Granted(family, place.layer);
            points.extend(granted.map(|granted| ((map, key), granted)));
        }
        points
    }
}

impl Change {
    /// Everybody is sent where these say, and nobody was sent anywhere before.
    pub(crate) fn to(points: Points) -> Change {
        let points = points.into_iter().map(|((map, key), to)| (map, key, None, Some(to)));
        Change { points: points.collect(), ..Change::default() }
    }

    /// Notes what is different between two.
    fn moved(&mut self, before: Points, after: Points) {
        for ((map, key), from) in &before {
            let to = after.get(&(*map, *key));
            if to != Some(from) {
                self.points.push((*map, *key, Some(*from), to.copied()));
            }
        }
        let new = after.into_iter().filter(|(at, _)| !before.contains_key(at));
        self.points.extend(new.map(|((map, key), to)| (map, key, None, Some(to))));
    }

    /// Whether the kernel has to do anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.made.is_empty() && self.gone.is_empty()
    }
}

impl Made {
    fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.passes.is_empty()
    }
}

impl<T: Ord> Numbers<T> {
    /// One more uses it. Gives its number where it is new.
    fn take(&mut self, thing: &Arc<T>) -> Option<u32> {
        if let Some((_, uses)) = self.numbers.get_mut(thing) {
            *uses += 1;
            return None;
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.numbers.insert(Arc::clone(thing), (number, 1));
        Some(number)
    }

    /// One less uses it. Gives it back with its number where nobody does any more.
    fn give(&mut self, thing: &Arc<T>) -> Option<(u32, Arc<T>)> {
        let (number, uses) = self.numbers.get_mut(thing)?;
        *uses -= 1;
        let (number, uses) = (*number, *uses);
        if uses > 0 {
            return None;
        }
        self.numbers.remove(thing);
        Some((number, Arc::clone(thing)))
    }

    fn number(&self, thing: &Arc<T>) -> Option<u32> {
        self.numbers.get(thing).map(|(number, _)| *number)
    }
}
