//! What listens on the VM: a real sshd where one is installed, and an echo that ends can be measured on.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::lab::{Host, Lab};

/// Where Debian and most others keep it.
const SSHD: &str = "/usr/sbin/sshd";

/// What the echo saw of its connections.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// Whether one of them ended with a reset.
    pub(super) reset: AtomicBool,
}

/// Starts the echo on the VM; when this returns it listens.
pub(super) fn echo(lab: &Lab, at: SocketAddr) -> io::Result<Arc<Echo>> {
    let echo = Arc::new(Echo::default());
    let (listens, listening) = std::sync::mpsc::channel();
    let kept = Arc::clone(&echo);
    lab.start(Host::Vm, move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let listener = TcpListener::bind(at).await;
            // Nobody waits for the answer any more only if the demo has ended.
            let _ = listens.send(listener.as_ref().map(drop).map_err(io::Error::kind));
            let Ok(listener) = listener else { return };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&kept)));
            }
        });
    })?;
    let outcome = listening.recv().map_err(io::Error::other)?;
    outcome.map_err(io::Error::from)?;
    Ok(echo)
}

async fn answer(mut stream: tokio::net::TcpStream, echo: Arc<Echo>) {
    let mut bytes = [0; 64];
    loop {
        match stream.read(&mut bytes).await {
            Ok(0) => return,
            Ok(length) => {
                if stream.write_all(&bytes[..length]).await.is_err() {
                    echo.reset.store(true, Ordering::Release);
                    return;
                }
            }
            Err(_) => {
                echo.reset.store(true, Ordering::Release);
                return;
            }
        }
    }
}

/// Starts a real sshd on the VM, if there is one. It ends with the lab.
pub(super) fn sshd(lab: &Lab, at: SocketAddr, dir: &Path) -> Option<Child> {
    if !Path::new(SSHD).exists() {
        return None;
    }
    let key = dir.join("host_key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .stdin(Stdio::null())
        .status();
    // Debian's sshd wants this folder for its unprivileged half; the boot makes it, a container may not.
    let prepared =
        made.is_ok_and(|status| status.success()) && fs::create_dir_all("/run/sshd").is_ok();
    if !prepared {
        return None;
    }
    let listen = format!("ListenAddress={}", at.ip());
    let port = at.port().to_string();
    lab.command(Host::Vm, SSHD.as_ref())
        .args(["-D", "-q", "-f", "/dev/null", "-o", &listen, "-p", &port, "-o", "PidFile=none"])
        .args(["-o", "UsePAM=no", "-h"])
        .arg(&key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}
