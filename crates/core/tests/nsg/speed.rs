//! How long one flow takes through a thousand rules. Read in a release build:
//! `cargo test --release -p hourgate-core --test nsg -- --ignored --nocapture`.

use std::{hint::black_box, time::Duration};

use hourgate_core::nsg::{group::SecurityGroup, judge::judge, passing::passing, word::Direction};

use crate::scene::*;

/// Groups of a thousand rules of which the last matches, and what makes them hard.
fn groups() -> Vec<(&'static str, SecurityGroup)> {
    let of = |line: fn(u16) -> String| {
        let lines: Vec<String> = (0..1_000).map(line).collect();
        group("nic", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let source = |n: u16| format!("10.{}.{}.0/24", n / 256, n % 256);
    vec![
        ("ports differ", of(|n| format!("r{n} {} Allow Tcp * > *@{}", n + 100, n + 1_000))),
        (
            "machines differ",
            of(|n| format!("r{n} {} Allow Tcp * > 10.9.{}.{}@22", n + 100, n / 256, n % 256)),
        ),
        ("sources differ", {
            let lines: Vec<String> = (0..1_000)
                .map(|n| format!("r{n} {} Allow Tcp {} > *@22", n + 100, source(n)))
                .collect();
            group("nic", &lines.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        (
            "the machine's own rules",
            of(|n| format!("r{n} {} Allow Tcp 203.0.113.0/24@{n} > 10.0.0.4@22", n + 100)),
        ),
        (
            "every rule is read: two sources far apart",
            of(|n| {
                format!(
                    "r{n} {} Allow Tcp 9.0.0.0/24,130.{}.{}.0/24 > *@22",
                    n + 100,
                    n / 256,
                    n % 256
                )
            }),
        ),
        (
            "every rule is read: a tag",
            of(|n| format!("r{n} {} Deny Tcp AzureLoadBalancer > *", n + 100)),
        ),
        (
            "every rule is read: an application security group",
            of(|n| format!("r{n} {} Deny Tcp asg:jump > *", n + 100)),
        ),
    ]
}

#[test]
#[ignore = "a measurement: it is read, and holds nothing"]
fn one_flow_through_a_thousand_rules() {
    let around = surroundings();
    let flow = tcp("203.0.113.7", "10.0.0.4", 22);
    for (what, nic) in groups() {
        let judged = took(10_000, || {
            judge(
                layers(None, Some(black_box(&nic))),
                Direction::Inbound,
                black_box(&flow),
                &around,
            )
            .by
            .is_some()
        });
        let region = took(10, || {
            passing(layers(None, Some(black_box(&nic))), &around, lock("10.0.0.4", 22)).is_empty()
        });
        println!("{what}: judge {judged:?}, every flow at once {region:?}");
    }
}

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn took(times: u32, mut what: impl FnMut() -> bool) -> Duration {
    let began = std::time::Instant::now();
    for _ in 0..times {
        black_box(what());
    }
    began.elapsed() / times
}
