//! The form that the names of JIT's own rules have: read back, so that nobody else's rule bears one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::grant_rule::{DENY, HEAD, SECOND_FAMILY};
use crate::{
    id::RequestId,
    network::{Lock, Port},
};

/// What a name of JIT's form says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JitName {
    /// The rule of a grant.
    Grant {
        /// Of which request.
        request: RequestId,
    },
    /// The deny of a lock.
    Deny {
        /// Of which.
        lock: Lock,
    },
}

impl JitName {
    /// What a rule's name says; none where it is not of JIT's form. Names are compared without case, so this
    /// is too.
    pub fn of(name: &str) -> Option<JitName> {
        let name = name.to_ascii_lowercase();
        let rest = name.strip_prefix(&HEAD.to_ascii_lowercase())?;
        deny(rest).or_else(|| grant(rest))
    }
}

/// `<VM>_<port>_Deny_<address>`.
fn deny(rest: &str) -> Option<JitName> {
    let (rest, address) = rest.rsplit_once('_')?;
    let (rest, word) = rest.rsplit_once('_')?;
    let port = port(rest).filter(|_| word.eq_ignore_ascii_case(DENY))?;
    let is_hexadecimal = address.bytes().all(|byte| byte.is_ascii_hexdigit());
    let address: IpAddr = match address.len() {
        8 if is_hexadecimal => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
        32 if is_hexadecimal => Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?).into(),
        _ => return None,
    };
    Some(JitName::Deny { lock: Lock { address, port } })
}

/// `<VM>_<port>_<YYYYMMDDTHHMMSSZ>_<id>`, and what tells the second family's rule.
fn grant(rest: &str) -> Option<JitName> {
    let rest = rest.strip_suffix(SECOND_FAMILY).unwrap_or(rest);
    let (rest, id) = rest.rsplit_once('_')?;
    let (rest, at) = rest.rsplit_once('_')?;
    port(rest).filter(|_| is_a_time(at))?;
    Some(JitName::Grant { request: id.parse().ok()? })
}

/// The port behind a VM's name.
fn port(rest: &str) -> Option<Port> {
    let (vm, port) = rest.rsplit_once('_')?;
    let plain = !vm.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().and_then(Port::new).filter(|_| plain)
}

fn is_a_time(text: &str) -> bool {
    let form = b"00000000t000000z";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            letter => byte == *letter,
        })
}
