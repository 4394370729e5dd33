//! The decision table: one row per rule of the product, as *why, ask, answer*.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends where it does not hold"
)]

mod changes;
mod clocks;
mod concern;
mod effect;
mod gate;
mod gateways;
mod jit_rules;
mod locks;
mod machines;
mod network;
mod policies;
mod reach;
mod requests;
mod resource_life;
mod resources;
#[path = "../scene/mod.rs"]
mod scene;
mod sources;
