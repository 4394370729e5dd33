//! The stand-in where namespaces may not be made: a fake guard in this process, asked instead of packets.
//!
//! What it holds stands for the kernel: it goes on when the process that talks to it, and the server, die.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use hourgate_core::{network::Port, time::Clock};
use hourgate_enforce::fake::FakeGuard;
use hourgate_guard::{
    clock::MachineClock,
    serve::{Door, Shown, serve},
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{net::UnixListener, runtime::Runtime, time::Instant};

use super::{
    lab::{self, CLIENT, VM},
    packets::{Met, SessionEnd},
    world::start_server,
};
use crate::clock;

/// How often it is asked while an end or a beginning is awaited.
const EVERY: Duration = Duration::from_millis(1);

/// A server on loopback and a fake guard.
pub(super) struct Fake {
    guard: FakeGuard,
    /// Where the guard's process would be; gone once killed.
    serving: Option<Runtime>,
    server: Child,
    dir: TempDir,
}

impl Fake {
    /// Starts both.
    pub(super) fn build() -> io::Result<Fake> {
        let dir = lab::folder(lab::PASSING)?;
        let data = dir.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new()?);
        let guard = FakeGuard::new(clock);
        let serving =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _entered = serving.enter();
            UnixListener::bind(data.join("guard.sock"))?
        };
        let shown = Arc::new(Shown::new("fake", guard.clone()));
        serving.spawn(async move { serve(listener, shown, Door::default()).await });
        let mut command = Command::new(std::env::current_exe()?);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = start_server(&mut command, dir.path(), listen)?;
        Ok(Fake { guard, serving: Some(serving), server, dir })
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(super) fn attempt(&self, from: IpAddr, port: u16) -> Met {
        let passes = Port::new(port).is_some_and(|port| self.guard.accepts(from, VM.into(), port));
        if passes { Met::Open } else { Met::Silence }
    }

    pub(super) async fn first_accepted(
        &self,
        port: u16,
        began: Instant,
        within: Duration,
    ) -> Option<Duration> {
        while began.elapsed() < within {
            if self.attempt(CLIENT.into(), port) == Met::Open {
                return Some(began.elapsed());
            }
            tokio::time::sleep(EVERY).await;
        }
        None
    }

    pub(super) async fn last_accepted(&self, port: u16, end: Timestamp) -> Option<Timestamp> {
        let mut last = None;
        while clock::now() < end + Duration::from_millis(150) {
            let at = clock::now();
            if self.attempt(CLIENT.into(), port) == Met::Open {
                last = Some(at);
            }
            tokio::time::sleep(EVERY).await;
        }
        last
    }

    pub(super) async fn talk(&self, port: u16, until: Timestamp) -> SessionEnd {
        let mut last_payload = clock::now();
        while self.attempt(CLIENT.into(), port) == Met::Open && last_payload <= until {
            last_payload = clock::now();
            tokio::time::sleep(EVERY).await;
        }
        SessionEnd { last_payload, reset: last_payload <= until }
    }

    /// Kills the server with SIGKILL, and whatever talks to the guard.
    pub(super) fn kill(&mut self) -> io::Result<usize> {
        self.server.kill()?;
        self.server.wait()?;
        let serving = self.serving.take();
        Ok(1 + usize::from(serving.map(Runtime::shutdown_background).is_some()))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // Already killed by the story, or not: either way it is gone then.
        let _ = self.server.kill();
        let _ = self.server.wait();
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}
