//! What is closed before anything of ours runs: `floor.nft`, for `nft -f` at boot. Locks, no openings.
//!
//! It is also what the guard remembers: a lock that a flush took away while nobody watched comes back
//! from here. The file is replaced whole, so that a crash leaves the old one or the new one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
    net::IpAddr,
    path::{Path, PathBuf},
};

use hourgate_core::{
    network::{Family, Lock, Port, Sessions},
    nsg::port::PortRange,
};
use uuid::Uuid;

use crate::netlink::{SetOf, TABLE, digit};

/// The name of the file in the guard's directory.
pub(crate) const FILE: &str = "floor.nft";

/// What outlives the guard and the machine's running time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) installation: Option<Uuid>,
    pub(crate) locks: BTreeMap<Lock, Sessions>,
    /// Ports of public addresses that do not answer.
    pub(crate) silent: BTreeMap<IpAddr, PortRange>,
}

/// Where the floor of a guard is kept.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Replaces a file of the guard's directory whole, so that a crash leaves the old one or the new one.
pub(crate) fn replace(state_dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = state_dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, state_dir.join(name))?;
    File::open(state_dir)?.sync_all()
}

impl Floor {
    /// Reads what was written; nothing where nothing was.
    pub(crate) fn read(state_dir: &Path) -> io::Result<Floor> {
        match std::fs::read_to_string(path(state_dir)) {
            Ok(text) => Ok(Floor::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Floor::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it so that it survives a crash at any instruction.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        replace(state_dir, FILE, self.text().as_bytes())
    }

    fn parse(text: &str) -> Floor {
        let mut floor = Floor::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("#installation"), Some(id)) => floor.installation = id.parse().ok(),
                (Some("#lock"), Some(address)) => {
                    let port = words.next().and_then(|port| port.parse().ok()).and_then(Port::new);
                    let sessions = words.next().and_then(sessions);
                    if let (Ok(address), Some(port), Some(sessions)) =
                        (address.parse(), port, sessions)
                    {
                        floor.locks.insert(Lock { address, port }, sessions);
                    }
                }
                (Some("#silent"), Some(address)) => {
                    let ports = words.next().and_then(|ports| ports.parse().ok());
                    if let (Ok(address), Some(ports)) = (address.parse(), ports) {
                        floor.silent.insert(address, ports);
                    }
                }
                _ => {}
            }
        }
        floor
    }

    /// The file. Its comments are what `parse` reads, the rest is what `nft` reads.
    fn text(&self) -> String {
        let mut text = String::from(
            "#!/usr/sbin/nft -f\n\
             # Written by hourgate at each change of a lock. It closes what is locked until the guard runs.\n\
             # Neither openings nor standing exceptions are in it, and no rules of security groups: what is\n\
             # locked is closed to everybody, and everything else is as if Hourgate were not here.\n",
        );
        if let Some(installation) = self.installation {
            let _ = writeln!(text, "#installation {installation}");
        }
        for (lock, sessions) in &self.locks {
            let _ = writeln!(text, "#lock {} {} {}", lock.address, lock.port, word(*sessions));
        }
        for (address, ports) in &self.silent {
            let _ = writeln!(text, "#silent {address} {ports}");
        }
        // The first line makes sure that there is something to delete.
        let _ = writeln!(text, "table inet {TABLE}\ndelete table inet {TABLE}");
        let _ = writeln!(text, "table inet {TABLE} {{");
        let _ = writeln!(
            text,
            "\tset transports {{\n\t\ttype inet_proto\n\t\telements = {{ 6, 17, 33, 132, 136 }}\n\t}}"
        );
        for (family, kind) in [(Family::V4, "ipv4_addr"), (Family::V6, "ipv6_addr")] {
            for sessions in [Sessions::GoOn, Sessions::EndWithAccess] {
                self.set(&mut text, family, kind, sessions);
            }
        }
        if let Some(installation) = self.installation {
            let _ = writeln!(text, "\tchain installation_{} {{\n\t}}", installation.simple());
        }
        text.push_str(&chains());
        self.unanswered(&mut text);
        text.push_str("}\n");
        text
    }

    /// The ports that do not answer, as the guard has them.
    fn unanswered(&self, text: &mut String) {
        if self.silent.is_empty() {
            return;
        }
        let mut rules = String::new();
        for (family, kind, ip) in
            [(Family::V4, "ipv4_addr", "ip"), (Family::V6, "ipv6_addr", "ip6")]
        {
            let of = self.silent.iter().filter(|(address, _)| Family::of(**address) == family);
            let elements: Vec<_> =
                of.map(|(address, ports)| format!("{address} . {ports}")).collect();
            if elements.is_empty() {
                continue;
            }
            let name = SetOf::Silent(family);
            let elements = elements.join(",\n\t\t\t");
            let _ = write!(
                text,
                "\tset {name} {{\n\t\ttype {kind} . inet_service\n\t\tflags interval\n\
                 \t\telements = {{ {elements} }}\n\t}}\n"
            );
            let _ =
                writeln!(rules, "\t\tmeta l4proto @transports {ip} daddr . th dport @{name} drop");
        }
        let _ = write!(
            text,
            "\tchain unanswered {{\n\
             \t\ttype filter hook prerouting priority -90; policy accept;\n\
             \t\tct state established ct direction reply accept\n{rules}\t}}\n"
        );
    }

    fn set(&self, text: &mut String, family: Family, kind: &str, sessions: Sessions) {
        let name = SetOf::Locks(family, sessions);
        let _ = writeln!(text, "\tset {name} {{\n\t\ttype {kind} . inet_service");
        let locks = self
            .locks
            .iter()
            .filter(|(lock, has)| **has == sessions && Family::of(lock.address) == family);
        let elements: Vec<_> =
            locks.map(|(lock, _)| format!("{} . {}", lock.address, lock.port)).collect();
        if !elements.is_empty() {
            let _ = writeln!(text, "\t\telements = {{ {} }}", elements.join(",\n\t\t\t"));
        }
        text.push_str("\t}\n");
    }
}

