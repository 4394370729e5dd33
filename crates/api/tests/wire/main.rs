//! The wire, held against what Azure publishes, what was recorded of it, and what people get wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test sets up holds, or the test fails"
)]

mod answers;
mod bad_bodies;
mod locks;
mod paths;
mod random;
mod refusals;
mod unread;
mod unseen;
mod world;
