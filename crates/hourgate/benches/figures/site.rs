//! A lab with a server and its guard on the gateway, machines behind it, and who calls.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    LABS, Outcome,
    clock::{pause, steady, until},
    http::Profile,
    lab::{CLIENT, GATEWAY, Host, Lab, VM},
};

/// The port that is asked for.
pub(crate) const PORT: u16 = 22;
/// Where the server listens.
const SERVER: u16 = 8443;
/// How long server and guard may take to be there.
const START_MAX: Duration = Duration::from_secs(20);

/// Every address of 198.18.0.0/15 is the client's: each sample asks for one that was never open.
const SOURCES: &str = "198.18.0.0/15";
/// Machines behind the gate that answer.
const DOORS: &str = "10.12.0.0/16";
/// Machines behind the gate at which packets silently end: 1,000 that are protected, and more.
const SINKS: &str = "10.10.0.0/16";

/// The `n`th source, of 131,072.
pub(crate) fn source(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n % (1 << 17))
}

/// The address of the `n`th machine that answers.
pub(crate) fn door(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 12, 0, 1)) + n)
}

/// The address of the `n`th machine at which packets end.
pub(crate) fn sink(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 10, 0, 1)) + n)
}

/// Has a machine at which packets silently end hear them too, so that it is known which came through.
pub(crate) fn hear_at(lab: &Lab, address: Ipv4Addr) -> Outcome<()> {
    let mut command = Command::new("ip");
    command.args(["-n", &lab.name(Host::Vm), "route", "add", "local", &address.to_string()]);
    let done = command.args(["dev", "lo"]).status()?;
    if done.success() { Ok(()) } else { Err(format!("{command:?}").into()) }
}

/// Three hosts, a server, a guard. Dropped, all of it is gone.
pub(crate) struct Site {
    server: Option<Child>,
    pub(crate) lab: Lab,
    program: PathBuf,
    pub(crate) dir: PathBuf,
}

/// Three hosts, with addresses for thousands of clients and machines.
pub(crate) fn hosts(prefix: &'static str) -> io::Result<Lab> {
    let lab = Lab::build_as(prefix)?;
    let ip = |host: Host, arguments: &[&str]| -> io::Result<()> {
        let mut command = Command::new("ip");
        command.arg("-n").arg(lab.name(host)).args(arguments);
        let done = command.status()?;
        if done.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}"))) }
    };
    ip(Host::Client, &["route", "add", "local", SOURCES, "dev", "lo"])?;
    ip(Host::Vm, &["route", "add", "local", DOORS, "dev", "lo"])?;
    ip(Host::Gateway, &["route", "add", SOURCES, "via", &CLIENT.to_string()])?;
    for machines in [DOORS, SINKS] {
        ip(Host::Gateway, &["route", "add", machines, "via", &VM.to_string()])?;
    }
    Ok(lab)
}

/// Answers on a port of a host, on all its addresses, until the bench ends.
pub(crate) fn serve_port(lab: &Lab, host: Host, port: u16) -> Outcome<()> {
    let (begins, begun) = std::sync::mpsc::channel();
    lab.start(host, move || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        // Nobody waits for it only if the bench has ended.
        let _ = begins.send(listener.as_ref().map(drop).map_err(io::Error::kind));
        if let Ok(listener) = listener {
            listener.incoming().for_each(drop);
        }
    })?;
    Ok(begun.recv()?.map_err(io::Error::from)?)
}

