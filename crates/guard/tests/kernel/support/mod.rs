//! A client, a gateway with the guard under test, and a VM, each in a network namespace of its own.

pub mod chance;
pub mod flood;
mod guarded;
mod net;
mod probes;

pub use guarded::{Guarded, Process, desired, lock, opening, process, run_if_told};
pub use net::{CLIENT, CLIENT_2, CLIENT6, Net, VM, VM_2, VM6, within};
pub use probes::{
    Answer, Session, connect, eventually, icmp, is_reset, listen, nap, probe, probe_from, raw_tcp,
    raw_transport, server_sees, udp,
};
