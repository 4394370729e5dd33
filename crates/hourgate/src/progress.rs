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
