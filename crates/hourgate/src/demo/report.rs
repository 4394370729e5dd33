//! What the demo found, for people as it goes and for programs as one line at the end.

use std::{fmt::Display, time::Duration};

use serde::Serialize;

use crate::output::{say, write_stdout};

/// One step of the story.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    held: bool,
    millis: u64,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    guard: &'static str,
    steps: Vec<Step>,
    /// From sending the request to the first connection that passed.
    pub(super) open_millis: Option<f64>,
    /// How long after the end the last connection passed; negative if before.
    pub(super) close_error_millis: Option<f64>,
    /// Whether the access whose server and guard were killed ended on time.
    pub(super) closed_on_time_after_kill: bool,
    #[serde(skip)]
    json: bool,
}

impl Report {
    /// An empty one for a story on that guard.
    pub(super) fn new(guard: &'static str, json: bool) -> Report {
        Report {
            guard,
            steps: Vec::new(),
            open_millis: None,
            close_error_millis: None,
            closed_on_time_after_kill: false,
            json,
        }
    }

    /// A line for people; beside the answer where that is for a program.
    pub(super) fn say(&self, line: impl Display) {
        if self.json {
            say(&line.to_string());
        } else {
            // Nobody reads any more: the story goes on, and its exit code still tells.
            let _ = write_stdout(&format!("{line}\n"));
        }
    }

    /// A step of the story, with what was seen.
    pub(super) fn step(&mut self, name: &'static str, held: bool, took: Duration, saw: &str) {
        let mark = if held { "ok  " } else { "FAIL" };
        self.say(format_args!("  {mark}  {saw}"));
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Step { name, held, millis });
    }

    /// Whether every step held.
    pub(super) fn held(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.held)
    }

    /// The last line.
    pub(super) fn close(&self) {
        let steps = self.steps.len();
        let failed = self.steps.iter().filter(|step| !step.held).count();
        if failed == 0 {
            self.say(format_args!("\nAll {steps} steps held, on the {} guard.", self.guard));
        } else {
            self.say(format_args!("\n{failed} of {steps} steps did not hold."));
        }
        if self.json {
            let line = serde_json::to_string(self).unwrap_or_default();
            let _ = write_stdout(&format!("{line}\n"));
        }
    }
}
