//! The decision table: one row per rule of the product, as *why, ask, answer*.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends where it does not hold"
)]

mod changes;
mod clocks;
mod gate;
mod machines;
mod policies;
mod requests;
#[path = "../scene/mod.rs"]
mod scene;
mod sources;
