//! `hourgate log verify`: whether the log is whole.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{admin, block_on, data_dir::DataDir};
use crate::{
    cli::Global,
    exit::{Exit, Failure},
    output::{Answer, Output, Table},
};

/// The log of everything that happened
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    Verify(Verify),
}

/// Whether every record follows from the one before, bears the seal, none is missing, and rows say the same
///
/// Reads the server's data directory, whether or not a server runs, and also where none would start on it.
/// Every row is compared with what the log tells of it, those of the past too. Exit code 1 if the log is not
/// whole, or if a row is not what it says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate log verify
  hourgate log verify --data-dir /backup/hourgate -o json")]
pub(crate) struct Verify {
    #[command(flatten)]
    place: DataDir,
}

/// Does what was typed behind `log`.
pub(crate) fn run(global: Global, args: Log) -> Result<(), Failure> {
    let Log::Verify(Verify { place }) = args;
    let dir = place.find(global.profile.as_deref())?;
    let verdict = block_on(hourgate_server::verify_log(&dir))?;
    let verdict = verdict.map_err(|error| admin::failed(&dir, &error))?;
    // Nothing erases texts yet, so none may be gone.
    let ok = verdict.first_bad.is_none() && verdict.rows_hold && verdict.erased == 0;
    let first_bad = verdict.first_bad.map(|record| record.to_string());
    let mut table = Table::new(["WHOLE", "RECORDS", "FIRST BAD", "ROWS HOLD"]);
    table.row([
        if ok { "yes" } else { "NO" }.to_owned(),
        verdict.records.to_string(),
        first_bad.clone().unwrap_or_else(|| "-".to_owned()),
        if verdict.rows_hold { "yes" } else { "NO" }.to_owned(),
    ]);
    let value = json!({
        "ok": ok,
        "records": verdict.records,
        "firstBad": verdict.first_bad,
        "rowsHold": verdict.rows_hold,
        "textsGone": verdict.erased,
    });
    Output::new(global.output, global.query).show(&Answer::new(value, table))?;
    if ok {
        return Ok(());
    }
    let what = match first_bad {
        Some(record) => format!("The log is not what was written, from record {record} on."),
        None if !verdict.rows_hold => {
            "The log is whole, and the rows beside it are not what it says.".to_owned()
        }
        None => format!(
            "The log is whole, and {} texts about people that it commits to are gone.",
            verdict.erased
        ),
    };
    Err(Failure::new(Exit::Refused, what)
        .advise("Keep the data directory as it is, and compare it with a backup."))
}
