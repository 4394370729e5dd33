//! `hourgate`: keeps management ports closed, and opens one for one source, for a bounded time.
//!
//! `cli` is what can be typed, `commands` what it does: parse, one operation, present.

mod cli;
mod commands;

mod bring;

mod client;
mod named;
mod profile;
mod resolve;
mod view;

mod agree;
mod input;
mod output;
mod progress;

mod demo;

mod clock;
mod defaults;
mod exit;
mod mint;

use std::process::ExitCode;

use clap::Parser;

// A quarter of a busy server's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too. What was typed wrongly may hold anything.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&failure.text());
            failure.code()
        }
    }
}
