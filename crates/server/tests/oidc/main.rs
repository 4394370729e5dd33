//! Who somebody is by another's word: providers that were made up to do harm, and a certified one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod authority;
mod fake;
mod real;
mod signer;
mod world;

mod bearer;
mod code;
mod configured;
mod down;
mod led_astray;
mod rotation;
mod with_real;
