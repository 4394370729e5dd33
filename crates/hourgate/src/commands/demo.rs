//! `hourgate demo`: the main job, on this machine.

use clap::Args;

use crate::{cli::Global, demo, exit::Failure, output::Format};

/// See it work, with real packets, in less than a minute
///
/// As root on Linux it makes three network namespaces (a client, a gateway, a machine), runs server and
/// guard on the gateway, and watches ports open and close. Everything it made is taken away at the end.
/// Where it may not make namespaces it tells the same story on a fake guard, and says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate demo
  hourgate demo --stay            leave all of it running, to try things
  hourgate demo -o json | tail -1 what was measured, for a program")]
pub(crate) struct Demo {
    /// Leave the namespaces and the server running, and say how to use them
    #[arg(long)]
    stay: bool,
}

/// Fails if one step of the story does not hold.
pub(crate) fn run(global: &Global, args: &Demo) -> Result<(), Failure> {
    demo::run(global.output == Some(Format::Json), args.stay)
}
