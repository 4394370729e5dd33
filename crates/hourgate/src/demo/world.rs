//! Where the story takes place: the real kernel in three hosts, or a fake guard, said as such.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{net::TcpStream, time::Instant};

use super::{
    fake::Fake,
    lab::{CLIENT, GATEWAY, Host, Lab, VM},
    packets::{self, Met, SessionEnd},
    service::{self, Echo},
};

/// The port that people log in on: sessions on it go on.
pub(super) const LOGIN: u16 = 22;
/// The port that ends are measured on: sessions on it end with the access.
pub(super) const MEASURED: u16 = 2222;
/// Where the server listens on the gateway.
const SERVER: u16 = 8443;

/// The three hosts, or the stand-in for them.
pub(super) enum World {
    /// Packets through the kernel's own firewall.
    Kernel(Kernel),
    /// Questions to a fake guard.
    Fake(Fake),
}

/// The real thing.
pub(super) struct Kernel {
    pub(super) lab: Lab,
    echo: Arc<Echo>,
    dir: TempDir,
    /// Whether a real sshd answers on the login port.
    pub(super) real_sshd: bool,
}

impl Kernel {
    /// Starts again what the story killed and gives up the hosts and the folder, which then stay. The
    /// services that ran inside this process are replaced by ones that outlive it.
    pub(super) fn leave(self) -> io::Result<(Lab, PathBuf)> {
        let dir = self.dir.keep();
        let listen = SocketAddr::from((GATEWAY, SERVER));
        let program = std::env::current_exe()?;
        let mut serve = self.lab.command(Host::Gateway, program.as_os_str());
        serve.process_group(0);
        start_server(&mut serve, &dir, listen)?;
        Ok((self.lab, dir))
    }
}

/// A connection of which it is watched how it ends.
pub(super) enum Session {
    Kernel(TcpStream),
    Fake,
}

impl World {
    /// Builds the hosts and starts a server with its guard; says in one line why that cannot be done.
    pub(super) fn build(stays: bool) -> io::Result<World> {
        let lab = Lab::build(stays)?;
        let dir = lab.folder()?;
        let measured = SocketAddr::from((VM, MEASURED));
        let echo = service::echo(&lab, measured)?;
        let login = SocketAddr::from((VM, LOGIN));
        let real_sshd = service::sshd(&lab, login, dir.path()).is_some();
        if !real_sshd {
            service::echo(&lab, login)?;
        }
        let listen = SocketAddr::from((GATEWAY, SERVER));
        let program = std::env::current_exe()?;
        let mut serve = lab.command(Host::Gateway, program.as_os_str());
        start_server(&mut serve, dir.path(), listen)?;
        Ok(World::Kernel(Kernel { lab, echo, dir, real_sshd }))
    }

    /// The folder with server's and guard's files.
    pub(super) fn data_dir(&self) -> PathBuf {
        match self {
            World::Kernel(kernel) => kernel.dir.path().to_owned(),
            World::Fake(fake) => fake.data_dir(),
        }
    }

    /// What enforces, as the report names it.
    pub(super) fn guard(&self) -> &'static str {
        match self {
            World::Kernel(_) => "nftables",
            World::Fake(_) => "fake",
        }
    }

    /// The source to ask for; none where the server sees the caller's own.
    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            World::Kernel(_) => None,
            World::Fake(_) => Some(CLIENT.into()),
        }
    }

    /// What a connection meets.
    pub(super) async fn attempt(&self, from: IpAddr, port: u16) -> Met {
        match self {
            World::Kernel(_) => packets::attempt(from, (VM, port).into()).await,
            World::Fake(fake) => fake.attempt(from, port),
        }
    }

    /// How long after `began` the first connection passes.
    pub(super) async fn first_accepted(&self, port: u16, began: Instant) -> Option<Duration> {
        let within = Duration::from_secs(5);
        match self {
            World::Kernel(_) => {
                packets::first_accepted(CLIENT.into(), (VM, port).into(), began, within).await
            }
            World::Fake(fake) => fake.first_accepted(port, began, within).await,
        }
    }

    /// When the last connection passed, around `end`.
    pub(super) async fn last_accepted(&self, port: u16, end: Timestamp) -> Option<Timestamp> {
        match self {
            World::Kernel(_) => packets::last_accepted(CLIENT.into(), (VM, port).into(), end).await,
            World::Fake(fake) => fake.last_accepted(port, end).await,
        }
    }

    /// Opens a session.
    pub(super) async fn session(&self, port: u16) -> io::Result<Session> {
        match self {
            World::Kernel(_) => {
                Ok(Session::Kernel(packets::connect(CLIENT.into(), (VM, port).into()).await?))
            }
            World::Fake(_) => Ok(Session::Fake),
        }
    }

    /// Talks over a session until it ends, or `until`.
    pub(super) async fn talk(&self, session: Session, port: u16, until: Timestamp) -> SessionEnd {
        match (self, session) {
            (_, Session::Kernel(stream)) => packets::talk(stream, until).await,
            (World::Fake(fake), Session::Fake) => fake.talk(port, until).await,
            (World::Kernel(_), Session::Fake) => SessionEnd { last_payload: until, reset: false },
        }
    }

    /// Whether the VM's end of a session was reset too.
    pub(super) fn vm_saw_reset(&self) -> bool {
        match self {
            World::Kernel(kernel) => kernel.echo.reset.load(Ordering::Acquire),
            World::Fake(_) => true,
        }
    }

    /// Kills server and guard with SIGKILL; says how many processes that were.
    pub(super) fn kill(&mut self) -> io::Result<usize> {
        match self {
            World::Kernel(kernel) => kernel.lab.kill_all(Host::Gateway),
            World::Fake(fake) => fake.kill(),
        }
    }
}

/// Starts a server that allows accesses of seconds, as a demo needs.
pub(super) fn start_server(
    command: &mut Command,
    dir: &Path,
    listen: SocketAddr,
) -> io::Result<Child> {
    let config = dir.join("hourgate.toml");
    std::fs::write(&config, "shortest_access = \"PT1S\"\nshortest_policy = \"PT5M\"\n")?;
    let log = std::fs::File::create(dir.join("serve.log"))?;
    command
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--data-dir")
        .arg(dir.join("data"))
        .arg("--listen")
        .arg(listen.to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}
