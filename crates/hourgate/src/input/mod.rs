//! What people type, as values: durations, times, ports, sources.

pub(crate) mod duration;
pub(crate) mod network;
pub(crate) mod start;
