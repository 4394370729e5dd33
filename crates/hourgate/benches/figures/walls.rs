//! What rules of security groups cost on the whole way: from an edit to the first packet that meets it, and
//! to a packet that goes through a chain of a hundred.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde_json::{Value, json};

use crate::{
    Outcome,
    api::{Admin, Fleet},
    clock::{Wall, millis, steady},
    crowd::PacketCost,
    lab::{Host, Lab},
    opening::Knocker,
    probe::{Datagram, Prober},
    sample::Samples,
    site::source,
};

/// How many groups there are, and how many rules each has.
pub(crate) const GROUPS: u32 = 200;
const RULES: u16 = 100;
/// The port that the last rule of each group lets everybody through to.
const OPEN_TO_ALL: u16 = 53;
/// Ports of edits: each opens one that was closed.
const EDITED: u16 = 20_000;
/// Sources from here on are never asked for.
const STRANGERS: u32 = 128_000;
/// From one edit to the next, so that each is measured by itself.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// How many packets a batch has, and how many flows it goes round.
const BATCH: u32 = 4_000;
const FLOWS: u32 = 1_000;
/// The ports that flows come from: those that stand, and those that always begin.
const STANDING: u16 = 41_000;
const BEGINNING: u16 = 42_000;

/// Makes the network, and so many groups of a hundred rules: most fit nothing that is sent here, the last
/// lets everybody through to one port.
pub(crate) async fn build(admin: &mut Admin) -> Outcome<()> {
    network(admin, None).await?;
    for n in 0..GROUPS {
        let mut rules: Vec<Value> = (0..RULES - 2).map(|rule| misses(n, rule)).collect();
        rules.push(allows("last", 4_000, "*", OPEN_TO_ALL));
        rules.push(edit(EDITED - 1));
        group(admin, &format!("walls-{n}"), &rules).await?;
    }
    Ok(())
}

/// Puts each address of a fleet behind one of so many groups: by the interface that was made for its machine, or
/// by one of that name where no machine is known.
pub(crate) async fn join(admin: &mut Admin, fleet: Fleet, groups: u32) -> Outcome<()> {
    for n in 0..fleet.size {
        let ip = json!({
            "privateIPAddress": (fleet.address)(n).to_string(),
            "privateIPAllocationMethod": "Static",
            "subnet": {"id": admin.network(&"virtualNetworks/walls/subnets/all")},
        });
        let nic = json!({"location": "local", "properties": {
            "ipConfigurations": [{"name": "ip", "properties": ip}],
            "networkSecurityGroup":
                {"id": admin.network(&format!("networkSecurityGroups/walls-{}", n % groups))},
        }});
        let path = admin.interface(fleet, n);
        admin.set(&path, &nic).await?;
    }
    Ok(())
}

/// Milliseconds from sending the change of a rule of the first group until the first SYN that it lets
/// through. `first` counts the edits that were made before.
pub(crate) async fn edits(
    admin: &mut Admin,
    knocker: &Knocker,
    to: Ipv4Addr,
    (first, count): (u16, u16),
) -> Outcome<Samples> {
    let path = admin.network(&"networkSecurityGroups/walls-0/securityRules/edited");
    let mut took = Vec::new();
    for n in first..first + count {
        let body = edit(EDITED + n);
        knocker.begin_at(source(STRANGERS), SocketAddrV4::new(to, EDITED + n))?;
        let sent = Wall::now();
        admin.set(&path, &body).await?;
        took.push(knocker.opened()? - sent);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Samples::of(took))
}

/// Milliseconds from sending the change of the network's addresses until the first SYN that it lets through:
/// each group's default rules name them, so all chains are made anew.
pub(crate) async fn renumbered(
    admin: &mut Admin,
    knocker: &Knocker,
    to: Ipv4Addr,
    (first, count): (u8, u8),
) -> Outcome<Samples> {
    let mut took = Vec::new();
    for n in first..first + count {
        // 198.19.254.0/24 is among the strangers' addresses, and so is what lies in it.
        let prefix = Ipv4Addr::new(198, 19, 254, 8 * n);
        let from = Ipv4Addr::new(198, 19, 254, 8 * n + 1);
        knocker.begin_at(from, SocketAddrV4::new(to, 8_080))?;
        let sent = Wall::now();
        network(admin, Some(&format!("{prefix}/29"))).await?;
        took.push(knocker.opened()? - sent);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Samples::of(took))
}

/// Packets to machines behind groups, over UDP to the port that everybody may reach.
pub(crate) struct Walled {
    prober: Prober,
    /// Of flows that stand: the machine has answered.
    standing: Vec<Datagram>,
    /// Of flows that nobody answered: each packet is a flow's first.
    first: Vec<Datagram>,
}

