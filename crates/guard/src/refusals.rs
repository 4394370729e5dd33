//! What the guard refuses by itself, because no honest server asks it. Pure: nothing was changed yet.

use std::time::Duration;

use hourgate_core::{
    network::Opening,
    plan::{Desired, OpeningFailure},
    time::{Deadline, Now},
};
use ipnet::IpNet;

use std::net::IpAddr;

/// The longest any access may last (product P1). A server that was taken over cannot leave more behind.
pub(crate) const ACCESS_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether one of the guard's own prefixes has the address. No prefixes cover nothing.
pub(crate) fn covered(covers: &[IpNet], address: IpAddr) -> bool {
    covers.iter().any(|net| net.contains(&address))
}

/// Why a whole statement is refused; none where it may be looked at.
pub(crate) fn refuse(desired: &Desired, covers: &[IpNet]) -> Option<String> {
    let locks = desired.locks.keys().chain(&desired.released);
    for lock in locks {
        if !covered(covers, lock.address) {
            return Some(format!("{} is none of the addresses this guard covers", lock.address));
        }
    }
    let named = desired.locks.keys().chain(&desired.released).map(|lock| lock.address);
    let named = named.chain(desired.openings.keys().map(Opening::address));
    for address in named {
        if !desired.coverage.has(address) {
            return Some(format!("the statement names {address} but does not speak of it"));
        }
    }
    None
}

/// Why one opening is refused while the others may be made.
pub(crate) fn refuse_opening(
    opening: &Opening,
    until: &Deadline,
    covers: &[IpNet],
    now: Now,
) -> Option<OpeningFailure> {
    if !covered(covers, opening.address()) {
        Some(OpeningFailure::NotCovered)
    } else if until.remaining(now) > ACCESS_MAX {
        Some(OpeningFailure::TooFarAhead)
    } else {
        None
    }
}
