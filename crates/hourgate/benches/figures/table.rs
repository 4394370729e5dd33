//! The one table.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// Whether a target was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    No,
    /// It is told, and nothing is promised of it.
    NoTarget,
}

impl Held {
    pub(crate) fn when(held: bool) -> Held {
        if held { Held::Yes } else { Held::No }
    }
}

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) figure: &'static str,
    pub(crate) ours: String,
    pub(crate) target: &'static str,
    /// What it is measured against: a peer, or the limit of this machine.
    pub(crate) beside: String,
    pub(crate) held: Held,
}

/// Markdown, so that it can be copied into a document as it is.
pub(crate) fn print(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["figure", "Hourgate", "target", "peer or limit", "held?"]);
    for row in rows {
        let held = match row.held {
            Held::Yes => "yes",
            Held::No => "NO",
            Held::NoTarget => "",
        };
        table.add_row([
            Cell::new(row.figure),
            Cell::new(&row.ours),
            Cell::new(row.target),
            Cell::new(&row.beside),
            Cell::new(held).set_alignment(CellAlignment::Center),
        ]);
    }
    table.to_string()
}
