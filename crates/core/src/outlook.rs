//! What a guard sees of the way to an address, and who beside it may stand in that way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::network::Port;

/// How many addresses one question may name: a VM's.
pub const ADDRESSES_ASKED_MAX: usize = 64;
/// How many ports one question may name for an address.
pub const PORTS_ASKED_MAX: usize = 100;

/// Which addresses are asked about, and which ports of each.
pub type Asked = BTreeMap<IpAddr, BTreeSet<Port>>;

/// What a guard says of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// From where it sees what goes there.
    pub vantage: Vantage,
    /// The ports, of those asked about, that rules of others would probably drop.
    pub suspects: BTreeMap<Port, BTreeSet<Suspect>>,
}

/// From where a guard sees what goes to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Vantage {
    /// The address is its own machine's: it sees everything that arrives.
    Host,
    /// Its machine forwards to it: it sees what is forwarded, and not what goes between machines on the link.
    Routed {
        /// The link that leads there.
        link: String,
    },
    /// The address lies on a bridge of its machine.
    Bridge {
        /// The bridge.
        link: String,
        /// Whether what goes between machines on the bridge crosses our hooks (`br_netfilter`).
        filtered: bool,
    },
    /// No route leads there: it sees nothing.
    Unreachable,
}

impl Vantage {
    /// Whether machines next to the address reach it without being seen.
    pub fn misses_neighbours(&self) -> bool {
        match self {
            Vantage::Routed { .. } | Vantage::Bridge { filtered: false, .. } => true,
            Vantage::Host | Vantage::Bridge { filtered: true, .. } | Vantage::Unreachable => false,
        }
    }
}

/// A rule of somebody else's that would probably drop new flows. Its names are others' texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Suspect {
    /// The table, with its family: `inet filter`.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule, as nft writes it; none where the chain drops what no rule of it accepts.
    pub rule: Option<String>,
}
