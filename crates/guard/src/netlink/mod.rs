//! How the kernel is talked to. The only module that knows the netlink crate.

mod batch;
mod elements;
mod flows;
mod hazards;
mod lines;
mod maps;
mod monitor;
mod others;
mod outlook;
mod rules;
mod screens;
mod survey;
mod translations;

use std::time::Duration;

use hourgate_core::network::{Family, Sessions};
use nlink::netlink::{
    Connection, Nftables,
    nftables::{Family as NftFamily, NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST},
};

pub(crate) use batch::Batch;
pub(crate) use elements::Element;
pub(crate) use flows::{End, Flow, Flows};
pub(crate) use hazards::{Foreign, foreign, xdp_links};
pub(crate) use monitor::{Monitor, Seen};
pub(crate) use outlook::outlooks;
pub(crate) use rules::{RESET_MARK, SET_SIZE};
pub(crate) use survey::Survey;

use crate::translated::NatMap;

/// The one table that is ours.
pub(crate) const TABLE: &str = "hourgate";
/// The name of an empty chain that says to which installation the table belongs.
const INSTALLATION: &str = "installation_";
/// A transaction of this many bytes must fit: a hundred thousand elements put back at once.
const SEND_BYTES_MAX: usize = 64 << 20;

/// What this kernel can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// 6.9: a table that is owned by a socket and survives it.
    pub persist: bool,
    /// 6.12: adding an element that is there changes its timeout in place.
    pub update_timeout: bool,
    /// 6.3: deleting what is gone already is no error.
    pub destroy: bool,
}

impl Features {
    /// What the running kernel can do, by its version.
    pub fn of_kernel() -> Features {
        let version = kernel_version();
        Features {
            persist: version >= (6, 9),
            update_timeout: version >= (6, 12),
            destroy: version >= (6, 3),
        }
    }
}

/// The running kernel's version; 0.0 where it cannot be read.
pub(crate) fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Why the kernel did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// Nothing of the batch was carried out.
    #[error("{0}")]
    Refused(nlink::Error),
    /// Somebody else changed the rules meanwhile; nothing of the batch was carried out.
    #[error("the rules were changed by somebody else meanwhile")]
    Raced,
    /// The table belongs to another living process.
    #[error("table inet {TABLE} is owned by another process: is another guard running?")]
    Owned,
    /// A set is full; nothing of the batch was carried out.
    #[error("the set is full")]
    Full,
    /// No right to.
    #[error("no right to change the firewall (CAP_NET_ADMIN): {0}")]
    NotPermitted(nlink::Error),
}

impl WireError {
    /// Whether something that was to be taken away was gone already.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            WireError::Refused(error) => error.is_not_found(),
            WireError::Raced | WireError::Owned | WireError::Full | WireError::NotPermitted(_) => {
                false
            }
        }
    }

    fn of(error: nlink::Error) -> WireError {
        let errno = error.errno();
        if error.is_restart() {
            WireError::Raced
        } else if errno == Some(rustix::io::Errno::NFILE.raw_os_error()) {
            WireError::Full
        } else if error.is_permission_denied() {
            WireError::NotPermitted(error)
        } else {
            WireError::Refused(error)
        }
    }
}

/// The socket that owns the table.
pub(crate) struct Wire {
    nft: Connection<Nftables>,
    pub(crate) features: Features,
    set_size: u32,
}

impl Wire {
    pub(crate) fn open(features: Features, set_size: u32) -> Result<Wire, WireError> {
        let nft = Connection::<Nftables>::new().map_err(WireError::of)?;
        // Without CAP_NET_ADMIN the next commit says so better than this call would.
        let _ =
            rustix::net::sockopt::set_socket_send_buffer_size_force(nft.socket(), SEND_BYTES_MAX);
        Ok(Wire { nft: nft.timeout(Duration::from_secs(10)), features, set_size })
    }

    /// The port of our socket: changes that carry it are ours.
    pub(crate) fn port(&self) -> u32 {
        self.nft.socket().pid()
    }

    /// Carries out all of a batch or nothing of it.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), WireError> {
        let Err(error) = batch.transaction.commit(&self.nft).await else { return Ok(()) };
        let error = WireError::of(error);
        // An owned table refuses everybody but its owner, root included.
        if matches!(error, WireError::NotPermitted(_)) && may_change_firewall() {
            return Err(WireError::Owned);
        }
        Err(error)
    }

    fn table_flags(&self) -> u32 {
        if self.features.persist { NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST } else { 0 }
    }
}

/// Whether this thread has CAP_NET_ADMIN.
fn may_change_firewall() -> bool {
    let held = rustix::thread::capabilities(None);
    held.is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::NET_ADMIN))
}

/// A set of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SetOf {
    /// What is locked, by what becomes of its sessions.
    Locks(Family, Sessions),
    /// What is open, by the prefix length of the sources.
    Openings(Family, u8),
    /// What goes on elsewhere: a map.
    Translations(NatMap),
    /// Ports of public addresses that do not answer.
    Silent(Family),
}

impl std::fmt::Display for SetOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SetOf::Locks(family, Sessions::GoOn) => write!(f, "going{}", digit(*family)),
            SetOf::Locks(family, Sessions::EndWithAccess) => write!(f, "ending{}", digit(*family)),
            SetOf::Openings(family, length) => write!(f, "open{}_{length}", digit(*family)),
            SetOf::Translations(map) => f.write_str(&translations::map_name(*map)),
            SetOf::Silent(family) => write!(f, "silent{}", digit(*family)),
        }
    }
}

impl SetOf {
    /// The set of that name, if we have such.
    pub(crate) fn named(name: &str) -> Option<SetOf> {
        let family = |digit: &str| match digit {
            "4" => Some(Family::V4),
            "6" => Some(Family::V6),
            _ => None,
        };
        let slot = |rest: &str| {
            let (digit, length) = rest.split_once('_')?;
            let (family, length) = (family(digit)?, length.parse::<u8>().ok()?);
            (length <= family.all().max_prefix_len()).then_some((family, length))
        };
        let map = |rest: &str, ends| {
            let (family, length) = slot(rest)?;
            Some(SetOf::Translations(NatMap { family, length, ends }))
        };
        if let Some(rest) = name.strip_prefix("open") {
            slot(rest).map(|(family, length)| SetOf::Openings(family, length))
        } else if let Some(rest) = name.strip_prefix("mapped") {
            map(rest, true)
        } else if let Some(rest) = name.strip_prefix("fixed") {
            map(rest, false)
        } else if let Some(rest) = name.strip_prefix("silent") {
            Some(SetOf::Silent(family(rest)?))
        } else if let Some(rest) = name.strip_prefix("going") {
            Some(SetOf::Locks(family(rest)?, Sessions::GoOn))
        } else {
            let family = family(name.strip_prefix("ending")?)?;
            Some(SetOf::Locks(family, Sessions::EndWithAccess))
        }
    }
}

/// The last character of a family's sets and chains.
pub(crate) fn digit(family: Family) -> char {
    match family {
        Family::V4 => '4',
        Family::V6 => '6',
    }
}

const INET: NftFamily = NftFamily::Inet;
