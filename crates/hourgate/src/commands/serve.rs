//! `hourgate serve`: the server.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use crate::exit::{Exit, Failure};

/// Run the server
///
/// The first start writes admin.json into the data directory: what the first administrator signs in
/// with. As root it starts a guard on this machine, which outlives it. SIGTERM ends the server and leaves
/// every lock and every access as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate serve
  hourgate serve --config /etc/hourgate/config.toml --listen 0.0.0.0:8443 --listen '[::]:8443'
  hourgate serve --data-dir /tmp/try --listen 127.0.0.1:0 --no-guard")]
pub(crate) struct Serve {
    /// Its configuration: TOML; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept [default: /var/lib/hourgate for root, else below your state directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where it listens, may be given several times; port 0 picks one [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
    /// Do not start a guard on this machine: nothing is closed or opened until one is reached
    #[arg(long)]
    no_guard: bool,
    /// How it writes its log to stderr
    #[arg(long, value_name = "text|json", default_value = "text")]
    log_format: hourgate_server::logs::LogFormat,
}

/// Runs the server until it is told to stop.
pub(crate) fn run(args: Serve) -> Result<(), Failure> {
    hourgate_server::logs::init(args.log_format);
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Refused, format!("The server does not run: {error}."))
    };
    let options = hourgate_server::Options {
        config: args.config,
        data_dir: args.data_dir,
        listen: args.listen,
        no_guard: args.no_guard,
        ..hourgate_server::Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    runtime.block_on(hourgate_server::serve(options)).map_err(|error| failed(&error))
}
