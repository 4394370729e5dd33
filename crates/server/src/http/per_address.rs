//! How much of something one address holds: whoever comes from one place alone must not take every place.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::party::party;

/// Who holds how many, and how many each may.
#[derive(Clone, Debug)]
pub(crate) struct PerAddress {
    most: usize,
    counts: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// One of an address's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    held: PerAddress,
    by: IpAddr,
}

impl PerAddress {
    /// Nobody holds any yet.
    pub(crate) fn of(most: usize) -> PerAddress {
        PerAddress { most, counts: Arc::default() }
    }

    /// One more for that address; none where it holds as many as it may.
    pub(crate) fn take(&self, from: IpAddr) -> Option<Held> {
        let by = party(from);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&by).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        counts.insert(by, count + 1);
        Some(Held { held: self.clone(), by })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.held.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.by) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.by);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_place_has_its_share_and_no_more() {
        const MOST: usize = 16;
        let places = PerAddress::of(MOST);
        for (one, same, other) in [
            ("203.0.113.9", "::ffff:203.0.113.9", "203.0.113.10"),
            ("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1"),
        ] {
            let mut held: Vec<Held> = Vec::new();
            while let Some(one) = places.take(ip(one)) {
                held.push(one);
            }
            assert_eq!(held.len(), MOST);
            assert!(places.take(ip(same)).is_none(), "{same} is the same place");
            assert!(places.take(ip(other)).is_some(), "{other} is another");
            held.pop();
            assert!(places.take(ip(same)).is_some(), "what is let go of is free");
        }
        assert!(places.counts.lock().expect("no panic").is_empty(), "nobody is remembered");
    }
}