impl Site {
    /// Builds the hosts and starts a server, whose guard it starts itself, as it does for anybody.
    pub(crate) fn build(prefix: &'static str, dir: &Path) -> Outcome<Site> {
        let lab = hosts(prefix)?;
        serve_port(&lab, Host::Vm, PORT)?;
        let dir = dir.join(prefix);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("data"))?;
        fs::write(
            dir.join("hourgate.toml"),
            "shortest_access = \"PT1S\"\nshortest_policy = \"PT5M\"\n",
        )?;
        let program = PathBuf::from(env!("CARGO_BIN_EXE_hourgate"));
        let mut site = Site { server: None, lab, program, dir };
        site.start()?;
        Ok(site)
    }

    /// Starts the server; whether it is ready is another question.
    pub(crate) fn start(&mut self) -> Outcome<()> {
        let log = File::options().create(true).append(true).open(self.dir.join("serve.log"))?;
        let mut command = self.lab.command(Host::Gateway, self.program.as_os_str());
        command
            .args(["serve", "--listen", &SocketAddr::from((GATEWAY, SERVER)).to_string()])
            .arg("--config")
            .arg(self.dir.join("hourgate.toml"))
            .arg("--data-dir")
            .arg(self.dir.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.server = Some(command.spawn()?);
        Ok(())
    }

    /// Waits for the server, and how to speak to it.
    pub(crate) fn profile(&self) -> Outcome<Profile> {
        let admin = self.dir.join("data").join("admin.json");
        let began = steady();
        loop {
            let profile = Profile::read(&admin);
            let up = profile
                .as_ref()
                .is_ok_and(|profile| std::net::TcpStream::connect(profile.address).is_ok());
            match profile {
                Ok(profile) if up => return Ok(profile),
                _ if steady() - began < START_MAX => pause(Duration::from_millis(2)),
                Ok(_) | Err(_) => {
                    let log = fs::read_to_string(self.dir.join("serve.log")).unwrap_or_default();
                    let said: Vec<&str> = log.lines().rev().take(6).collect();
                    return Err(format!("the server did not start: {said:?}").into());
                }
            }
        }
    }

    /// Ends the server with a signal, and waits until it is gone.
    pub(crate) fn stop_server(&mut self, signal: Signal) -> Outcome<()> {
        if let Some(mut server) = self.server.take() {
            kill_process(pid_of(server.id())?, signal)?;
            server.wait()?;
        }
        Ok(())
    }

    /// Ends the guard with a signal, and waits until it is gone.
    pub(crate) fn stop_guard(&self, signal: Signal) -> Outcome<()> {
        let guard = self.guard().ok_or("no guard runs")?;
        kill_process(pid_of(guard)?, signal)?;
        let gone = || self.guard() != Some(guard);
        if until(START_MAX, gone) { Ok(()) } else { Err("the guard does not end".into()) }
    }

    /// The server's process.
    pub(crate) fn server(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The guard's process.
    pub(crate) fn guard(&self) -> Option<u32> {
        let pids = self.lab.pids(Host::Gateway).ok()?;
        pids.iter().filter_map(|pid| pid.parse().ok()).find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"guard")
        })
    }
}

/// Does something on the client, on a runtime of its own.
pub(crate) fn on_client<T: Send>(
    lab: &Lab,
    work: impl AsyncFnOnce() -> Outcome<T> + Send,
) -> Outcome<T> {
    lab.inside(Host::Client, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })?
}

/// Takes down every host that this process made, from under whoever uses it.
pub(crate) fn take_down() {
    let made = |name: &str| {
        LABS.iter().any(|prefix| name.starts_with(&format!("{prefix}-{}-", std::process::id())))
    };
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.filter(|name| made(name)) {
        let pids = Command::new("ip").args(["netns", "pids", &name]).output();
        let pids = pids.map(|output| output.stdout).unwrap_or_default();
        for pid in String::from_utf8_lossy(&pids).split_whitespace() {
            let pid = pid.parse().ok().and_then(|pid| pid_of(pid).ok());
            // Gone already is as good.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        let _ = Command::new("ip").args(["netns", "delete", &name]).status();
    }
}

fn pid_of(id: u32) -> Outcome<Pid> {
    Ok(Pid::from_raw(id.try_into()?).ok_or("no process has the number 0")?)
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may be gone already; either way it must not stay behind as a zombie.
        let _ = self.stop_server(Signal::KILL);
    }
}
