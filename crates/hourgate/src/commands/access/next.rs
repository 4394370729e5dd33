//! What to type next, from which address and until when. Nothing here is text from others: addresses,
//! ports, times and ids are parsed before they are printed to be copied.

use std::net::IpAddr;

use hourgate_api::jit::{RequestPort, RequestResource};
use jiff::{Timestamp, Zoned};

use crate::{output::human, view};

/// Lines for below the table.
pub(super) fn lines(request: &RequestResource, is_own: bool, now: &Zoned) -> Vec<String> {
    let mut lines = Vec::new();
    for (vm, port) in request.ports() {
        let name = &vm.name;
        if view::is_over(port) {
            continue;
        }
        if view::is_planned(port) {
            let start = human::moment(request.start_time_utc.0, now);
            lines.push(format!("Planned: port {} of {name} opens at {start}.", port.number));
        } else if view::is_seen_open(port) {
            let from = from(port, is_own);
            let until = until(port.end_time_utc.0, now);
            lines
                .push(format!("Open: port {} of {name}, from {from}, until {until}.", port.number));
            if let Some(connect) = port.connect {
                lines.push(format!("  {}", command(port.number, connect.address, connect.port)));
            }
        }
    }
    match request.id {
        Some(id) if !lines.is_empty() => lines.push(format!("End it early: hourgate close {id}")),
        Some(_) | None => {}
    }
    lines
}

fn from(port: &RequestPort, is_own: bool) -> String {
    let source = view::source(port);
    if is_own { format!("{source} (yours, as the server saw it)") } else { source }
}

fn until(end: Timestamp, now: &Zoned) -> String {
    let left = hourgate_core::time::distance(now.timestamp(), end);
    format!("{}, {}", human::moment(end, now), human::length(left))
}

/// The command that goes with a port: ssh and RDP have one, others are an address and a port.
fn command(number: u16, address: IpAddr, port: u16) -> String {
    let with_port = std::net::SocketAddr::new(address, port);
    match (number, port) {
        (22, 22) => format!("ssh {address}"),
        (22, port) => format!("ssh -p {port} {address}"),
        (3389, 3389) if address.is_ipv4() => format!("mstsc /v:{address}"),
        (3389, _) => format!("mstsc /v:{with_port}"),
        (_, _) => with_port.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_command() {
        let v4: IpAddr = [10, 9, 0, 4].into();
        let v6: IpAddr = "fd00::4".parse().expect("an address");
        let rows = [
            (22, v4, 22, "ssh 10.9.0.4"),
            (22, v6, 22, "ssh fd00::4"),
            (22, v4, 40022, "ssh -p 40022 10.9.0.4"),
            (3389, v4, 3389, "mstsc /v:10.9.0.4"),
            (3389, v6, 3389, "mstsc /v:[fd00::4]:3389"),
            (443, v4, 443, "10.9.0.4:443"),
            (443, v6, 443, "[fd00::4]:443"),
        ];
        for (number, address, port, text) in rows {
            assert_eq!(command(number, address, port), text);
        }
    }
}