/// The chains, as the guard makes them, but without openings.
fn chains() -> String {
    let mut text = String::new();
    for (family, ip) in [(Family::V4, "ip"), (Family::V6, "ip6")] {
        let n = digit(family);
        let _ = write!(
            text,
            "\tchain going{n} {{\n\
             \t\ttcp flags & syn == 0 ct state established ct direction original accept\n\
             \t\tmeta l4proto != tcp ct state established ct direction original accept\n\
             \t\tdrop\n\t}}\n\
             \tchain ending{n} {{\n\
             \t\tmeta l4proto tcp ct state established reject with tcp reset\n\
             \t\tdrop\n\t}}\n\
             \tchain replies{n} {{\n\
             \t\tmeta l4proto tcp reject with tcp reset\n\t}}\n\
             \tchain judge{n} {{\n\
             \t\t{ip} daddr . th dport @ending{n} goto ending{n}\n\
             \t\t{ip} daddr . th dport @going{n} goto going{n}\n\
             \t\tmeta l4proto tcp {ip} saddr . th sport @ending{n} goto replies{n}\n\t}}\n"
        );
    }
    text.push_str(
        "\tchain judge {\n\
         \t\tmeta l4proto != @transports return\n\
         \t\tmeta nfproto ipv4 goto judge4\n\
         \t\tmeta nfproto ipv6 goto judge6\n\t}\n",
    );
    for (hook, resets) in [
        ("input", "\t\tiifname \"lo\" tcp flags & (fin | syn | rst) == rst accept\n"),
        ("forward", ""),
        ("output", "\t\ttcp flags & (fin | syn | rst) == rst accept\n"),
    ] {
        let _ = write!(
            text,
            "\tchain {hook} {{\n\
             \t\ttype filter hook {hook} priority -10; policy accept;\n\
             {resets}\t\tjump judge\n\t}}\n"
        );
    }
    text
}

fn word(sessions: Sessions) -> &'static str {
    match sessions {
        Sessions::GoOn => "go-on",
        Sessions::EndWithAccess => "end-with-access",
    }
}

fn sessions(word: &str) -> Option<Sessions> {
    match word {
        "go-on" => Some(Sessions::GoOn),
        "end-with-access" => Some(Sessions::EndWithAccess),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_garbage_is_not_believed() {
        let lock = |address: &str, port| Lock {
            address: address.parse().unwrap(),
            port: Port::new(port).unwrap(),
        };
        let floor = Floor {
            installation: Some(Uuid::from_u128(7)),
            locks: BTreeMap::from([
                (lock("10.0.0.4", 22), Sessions::GoOn),
                (lock("2001:db8::4", 3389), Sessions::EndWithAccess),
            ]),
            silent: BTreeMap::from([(
                "198.51.100.1".parse().unwrap(),
                PortRange::new(50_000, 50_999).unwrap(),
            )]),
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Floor::read(dir.path()).unwrap(), Floor::default());
        floor.write(dir.path()).unwrap();
        assert_eq!(Floor::read(dir.path()).unwrap(), floor);
        assert_eq!(
            Floor::parse(
                "#lock x 22 go-on\n#lock 10.0.0.1 0 go-on\n#lock\n#silent x 1-2\n#silent 10.0.0.1 2-1"
            ),
            Floor::default()
        );
    }
}
