//! Screens as they are sent: each chain once, however many addresses share it.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Layered, Screen, chain::Chain};

/// The places of a screen's chains in the list: inbound of subnet and NIC, outbound of both.
type Places = [Option<u32>; 4];

/// Every chain, and the screens that are made of them.
#[derive(Serialize, Deserialize)]
struct Said<C> {
    chains: Vec<C>,
    screens: Vec<(IpAddr, Places)>,
}

/// Writes each chain once, then the screens in the order of their addresses.
pub(crate) fn serialize<S: Serializer>(
    screens: &BTreeMap<IpAddr, Screen>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = Listed::default();
    let screens = screens.iter().map(|(address, Screen { inbound, outbound })| {
        let chains = [&inbound.subnet, &inbound.nic, &outbound.subnet, &outbound.nic];
        (*address, chains.map(|chain| list.place(chain.as_ref()?)))
    });
    let screens = screens.collect();
    Said { chains: list.chains, screens }.serialize(serializer)
}

/// The chains met so far.
#[derive(Default)]
struct Listed<'a> {
    chains: Vec<&'a Chain>,
    /// Most of those that share a chain share its memory, and a chain is long to compare.
    by_memory: BTreeMap<*const Chain, u32>,
    by_text: BTreeMap<&'a Chain, u32>,
}

impl<'a> Listed<'a> {
    /// The place of a chain; none if there are more than can be counted.
    fn place(&mut self, chain: &'a Arc<Chain>) -> Option<u32> {
        if let Some(place) = self.by_memory.get(&Arc::as_ptr(chain)) {
            return Some(*place);
        }
        let next = u32::try_from(self.chains.len()).ok()?;
        let place = *self.by_text.entry(chain).or_insert(next);
        if place == next {
            self.chains.push(chain);
        }
        self.by_memory.insert(Arc::as_ptr(chain), place);
        Some(place)
    }
}

/// Reads them back. An address that stands twice is an error: which of its screens would hold?
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<IpAddr, Screen>, D::Error> {
    let Said { chains, screens } = Said::<Arc<Chain>>::deserialize(deserializer)?;
    let chain = |address: IpAddr, place: Option<u32>| {
        let Some(place) = place else { return Ok(None) };
        let chain = usize::try_from(place).ok().and_then(|place| chains.get(place));
        let chain = chain.ok_or_else(|| D::Error::custom("no chain at that place"))?;
        if chain.family() != crate::network::Family::of(address) {
            return Err(D::Error::custom("a chain of another family than the address"));
        }
        Ok(Some(Arc::clone(chain)))
    };
    let count = screens.len();
    let mut heard = BTreeMap::new();
    for (address, [subnet_in, nic_in, subnet_out, nic_out]) in screens {
        let of = |subnet, nic| {
            Ok(Layered { subnet: chain(address, subnet)?, nic: chain(address, nic)? })
        };
        let screen = Screen { inbound: of(subnet_in, nic_in)?, outbound: of(subnet_out, nic_out)? };
        heard.insert(address, screen);
    }
    if heard.len() == count { Ok(heard) } else { Err(D::Error::custom("an address stands twice")) }
}
