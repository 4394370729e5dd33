//! What the guard refuses by itself, because no honest server asks it. Pure: nothing was changed yet.

use std::time::Duration;

use hourgate_core::{
    gateway::{Onward, Translation},
    network::{Family, Lock, Opening},
    plan::{Desired, OpeningFailure},
    screen::{Screen, standing::Standing},
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
    let locks = desired.locks.keys().chain(&desired.released).map(|lock| lock.address);
    let public = || {
        let each = desired.translations.each.keys().map(|translation| translation.at().address);
        each.chain(desired.translations.silent.keys().copied())
    };
    for address in locks.chain(desired.screens.keys().copied()).chain(public()) {
        if !covered(covers, address) {
            return Some(format!("{address} is none of the addresses this guard covers"));
        }
    }
    // What is not locked has no exceptions, and none must wake up with a later lock.
    if let Some(lock) = desired.standing.keys().find(|lock| !desired.locks.contains_key(lock)) {
        let Lock { address, port } = lock;
        return Some(format!("port {port} of {address} has standing exceptions and no lock"));
    }
    let other = |lock: &Lock, passes: &Vec<Standing>| {
        let families = passes.iter().filter_map(|one| one.sources.family());
        families.into_iter().any(|family| family != Family::of(lock.address))
    };
    if let Some((lock, _)) = desired.standing.iter().find(|(lock, passes)| other(lock, passes)) {
        return Some(format!("a standing exception to {} is of another family", lock.address));
    }
    let wrong = |address: IpAddr, screen: &Screen| {
        screen.chains().any(|(_, chain)| chain.family() != Family::of(address))
    };
    if let Some((address, _)) = desired.screens.iter().find(|(at, screen)| wrong(**at, screen)) {
        return Some(format!("a chain of {address} is of another family"));
    }
    let crossed = desired.translations.each.iter().find(|(translation, onward)| {
        Family::of(translation.at().address) != Family::of(onward.to.address)
    });
    if let Some((translation, onward)) = crossed {
        let at = translation.at();
        return Some(format!("{at} cannot lead to {}, which is of another family", onward.to));
    }
    let named = desired.locks.keys().chain(&desired.released).map(|lock| lock.address);
    let named = named.chain(desired.openings.keys().map(Opening::address));
    let named = named.chain(desired.screens.keys().copied()).chain(public());
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

/// Why one translation is refused while the others may be made.
pub(crate) fn refuse_translation(
    translation: &Translation,
    onward: &Onward,
    covers: &[IpNet],
    now: Now,
) -> Option<OpeningFailure> {
    if !covered(covers, translation.at().address) {
        Some(OpeningFailure::NotCovered)
    } else if onward.until.is_some_and(|until| until.remaining(now) > ACCESS_MAX) {
        Some(OpeningFailure::TooFarAhead)
    } else {
        None
    }
}
