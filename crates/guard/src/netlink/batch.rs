//! What is carried out together or not at all.

use std::collections::BTreeMap;

use nlink::netlink::{
    message::NLM_F_CREATE,
    nftables::{
        Chain, Family as NftFamily, NFT_MSG_DELSETELEM, NFT_MSG_DESTROYSETELEM, NFT_MSG_NEWSETELEM,
        RawMessage, SetElement, Transaction,
    },
};
use uuid::Uuid;

use super::{
    INET, INSTALLATION, SetOf, TABLE, Wire, WireError,
    elements::{Element, encode},
    lines::{self, Compiled},
    maps, rules,
};
use crate::{
    mirror::Slot,
    screened::{ChainOf, Change, Made, MapOf},
};

/// How many elements one message holds: a nest is limited to 64 KiB, an IPv6 opening takes 80 bytes.
const MESSAGE_ELEMENTS_MAX: usize = 700;

/// A transaction in the making.
pub(crate) struct Batch {
    pub(super) transaction: Transaction,
    destroy: bool,
    update_timeout: bool,
    flags: u32,
    pub(super) set_size: u32,
}

impl Wire {
    /// An empty batch.
    pub(crate) fn batch(&self) -> Batch {
        Batch {
            transaction: self.nft.transaction(),
            destroy: self.features.destroy,
            update_timeout: self.features.update_timeout,
            flags: self.table_flags(),
            set_size: self.set_size,
        }
    }
}

impl Batch {
    /// Carried out only if nobody changed any rule since `generation`.
    pub(crate) fn at(mut self, generation: u32) -> Batch {
        self.transaction = self.transaction.expect_generation(generation);
        self
    }

    /// Takes the whole table away.
    pub(crate) fn raze(mut self) -> Batch {
        self.transaction = self.transaction.del_table(TABLE, INET);
        self
    }

    /// Makes the table, its chains, and the sets of locks and of these slots; all empty.
    pub(crate) fn raise(
        mut self,
        installation: Option<Uuid>,
        slots: impl Iterator<Item = Slot>,
    ) -> Result<Batch, WireError> {
        let comment = "Hourgate: ports that stay closed until someone may in";
        let mut t = self.transaction.add_table_with_comment(TABLE, INET, self.flags, Some(comment));
        for set in rules::fixed_sets() {
            t = t.add_set(set);
        }
        for (set, elements) in rules::protocols() {
            t = t.add_set(set.clone()).add_set_elements(&set, &elements);
        }
        for map in MapOf::all() {
            t = t.add_set(map.set());
        }
        for chain in rules::chains()? {
            t = t.add_chain(chain);
        }
        for rule in rules::fixed_rules()? {
            t = t.add_rule(rule);
        }
        self.transaction = t;
        for slot in slots {
            self = self.slot(slot)?;
        }
        if let Some(installation) = installation { self.claim(installation) } else { Ok(self) }
    }

    /// Makes the set of one slot and the rules that ask it.
    pub(crate) fn slot(mut self, slot: Slot) -> Result<Batch, WireError> {
        let mut t = self.transaction.add_set(rules::openings(slot, self.set_size));
        for rule in rules::slot_rules(slot)? {
            t = t.add_rule(rule);
        }
        self.transaction = t;
        Ok(self)
    }

    /// Makes the chains of groups and of standing exceptions.
    pub(crate) fn make(mut self, made: &Made) -> Result<Batch, WireError> {
        for (name, compiled) in compiled(made)? {
            let chain = Chain::new(TABLE, name.to_string()).map_err(WireError::Refused)?;
            let mut t = self.transaction.add_chain(chain.family(INET));
            for (set, elements) in &compiled.sets {
                t = t.add_set(set.clone());
                for part in elements.chunks(MESSAGE_ELEMENTS_MAX / 2) {
                    t = t.add_set_elements(set, part);
                }
            }
            self.transaction = compiled.rules.into_iter().fold(t, |t, rule| t.add_rule(rule));
        }
        Ok(self)
    }

