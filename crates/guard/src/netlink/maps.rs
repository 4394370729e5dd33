//! The verdict maps: who is sent to which chain, as the kernel keeps it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hourgate_core::{
    network::{Family, Lock},
    nsg::{judge::Layer, word::Direction},
    screen::Place,
};
use nlink::netlink::nftables::{Set, SetElement, SetElementData, SetKeyType, Verdict};

use super::{
    INET, TABLE, WireError, digit,
    elements::{decode_address, decode_lock, lock_key},
    rules::{address_type, chain_name},
};
use crate::screened::{ChainOf, Key, MapOf};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl std::fmt::Display for MapOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layer = |layer: &Layer| match layer {
            Layer::Subnet => "subnet",
            Layer::Nic => "nic",
        };
        match self {
            MapOf::Screen(family, place) => {
                let way = match place.direction {
                    Direction::Inbound => "in",
                    Direction::Outbound => "out",
                };
                write!(f, "{way}{}_{}", digit(*family), layer(&place.layer))
            }
            MapOf::Granted(family, at) => write!(f, "granted{}_{}", digit(*family), layer(at)),
            MapOf::Standing(family) => write!(f, "standing{}", digit(*family)),
            MapOf::Answers(family) => write!(f, "answers{}", digit(*family)),
        }
    }
}

impl MapOf {
    /// Every map there is.
    pub(super) fn all() -> impl Iterator<Item = MapOf> {
        FAMILIES.into_iter().flat_map(|family| {
            let screens = Place::ALL.map(|place| MapOf::Screen(family, place));
            let granted = [Layer::Subnet, Layer::Nic].map(|layer| MapOf::Granted(family, layer));
            let locks = [MapOf::Standing(family), MapOf::Answers(family)];
            screens.into_iter().chain(granted).chain(locks)
        })
    }

    fn family(self) -> Family {
        match self {
            MapOf::Screen(family, _)
            | MapOf::Granted(family, _)
            | MapOf::Standing(family)
            | MapOf::Answers(family) => family,
        }
    }

    fn is_of_locks(self) -> bool {
        match self {
            MapOf::Screen(..) | MapOf::Granted(..) => false,
            MapOf::Standing(_) | MapOf::Answers(_) => true,
        }
    }

    /// The map of that name, if we have such.
    pub(super) fn named(name: &str) -> Option<MapOf> {
        MapOf::all().find(|map| map.to_string() == name)
    }

    /// The map itself, empty.
    pub(super) fn set(self) -> Set {
        let address = address_type(self.family());
        let key = if self.is_of_locks() {
            SetKeyType::Concat(vec![address, SetKeyType::InetService])
        } else {
            address
        };
        Set::new(TABLE, &self.to_string()).family(INET).key_type(key).vmap()
    }

    /// Whom an element of this map sends where; none where a stranger put something there.
    pub(super) fn decode(self, element: &SetElement) -> Option<(Key, ChainOf)> {
        let key = if self.is_of_locks() {
            Key::Lock(decode_lock(self.family(), element.key())?)
        } else {
            Key::Address(decode_address(self.family(), element.key())?)
        };
        let Some(SetElementData::Verdict(Verdict::JumpTo(chain))) = element.data() else {
            return None;
        };
        Some((key, chain_of(chain.as_str())?))
    }
}

impl Key {
    fn bytes(self) -> Vec<u8> {
        match self {
            Key::Address(IpAddr::V4(v4)) => Ipv4Addr::octets(&v4).to_vec(),
            Key::Address(IpAddr::V6(v6)) => Ipv6Addr::octets(&v6).to_vec(),
            Key::Lock(Lock { address, port }) => lock_key(address, port),
        }
    }
}

/// The element that a key has in its map.
pub(super) fn key(key: Key) -> SetElement {
    SetElement::new(key.bytes())
}

/// The element that sends a key to a chain.
pub(super) fn pointer(at: Key, chain: ChainOf) -> Result<SetElement, WireError> {
    Ok(key(at).verdict(Verdict::JumpTo(chain_name(chain.to_string())?)))
}

/// The chain of ours of that name.
pub(super) fn chain_of(name: &str) -> Option<ChainOf> {
    let (kind, number) = name.split_once('_')?;
    let number: u32 = number.parse().ok()?;
    match kind {
        "rules" => Some(ChainOf::Rules(number)),
        "before" => Some(ChainOf::Before(number)),
        "standing" => Some(ChainOf::Standing(number)),
        "answers" => Some(ChainOf::Answers(number)),
        _ => None,
    }
}
