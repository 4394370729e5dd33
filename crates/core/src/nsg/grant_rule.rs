//! The rule of a grant: its name, its description, and what it lets through (product P6).

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    name::{DESCRIPTION_UNITS_MAX, Description, RULE_NAME_CHARS_MAX, RuleName, is_of_a_name},
    place::{Places, Prefix},
    port::Ports,
    rule::SecurityRule,
    word::{Access, Direction, Priority, Protocol},
};
use crate::{
    id::{Name, RequestId},
    network::{Family, Lock, Port},
    time::Timestamp,
};

/// The name of a grant's rule: `JIT_<VM>_<port>_<YYYYMMDDTHHMMSSZ>_<id>`, in UTC.
///
/// No rule mixes families, so a grant can have two in one group: the one of IPv6 ends in `_v6`. A VM's name is cut where the whole would be longer than a rule's name may be, and then ends in a number
/// made of all of it, so that two VMs that begin alike do not get one name. What a rule's name cannot hold
/// becomes `-`.
pub fn grant_rule_name(
    vm: &Name,
    port: Port,
    at: Timestamp,
    id: RequestId,
    family: Family,
) -> RuleName {
    let second = match family {
        Family::V4 => "",
        Family::V6 => "_v6",
    };
    named(vm, &format!("_{port}_{}_{id}{second}", at.strftime("%Y%m%dT%H%M%SZ")))
}

/// The name of a lock's deny: `JIT_<VM>_<port>_Deny_<address>`, the address in hexadecimal digits, since a name
/// knows no colon and two machines of one name may be behind one group.
pub fn deny_rule_name(vm: &Name, lock: Lock) -> RuleName {
    let address = match lock.address {
        IpAddr::V4(v4) => format!("{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()),
    };
    named(vm, &format!("_{}_Deny_{address}", lock.port))
}

/// `JIT_`, as much of a VM's name as fits, and what tells one rule from the next.
fn named(vm: &Name, tail: &str) -> RuleName {
    const HEAD: &str = "JIT_";
    let room = RULE_NAME_CHARS_MAX.saturating_sub(HEAD.len() + tail.len());
    let plain: String =
        vm.as_str().chars().map(|c| if is_of_a_name(c) { c } else { '-' }).collect();
    let vm = if plain.len() <= room {
        plain
    } else {
        let number = format!("-{:08x}", number_of(vm));
        let kept = plain.chars().take(room.saturating_sub(number.len()));
        kept.chain(number.chars()).collect()
    };
    RuleName::known(format!("{HEAD}{vm}{tail}"))
}

/// A number that depends on every letter, without case (FNV-1a, 32 bits). Not a secret and no proof: names
/// that are cut shall differ, no more.
fn number_of(vm: &Name) -> u32 {
    vm.folded()
        .bytes()
        .fold(0x811c_9dc5, |number, byte| (number ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The description of a grant's rule: for whom, and until when, in UTC.
///
/// The requester is cut where the whole would be too long; the end never is. Characters that are not seen as
/// themselves (control, escape, direction, invisible) are written as escapes, since this text is shown by
/// consoles that are not ours.
pub fn grant_description(requester: &str, until: Timestamp) -> Description {
    const CUT: &str = "…";
    let (head, tail) =
        ("JIT access for ", format!(" until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ")));
    let room = DESCRIPTION_UNITS_MAX.saturating_sub(units(head) + units(&tail));
    let shown: Vec<String> = requester.chars().map(visible).collect();
    let all: usize = shown.iter().map(|piece| units(piece)).sum();
    let requester = if all <= room {
        shown.concat()
    } else {
        let mut kept = String::new();
        let mut left = room.saturating_sub(units(CUT));
        for piece in shown {
            // Whole pieces alone: half an escape is another text.
            let Some(rest) = left.checked_sub(units(&piece)) else { break };
            left = rest;
            kept.push_str(&piece);
        }
        kept + CUT
    };
    Description::known(format!("{head}{requester}{tail}"))
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn visible(c: char) -> String {
    match c {
        '"' | '\'' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}

/// The rule of a grant: inbound, TCP, from a source to a port of addresses of the source's family.
pub fn grant_rule(
    name: RuleName,
    source: IpNet,
    addresses: &[IpAddr],
    port: Port,
    priority: Priority,
) -> SecurityRule {
    let family = Family::of_net(source);
    let addresses = addresses.iter().copied().filter(|address| Family::of(*address) == family);
    SecurityRule::from_anywhere(
        name,
        priority,
        (Direction::Inbound, Access::Allow, Protocol::Tcp),
        (Places::addresses(addresses), Ports::one(port.number())),
    )
    .with_sources(Places::prefix(Prefix::of_source(source)))
}