    /// Takes chains away that nobody is sent to any more.
    pub(crate) fn unmake(mut self, gone: &Made) -> Result<Batch, WireError> {
        for (name, compiled) in compiled(gone)? {
            let mut t = self.transaction.del_chain(TABLE, &name.to_string(), INET);
            for (set, _) in &compiled.sets {
                t = t.del_set(TABLE, set.name(), INET);
            }
            self.transaction = t;
        }
        Ok(self)
    }

    /// Sends somebody somewhere else, without a moment in which nobody is asked.
    pub(crate) fn point(mut self, change: &Change) -> Result<Batch, WireError> {
        let mut old: BTreeMap<MapOf, Vec<SetElement>> = BTreeMap::new();
        let mut new = old.clone();
        for (map, key, from, to) in &change.points {
            if from.is_some() {
                old.entry(*map).or_default().push(maps::key(*key));
            }
            if let Some(to) = to {
                new.entry(*map).or_default().push(maps::pointer(*key, *to)?);
            }
        }
        for (map, elements) in old {
            for part in elements.chunks(MESSAGE_ELEMENTS_MAX) {
                self.transaction = self.transaction.del_set_elements(&map.set(), part);
            }
        }
        for (map, elements) in new {
            for part in elements.chunks(MESSAGE_ELEMENTS_MAX) {
                self.transaction = self.transaction.add_set_elements(&map.set(), part);
            }
        }
        Ok(self)
    }

    /// Writes to whom the table belongs.
    pub(crate) fn claim(mut self, installation: Uuid) -> Result<Batch, WireError> {
        let name = format!("{INSTALLATION}{}", installation.simple());
        let chain = Chain::new(TABLE, name.as_str()).map_err(WireError::Refused)?;
        self.transaction = self.transaction.add_chain(chain.family(INET));
        Ok(self)
    }

    /// Puts elements in; of those that are there already the timeout changes, without a gap.
    pub(crate) fn put(mut self, elements: &[Element]) -> Batch {
        let ends = |set| match set {
            SetOf::Openings(..) | SetOf::Translations(_) => true,
            SetOf::Locks(..) | SetOf::Silent(_) => false,
        };
        if !self.update_timeout && elements.iter().any(|element| ends(element.set)) {
            self = self.take(elements);
        }
        self.put_new(elements)
    }

    /// Puts elements in that are not there.
    pub(crate) fn put_new(self, elements: &[Element]) -> Batch {
        self.send(elements, NFT_MSG_NEWSETELEM, NLM_F_CREATE)
    }

    /// Takes elements out. On kernels before 6.3 one that is gone already fails the batch.
    pub(crate) fn take(self, elements: &[Element]) -> Batch {
        let message = if self.destroy { NFT_MSG_DESTROYSETELEM } else { NFT_MSG_DELSETELEM };
        self.send(elements, message, 0)
    }

    fn send(mut self, elements: &[Element], message: u8, flags: u16) -> Batch {
        let mut by_set: Vec<(SetOf, Vec<&Element>)> = Vec::new();
        for element in elements {
            match by_set.iter_mut().find(|(set, _)| *set == element.set) {
                Some((_, of_set)) => of_set.push(element),
                None => by_set.push((element.set, vec![element])),
            }
        }
        for (set, of_set) in by_set {
            for part in of_set.chunks(MESSAGE_ELEMENTS_MAX) {
                let family: NftFamily = INET;
                let raw = RawMessage::new(message, family).flags(flags).attrs(encode(set, part));
                self.transaction = self.transaction.raw(raw);
            }
        }
        self
    }
}

/// Every chain that these are on the kernel.
fn compiled(made: &Made) -> Result<Vec<(ChainOf, Compiled)>, WireError> {
    let mut all = Vec::new();
    for (number, chain) in &made.chains {
        all.push((ChainOf::Rules(*number), lines::lines(*number, chain, false)));
        if chain.before_grants().is_some_and(|before| !before.is_empty()) {
            all.push((ChainOf::Before(*number), lines::lines(*number, chain, true)));
        }
    }
    for (number, passes) in &made.passes {
        let rest = lines::rest(passes.family)?;
        let of = |from| lines::standing(*number, passes, &rest, from);
        all.push((ChainOf::Standing(*number), of(false)));
        all.push((ChainOf::Answers(*number), of(true)));
    }
    Ok(all)
}
