//! CSV (RFC 4180) for spreadsheets, which take a cell that begins with `=` for a formula and run it.

use super::{Table, escape::visible};

/// A table as CSV, with its head as the first line.
pub(crate) fn text(table: &Table) -> String {
    let mut out = String::new();
    for row in std::iter::once(&table.head).chain(&table.rows) {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// One cell: visible, harmless, quoted where it must be.
fn cell(text: &str) -> String {
    // The wide forms count too: some spreadsheets fold them into the narrow ones.
    let formula = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
    // A dash alone stands for nothing, and no spreadsheet takes it for a formula.
    let dangerous =
        text != "-" && text.trim_start_matches([' ', '\u{a0}', '"']).starts_with(formula);
    let shown = visible(text);
    let safe = if dangerous { format!("'{shown}") } else { shown };
    if safe.contains([',', '"', ';']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text() {
        let rows = [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("-", "-"),
            ("--", "'--"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u{9}=1"),
            ("\r=1", "'\\u{d}=1"),
            (" =1", "' =1"),
            ("\"=1", "\"'\"\"=1\""),
            ("＝1", "'＝1"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("plain", "plain"),
        ];
        for (text, csv) in rows {
            assert_eq!(cell(text), csv);
        }
    }
}
