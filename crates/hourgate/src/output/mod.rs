//! What a command shows: one answer, as table, JSON or CSV, safe to print whoever wrote the text in it.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::exit::{Exit, Failure};

pub(crate) mod csv;
pub(crate) mod escape;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod query;
pub(crate) mod table;

pub(crate) use table::Table;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: the resource as the server sent it.
    Json,
    /// For spreadsheets: the table's cells, with formulas made harmless.
    Csv,
}

/// What a command found out.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The route's resource; a list is a bare array.
    pub(crate) value: Value,
    /// The same for people.
    pub(crate) table: Table,
    /// What to say below the table: what to type next. Only where the table is shown.
    pub(crate) next: Vec<String>,
}

impl Answer {
    /// An answer with nothing to say below it.
    pub(crate) fn new(value: Value, table: Table) -> Answer {
        Answer { value, table, next: Vec::new() }
    }

    /// The same answer, with lines below its table.
    pub(crate) fn then(self, next: Vec<String>) -> Answer {
        Answer { next, ..self }
    }
}

/// Where and how answers are written.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    query: Option<query::Query>,
    terminal: bool,
}

impl Output {
    /// What the person asked for; else a table on a terminal and JSON elsewhere.
    pub(crate) fn new(format: Option<Format>, query: Option<query::Query>) -> Output {
        let terminal = io::stdout().is_terminal();
        let usual = if terminal { Format::Table } else { Format::Json };
        Output { format: format.unwrap_or(usual), query, terminal }
    }

    /// Writes an answer to stdout.
    pub(crate) fn show(&self, answer: &Answer) -> Result<(), Failure> {
        write_stdout(&render(answer, self.format, self.query.as_ref(), self.terminal)?)
    }
}

/// An answer as text that ends with a newline.
fn render(
    answer: &Answer,
    format: Format,
    query: Option<&query::Query>,
    terminal: bool,
) -> Result<String, Failure> {
    let found = query.map(|query| query.of(&answer.value)).transpose()?;
    let value = found.as_ref().unwrap_or(&answer.value);
    let table = match &found {
        Some(value) => &Table::of(value),
        None => &answer.table,
    };
    let mut text = match format {
        Format::Json => json::text(value),
        Format::Csv => csv::text(table),
        Format::Table => {
            let mut text = table.text(terminal);
            if found.is_none() {
                if !text.is_empty() && !answer.next.is_empty() {
                    text.push('\n');
                }
                for line in &answer.next {
                    text.push_str(&escape::visible(line));
                    text.push('\n');
                }
            }
            text
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Writes to stdout; a reader that has gone away (`| head`) is no error.
pub(crate) fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Refused, format!("The answer cannot be written: {error}.")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says something beside the answer, on stderr, where it disturbs no program that reads the answer.
pub(crate) fn say(line: &str) {
    // Nobody reads stderr any more: there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests;
