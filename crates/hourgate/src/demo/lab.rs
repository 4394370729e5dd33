//! Three hosts on one machine: a client, a gateway and a VM, as network namespaces joined by veth.

use std::{
    fs::{self, File},
    io,
    net::Ipv4Addr,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// The client whose access is asked for.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// Another address, on the same host, that nobody asks for.
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
/// The gateway as the client sees it.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The VM.
pub(super) const VM: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 4);
const GATEWAY_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// Every name of a lab begins so, followed by the process that made it.
pub(super) const PASSING: &str = "hourgate-demo";
/// The same for a lab that is to stay.
const STAYING: &str = "hourgate-lab";

/// One of the three hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Where people sit.
    Client,
    /// Where server and guard run.
    Gateway,
    /// What is protected.
    Vm,
}

/// The three hosts. Dropped, everything that runs in them and they themselves are gone.
#[derive(Debug)]
pub(super) struct Lab {
    id: u32,
    prefix: &'static str,
}

/// A lab that somebody else takes down.
#[derive(Debug)]
pub(super) struct Handle(std::mem::ManuallyDrop<Lab>);

impl std::ops::Deref for Handle {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Lab {
    /// Builds it; `Err` says in one line why it cannot be built here.
    pub(super) fn build(stays: bool) -> io::Result<Lab> {
        sweep_abandoned(PASSING);
        Lab::build_as(if stays { STAYING } else { PASSING })
    }

    /// Builds one whose namespaces begin with `prefix`: one process may have several labs.
    pub(super) fn build_as(prefix: &'static str) -> io::Result<Lab> {
        let lab = Lab { id: std::process::id(), prefix };
        for host in [Host::Client, Host::Gateway, Host::Vm] {
            ip(&["netns", "add", &lab.name(host)])?;
            ip(&["-n", &lab.name(host), "link", "set", "lo", "up"])?;
        }
        lab.join("c0", Host::Client, "g0", Host::Gateway)?;
        lab.join("v0", Host::Vm, "g1", Host::Gateway)?;
        lab.address(Host::Client, "c0", CLIENT)?;
        lab.address(Host::Client, "c0", STRANGER)?;
        lab.address(Host::Gateway, "g0", GATEWAY)?;
        lab.address(Host::Gateway, "g1", GATEWAY_INSIDE)?;
        lab.address(Host::Vm, "v0", VM)?;
        lab.route(Host::Client, GATEWAY)?;
        lab.route(Host::Vm, GATEWAY_INSIDE)?;
        lab.inside(Host::Gateway, || fs::write("/proc/sys/net/ipv4/ip_forward", "1"))??;
        Ok(lab)
    }

    /// A folder for its files, whose name says whose it is, as those of its hosts do.
    pub(super) fn folder(&self) -> io::Result<TempDir> {
        folder(self.prefix)
    }

    /// The same hosts, for running something inside them; they stay when this is dropped.
    pub(super) fn handle(&self) -> Handle {
        Handle(std::mem::ManuallyDrop::new(Lab { id: self.id, prefix: self.prefix }))
    }

    /// The namespace of a host, as `ip netns` knows it.
    pub(super) fn name(&self, host: Host) -> String {
        let host = match host {
            Host::Client => "client",
            Host::Gateway => "gateway",
            Host::Vm => "vm",
        };
        format!("{}-{}-{host}", self.prefix, self.id)
    }

    /// A command that runs on a host.
    pub(super) fn command(&self, host: Host, program: &std::ffi::OsStr) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host)]).arg(program);
        command
    }

    /// Runs `work` on a thread of its own that is on that host, and so is every thread it starts.
    pub(super) fn inside<T: Send>(
        &self,
        host: Host,
        work: impl FnOnce() -> T + Send,
    ) -> io::Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name(host)))?;
        thread::scope(|scope| {
            let worker = scope.spawn(move || -> io::Result<T> {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts `work` on a thread of its own that is on that host; it runs on by itself.
    pub(super) fn start(
        &self,
        host: Host,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        let namespace = File::open(format!("/run/netns/{}", self.name(host)))?;
        thread::Builder::new().name("demo service".to_owned()).spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            if move_into_link_name_space(namespace.as_fd(), network).is_ok() {
                work();
            }
        })
    }

    /// What runs on a host, as process ids.
    pub(super) fn pids(&self, host: Host) -> io::Result<Vec<String>> {
        let pids = ip(&["netns", "pids", &self.name(host)])?;
        Ok(String::from_utf8_lossy(&pids.stdout).split_whitespace().map(str::to_owned).collect())
    }

    /// Kills everything that runs on a host with SIGKILL; says how many processes that were.
    pub(super) fn kill_all(&self, host: Host) -> io::Result<usize> {
        let pids = self.pids(host)?;
        if !pids.is_empty() {
            run(Command::new("kill").arg("-KILL").args(&pids))?;
        }
        Ok(pids.len())
    }

    /// Leaves everything standing.
    pub(super) fn stay(self) {
        std::mem::forget(self);
    }

    fn join(&self, near: &str, host: Host, far: &str, other: Host) -> io::Result<()> {
        let (host, other) = (self.name(host), self.name(other));
        ip(&[
            "link", "add", near, "netns", &host, "type", "veth", "peer", "name", far, "netns",
            &other,
        ])?;
        ip(&["-n", &host, "link", "set", near, "up"])?;
        ip(&["-n", &other, "link", "set", far, "up"])?;
        Ok(())
    }

    fn address(&self, host: Host, link: &str, address: Ipv4Addr) -> io::Result<()> {
        let address = format!("{address}/24");
        ip(&["-n", &self.name(host), "address", "add", &address, "dev", link]).map(drop)
    }

    fn route(&self, host: Host, via: Ipv4Addr) -> io::Result<()> {
        let via = via.to_string();
        ip(&["-n", &self.name(host), "route", "add", "default", "via", &via]).map(drop)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in [Host::Client, Host::Gateway, Host::Vm] {
            // What is not there any more needs no clean-up; the rest must not be kept from it.
            let _ = self.kill_all(host);
            let _ = ip(&["netns", "delete", &self.name(host)]);
        }
    }
}

/// Takes away what a process that was itself killed left behind.
pub(super) fn sweep_abandoned(prefix: &'static str) {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(id) = maker(&name, prefix) else { continue };
        if is_gone(id) {
            drop(Lab { id, prefix });
        }
    }
}

/// A folder of this process, to be swept if it is killed.
pub(super) fn folder(prefix: &str) -> io::Result<TempDir> {
    sweep_folders(&std::env::temp_dir(), PASSING);
    tempfile::Builder::new().prefix(&format!("{prefix}-{}-", std::process::id())).tempdir()
}

/// Takes away the folders that such a process left: secrets lie in them. Only those of the same user, which
/// nobody else can have put there.
pub(super) fn sweep_folders(within: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(within) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Neither of these follows a link.
        let is_own = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
        if is_own && maker(&name, prefix).is_some_and(is_gone) {
            // What cannot be taken away now is tried again next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made what is called so.
fn maker(name: &str, prefix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.strip_prefix('-')?.split('-').next()?.parse().ok()
}

fn is_gone(process: u32) -> bool {
    !fs::exists(format!("/proc/{process}")).unwrap_or(true)
}

fn ip(arguments: &[&str]) -> io::Result<Output> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        Ok(output)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{command:?}: {}", said.trim())))
    }
}
