//! How a client that holds no secret gets tokens: with a code that somebody types elsewhere, or by a browser.
//!
//! Nothing here reads a clock or makes anything random: time and secrets are arguments.

mod client;
mod code;
mod device;

pub(crate) use self::{
    client::{Client, Redirect},
    code::{Challenge, Code, Codes, Redeemed},
    device::{Asking, DEVICE_LIFE, Devices, INTERVAL, Polled, UserCode},
};
