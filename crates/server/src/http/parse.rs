//! Where bodies are taken apart: a small one at once, a large one on a thread that nobody else waits for.

use std::sync::Arc;

use bytes::Bytes;
use hourgate_api::error::{ArmError, internal_error};
use tokio::sync::Semaphore;

/// Largest body that is taken apart on the threads that serve everybody: it takes about a millisecond.
/// One of 4 MiB takes a hundred, and a few of those would keep a close waiting.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;
/// How many larger ones are taken apart at a time. Each holds several times its size in memory, and keeps
/// a processor busy that others need.
const LARGE_MAX: usize = 2;

/// Room for large bodies.
#[derive(Debug)]
pub(crate) struct Parsers(Arc<Semaphore>);

impl Default for Parsers {
    fn default() -> Parsers {
        Parsers(Arc::new(Semaphore::new(LARGE_MAX)))
    }
}

impl Parsers {
    /// What `parse` makes of a body. Whoever sent a large one waits for their turn.
    pub(super) async fn parse<T: Send + 'static>(
        &self,
        body: &Bytes,
        parse: impl FnOnce(&[u8]) -> Result<T, ArmError> + Send + 'static,
    ) -> Result<T, ArmError> {
        if body.len() <= AT_ONCE_BYTES_MAX {
            return parse(body);
        }
        let body = body.clone();
        // Never closed.
        let turn = self.0.clone().acquire_owned().await.map_err(|_| internal_error())?;
        let parsed = tokio::task::spawn_blocking(move || {
            // Held until it is done, also where whoever asked has gone.
            let _turn = turn;
            parse(&body)
        });
        parsed.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a body could not be taken apart");
            Err(internal_error())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn body(bytes: usize) -> Bytes {
        Bytes::from(vec![b' '; bytes])
    }

    #[tokio::test]
    async fn small_bodies_pass_while_two_large_ones_are_taken_apart_and_a_third_waits() {
        let parsers = Arc::new(Parsers::default());
        let (begun, begins) = mpsc::channel();
        let mut releases = Vec::new();
        let mut large = Vec::new();
        for n in 0..=LARGE_MAX {
            let (release, released) = mpsc::channel::<()>();
            let (parsers, begun) = (parsers.clone(), begun.clone());
            releases.push(release);
            large.push(tokio::spawn(async move {
                let parse = move |_: &[u8]| {
                    begun.send(n).expect("a listener");
                    released.recv_timeout(SOON).expect("a word");
                    Ok(n)
                };
                parsers.parse(&body(AT_ONCE_BYTES_MAX + 1), parse).await
            }));
        }
        // This test's one thread is free for it: both are on threads of their own.
        while parsers.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut first: Vec<usize> =
            (0..LARGE_MAX).map(|_| begins.recv_timeout(SOON).expect("begun")).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 1]);
        let small = parsers.parse(&body(AT_ONCE_BYTES_MAX), |sent| Ok(sent.len())).await;
        assert_eq!(small, Ok(AT_ONCE_BYTES_MAX));
        assert!(begins.try_recv().is_err(), "the third waits for its turn");
        // Whoever goes away frees no place that is still in use.
        large[0].abort();
        tokio::task::yield_now().await;
        assert_eq!(parsers.0.available_permits(), 0);
        for release in releases {
            release.send(()).expect("a listener");
        }
        for (n, one) in large.into_iter().enumerate().skip(1) {
            assert_eq!(one.await.expect("no panic"), Ok(n));
        }
    }
}
