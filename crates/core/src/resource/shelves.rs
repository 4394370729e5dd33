//! A sorted map of which a copy costs little: its entries stand on shelves that copies share.
//!
//! Whoever decides looks at the network as it stood while the next change is made, so each change copies it.

use std::{fmt, sync::Arc};

/// How many entries a shelf holds at most. A change copies one shelf, a copy one pointer for each.
const SHELF_MAX: usize = 128;

/// A sorted map.
#[derive(Clone)]
pub(super) struct Shelves<K, V> {
    // INVARIANT: no shelf is empty, and keys ascend on each and from one to the next.
    shelves: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K: Ord + Clone, V: Clone> Shelves<K, V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let shelf = self.shelves.get(self.shelf(key)?)?;
        let at = shelf.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        shelf.get(at).map(|(_, value)| value)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shelves.iter().flat_map(|shelf| shelf.iter()).map(|(key, value)| (key, value))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let Some(place) = self.shelf(&key) else {
            // Before every other, or the first of all.
            match self.shelves.first_mut() {
                Some(first) => Arc::make_mut(first).insert(0, (key, value)),
                None => self.shelves.push(Arc::new(vec![(key, value)])),
            }
            self.len += 1;
            self.split(0);
            return;
        };
        let Some(shelf) = self.shelves.get_mut(place).map(Arc::make_mut) else { return };
        match shelf.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some((_, old)) = shelf.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => {
                shelf.insert(at, (key, value));
                self.len += 1;
            }
        }
        self.split(place);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.shelf(key)?;
        let shelf = self.shelves.get_mut(place)?;
        let at = shelf.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let (_, gone) = Arc::make_mut(shelf).remove(at);
        if shelf.is_empty() {
            self.shelves.remove(place);
        }
        self.len -= 1;
        Some(gone)
    }

    /// The shelf on which a key stands if it does: the last that begins at it or before.
    fn shelf(&self, key: &K) -> Option<usize> {
        let begins =
            |shelf: &Arc<Vec<(K, V)>>| shelf.first().is_some_and(|(first, _)| first <= key);
        self.shelves.partition_point(begins).checked_sub(1)
    }

    /// Makes two shelves of one that is full.
    fn split(&mut self, place: usize) {
        if let Some(shelf) = self.shelves.get_mut(place)
            && shelf.len() > SHELF_MAX
        {
            let second = Arc::make_mut(shelf).split_off(SHELF_MAX / 2);
            self.shelves.insert(place + 1, Arc::new(second));
        }
    }
}

impl<K, V> Default for Shelves<K, V> {
    fn default() -> Shelves<K, V> {
        Shelves { shelves: Vec::new(), len: 0 }
    }
}

/// What stands on them counts, not on which shelf.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Shelves<K, V> {
    fn eq(&self, other: &Shelves<K, V>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for Shelves<K, V> {}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for Shelves<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_holds_what_a_map_holds_and_copies_stay_as_they_were() {
        let (mut shelves, mut map) = (Shelves::default(), BTreeMap::new());
        let mut random: u64 = 7;
        let mut copies = Vec::new();
        for step in 0..40_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (random >> 33) % 3_000;
            // It grows, then shrinks to nothing.
            if (random >> 20) % 10 < if step < 20_000 { 7 } else { 1 } {
                shelves.insert(key, step);
                map.insert(key, step);
            } else {
                assert_eq!(shelves.remove(&key), map.remove(&key));
            }
            assert_eq!(shelves.len(), map.len());
            assert_eq!(shelves.get(&key), map.get(&key));
            if step % 1_000 == 0 {
                assert!(shelves.iter().eq(map.iter()));
                copies.push((shelves.clone(), map.clone()));
            }
        }
        for (shelves, map) in copies {
            assert!(shelves.iter().eq(map.iter()));
            let mut anew = Shelves::default();
            map.into_iter().rev().for_each(|(key, value)| anew.insert(key, value));
            assert_eq!(anew, shelves, "however it came to be");
        }
    }
}