impl Walled {
    pub(crate) fn new(lab: &Lab, fleet: Fleet) -> Outcome<Walled> {
        let prober = lab.inside(Host::Client, Prober::new)??;
        let flow = |n: u32, port: u16| Datagram {
            from: SocketAddrV4::new(source(STRANGERS + n), port),
            to: SocketAddrV4::new((fleet.address)(n % fleet.size), OPEN_TO_ALL),
        };
        let standing: Vec<Datagram> = (0..FLOWS).map(|n| flow(n, STANDING)).collect();
        let first = (0..FLOWS).map(|n| flow(n, BEGINNING)).collect();
        let walled = Walled { prober, standing, first };
        walled.answer(lab)?;
        Ok(walled)
    }

    /// Has the machines answer the flows that shall stand.
    fn answer(&self, lab: &Lab) -> Outcome<()> {
        let back = lab.inside(Host::Vm, Prober::new)??;
        for datagram in &self.standing {
            self.prober.send_datagram(datagram)?;
            back.send_datagram(&Datagram { from: datagram.to, to: datagram.from })?;
        }
        Ok(())
    }

    /// Nanoseconds that a packet takes, of those.
    fn batch(&self, datagrams: &[Datagram]) -> Outcome<f64> {
        let began = steady();
        for datagram in datagrams.iter().cycle().take(BATCH as usize) {
            self.prober.send_datagram(datagram)?;
        }
        Ok(millis(steady() - began) * 1e6 / f64::from(BATCH))
    }
}

/// What the first packet of a flow costs through the chains of one gate and of another, and what a later.
pub(crate) struct Costs {
    pub(crate) first: PacketCost,
    pub(crate) established: PacketCost,
}

/// Sends batches through two gates in turn.
pub(crate) fn compare(hundred: &Walled, empty: &Walled, batches: usize) -> Outcome<Costs> {
    let measure = |of: fn(&Walled) -> &[Datagram]| -> Outcome<PacketCost> {
        let (mut at_hundred, mut at_empty) = (Vec::new(), Vec::new());
        for turn in 0..batches + 2 {
            let (first, second) = if turn % 2 == 0 { (hundred, empty) } else { (empty, hundred) };
            let (a, b) = (first.batch(of(first))?, second.batch(of(second))?);
            // The first two warm the caches.
            if turn >= 2 {
                let (h, e) = if turn % 2 == 0 { (a, b) } else { (b, a) };
                at_hundred.push(h);
                at_empty.push(e);
            }
        }
        Ok(PacketCost { crowd: Samples::of(at_hundred), none: Samples::of(at_empty) })
    };
    Ok(Costs { first: measure(|w| &w.first)?, established: measure(|w| &w.standing)? })
}

async fn network(admin: &mut Admin, more: Option<&str>) -> Outcome<()> {
    let space: Vec<&str> = ["10.0.0.0/8"].into_iter().chain(more).collect();
    let subnet = json!({"name": "all", "properties": {"addressPrefix": "10.0.0.0/8"}});
    let body = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": space}, "subnets": [subnet],
    }});
    let path = admin.network(&"virtualNetworks/walls");
    admin.set(&path, &body).await
}

async fn group(admin: &mut Admin, name: &str, rules: &[Value]) -> Outcome<()> {
    let body = json!({"location": "local", "properties": {"securityRules": rules}});
    let path = admin.network(&format!("networkSecurityGroups/{name}"));
    admin.set(&path, &body).await
}

/// A rule that fits nothing that is sent here, and no two alike.
fn misses(group: u32, n: u16) -> Value {
    let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + group * 128 + u32::from(n));
    let access = if n.is_multiple_of(3) { "Deny" } else { "Allow" };
    let protocol = ["Tcp", "Udp", "*"][usize::from(n % 3)];
    rule(&format!("r{n}"), 200 + n, access, protocol, (&from.to_string(), &(1_000 + n).to_string()))
}

fn allows(name: &str, priority: u16, protocol: &str, port: u16) -> Value {
    rule(name, priority, "Allow", protocol, ("*", &port.to_string()))
}

fn edit(port: u16) -> Value {
    allows("edited", 4_001, "Tcp", port)
}

fn rule(
    name: &str,
    priority: u16,
    access: &str,
    protocol: &str,
    (from, port): (&str, &str),
) -> Value {
    json!({"name": name, "properties": {
        "protocol": protocol, "access": access, "direction": "Inbound", "priority": priority,
        "sourceAddressPrefix": from, "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": port,
    }})
}
