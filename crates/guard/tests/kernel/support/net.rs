//! Namespaces and cables, taken away again whatever happens.

use std::{
    fs::File,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;

use super::probes::{Answer, eventually, probe};

pub const CLIENT: &str = "10.1.0.2";
pub const CLIENT_2: &str = "10.1.0.3";
pub const VM: &str = "10.2.0.4";
pub const VM_2: &str = "10.2.0.5";
pub const CLIENT6: &str = "fd01::2";
pub const VM6: &str = "fd02::4";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The topology of one test.
pub struct Net {
    pub client: String,
    pub gateway: String,
    pub vm: String,
}

impl Net {
    pub fn new() -> Net {
        let id = format!("hg{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Net { client: format!("{id}c"), gateway: format!("{id}g"), vm: format!("{id}v") };
        let (c, g, v) = (&net.client, &net.gateway, &net.vm);
        for ns in [c, g, v] {
            ip(&["netns", "add", ns]);
            ip(&["-n", ns, "link", "set", "lo", "up"]);
        }
        for (ns, near, far, addresses) in [
            (c, "10.1.0.1/24", "fd01::1/64", vec!["10.1.0.2/24", "10.1.0.3/24", "fd01::2/64"]),
            (v, "10.2.0.1/24", "fd02::1/64", vec!["10.2.0.4/24", "10.2.0.5/24", "fd02::4/64"]),
        ] {
            let inside = format!("to{}", &ns[ns.len() - 1..]);
            ip(&[
                "-n", g, "link", "add", &inside, "type", "veth", "peer", "name", "eth0", "netns",
                ns,
            ]);
            ip(&["-n", g, "link", "set", &inside, "up"]);
            ip(&["-n", ns, "link", "set", "eth0", "up"]);
            ip(&["-n", g, "addr", "add", near, "dev", &inside]);
            ip(&["-n", g, "addr", "add", far, "dev", &inside, "nodad"]);
            for address in addresses {
                ip(&["-n", ns, "addr", "add", address, "dev", "eth0", "nodad"]);
            }
            ip(&["-n", ns, "route", "add", "default", "via", near.split('/').next().unwrap()]);
            ip(&["-n", ns, "route", "add", "default", "via", far.split('/').next().unwrap()]);
        }
        within(g, || {
            for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{path}"), "1").unwrap();
            }
        });
        // A fresh link finds its neighbours only after a while.
        assert!(eventually(Duration::from_secs(10), || {
            [VM, VM6].iter().all(|vm| probe(&net.client, vm, 9) == Answer::Refused)
        }));
        net
    }

    /// Runs a program in the gateway and returns what it printed.
    pub fn on_gateway(&self, program: &[&str]) -> String {
        let args = [&["netns", "exec", &self.gateway], program].concat();
        let output = Command::new("ip").args(&args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program:?}: {error}");
        text
    }

    /// Whether a program succeeds in the gateway.
    pub fn gateway_can(&self, program: &[&str]) -> bool {
        let args = [&["netns", "exec", &self.gateway], program].concat();
        Command::new("ip").args(&args).output().unwrap().status.success()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for ns in [&self.client, &self.gateway, &self.vm] {
            let _ = Command::new("ip").args(["netns", "del", ns]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Moves this thread into a namespace, for good.
pub fn enter(ns: &str) {
    let file = File::open(format!("/run/netns/{ns}")).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Does something in a namespace. Sockets made there stay there.
pub fn within<T: Send>(ns: &str, task: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(ns);
            task()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
