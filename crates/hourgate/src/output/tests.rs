//! The hostile corpus through every output: no character of it acts on a terminal or a spreadsheet.

use serde_json::json;

use super::*;

/// One string a line, with Rust's escapes, because the file itself must be safe to look at.
const CORPUS: &str = include_str!("../../tests/corpus/hostile.txt");

fn corpus() -> Vec<String> {
    CORPUS.lines().filter(|line| !line.starts_with("# ")).map(unescape).collect()
}

/// Reads `\u{..}` and `\\`.
fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("\\u{") {
        out.push_str(&rest[..at]);
        let (code, after) = rest[at + 3..].split_once('}').expect("a closing brace");
        out.push(char::from_u32(u32::from_str_radix(code, 16).expect("hex")).expect("a char"));
        rest = after;
    }
    out + rest
}

/// An answer with `text` wherever text can stand.
fn answer(text: &str) -> Answer {
    let mut table = Table::new(["NAME", "WHY"]);
    table.row(["before".to_owned(), "x".to_owned()]);
    table.row([text.to_owned(), text.to_owned()]);
    Answer::new(json!([{ "name": text, "why": { text: [text] } }]), table)
        .then(vec![text.to_owned()])
}

fn assert_harmless(out: &str, text: &str) {
    for c in out.chars() {
        assert!(
            matches!(c, '\n' | '\r') || !escape::is_hidden(c),
            "{c:?} gets through for {text:?}: {out:?}"
        );
    }
}

#[test]
fn the_corpus_has_what_it_must() {
    let all = corpus();
    assert!(all.len() >= 40, "{}", all.len());
    for needed in ['\u{1b}', '\u{202e}', '\u{200b}', '\n', '\r', '\0', '\u{9b}', '\u{7f}'] {
        assert!(all.iter().any(|text| text.contains(needed)), "{needed:?}");
    }
    for needed in ['=', '+', '-', '@', '\t'] {
        assert!(all.iter().any(|text| text.starts_with(needed)), "{needed:?}");
    }
}

#[test]
fn hostile_text_is_harmless_in_tables() {
    for text in corpus() {
        for terminal in [false, true] {
            let out = render(&answer(&text), Format::Table, None, terminal).expect("text");
            assert_harmless(&out, &text);
            assert!(!out.contains('\r'));
        }
        let out = render(&answer(&text), Format::Table, None, false).expect("text");
        assert_eq!(out.lines().count(), 5, "a cell makes no rows of its own: {out}");
    }
}

#[test]
fn hostile_text_is_harmless_in_csv() {
    for text in corpus() {
        let out = render(&answer(&text), Format::Csv, None, false).expect("text");
        assert_harmless(&out, &text);
        assert_eq!(out.matches("\r\n").count(), 3, "{out:?}");
        assert_eq!(out.matches('\n').count(), 3, "{out:?}");
        let last = out.lines().next_back().expect("a line");
        let first = last.trim_start_matches('"').chars().next();
        assert!(!matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r')), "{last}");
    }
}

#[test]
fn hostile_text_is_harmless_in_json_and_stays_itself() {
    for text in corpus() {
        let out = render(&answer(&text), Format::Json, None, true).expect("text");
        assert_harmless(&out, &text);
        let back: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(back, answer(&text).value);
    }
}

#[test]
fn hostile_text_is_harmless_through_queries() {
    for (format, expression) in
        [(Format::Table, "[].why"), (Format::Csv, "[].why"), (Format::Json, "[0].why")]
    {
        let query = query::parse(expression).expect("an expression");
        for text in corpus() {
            let out = render(&answer(&text), format, Some(&query), true).expect("text");
            assert_harmless(&out, &text);
        }
    }
}

#[test]
fn hostile_text_is_harmless_in_errors() {
    for text in corpus() {
        let failure = Failure::usage(text.clone()).because(vec![text.clone()]).advise(text.clone());
        assert_harmless(&failure.text(), &text);
        assert_eq!(failure.text().lines().count(), 3);
    }
}

#[test]
fn a_query_finds_what_az_would() {
    let value = json!([{ "name": "a", "n": 1 }, { "name": "b", "n": 2 }]);
    let of = |text: &str| query::parse(text).expect("an expression").of(&value).expect("a value");
    assert_eq!(of("[].name"), json!(["a", "b"]));
    assert_eq!(of("[?n==`2`].name | [0]"), json!("b"));
    assert_eq!(of("nothing"), Value::Null);
    assert!(query::parse("[?").is_err());
    assert!(query::parse("abs(@)").expect("an expression").of(&value).is_err());
    let table = Table::of(&of("[].{who:name,n:n}"));
    assert_eq!(table.head, ["n", "who"]);
    assert_eq!(table.rows, [["1", "a"], ["2", "b"]]);
}
