//! Which addresses this machine itself has: nobody's own, as far as callers go.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

/// The addresses of this machine's interfaces, without loopback and link-local ones.
pub(crate) fn addresses() -> BTreeSet<IpAddr> {
    match nix::ifaddrs::getifaddrs() {
        Ok(found) => found
            .filter_map(|interface| {
                let address = interface.address?;
                let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
            })
            .filter(|address| !address.is_loopback() && !is_link_local(*address))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "this machine's addresses cannot be listed");
            BTreeSet::new()
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// This machine's name.
pub(crate) fn hostname() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!name.is_empty() && name.chars().all(fits)).then(|| name.to_ascii_lowercase())
}

/// The addresses as they were last looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnAddresses(Arc<RwLock<BTreeSet<IpAddr>>>);

impl OwnAddresses {
    pub(crate) fn look() -> OwnAddresses {
        OwnAddresses(Arc::new(RwLock::new(addresses())))
    }

    /// Looks again; whether something changed.
    pub(crate) fn refresh(&self) -> bool {
        let fresh = addresses();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != fresh;
        *held = fresh;
        changed
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    pub(crate) fn all(&self) -> BTreeSet<IpAddr> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
