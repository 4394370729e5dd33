//! The gate: the one process that may change the firewall.
//!
//! `process` runs it, `serve` speaks the protocol, `nftables` keeps the promise on the kernel, and
//! `netlink` is the only module that knows how the kernel is talked to.

pub mod process;
pub mod serve;

pub mod nftables;

pub mod clock;
pub mod doctor;
pub mod frames;
pub mod remove;

mod floor;
mod mirror;
mod netlink;
mod refusals;
mod remembered;
mod screened;
mod sessions;
mod translated;

pub use nftables::{Features, Nftables, Settings, StartError};
pub use process::{Config, RunError, run};
pub use serve::{Door, Served, Shown, serve};
