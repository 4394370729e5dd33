//! JSON for programs, also harmless on a terminal: what `escape` hides is written as `\uXXXX`, which is
//! the same string to every parser.

use std::fmt::Write;

use serde_json::Value;

use super::escape::is_hidden;

/// A value as indented JSON with sorted keys, as `az` writes it.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    for c in format!("{value:#}").chars() {
        // The newlines are the formatter's own: serde_json escapes those within strings.
        if c == '\n' || !is_hidden(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}
