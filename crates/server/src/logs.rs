//! What the operator reads: `tracing`, as text or as JSON, on standard error.
//!
//! No secret, no token and no body is ever a field. The record of what happened is the store's log, not this.

use std::{io::IsTerminal, str::FromStr};

use tracing_subscriber::EnvFilter;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log format: text and json are accepted")]
pub struct NotALogFormat;

impl FromStr for LogFormat {
    type Err = NotALogFormat;

    fn from_str(text: &str) -> Result<LogFormat, NotALogFormat> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(NotALogFormat),
        }
    }
}

/// Begins to write. `HOURGATE_LOG` sets levels (`info` unless set; `hourgate_server=debug`, and so on).
/// Called again it changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env("HOURGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A file or a journal is no terminal: colours would only be noise there.
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where somebody began already: a test, or a program that this one is part of.
    let _begun = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
