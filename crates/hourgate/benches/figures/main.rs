//! Takes the figures that Hourgate promises, on this machine, with real packets, and prints one table.
//!
//! `./bench` runs it; `docs/benchmarks.md` tells how each figure is taken. It exits with 1 if a promised
//! figure is missed. Everything it makes lies in namespaces of its own and one folder, and is gone after.

mod clock;
mod machine;
mod sample;

#[allow(dead_code, reason = "the demo's lab, of which the bench needs a part")]
#[path = "../../src/demo/lab.rs"]
mod lab;
mod site;

mod api;
mod http;
mod probe;

mod closing;
mod crowd;
mod limits;
mod load;
mod opening;
mod peer;
mod rules;
mod walls;

mod figures;
mod table;

use std::{error::Error, path::PathBuf, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};

/// What happened, or why no figure can be told.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What the namespaces of each lab begin with.
pub(crate) const LABS: [&str; 5] =
    ["hourgate-bench", "hourgate-none", "hourgate-peer", "hourgate-rules", "hourgate-plain"];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<ExitCode> {
    let (mut quick, mut only_rules) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--rules" => only_rules = true,
            // Cargo says so to every bench.
            "--bench" => {}
            other => return Err(format!("there is no {other}; see ./bench --help").into()),
        }
    }
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&dir)?;
    let dir = tempfile::Builder::new().prefix("figures-").tempdir_in(dir)?;
    LABS.iter().for_each(|prefix| lab::sweep_abandoned(prefix));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = dir.path().to_owned();
    let outcome = runtime.block_on(async {
        let taking = tokio::task::spawn_blocking(move || figures::take(&path, quick, only_rules));
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            taken = taking => Ok(Some(taken??)),
            _ = interrupt.recv() => Outcome::Ok(None),
            _ = terminate.recv() => Ok(None),
        }
    });
    // Nobody waits for what was interrupted; its hosts are taken from under it.
    runtime.shutdown_background();
    if !matches!(outcome, Ok(Some(_))) {
        site::take_down();
    }
    dir.close()?;
    let Some(rows) = outcome? else { return Err("stopped; everything it made is gone".into()) };
    println!("{}\n\n{}", table::print(&rows), machine::facts());
    let missed: Vec<&str> =
        rows.iter().filter(|row| row.held == table::Held::No).map(|row| row.figure).collect();
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nMissed: {}.", missed.join("; "));
    Ok(ExitCode::FAILURE)
}
