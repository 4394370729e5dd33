//! The first start: whoever waits for `admin.json` finds everything that it names, and nobody finds a part.

use std::{net::TcpListener, os::unix::fs::DirBuilderExt, path::PathBuf};

use hourgate_server::AdminFile;

use crate::harness::{SOON, Wanted, client, fresh_dir, start_in};

/// Looks as often as it can until the file is there, as a script does that starts a server and goes on.
async fn written(path: PathBuf) -> AdminFile {
    let look = tokio::task::spawn_blocking(move || {
        loop {
            match std::fs::read(&path) {
                Ok(text) => break serde_json::from_slice(&text).expect("whole at once"),
                Err(_) => std::thread::yield_now(),
            }
        }
    });
    tokio::time::timeout(SOON, look).await.expect("it is written").expect("no panic")
}

#[tokio::test]
async fn whoever_waits_for_the_administrators_file_can_sign_in_at_once() {
    let dir = fresh_dir();
    let admin = dir.path().join("data/admin.json");
    let (server, used) = tokio::join!(start_in(dir.clone(), Wanted::default()), async {
        let file = written(admin).await;
        let health = client(&file.ca, None).get(format!("{}/healthz", file.server)).send();
        health.await.expect("somebody listens, with a certificate that is vouched for").status()
    });
    assert_eq!(used, 200);
    let server = server.expect("a server");
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

#[tokio::test]
async fn a_first_start_that_fails_leaves_no_file_that_promises_a_server() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).expect("a directory");
    // What a crash cut off is no obstacle.
    for leftover in ["admin.new", "ca.new", "log.new", "seal.new"] {
        std::fs::write(data.join(leftover), "half of").expect("left behind");
    }
    let obstacle = data.join("ca.pem");
    std::fs::create_dir(&obstacle).expect("a directory where the certificate belongs");
    let refused = start_in(dir.clone(), Wanted::default()).await.err().expect("a refusal");
    assert!(refused.to_string().contains("ca.pem"), "{refused}");
    assert!(!data.join("admin.json").exists(), "there is no certificate that it could name");
    std::fs::remove_dir(&obstacle).expect("it is empty");

    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let wanted = Wanted::config(&format!("metrics_listen = \"{taken}\""));
    let refused = start_in(dir.clone(), wanted).await.err().expect("a refusal");
    assert!(refused.to_string().contains(&taken), "{refused}");
    assert!(!data.join("admin.json").exists(), "nobody would answer");
    drop(holder);

    let server = start_in(dir, Wanted::default()).await.expect("a server");
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
    let left = std::fs::read_dir(&data).expect("a directory").map(|entry| entry.expect("one"));
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}
