//! The decision table: one row per rule of the product, as *why, ask, answer*.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends where it does not hold"
)]

mod activation;
mod changes;
mod clocks;
mod concern;
mod directory;
mod echoes;
mod effect;
mod gate;
mod gateways;
mod groups;
mod holds;
mod jit_rules;
mod led;
mod locks;
mod machines;
mod makings;
#[path = "../nsg/naive.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the oracle of security groups, of which a part is asked here"
)]
mod naive;
mod names;
mod neighbours;
mod network;
mod numbers;
mod plans;
mod policies;
mod reach;
mod requests;
mod resource_life;
mod resources;
#[path = "../scene/mod.rs"]
mod scene;
mod sign_in;
mod sources;
mod two_families;
mod virtual_machines;
