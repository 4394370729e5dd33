//! `$filter` in the little of OData that Azure's routes for people and roles take: what is to be so, joined by
//! `and`.

use super::query::first;
use crate::{
    error::{ArmError, Code},
    text::quoted,
};

/// Most terms of one filter: there are no more names to filter by.
const TERMS_MAX: usize = 8;

/// One thing that is to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// `name eq 'value'`; a number or GUID may stand without quotes.
    Equals { name: String, value: String },
    /// `name()`, or `name('value')`.
    Call { name: String, value: Option<String> },
}

/// Reads `$filter` term by term. `take` says of a term whether it is one of those that are `accepted`. One that
/// is not understood is an error: with it ignored, the answer would show more than was asked for.
pub(super) fn read(
    query: Option<&str>,
    accepted: &str,
    mut take: impl FnMut(&Term) -> bool,
) -> Result<(), ArmError> {
    let filter = first(query, "$filter").unwrap_or_default();
    let mut rest = filter.trim();
    for _ in 0..TERMS_MAX {
        if rest.is_empty() {
            return Ok(());
        }
        let Some((_, behind)) = term(rest).filter(|(term, _)| take(term)) else { break };
        rest = behind.trim_start();
        if rest.is_empty() {
            return Ok(());
        }
        // An `and` with nothing behind it is none.
        let Some(next) = and(rest) else { break };
        rest = next;
    }
    let message = format!(
        "The filter is not understood at {}. Accepted are {accepted}, joined by 'and'.",
        quoted(rest)
    );
    Err(ArmError::new(Code::InvalidParameter, message).at("$filter"))
}

/// What stands behind an `and` that has something behind it.
fn and(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    (word.eq_ignore_ascii_case("and") && !rest.is_empty()).then_some(rest)
}

/// The first term, and what stands behind it.
fn term(text: &str) -> Option<(Term, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let name = name.to_owned();
    if let Some(rest) = rest.strip_prefix('(') {
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix(')') {
            return Some((Term::Call { name, value: None }, rest));
        }
        let (value, rest) = value(rest)?;
        let rest = rest.trim_start().strip_prefix(')')?;
        return Some((Term::Call { name, value: Some(value) }, rest));
    }
    let (word, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    if !word.eq_ignore_ascii_case("eq") {
        return None;
    }
    let (value, rest) = value(rest.trim_start())?;
    Some((Term::Equals { name, value }, rest))
}

/// A value in quotes, in which a quote is written twice; or a bare word.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let bare = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        return bare.then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    loop {
        let (part, behind) = rest.split_once('\'')?;
        value.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, behind)),
        }
    }
}
