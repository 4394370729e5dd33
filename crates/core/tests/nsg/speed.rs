//! How long one flow takes through a thousand rules. Read in a release build:
//! `cargo test --release -p hourgate-core --test nsg -- --ignored --nocapture`.

use std::{hint::black_box, time::Duration};

use hourgate_core::nsg::{group::SecurityGroup, judge::judge, passing::passing, word::Direction};

use crate::scene::*;

/// Groups of a thousand rules of which none matches, and in what the rules differ or have alike.
fn groups() -> Vec<(&'static str, SecurityGroup)> {
    let of = |rest: fn(u16) -> String| {
        // Without 22 in the first thousand ports.
        let lines: Vec<String> =
            (0..1_000).map(|n| format!("r{n} {} {}", n + 100, rest(n + 23))).collect();
        group("nic", &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    vec![
        ("ports differ", of(|n| format!("Allow Tcp * > *@{}", n + 1_000))),
        ("machines differ", of(|n| format!("Allow Tcp * > 10.9.{}.{}@22", n / 256, n % 256))),
        ("sources differ", of(|n| format!("Allow Tcp 10.{}.{}.0/24 > *@22", n / 256, n % 256))),
        ("the machine's own", of(|n| format!("Allow Tcp 203.0.113.0/24@{n} > 10.0.0.4@22"))),
        ("machines of one /64 differ", of(|n| format!("Allow Tcp * > fd00::9:{n:x}@22"))),
        (
            "two sources far apart",
            of(|n| format!("Allow Tcp 9.0.0.0/24,230.{}.{}.0/24 > *@22", n / 256, n % 256)),
        ),
        ("two ports far apart", of(|n| format!("Allow Tcp * > *@{},{}", n % 20, n + 1_000))),
        ("a tag", of(|_| "Deny Tcp AzureLoadBalancer > *".to_owned())),
        ("an application security group", of(|_| "Deny Tcp asg:jump > *".to_owned())),
    ]
}

#[test]
#[ignore = "a measurement: it is read, and holds nothing"]
fn one_flow_through_a_thousand_rules() {
    let around = surroundings();
    for (what, nic) in groups() {
        let flow = match what.contains("/64") {
            true => tcp("2001:db8::7", "fd00::4", 22),
            false => tcp("203.0.113.7", "10.0.0.4", 22),
        };
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
