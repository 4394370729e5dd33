//! A sign of life on stderr while something takes long; silent where nobody looks.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::escape::visible;

/// Most waits are shorter; showing something for an instant only flickers.
const SILENT_AT_FIRST: Duration = Duration::from_secs(1);

/// Runs `work`, and shows `what` with a spinner if it takes longer than a second on a terminal.
pub(crate) async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !stderr().is_terminal() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENT_AT_FIRST) => {}
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(visible(what));
    bar.enable_steady_tick(Duration::from_millis(120));
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// How far a row of calls has come, on stderr; silent where nobody looks.
pub(crate) struct Counted(Option<ProgressBar>);

impl Counted {
    /// That many calls.
    pub(crate) fn new(calls: usize) -> Counted {
        if !stderr().is_terminal() {
            return Counted(None);
        }
        let bar = ProgressBar::new(calls as u64);
        if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Counted(Some(bar))
    }

    /// The next one begins.
    pub(crate) fn next(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
            bar.set_message(visible(what));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
