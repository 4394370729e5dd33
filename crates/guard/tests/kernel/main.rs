//! The gate on the real kernel: namespaces and cables of the test's own, real packets.

#![allow(unreachable_pub, dead_code, reason = "one program of many files")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod agrees;
mod always;
mod doctor;
mod evasion;
mod gate;
mod gateway;
mod life;
mod outlook;
mod protocol;
mod scan;
mod screens;
mod sessions;
mod speed;
mod support;
mod taken_up;

/// The program of the guard, when this program is started as one.
#[test]
fn guard_process() {
    support::run_if_told();
}
