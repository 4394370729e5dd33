//! Starts the local guard where nobody listens on its socket, and again when it ends. Never ends it: it is
//! to outlive this server.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use hourgate_core::policy::GuardCover;
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep},
};

use super::{StartGuard, socket::Link};

/// The pause before a guard that ended is started again; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A guard that ran this long started well.
const RAN_WELL: Duration = Duration::from_secs(30);

/// The bit of CAP_NET_ADMIN, without which no guard can do anything.
const CAP_NET_ADMIN: u64 = 1 << 12;

/// Whether this process may change the firewall, and so start a guard that does.
pub fn may_start_guards() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits & CAP_NET_ADMIN != 0)
}

/// Sees to it that somebody listens on the guard's socket.
pub(super) async fn run(
    mut link: watch::Receiver<Link>,
    socket: PathBuf,
    cover: GuardCover,
    start: StartGuard,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let absent = |link: &Link| match link {
            Link::Absent(_) => true,
            Link::Trying | Link::Broken(_) | Link::Up => false,
        };
        // The sender is gone when the gate is: then there is nothing more to see to.
        if link.wait_for(absent).await.is_err() {
            return;
        }
        let began = Instant::now();
        match spawn(&socket, &cover, &start) {
            Ok(mut child) => {
                tracing::info!(guard = cover.name, pid = child.id(), "guard started");
                match child.wait().await {
                    Ok(status) => tracing::error!(
                        guard = cover.name,
                        %status,
                        log = %start.log.display(),
                        "the guard's process ended; what it closed stays closed"
                    ),
                    Err(error) => tracing::error!(guard = cover.name, %error, "guard not watched"),
                }
            }
            Err(error) => {
                tracing::error!(guard = cover.name, %error, "the guard cannot be started");
            }
        }
        if began.elapsed() >= RAN_WELL {
            pause = PAUSE_MIN;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        link.mark_unchanged();
    }
}

/// Starts a guard in a process group of its own: a signal to the server's group does not reach it.
fn spawn(socket: &Path, cover: &GuardCover, start: &StartGuard) -> io::Result<Child> {
    let log = append_to(&start.log)?;
    let mut command = Command::new(&start.program);
    command.arg("guard").arg("--socket").arg(socket).arg("--state-dir").arg(&start.state_dir);
    for net in &cover.covers {
        command.arg("--covers").arg(net.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(false)
        .spawn()
}

/// Opens a log that only its owner reads.
fn append_to(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}
