//! How the command ends: one number a script can rely on, one sentence a person can act on.

use std::process::ExitCode;

use crate::output::escape::visible;

/// What the exit code says (`docs/cli.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 1: it was refused, or failed.
    Refused = 1,
    /// 2: what was typed makes no sense, or names more than one thing.
    Usage = 2,
    /// 3: there is no such thing.
    NotFound = 3,
    /// 4: stored or granted, but no guard reported it in time.
    NotObserved = 4,
    /// 5: what a guard holds is not what it should hold.
    Drift = 5,
    /// 6: the server was not reached.
    Unreached = 6,
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong, in one sentence.
    pub(crate) sentence: String,
    /// Every reason, where there are several.
    pub(crate) details: Vec<String>,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl Failure {
    /// A failure that one sentence explains.
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Failure {
        Failure { exit, sentence: sentence.into(), details: Vec::new(), advice: None }
    }

    /// Something that was typed wrongly.
    pub(crate) fn usage(sentence: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, sentence)
    }

    /// The same failure, with what to do about it.
    pub(crate) fn advise(self, advice: impl Into<String>) -> Failure {
        Failure { advice: Some(advice.into()), ..self }
    }

    /// The same failure, with each reason.
    pub(crate) fn because(self, details: Vec<String>) -> Failure {
        Failure { details, ..self }
    }

    /// The exit code for the process.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }

    /// As it is shown on stderr. Much of it may be text from others, so it is made visible first.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![format!("error: {}", visible(&self.sentence))];
        lines.extend(self.details.iter().map(|detail| format!("  - {}", visible(detail))));
        lines.extend(self.advice.iter().map(|advice| format!("  {}", visible(advice))));
        lines.join("\n")
    }
}
