//! Locks and openings as the bytes of set elements, and back.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use hourgate_core::{
    gateway::{Place, Translation},
    network::{Family, Lock, Opening, Port},
};
use ipnet::IpNet;
use nlink::netlink::{
    MessageBuilder,
    nftables::{
        NFTA_DATA_VALUE, NFTA_LIST_ELEM, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_EXPIRATION,
        NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET,
        NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_TIMEOUT,
    },
};

use super::{SetOf, TABLE, translations::translation_bytes};
use crate::{mirror::slot, translated::NatMap};

/// The netlink header that a builder begins with, which a raw message does not want.
const HEADER_BYTES: usize = 16;
/// Set on attributes that hold attributes.
const NESTED: u16 = 0x8000;

/// One element: its key, in a map what it leads to, and how long it lasts from the moment it arrives where it
/// ends by itself.
pub(crate) struct Element {
    pub(crate) set: SetOf,
    key: Vec<u8>,
    data: Option<Vec<u8>>,
    lasts: Option<Duration>,
}

impl Element {
    pub(crate) fn lock(lock: &Lock, set: SetOf) -> Element {
        Element { set, key: lock_key(lock.address, lock.port), data: None, lasts: None }
    }

    pub(crate) fn opening(opening: &Opening, lasts: Duration) -> Element {
        let mut key = Vec::with_capacity(36);
        push_address(&mut key, opening.source().addr());
        push_address(&mut key, opening.address());
        push_port(&mut key, opening.port());
        let (family, length) = slot(opening);
        Element { set: SetOf::Openings(family, length), key, data: None, lasts: Some(lasts) }
    }

    /// One that lasts for a time, or without an end.
    pub(crate) fn translation(
        translation: &Translation,
        to: Place,
        lasts: Option<Duration>,
    ) -> Element {
        let set = SetOf::Translations(NatMap::of(translation, lasts.is_some()));
        let (key, data) = translation_bytes(translation, to);
        Element { set, key, data: Some(data), lasts }
    }
}

/// The key of a lock, in a set as in a map.
pub(super) fn lock_key(address: IpAddr, port: Port) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    push_address(&mut key, address);
    push_port(&mut key, port);
    key
}

pub(super) fn push_address(key: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => key.extend(v4.octets()),
        IpAddr::V6(v6) => key.extend(v6.octets()),
    }
}

pub(super) fn push_port(key: &mut Vec<u8>, port: Port) {
    key.extend(port.number().to_be_bytes());
    // Each part of a key fills whole 32-bit registers.
    key.extend([0, 0]);
}

/// The attributes of a message about `elements`, all of one set. The timeout is rounded down to ms.
///
/// The expiration is sent beside the timeout: a kernel that changes elements in place compares timeouts,
/// and would leave an opening that is prolonged by the length it once had at its old end.
pub(super) fn encode(set: SetOf, elements: &[&Element]) -> Vec<u8> {
    let mut message = MessageBuilder::new(0, 0);
    message.append_attr_str(NFTA_SET_ELEM_LIST_TABLE, TABLE);
    message.append_attr_str(NFTA_SET_ELEM_LIST_SET, &set.to_string());
    let list = message.nest_start(NFTA_SET_ELEM_LIST_ELEMENTS | NESTED);
    for element in elements {
        let nest = message.nest_start(NFTA_LIST_ELEM | NESTED);
        let key = message.nest_start(NFTA_SET_ELEM_KEY | NESTED);
        message.append_attr(NFTA_DATA_VALUE, &element.key);
        message.nest_end(key);
        if let Some(to) = &element.data {
            let data = message.nest_start(NFTA_SET_ELEM_DATA | NESTED);
            message.append_attr(NFTA_DATA_VALUE, to);
            message.nest_end(data);
        }
        if let Some(lasts) = element.lasts {
            let millis = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            message.append_attr_u64_be(NFTA_SET_ELEM_TIMEOUT, millis);
            message.append_attr_u64_be(NFTA_SET_ELEM_EXPIRATION, millis);
        }
        message.nest_end(nest);
    }
    message.nest_end(list);
    without_header(&message)
}

/// The attributes alone, as a raw message or expression wants them.
pub(super) fn without_header(message: &MessageBuilder) -> Vec<u8> {
    message.as_bytes().get(HEADER_BYTES..).unwrap_or_default().to_vec()
}

/// The address that is the whole key of an element.
pub(super) fn decode_address(family: Family, key: &[u8]) -> Option<IpAddr> {
    take_address(family, key).map(|(address, _)| address)
}

/// The lock that an element of a set of locks is.
pub(super) fn decode_lock(family: Family, key: &[u8]) -> Option<Lock> {
    let (address, rest) = take_address(family, key)?;
    Some(Lock { address, port: take_port(rest)? })
}

/// The opening that an element of a set of openings is; none where a stranger put something there.
pub(super) fn decode_opening(family: Family, length: u8, key: &[u8]) -> Option<Opening> {
    let (source, rest) = take_address(family, key)?;
    let (address, rest) = take_address(family, rest)?;
    Opening::new(IpNet::new(source, length).ok()?, address, take_port(rest)?)
}

pub(super) fn take_address(family: Family, key: &[u8]) -> Option<(IpAddr, &[u8])> {
    match family {
        Family::V4 => {
            let (octets, rest) = key.split_first_chunk::<4>()?;
            Some((Ipv4Addr::from(*octets).into(), rest))
        }
        Family::V6 => {
            let (octets, rest) = key.split_first_chunk::<16>()?;
            Some((Ipv6Addr::from(*octets).into(), rest))
        }
    }
}

pub(super) fn take_port(key: &[u8]) -> Option<Port> {
    Port::new(u16::from_be_bytes(*key.first_chunk()?))
}
