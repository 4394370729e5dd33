//! What it costs to ask a security group of a thousand rules about one flow.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
};

use hourgate_core::nsg::{
    flow::{Carried, Flow, Transport},
    group::SecurityGroup,
    judge::{Layers, judge},
    rule::{RuleDraft, SecurityRule},
    surroundings::Surroundings,
    word::Direction,
};

use crate::{
    Outcome,
    clock::{millis, steady},
    sample::Samples,
};

/// How often a group is asked for one sample.
const ASKED: u32 = 2_000;
/// How many samples of each group.
const SAMPLES: u32 = 25;
/// An application security group, without its number.
const NAMED: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/bench\
                     /providers/Microsoft.Network/applicationSecurityGroups/named-";
/// How many rules: as many as Azure lets a group have.
const RULES: u16 = 1_000;

/// The rule of a number.
type Draft = fn(u16) -> RuleDraft;

/// Microseconds a flow takes, by what tells the rules apart. None of them fits, so all are passed over.
pub(crate) fn flows() -> Outcome<Vec<(&'static str, Samples)>> {
    let kinds: [(&str, Draft); 9] = [
        ("ports", |n| rule(n, "*", "*", &(n + 1_000).to_string())),
        ("machines", |n| rule(n, "*", &format!("10.9.{}.{}", n / 256, n % 256), "22")),
        ("sources", |n| rule(n, &format!("10.{}.{}.0/24", n / 256, n % 256), "*", "22")),
        ("two sources", |n| {
            let mut rule = rule(n, "9.0.0.0/24", "*", "22");
            rule.sources.push(format!("130.{}.{}.0/24", n / 256, n % 256));
            rule
        }),
        ("a tag", |n| rule(n, "AzureLoadBalancer", "*", "22")),
        ("a group of machines", |n| rule(n, &format!("{NAMED}{}", n % 20), "*", "22")),
        // As many places and ranges as a group may name, all of them apart.
        ("four of everything", |n| {
            let mut rule = rule(n, "*", "*", "22");
            let four = |from: u16| {
                (0..4).map(move |i| format!("{from}.{}.{}.0/24", n / 64, n % 64 * 4 + i))
            };
            (rule.sources, rule.destinations) = (four(11).collect(), four(10).collect());
            let ports = |from: u16| (0..4).map(move |i| (from + n * 4 + i).to_string());
            (rule.source_ports, rule.destination_ports) =
                (ports(50_001).collect(), ports(23).collect());
            rule
        }),
        // The groups that both ends are in, and others that they are not in.
        ("four groups of machines", |n| {
            let mut rule = rule(n, "*", "*", "22");
            let others = (0..3).map(|i| format!("{NAMED}{}", 100 + n * 3 + i));
            rule.sources = others.chain([format!("{NAMED}{}", n % 20)]).collect();
            rule
        }),
        // Each names all the ones before it.
        ("prefixes in prefixes", |n| {
            let length = 8 + n % 24;
            let first = u32::from_be_bytes([203, 0, 113, 7]) & (u32::MAX << (32 - length));
            rule(n, &format!("{}/{length}", Ipv4Addr::from(first)), "*", "23")
        }),
    ];
    let network = "10.0.0.0/16".parse()?;
    let named: Result<Vec<_>, _> = (0..20).map(|n| format!("{NAMED}{n}").parse()).collect();
    let named = named.map_err(|_| "no id of a group of machines")?;
    let members = |n: u8| vec![IpAddr::from([10, 0, 1, n])];
    let named = named.into_iter().zip(0..).map(|(id, n)| (id, members(n)));
    let around = Surroundings::new([network], [], named);
    let (source, destination) = (IpAddr::from([203, 0, 113, 7]), IpAddr::from([10, 0, 0, 4]));
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 22 };
    let flow = Flow::new(source, destination, carried).ok_or("no flow")?;
    let mut figures = Vec::new();
    for (kind, draft) in kinds {
        let group = group(draft)?;
        let layers = Layers { subnet: None, nic: Some(&group) };
        let ask = || {
            for _ in 0..ASKED {
                let (layers, flow) = (black_box(layers), black_box(&flow));
                black_box(judge(layers, Direction::Inbound, flow, &around).access);
            }
        };
        let samples = (0..SAMPLES).map(|_| {
            let began = steady();
            ask();
            millis(steady() - began) * 1_000.0 / f64::from(ASKED)
        });
        figures.push((kind, Samples::of(samples)));
    }
    Ok(figures)
}

fn group(draft: Draft) -> Outcome<SecurityGroup> {
    let id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/bench\
              /providers/Microsoft.Network/networkSecurityGroups/thousand";
    let id = id.parse().map_err(|_| "no id of a group")?;
    let rules: Result<Vec<SecurityRule>, _> =
        (0..RULES).map(|n| SecurityRule::new(&draft(n))).collect();
    let rules = rules.map_err(|faults| format!("no rule: {faults:?}"))?;
    Ok(SecurityGroup::new(id, rules).map_err(|faults| format!("no group: {faults:?}"))?)
}

fn rule(n: u16, source: &str, destination: &str, port: &str) -> RuleDraft {
    let one = |text: &str| vec![text.to_owned()];
    RuleDraft {
        name: format!("rule-{n}"),
        description: None,
        priority: i64::from(n) + 100,
        direction: "Inbound".to_owned(),
        access: "Allow".to_owned(),
        protocol: "Tcp".to_owned(),
        sources: one(source),
        source_ports: one("*"),
        destinations: one(destination),
        destination_ports: one(port),
    }
}
