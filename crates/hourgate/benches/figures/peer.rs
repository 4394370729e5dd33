//! The same questions to `fwknopd` of Debian, on three hosts of its own, protecting a port of its gateway,
//! as it is usually set up: its defaults, a key, an HMAC, iptables.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    Outcome,
    clock::{Wall, pause, until},
    lab::{GATEWAY, Host, Lab},
    opening::Knocker,
    probe::{Ear, Prober, Syn},
    sample::Samples,
    site::{PORT, hosts, serve_port, source},
};

/// Where it listens for its packets.
const KNOCKS: u16 = 62_201;
/// How long it keeps a port open.
const ACCESS: Duration = Duration::from_secs(3);

/// A running fwknopd and its client's keys. Dropped, all of it is gone.
pub(crate) struct Peer {
    daemon: Child,
    lab: Lab,
    dir: PathBuf,
    key: String,
    hmac: String,
}

impl Peer {
    /// Starts it; where it is not installed, an error that says so.
    pub(crate) fn build(prefix: &'static str, dir: &Path) -> Outcome<Peer> {
        let lab = hosts(prefix)?;
        serve_port(&lab, Host::Gateway, PORT)?;
        let dir = dir.join(prefix);
        fs::create_dir_all(&dir)?;
        for rule in [
            ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"].as_slice(),
            ["-j", "DROP"].as_slice(),
        ] {
            let mut iptables = lab.command(Host::Gateway, "iptables".as_ref());
            iptables.args(["-A", "INPUT", "-p", "tcp", "--dport", "22"]).args(rule);
            run(&mut iptables)?;
        }
        let keys = dir.join("keys");
        run(Command::new("fwknop").args(["--key-gen", "--use-hmac", "-K"]).arg(&keys))?;
        let keys = fs::read_to_string(keys)?;
        let key = |name: &str| -> Outcome<String> {
            let line = keys.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            Ok(line.ok_or("fwknop made no key")?.trim().to_owned())
        };
        let (key, hmac) = (key("KEY_BASE64")?, key("HMAC_KEY_BASE64")?);
        let seconds = ACCESS.as_secs();
        let access = format!(
            "SOURCE ANY\nOPEN_PORTS tcp/22\nKEY_BASE64 {key}\nHMAC_KEY_BASE64 {hmac}\n\
             FW_ACCESS_TIMEOUT {seconds}\n",
        );
        private(&dir.join("access.conf"), &access)?;
        private(&dir.join("fwknopd.conf"), "PCAP_INTF g0;\n")?;
        let daemon = start(&lab, &dir)?;
        let peer = Peer { daemon, lab, dir, key, hmac };
        let log = peer.dir.join("log");
        let runs = || fs::read_to_string(&log).is_ok_and(|log| log.contains("main event loop"));
        if until(Duration::from_secs(10), runs) {
            Ok(peer)
        } else {
            Err("fwknopd does not start".into())
        }
    }

    /// From sending its packet to the first SYN let through, in milliseconds, so many times.
    pub(crate) fn openings(&self, samples: u32) -> Outcome<Samples> {
        let ear = Ear::open(&self.lab, Host::Gateway)?;
        let packets: Vec<Vec<u8>> =
            (0..samples).map(|n| self.packet(source(n))).collect::<Outcome<_>>()?;
        self.lab.inside(Host::Client, || -> Outcome<Samples> {
            let knocker = Knocker::start(ear)?;
            let mut took = Vec::new();
            for (n, packet) in (0..).zip(packets) {
                knocker.begin(source(n), GATEWAY)?;
                let sent = Wall::now();
                send(&packet)?;
                took.push(knocker.opened()? - sent);
                // Not in step with its loop.
                pause(Duration::from_millis(60 + u64::from(n) * 7 % 100));
            }
            Ok(Samples::of(took))
        })?
    }

    /// Opens once more and kills it while that access runs; when the access is to end.
    pub(crate) fn killed_while_open(&mut self) -> Outcome<Wall> {
        let ear = Ear::open(&self.lab, Host::Gateway)?;
        let packet = self.packet(SURVIVOR)?;
        let opened = self.lab.inside(Host::Client, || -> Outcome<Wall> {
            let knocker = Knocker::start(ear)?;
            knocker.begin(SURVIVOR, GATEWAY)?;
            send(&packet)?;
            knocker.opened()
        })??;
        // SIGKILL.
        self.lab.kill_all(Host::Gateway)?;
        self.daemon.wait()?;
        Ok(opened.plus_millis(ACCESS.as_secs_f64() * 1_000.0))
    }

    /// Whether that access still lets somebody in.
    pub(crate) fn still_open(&self) -> Outcome<bool> {
        let ear = Ear::open(&self.lab, Host::Gateway)?;
        let prober = self.lab.inside(Host::Client, Prober::new)??;
        passes(&prober, &ear, SURVIVOR, GATEWAY)
    }

    fn packet(&self, from: Ipv4Addr) -> Outcome<Vec<u8>> {
        let file = self.dir.join("packet");
        // It asks before it overwrites.
        let _ = fs::remove_file(&file);
        let mut client = Command::new("fwknop");
        client
            .args(["--no-rc-file", "--no-save-args", "--test", "-A", "tcp/22", "--use-hmac"])
            .args(["-a", &from.to_string(), "-D", &GATEWAY.to_string()])
            .args(["--key-base64-rijndael", &self.key, "--key-base64-hmac", &self.hmac])
            .arg("--save-packet")
            .arg(&file);
        run(&mut client)?;
        Ok(fs::read(file)?.trim_ascii().to_vec())
    }
}

/// Who asks before it is killed.
const SURVIVOR: Ipv4Addr = Ipv4Addr::new(198, 18, 200, 1);

/// Whether a new SYN is let through, sent on the host that made the prober.
pub(crate) fn passes(prober: &Prober, ear: &Ear, from: Ipv4Addr, to: Ipv4Addr) -> Outcome<bool> {
    for number in 0..20 {
        // Ports that nothing used before.
        let from_port = 63_000 + number as u16;
        prober.send(&Syn { from, from_port, to, to_port: PORT, number })?;
        pause(Duration::from_millis(5));
    }
    let heard = ear.all(Duration::from_millis(200));
    Ok(heard.iter().any(|passed| passed.from == from && *passed.to.ip() == to))
}

fn start(lab: &Lab, dir: &Path) -> Outcome<Child> {
    let log = File::create(dir.join("log"))?;
    let mut daemon = lab.command(Host::Gateway, "fwknopd".as_ref());
    for (flag, file) in [
        ("-c", "fwknopd.conf"),
        ("-a", "access.conf"),
        ("-p", "fwknopd.pid"),
        ("-d", "digest.cache"),
        ("-r", "."),
    ] {
        daemon.arg(flag).arg(dir.join(file));
    }
    // In the foreground and told to speak, so that it says when it is ready.
    daemon.args(["-f", "-v", "-i", "g0"]).stdin(Stdio::null());
    Ok(daemon.stdout(log.try_clone()?).stderr(log).spawn()?)
}

fn send(packet: &[u8]) -> Outcome<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(packet, SocketAddr::from((GATEWAY, KNOCKS)))?;
    Ok(())
}

fn private(path: &Path, text: &str) -> Outcome<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let file = File::options().create_new(true).write(true).mode(0o600).open(path);
    Ok(file?.write_all(text.as_bytes())?)
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {}", said.trim()).into())
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Killed already, or not: it must not stay behind as a zombie.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
