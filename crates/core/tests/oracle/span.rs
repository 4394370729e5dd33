//! Addresses as numbers from … to …, and openings as text: the oracle's own arithmetic.

use std::net::IpAddr;

use hourgate_core::network::{Opening, Source};

/// Addresses of one family, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub v6: bool,
    pub first: u128,
    pub last: u128,
}

impl Span {
    pub fn has(&self, address: IpAddr) -> bool {
        let number = number(address);
        self.v6 == address.is_ipv6() && self.first <= number && number <= self.last
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn bits(v6: bool) -> u32 {
    if v6 { 128 } else { 32 }
}

/// Address and prefix length, from the text; none for `*`.
fn parts(source: Source) -> Option<(IpAddr, u32)> {
    let text = source.to_string();
    if text == "*" {
        return None;
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().expect("a length"))),
        None => (&text[..], None),
    };
    let address: IpAddr = address.parse().expect("an address");
    Some((address, length.unwrap_or(bits(address.is_ipv6()))))
}

fn span(v6: bool, first: u128, length: u32) -> Span {
    let free = bits(v6) - length;
    let more = if free == 128 { u128::MAX } else { (1 << free) - 1 };
    Span { v6, first, last: first + more }
}

/// The addresses a source stands for.
pub fn spans(source: Source) -> Vec<Span> {
    match parts(source) {
        None => vec![span(false, 0, 0), span(true, 0, 0)],
        Some((address, length)) => vec![span(address.is_ipv6(), number(address), length)],
    }
}

/// Whether a source means the world (product P2).
pub fn is_world(source: Source) -> bool {
    parts(source).is_none_or(|(address, length)| length < if address.is_ipv6() { 16 } else { 8 })
}

/// Its one address, if it has one.
pub fn only_one(source: Source) -> Option<IpAddr> {
    let (address, length) = parts(source)?;
    (length == bits(address.is_ipv6())).then_some(address)
}

/// Whether every address of `asked` is one of `allowed`.
pub fn covers(allowed: &[Span], asked: Span) -> bool {
    let mut allowed: Vec<&Span> = allowed.iter().filter(|span| span.v6 == asked.v6).collect();
    allowed.sort();
    let mut next = asked.first;
    for span in allowed {
        if span.first <= next && span.last >= next {
            if span.last >= asked.last {
                return true;
            }
            next = span.last + 1;
        }
    }
    false
}

/// How many addresses of a family the spans have together, each counted once; as much as fits.
pub fn width(spans: &[Span], v6: bool) -> u128 {
    let mut spans: Vec<&Span> = spans.iter().filter(|span| span.v6 == v6).collect();
    spans.sort();
    let (mut sum, mut from) = (0u128, Some(0u128));
    for span in spans {
        let Some(start) = from.map(|from| from.max(span.first)) else { break };
        if span.last >= start {
            sum = sum.saturating_add((span.last - start).saturating_add(1));
            from = span.last.checked_add(1);
        }
    }
    sum
}

/// The prefix that a source is towards an address of its family, as text.
pub fn texts(source: Source, address: IpAddr) -> Option<String> {
    match parts(source) {
        None => Some(if address.is_ipv6() { "::/0" } else { "0.0.0.0/0" }.to_owned()),
        Some((from, length)) => {
            (from.is_ipv6() == address.is_ipv6()).then(|| format!("{from}/{length}"))
        }
    }
}

/// An opening of a guard's, as text.
pub fn of_opening(opening: &Opening) -> String {
    format!("{} > {} {}", opening.source(), opening.address(), opening.port())
}
