//! The random life: random days under the rules, each step held against the naive oracle; and the proof
//! that it would notice if a rule were broken.
//!
//! One number replays a life: `LIFE_SEED=17 cargo test -p hourgate-core --test life`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends where it does not hold"
)]
#![allow(unreachable_pub, reason = "modules of one test binary")]

mod choices;
mod days;
mod gate;
mod mutants;
#[path = "../oracle/mod.rs"]
mod oracle;
mod people;
mod rules;
#[path = "../scene/mod.rs"]
mod scene;

use days::live;
use rules::Real;

/// How many lives the rules themselves are led through.
const LIVES: u64 = 400;
/// How many lives a broken rule may go unnoticed.
const LIVES_OF_A_MUTANT: u64 = LIVES;

#[test]
fn random_lives_agree_with_the_oracle() {
    let seeds = match std::env::var("LIFE_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("LIFE_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..LIVES,
    };
    let mut told = days::Told::default();
    for seed in seeds.clone() {
        if let Err(wrong) = live(&Real, seed, &mut told) {
            panic!("LIFE_SEED={seed}: {wrong}");
        }
    }
    if seeds.end - seeds.start == LIVES {
        told.has_seen_enough();
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let mutants = mutants::all();
    assert!(mutants.len() >= 16);
    let mut unnoticed = Vec::new();
    for mutant in mutants {
        let mut told = days::Told::default();
        let noticed = (0..LIVES_OF_A_MUTANT)
            .find_map(|seed| Some((seed, live(mutant.as_ref(), seed, &mut told).err()?)));
        match noticed {
            Some((seed, wrong)) => {
                let wrong = wrong.lines().next().unwrap_or_default();
                println!("{}: noticed in life {seed}: {wrong}", mutant.name());
            }
            None => unnoticed.push(mutant.name()),
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed: {unnoticed:?}");
}
