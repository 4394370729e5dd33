//! A server in the test's own process, over a guard in memory, for commands that are typed against it.

use std::{path::Path, sync::Arc};

use hourgate_enforce::fake::FakeGuard;
use hourgate_server::{Options, ServeError, covers, guards::Gate, serve_over};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) struct Served {
    /// Its guards, in the order configured.
    #[allow(dead_code, reason = "not every test talks to them")]
    pub(crate) guards: Vec<FakeGuard>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), ServeError>>,
}

/// A server that answers, and keeps its things in `data` below `home`.
pub(crate) async fn serve(home: &Path, options: Options) -> Served {
    let (ready, is_ready) = oneshot::channel();
    let (stop, told_to_stop) = oneshot::channel();
    let options = Options {
        data_dir: Some(home.join("data")),
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        ready: Some(ready),
        stop: Some(told_to_stop),
        ..options
    };
    let (made, are_made) = oneshot::channel();
    let server = tokio::spawn(serve_over(
        options,
        |store| store,
        |config, _, store, clock| {
            let guard = |cover| (cover, FakeGuard::new(Arc::clone(&clock)));
            let guards: Vec<_> = covers(config).into_iter().map(guard).collect();
            let sent = made.send(guards.iter().map(|(_, guard)| guard.clone()).collect());
            assert!(sent.is_ok(), "the test waits for them");
            Gate::start_with(guards, store, Arc::clone(&clock))
        },
    ));
    is_ready.await.expect("the server answers");
    Served { guards: are_made.await.expect("guards"), stop, server }
}

impl Served {
    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("the server still runs");
        self.server.await.expect("no panic").expect("a clean stop");
    }
}
