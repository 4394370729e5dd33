//! What the server's refusals and a server that is not there mean for whoever typed the command.

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::exit::{Exit, Failure};

/// How many reasons of one refusal are shown; the rest are counted.
const REASONS_MAX: usize = 20;

/// Azure's error envelope, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Envelope {
    error: CloudError,
}

#[derive(Debug, Deserialize)]
struct CloudError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Option<Vec<CloudError>>,
}

/// A refusal of the server: its sentence, every reason, and what to do where we know.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let exit = if status == StatusCode::NOT_FOUND { Exit::NotFound } else { Exit::Refused };
    let Ok(Envelope { error }) = serde_json::from_slice(body) else {
        return Failure::new(exit, format!("The server answered {status} and said no more."));
    };
    let mut details: Vec<String> = error.details.into_iter().flatten().map(one_line).collect();
    // A single reason is often the sentence itself.
    details.retain(|detail| *detail != error.message);
    let more = details.len().saturating_sub(REASONS_MAX);
    details.truncate(REASONS_MAX);
    if more > 0 {
        details.push(format!("and {more} more"));
    }
    let sentence = match (error.message.is_empty(), error.code.is_empty()) {
        (true, true) => format!("The server answered {status} and said no more."),
        (true, false) => format!("The server refused: {}.", error.code),
        (false, true) => error.message,
        (false, false) => format!("{} ({})", error.message, error.code),
    };
    let advice = match (error.code.as_str(), status) {
        ("ConfirmationNeeded", _) => Some(
            "If you mean it, add `--confirm-within 5m`, look whether you still get in, and type \
             `hourgate confirm`; without that it goes back by itself.",
        ),
        ("NotEnforced", _) => Some(
            "Name the VM's addresses in `covers` of a [[guard]] in the server's configuration.",
        ),
        (_, StatusCode::UNAUTHORIZED) => Some(
            "The profile's secret is not the server's: `hourgate admin rotate`, on its machine, \
             writes a new one.",
        ),
        (_, StatusCode::TOO_MANY_REQUESTS) => Some("Try again later, or with a longer --timeout."),
        _ => None,
    };
    let failure = Failure::new(exit, sentence).because(details);
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn one_line(error: CloudError) -> String {
    if error.message.is_empty() { error.code } else { error.message }
}

/// A server that did not answer.
pub(crate) fn unreached(server: &Url, error: &reqwest::Error) -> Failure {
    let mut why = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    // The innermost cause is the one that says something ("Connection refused").
    while let Some(inner) = cause {
        why = inner.to_string();
        cause = inner.source();
    }
    if let Some(why) = untrusted(&why) {
        let sentence = format!("The server {server} is reached, and not trusted: {why}.");
        return Failure::new(Exit::Unreached, sentence).advise(
            "The profile's `ca` must be the ca.pem of this very server; was it set up anew, or does \
             somebody else answer there?",
        );
    }
    let why = if error.is_timeout() { "it did not answer in time".to_owned() } else { why };
    Failure::new(Exit::Unreached, format!("The server {server} is not reached: {why}."))
        .advise("Is it running? Start it with `hourgate serve`, or name another --profile.")
}

/// What is wrong with a certificate, where that is why. The library's own type is lost on the way here.
fn untrusted(why: &str) -> Option<&str> {
    why.strip_prefix("invalid peer certificate: ").map(|why| match why {
        "BadSignature" | "UnknownIssuer" => "its certificate is not from the CA of the profile",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_shown_once() {
        let body = br#"{"error":{"code":"RequestNotSubset","message":"Not a subset.","details":[
            {"code":"LongerThanPolicy","message":"4 h is longer than 3 h."},
            {"code":"X","message":"Not a subset."}]}}"#;
        let failure = refused(StatusCode::BAD_REQUEST, body);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.sentence, "Not a subset. (RequestNotSubset)");
        assert_eq!(failure.details, ["4 h is longer than 3 h."]);
    }

    #[test]
    fn what_is_not_there_is_exit_3_whatever_the_body() {
        for body in [&b"{}"[..], b"", b"<html>", br#"{"error":{"code":"ResourceNotFound"}}"#] {
            assert_eq!(refused(StatusCode::NOT_FOUND, body).exit, Exit::NotFound);
        }
        let body = br#"{"error":{"code":"ConfirmationNeeded","message":"m"}}"#;
        let failure = refused(StatusCode::CONFLICT, body);
        assert!(failure.text().contains("--confirm-within"));
    }
}
