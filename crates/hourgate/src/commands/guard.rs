//! `hourgate guard`: the guard itself, and what is done to a machine that has or had one.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Subcommand};
use hourgate_core::network::{Family, Lock};
use hourgate_guard::doctor::{Finding, Severity};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::{
    agree::{self, Question},
    cli::Global,
    exit::{Exit, Failure},
    input::network,
    output::{Answer, Output, Table},
    profile,
};

/// How many ports are listed before it is asked whether they may open; the rest are counted.
const LISTED_MAX: usize = 50;

/// Run the guard: the one process that may change the firewall
///
/// Takes what must be closed and open from the server over a unix socket, and goes on without it. It
/// needs CAP_NET_ADMIN. SIGTERM leaves every lock and every access as it is.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hourgate guard --socket /run/hourgate/guard.sock --state-dir /var/lib/hourgate/guard --covers 10.0.0.0/8
  hourgate guard doctor
  hourgate guard remove"
)]
pub(crate) struct Guard {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Args)]
struct Run {
    /// The unix socket it listens on [default: guard.sock in the default data directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where it keeps floor.nft [default: guard in the default data directory]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The addresses it may lock [default: every address]
    #[arg(
        long,
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::prefix
    )]
    covers: Vec<IpNet>,
    /// A user who may talk to it, besides root and its own
    #[arg(long = "allow-uid", value_name = "UID")]
    allow_uids: Vec<u32>,
    /// How it writes its log
    #[arg(long, value_name = "text|json", default_value = "text")]
    log_format: hourgate_server::logs::LogFormat,
}

#[derive(Debug, Subcommand)]
enum Action {
    Remove(Remove),
    /// What on this machine would void the gate; exit code 5 if something does
    #[command(after_help = "\
Examples:
  sudo hourgate guard doctor
  hourgate guard doctor -o json")]
    Doctor,
}

/// Open everything that the guard keeps closed here, and forget it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate guard remove                             asks, after it has said which ports that opens
  hourgate guard remove --yes")]
struct Remove {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Where the guard keeps floor.nft [default: guard in the default data directory]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Does what was typed behind `guard`.
pub(crate) fn run(global: Global, args: Guard) -> Result<(), Failure> {
    match args.action {
        Some(Action::Remove(args)) => remove(global, args),
        Some(Action::Doctor) => doctor(global),
        None => serve(args.run),
    }
}

fn serve(args: Run) -> Result<(), Failure> {
    hourgate_server::logs::init(args.log_format);
    let state_dir = state_dir(args.state_dir)?;
    let socket = match (args.socket, profile::data_dir()) {
        (Some(socket), _) => socket,
        (None, Some(dir)) => dir.join("guard.sock"),
        (None, None) => return Err(Failure::usage("Name a socket with --socket.")),
    };
    let covers =
        if args.covers.is_empty() { vec![Family::V4.all(), Family::V6.all()] } else { args.covers };
    let config = hourgate_guard::Config { socket, state_dir, covers, allow_uids: args.allow_uids };
    hourgate_guard::run(&config).map_err(|error| {
        Failure::new(Exit::Refused, format!("The guard does not run: {error}."))
            .advise("What it closed before stays closed. `hourgate guard doctor` looks for causes.")
    })
}

fn remove(global: Global, args: Remove) -> Result<(), Failure> {
    let failed = |error: hourgate_guard::remove::RemoveError| {
        Failure::new(Exit::Refused, format!("Nothing was taken away: {error}."))
    };
    let state_dir = state_dir(args.state_dir)?;
    let would_open = hourgate_guard::remove::would_open(&state_dir).map_err(failed)?;
    if !args.yes {
        ask(&would_open)?;
    }
    let opened = hourgate_guard::remove::remove(&state_dir).map_err(failed)?;
    let mut table = Table::new(["ADDRESS", "PORT", "NOW"]);
    for lock in &opened {
        table.row([lock.address.to_string(), lock.port.to_string(), "open".to_owned()]);
    }
    let answer = Answer::new(json!(opened), table)
        .then(vec![format!("{} ports are no longer kept closed here.", opened.len())]);
    Output::new(global.output, global.query).show(&answer)
}

/// Shows what on this machine would void the gate.
fn doctor(global: Global) -> Result<(), Failure> {
    let findings = hourgate_guard::doctor::doctor();
    let mut table = Table::new(["SEVERITY", "WHAT", "WHY", "CURE"]);
    let mut values = Vec::new();
    for Finding { severity, what, why, cure } in &findings {
        let severity = match severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        values.push(json!({ "severity": severity, "what": what, "why": why, "cure": cure }));
        table.row([severity.to_owned(), what.clone(), why.clone(), cure.clone()]);
    }
    let next = match findings.is_empty() {
        true => vec!["Nothing on this machine voids the gate.".to_owned()],
        false => Vec::new(),
    };
    let answer = Answer::new(Value::Array(values), table).then(next);
    Output::new(global.output, global.query).show(&answer)?;
    match findings.iter().any(|finding| finding.severity == Severity::Critical) {
        true => Err(Failure::new(Exit::Drift, "Something on this machine voids the gate.")),
        false => Ok(()),
    }
}

/// Says which ports would open, and goes on only if somebody at a terminal says yes.
fn ask(would_open: &BTreeSet<Lock>) -> Result<(), Failure> {
    let named = would_open.iter().take(LISTED_MAX);
    let mut lines: Vec<String> =
        named.map(|lock| format!("port {} of {}", lock.port, lock.address)).collect();
    if would_open.len() > LISTED_MAX {
        lines.push(format!("and {} more", would_open.len() - LISTED_MAX));
    }
    let (what, otherwise) = ("This opens ports, from everywhere", "Nothing was taken away.");
    agree::ask(Question { what, lines, otherwise })
}

fn state_dir(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    // Where a server has its local guard keep it.
    let usual = || Some(profile::data_dir()?.join("guard"));
    named.or_else(usual).ok_or_else(|| {
        Failure::usage("Neither HOME nor XDG_STATE_HOME is set: name a directory with --state-dir.")
    })
}
