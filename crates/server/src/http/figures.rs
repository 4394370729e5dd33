//! `/metrics`, on a loopback listener of its own, without TLS.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use hourgate_store::Store;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::server::Server;

/// How many collectors are answered at once; there is one, as a rule.
const COLLECTORS_MAX: usize = 16;
/// How long one may take to ask.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

/// Answers collectors for as long as the server runs.
pub(crate) async fn serve_metrics<S: Store>(listener: TcpListener, server: Arc<Server<S>>) {
    let places = Arc::new(Semaphore::new(COLLECTORS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let server = server.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(&server, request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(ASKED_WITHIN).keep_alive(false);
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a collector of metrics hung up");
            }
        });
    }
}

fn answer<S: Store>(server: &Server<S>, path: &str) -> Response<Full<Bytes>> {
    let mut answer = if path == "/metrics" {
        Response::new(Full::new(server.metrics.text(&server.gate.view().guards()).into()))
    } else {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
    answer
}
