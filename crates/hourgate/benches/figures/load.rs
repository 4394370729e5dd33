//! How many initiations a second 64 clients get through, and how long each waits.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use crate::{
    Outcome,
    api::{Admin, Fleet},
    clock::{millis, steady},
    machine::Used,
    sample::Samples,
    site::{Site, source},
};

/// How many keep-alive connections.
const CLIENTS: u32 = 64;
/// How many openings of earlier figures may end while a load runs.
pub(crate) const ENDING: u64 = 500;

/// What the load told.
pub(crate) struct Load {
    /// Initiations a second, each committed before it was answered.
    pub(crate) per_second: f64,
    /// From sending to the answer, in milliseconds.
    pub(crate) answered: Samples,
    /// From the last answer until the guard had opened all of them, in milliseconds.
    pub(crate) behind: f64,
    /// How many openings that made.
    pub(crate) made: u32,
    /// Shares of the machine: bench, server, guard.
    pub(crate) shares: [f64; 3],
}

/// Every client asks for one machine after the other, from a source of its own each time, for so long or
/// until the sources are used up.
pub(crate) async fn run(
    site: &Site,
    fleet: Fleet,
    sources: Range<u32>,
    length: Duration,
) -> Outcome<Load> {
    let profile = site.profile()?;
    let token = profile.token().await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Admin::with(&profile, token.clone()).await?);
    }
    let standing = Admin::with(&profile, token.clone()).await?.standing().await?.openings.0;
    let next = Arc::new(AtomicU32::new(sources.start));
    let used = Used::now(site.server(), site.guard());
    let began = steady();
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(work(client, fleet, sources.end, Arc::clone(&next), began + length));
    }
    let mut answered = Vec::new();
    while let Some(done) = running.join_next().await {
        answered.extend(done??);
    }
    let took = (steady() - began).as_secs_f64();
    let shares = Used::now(site.server(), site.guard()).shares_since(used, took);
    let made = u32::try_from(answered.len())?;
    // A connection of its own: one that says nothing for long is closed.
    let mut admin = Admin::with(&profile, token).await?;
    // Openings of earlier figures may end meanwhile.
    let all = (standing + u64::from(made)).saturating_sub(ENDING);
    let behind = admin.converged(|standing| standing.openings.1 >= all).await?;
    Ok(Load {
        per_second: f64::from(made) / took,
        answered: Samples::of(answered),
        behind: millis(behind),
        made,
        shares,
    })
}

async fn work(
    mut client: Admin,
    fleet: Fleet,
    end: u32,
    next: Arc<AtomicU32>,
    until: Duration,
) -> Outcome<Vec<f64>> {
    let path = client.initiate_path(fleet);
    let mut took = Vec::new();
    while steady() < until {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= end {
            break;
        }
        let machine = n % fleet.size;
        let body = client.ask(fleet, machine..machine + 1, source(n), "PT1H");
        let sent = steady();
        let answer = client.initiate(&path, &body).await?;
        took.push(millis(steady() - sent));
        if answer.status != 202 {
            answer.json()?;
            return Err(format!("an initiation was answered {}", answer.status).into());
        }
    }
    Ok(took)
}
