//! Tables for people. Every cell is made visible here and nowhere else, so none can be forgotten.

use comfy_table::{ContentArrangement, presets};
use serde_json::Value;

use super::escape::visible;

/// A table: a head, and rows of as many cells. The cells hold text as it came, whoever wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The head.
    pub(crate) head: Vec<String>,
    /// The rows.
    pub(crate) rows: Vec<Vec<String>>,
}

/// The narrowest terminal that rows are fitted to, in columns.
const WIDTH_MIN: u16 = 20;

impl Table {
    /// A table with that head and no rows.
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// A table of any value, for answers of `--query`.
    pub(crate) fn of(value: &Value) -> Table {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                std::slice::from_ref(value)
            }
        };
        let mut head: Vec<String> = Vec::new();
        for key in items.iter().filter_map(Value::as_object).flat_map(|object| object.keys()) {
            if !head.contains(key) {
                head.push(key.clone());
            }
        }
        let columns = items.iter().filter_map(Value::as_array).map(Vec::len).max().unwrap_or(0);
        if head.is_empty() && columns == 0 {
            // One value a row: there is nothing to number.
            head = vec!["Value".to_owned()];
        } else if head.is_empty() {
            head = (1..=columns.max(1)).map(|column| format!("Column{column}")).collect();
        }
        let rows = items.iter().map(|item| match item {
            Value::Object(object) => {
                head.iter().map(|key| object.get(key).map(cell).unwrap_or_default()).collect()
            }
            Value::Array(cells) => padded(cells.iter().map(cell).collect(), head.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                padded(vec![cell(item)], head.len())
            }
        });
        Table { rows: rows.collect(), head: head.clone() }
    }

    /// As text: fitted to the terminal's width on one, else one line a row.
    pub(crate) fn text(&self, terminal: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        // A terminal that does not know its width says 0, and nothing can be read a letter a line.
        let fits = table.width().is_none_or(|width| width >= WIDTH_MIN);
        table.set_content_arrangement(if terminal && fits {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        });
        table.set_header(self.head.iter().map(|text| visible(text)));
        for row in &self.rows {
            table.add_row(row.iter().map(|text| visible(text)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn padded(mut row: Vec<String>, width: usize) -> Vec<String> {
    row.resize(width, String::new());
    row
}
