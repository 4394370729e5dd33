//! Security groups: tables with one row per rule of the product, and random groups against a naive oracle.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends where it does not hold"
)]
#![allow(unreachable_pub, reason = "modules of one test binary")]

mod bands;
mod drafts;
mod edits;
mod effects;
mod groups;
mod judging;
mod lockdowns;
mod naive;
mod random;
mod regions;
mod scene;
mod screens;
mod tags;
