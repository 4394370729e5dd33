//! A hub on a real kernel: a client, a firewall with a guard of its own, and two machines behind a router with
//! another; one server with both guards, and a request from end to end.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "real processes take their own time")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

const CLIENT: &str = "192.0.2.2";
const STRANGER: &str = "192.0.2.3";
const PUBLIC: &str = "198.51.100.1";
/// The same as a prefix.
const PUBLIC_NET: &str = "198.51.100.1/32";
const WEB: &str = "10.1.0.4";
const DATA: &str = "10.2.0.4";
/// How long anything may take that is awaited; a busy machine is slow to start processes.
const SOON: Duration = Duration::from_secs(20);
/// How long an answer may take before it counts as none.
const SILENCE: Duration = Duration::from_millis(300);

/// Five namespaces, joined by cables, and all that runs in them; gone with the test.
struct Hub {
    id: String,
    dir: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        for host in ["c", "f", "r", "w", "d"] {
            let _ = Command::new("ip").args(["netns", "del", &self.ns(host)]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Does something in a namespace. Sockets made there stay there.
fn within<T: Send>(ns: &str, task: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = File::open(format!("/run/netns/{ns}")).expect("a namespace");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("it can be entered");
            task()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Hub {
    fn new() -> Hub {
        let id = format!("hghub{}", std::process::id());
        let dir = tempfile::tempdir().expect("a directory");
        let hub = Hub { id, dir, running: Vec::new() };
        for host in ["c", "f", "r", "w", "d"] {
            ip(&["netns", "add", &hub.ns(host)]);
            ip(&["-n", &hub.ns(host), "link", "set", "lo", "up"]);
        }
        hub.cable(("c", &["192.0.2.2/24", "192.0.2.3/24"]), ("f", &["192.0.2.1/24"]));
        hub.cable(("f", &["10.0.0.1/24"]), ("r", &["10.0.0.2/24"]));
        hub.cable(("r", &["10.1.0.1/24"]), ("w", &["10.1.0.4/24"]));
        hub.cable(("r", &["10.2.0.1/24"]), ("d", &["10.2.0.4/24"]));
        ip(&["-n", &hub.ns("f"), "addr", "add", PUBLIC, "dev", "lo"]);
        for (host, to, via) in [
            ("c", "default", "192.0.2.1"),
            ("f", "10.1.0.0/24", "10.0.0.2"),
            ("f", "10.2.0.0/24", "10.0.0.2"),
            ("r", "default", "10.0.0.1"),
            ("w", "default", "10.1.0.1"),
            ("d", "default", "10.2.0.1"),
        ] {
            ip(&["-n", &hub.ns(host), "route", "add", to, "via", via]);
        }
        for host in ["f", "r"] {
            within(&hub.ns(host), || {
                fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a router");
            });
        }
        // A fresh link finds its neighbours only after a while.
        soon("the machines are reached", || {
            [WEB, DATA].iter().all(|vm| hub.probe(CLIENT, vm, 9) == Met::Refused)
        });
        hub
    }

    fn ns(&self, host: &str) -> String {
        format!("{}{host}", self.id)
    }

    fn cable(&self, one: (&str, &[&str]), other: (&str, &[&str])) {
        let [near, far] = [one.0, other.0].map(|host| self.ns(host));
        let (to_other, to_one) = (format!("to{}", other.0), format!("to{}", one.0));
        ip(&[
            "-n", &near, "link", "add", &to_other, "type", "veth", "peer", "name", &to_one,
            "netns", &far,
        ]);
        for (ns, device, addresses) in [(&near, &to_other, one.1), (&far, &to_one, other.1)] {
            ip(&["-n", ns, "link", "set", device, "up"]);
            for address in addresses {
                ip(&["-n", ns, "addr", "add", address, "dev", device]);
            }
        }
    }

    fn guard(&mut self, host: &str, covers: &str) -> PathBuf {
        let dir = self.dir.path().join(host);
        let socket = dir.join("guard.sock");
        fs::create_dir(&dir).expect("a directory");
        let child = Command::new("ip")
            .args(["netns", "exec", &self.ns(host), env!("CARGO_BIN_EXE_hourgate"), "guard"])
            .args(["--covers", covers])
            .arg("--socket")
            .arg(&socket)
            .arg("--state-dir")
            .arg(dir.join("state"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a guard");
        self.running.push(child);
        soon("the guard is at its post", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        socket
    }

    fn serve(&mut self, firewall: &Path, inside: &Path) {
        let config = self.dir.path().join("hourgate.toml");
        let text = format!(
            "shortest_access = \"PT1S\"\n\
             [[guard]]\nname = \"firewall\"\nsocket = {firewall:?}\ncovers = [\"{PUBLIC}\"]\n\
             [[guard]]\nname = \"inside\"\nsocket = {inside:?}\n\
             covers = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n"
        );
        fs::write(&config, text).expect("a configuration");
        let mut child = self
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a server");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        self.running.push(child);
        let mut said = Vec::new();
        loop {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("no server: {}", said.join("\n")));
            if line.contains("ready") {
                break;
            }
            said.push(line);
        }
        // Reads on, so that the server never waits for us.
        thread::spawn(move || lines.for_each(drop));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourgate"));
        command.env_clear().env("HOME", self.dir.path()).stdin(Stdio::null());
        command
    }

    fn runs(&self, line: &str) -> Value {
        let mut command = self.command();
        command.env("HOURGATE_PROFILE", self.dir.path().join("data/admin.json"));
        command.args(line.split_whitespace());
        let Output { status, stdout, stderr } = command.output().expect("the command runs");
        assert!(status.success(), "{line}: {}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).unwrap_or(Value::Null)
    }

    /// Asks for access, and gives the one request that comes of it.
    fn asks(&self, line: &str) -> Value {
        let requests = self.runs(line);
        assert_eq!(requests.as_array().map(Vec::len), Some(1), "{line}: {requests}");
        requests[0].clone()
    }

    /// What somebody in the client's place meets.
    fn probe(&self, from: &str, to: &str, port: u16) -> Met {
        let from = SocketAddr::new(from.parse().expect("an address"), 0);
        let to = SocketAddr::new(to.parse().expect("an address"), port);
        within(&self.ns("c"), || match connect(from, to, SILENCE) {
            Ok(_) => Met::Open,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Met::Refused,
            Err(error) if error.kind() == ErrorKind::TimedOut => Met::Nothing,
            Err(error) => panic!("{to}: {error}"),
        })
    }

    /// Listens on a machine and keeps what it accepts.
    fn listens(&self, host: &str, address: &str) -> Arc<Mutex<Vec<TcpStream>>> {
        let address: IpAddr = address.parse().expect("an address");
        let listener = within(&self.ns(host), || TcpListener::bind((address, 22)).expect("a port"));
        let accepted: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let keep = Arc::clone(&accepted);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                keep.lock().expect("no panic").push(stream);
            }
        });
        accepted
    }
}

fn connect(from: SocketAddr, to: SocketAddr, wait: Duration) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&from.into())?;
    socket.connect_timeout(&to.into(), wait)?;
    Ok(socket.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Open,
    Refused,
    Nothing,
}

fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < SOON, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_opens_a_way_through_the_firewall_to_one_machine_for_one_source() {
    let mut hub = Hub::new();
    let (web, _data) = (hub.listens("w", WEB), hub.listens("d", DATA));
    let firewall = hub.guard("f", PUBLIC_NET);
    let inside = hub.guard("r", "10.1.0.0/16,10.2.0.0/16");
    hub.serve(&firewall, &inside);
    for line in [
        "network vnet create -n net --address-prefixes 10.0.0.0/8",
        "network vnet subnet create --vnet-name net -n AzureFirewallSubnet --address-prefixes 10.0.0.0/24",
        "network vnet subnet create --vnet-name net -n web --address-prefixes 10.1.0.0/24",
        "network vnet subnet create --vnet-name net -n data --address-prefixes 10.2.0.0/24",
        "network nsg create -n machines",
        "network public-ip create -n outside --ip-address 198.51.100.1",
        "network firewall-policy create -n rules",
        "network firewall create -n fw --vnet-name net --public-ip-address outside --firewall-policy rules",
        "network nic create -n web --vnet-name net --subnet web --private-ip-address 10.1.0.4 --network-security-group machines",
        "network nic create -n data --vnet-name net --subnet data --private-ip-address 10.2.0.4 --network-security-group machines",
        "add web-1 10.1.0.4 --os linux",
        "add data-1 10.2.0.4 --os linux",
        "protect web-1 --allowed-sources 192.0.2.0/24",
        "protect data-1 --allowed-sources 192.0.2.0/24",
    ] {
        hub.runs(line);
    }
    let first = 50_000;
    soon("mapped ports are silent", || hub.probe(CLIENT, PUBLIC, first) == Met::Nothing);
    assert_eq!(hub.probe(CLIENT, PUBLIC, 49_999), Met::Refused, "no other port is");
    for vm in [WEB, DATA] {
        assert_eq!(hub.probe(CLIENT, vm, 22), Met::Nothing, "{vm} is locked");
    }

    let request = hub.asks("request web-1 --source 192.0.2.2 -o json");
    let port = &request["virtualMachines"][0]["ports"][0];
    assert_eq!(port["status"], "Initiated", "{request}");
    assert_eq!(port["mappedPort"], first);
    assert_eq!(port["connect"], serde_json::json!({"address": PUBLIC, "port": first}));
    assert_eq!(hub.probe(STRANGER, PUBLIC, first), Met::Nothing);
    assert_eq!(hub.probe(CLIENT, PUBLIC, first + 1), Met::Nothing);
    let from = SocketAddr::new(CLIENT.parse().expect("an address"), 0);
    let to = SocketAddr::new(PUBLIC.parse().expect("an address"), first);
    let mut session = within(&hub.ns("c"), || connect(from, to, SOON).expect("it leads there"));
    soon("accepted", || !web.lock().expect("no panic").is_empty());
    let mut accepted = web.lock().expect("no panic").remove(0);
    let own = session.local_addr().expect("an address");
    assert_eq!(accepted.peer_addr().expect("an address"), own, "the source is kept");

    // Another machine's is another port, and neither disturbs the other.
    let other = hub.asks("request data-1 --source 192.0.2.2 -o json");
    assert_eq!(other["virtualMachines"][0]["ports"][0]["mappedPort"], first + 1);
    assert_eq!(hub.probe(CLIENT, PUBLIC, first + 1), Met::Open);

    hub.runs(&format!("close {}", request["id"].as_str().expect("an id")));
    soon("closed", || hub.probe(CLIENT, PUBLIC, first) == Met::Nothing);
    assert_eq!(hub.probe(CLIENT, WEB, 22), Met::Nothing, "inside too");
    assert_eq!(hub.probe(CLIENT, PUBLIC, first + 1), Met::Open, "the other goes on");
    session.write_all(b"x").expect("what began goes on");
    let mut byte = [0];
    accepted.set_read_timeout(Some(SOON)).expect("a timeout");
    accepted.read_exact(&mut byte).expect("it arrives");

    // With the server dead, both kernels end what ends.
    let short = hub.asks("request web-1 --source 192.0.2.2 --duration 6s -o json");
    let mapped = short["virtualMachines"][0]["ports"][0]["mappedPort"].as_u64().expect("a port");
    let mapped = u16::try_from(mapped).expect("a port");
    assert_eq!(hub.probe(CLIENT, PUBLIC, mapped), Met::Open);
    for child in &mut hub.running {
        let _ = child.kill();
        let _ = child.wait();
    }
    soon("ended by itself", || hub.probe(CLIENT, PUBLIC, mapped) == Met::Nothing);
    assert_eq!(hub.probe(CLIENT, WEB, 22), Met::Nothing);
}
