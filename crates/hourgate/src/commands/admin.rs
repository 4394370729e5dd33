//! `admin rotate` and `clock accept`: what only somebody on the server's machine may do.

use std::path::Path;

use clap::{Args, Subcommand};
use hourgate_server::{ClockAnswer, LocalError};
use serde_json::json;

use super::{block_on, data_dir::DataDir};
use crate::{
    cli::Global,
    clock,
    exit::{Exit, Failure},
    output::{Answer, Output, Table, human},
};

/// The first administrator
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    Link(Link),
    Rotate(Rotate),
    RotateKeys(RotateKeys),
}

/// Make a link with which somebody becomes the first administrator
///
/// It holds for an hour and once; one that was made before no longer does. Whoever opens it chooses a name, a
/// password and a second factor, and is Owner.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate admin link")]
pub(crate) struct Link {
    #[command(flatten)]
    place: DataDir,
}

/// Have another key sign tokens at once
///
/// They rotate by themselves, every 30 days or as `token_key_age` says; this is for when one may be in other hands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate admin rotate-keys
  sudo hourgate admin rotate-keys --drop-old           end every token now")]
pub(crate) struct RotateKeys {
    /// Believe no token of an older key any more: everybody's next call needs a new one
    #[arg(long)]
    drop_old: bool,
    #[command(flatten)]
    place: DataDir,
}

/// Replace the administrator's secret, also when it is lost
///
/// Writes a new admin.json into the server's data directory. Every token of the old secret ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate admin rotate")]
pub(crate) struct Rotate {
    #[command(flatten)]
    place: DataDir,
}

/// The server's clock
#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    Accept(Accept),
}

/// Believe the machine's clock although it lies behind what was recorded
///
/// While it does, nothing opens. Set the clock right first, if it is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo hourgate clock accept")]
pub(crate) struct Accept {
    #[command(flatten)]
    place: DataDir,
}

/// Does what was typed behind `admin`.
pub(crate) fn run(global: Global, args: Admin) -> Result<(), Failure> {
    match args {
        Admin::Link(args) => link(global, args),
        Admin::RotateKeys(args) => rotate_keys(global, args),
        Admin::Rotate(Rotate { place }) => {
            let dir = place.find(global.profile.as_deref())?;
            let file = block_on(hourgate_server::rotate_admin(&dir))?
                .map_err(|error| failed(&dir, &error))?;
            let mut table = Table::new(["PROFILE"]);
            table.row([file.display().to_string()]);
            let answer = Answer::new(json!({ "profile": file }), table)
                .then(vec!["The old secret no longer works.".to_owned()]);
            Output::new(global.output, global.query).show(&answer)
        }
    }
}

fn link(global: Global, args: Link) -> Result<(), Failure> {
    let dir = args.place.find(global.profile.as_deref())?;
    let link = block_on(hourgate_server::first_link(&dir))?;
    let link = link.map_err(|error| failed(&dir, &error))?;
    let mut table = Table::new(["LINK"]);
    table.row([link.clone()]);
    let next = "Open it within the hour. Whoever has it becomes an administrator.".to_owned();
    Output::new(global.output, global.query)
        .show(&Answer::new(json!({ "link": link }), table).then(vec![next]))
}

fn rotate_keys(global: Global, args: RotateKeys) -> Result<(), Failure> {
    let RotateKeys { drop_old, place } = args;
    let dir = place.find(global.profile.as_deref())?;
    let key = block_on(hourgate_server::rotate_keys(&dir, drop_old))?;
    let key = key.map_err(|error| failed(&dir, &error))?;
    let mut table = Table::new(["SIGNS NOW"]);
    table.row([key.clone()]);
    let next = match drop_old {
        true => "Every token of an older key is dead.",
        false => "Tokens of the older keys hold until their end, within the hour.",
    };
    let answer = Answer::new(json!({ "key": key, "droppedOld": drop_old }), table);
    Output::new(global.output, global.query).show(&answer.then(vec![next.to_owned()]))
}

/// Does what was typed behind `clock`.
pub(crate) fn clock(global: Global, args: Clock) -> Result<(), Failure> {
    match args {
        Clock::Accept(Accept { place }) => {
            let dir = place.find(global.profile.as_deref())?;
            let answer = block_on(hourgate_server::accept_clock(&dir))?
                .map_err(|error| failed(&dir, &error))?;
            let now = clock::local_now();
            let mut table = Table::new(["CLOCK", "RECORDED BEFORE"]);
            let (value, next) = match answer {
                ClockAnswer::Accepted { at, before } => {
                    table.row([human::moment(at, &now), human::moment(before, &now)]);
                    let value = json!({ "accepted": true, "at": at, "before": before });
                    (value, "The clock is believed from now on, and that is in the log.")
                }
                ClockAnswer::NotBehind => (
                    json!({ "accepted": false }),
                    "The clock is not behind: nothing was to be done.",
                ),
            };
            let answer = Answer::new(value, table).then(vec![next.to_owned()]);
            Output::new(global.output, global.query).show(&answer)
        }
    }
}

/// Something on this machine that was not done.
pub(crate) fn failed(dir: &Path, error: &LocalError) -> Failure {
    let advice = match error {
        LocalError::DataDir(_) => "Run it as the user that the server runs as.",
        LocalError::NoAnswer { .. } => "Is the server stuck? Its log says more.",
        LocalError::Damaged(_) => {
            "Somebody edited it, or the disk did: keep the directory as it is, and compare it with a backup."
        }
        LocalError::Failed(_) => {
            "Name the server's data directory with --data-dir, if it is another."
        }
    };
    let sentence = format!("In {} it was not done: {error}.", dir.display());
    Failure::new(Exit::Refused, sentence).advise(advice)
}
