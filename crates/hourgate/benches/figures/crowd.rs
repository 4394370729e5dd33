//! What changes when a hundred thousand openings are live: the wait for an initiation, a restart, a packet.

use std::{net::Ipv4Addr, time::Duration};

use rustix::process::Signal;

use crate::{
    Outcome,
    api::{Admin, Fleet, Standing},
    clock::{millis, since, steady},
    lab::{Host, Lab},
    load::{self, Load},
    probe::{Prober, Syn},
    sample::Samples,
    site::{PORT, Site, on_client, source},
};

/// Filling that takes longer has failed.
const FILL_MAX: Duration = Duration::from_mins(3);
/// From one paced initiation to the next: a hundred a second.
const PACE: Duration = Duration::from_millis(10);
/// How many SYNs one batch has.
const BATCH: u32 = 4_000;
/// How many flows a batch goes round: more than fit the nearest cache, as with real clients.
const FLOWS: u32 = 1_000;

/// Asks until so many openings are live and the guard has reported them: one machine and one source each,
/// as people ask.
pub(crate) async fn fill(
    site: &Site,
    fleet: Fleet,
    first_source: u32,
    wanted: u64,
) -> Outcome<Standing> {
    let standing = Admin::sign_in(&site.profile()?).await?.standing().await?;
    let missing = u32::try_from(wanted.saturating_sub(standing.openings.1))?;
    let sources = first_source..first_source + missing;
    let load = load::run(site, fleet, sources, FILL_MAX).await?;
    if load.made < missing {
        let Load { made, per_second, .. } = load;
        return Err(format!("only {made} of {missing} were asked for, {per_second:.0}/s").into());
    }
    // A connection of its own: one that says nothing for long is closed.
    Admin::sign_in(&site.profile()?).await?.standing().await
}

/// Initiates at a steady pace, one after the other; how long each waited for its answer. The first
/// `warm_up` are not counted.
pub(crate) async fn paced(
    admin: &mut Admin,
    fleet: Fleet,
    sources: std::ops::Range<u32>,
    warm_up: usize,
) -> Outcome<Samples> {
    let path = admin.initiate_path(fleet);
    let mut ticks = tokio::time::interval(PACE);
    let mut took = Vec::new();
    for n in sources {
        ticks.tick().await;
        // 7 and the size of the fleet have no common divisor: every machine gets its turn.
        let machine = n * 7 % fleet.size;
        let body = admin.ask(fleet, machine..machine + 1, source(n), "PT1H");
        let sent = steady();
        let answer = admin.initiate(&path, &body).await?;
        took.push(since(sent));
        answer.json()?;
    }
    Ok(Samples::of(took.into_iter().skip(warm_up)))
}

/// Who is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restarted {
    Server,
    Both,
}

/// What a restart took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    /// From the signal until everything that was stopped was gone.
    pub(crate) stopped: f64,
    /// From the signal until a new server reports that everything stands.
    pub(crate) converged: f64,
}

/// Stops and starts, and waits until as many openings stand as before.
pub(crate) fn restart(site: &mut Site, who: Restarted, standing: Standing) -> Outcome<Restart> {
    let began = steady();
    site.stop_server(Signal::TERM)?;
    match who {
        Restarted::Server => {}
        Restarted::Both => site.stop_guard(Signal::TERM)?,
    }
    let stopped = since(began);
    site.start()?;
    on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        // Accesses end while this runs: a few openings fewer are right.
        let least = standing.openings.1 - standing.openings.1 / 50;
        let all = |now: &Standing| now.locks == standing.locks && now.openings.1 >= least;
        admin.converged(all).await
    })?;
    Ok(Restart { stopped, converged: since(began) })
}

/// Sources from here on are never asked for.
const STRANGERS: u32 = 128_000;

/// A stream of SYNs through a gate.
pub(crate) struct Stream {
    prober: Prober,
    packets: Vec<Syn>,
}

impl Stream {
    /// From sources that have no opening: each is dropped.
    pub(crate) fn dropped(lab: &Lab, fleet: Fleet) -> Outcome<Stream> {
        Stream::new(lab, |n| (source(STRANGERS + n), (fleet.address)(n % fleet.size)))
    }

    /// From the sources that a load asked for first, each to its machine: each is let through.
    pub(crate) fn accepted(lab: &Lab, fleet: Fleet, first_source: u32) -> Outcome<Stream> {
        Stream::new(lab, |n| (source(first_source + n), (fleet.address)(n % fleet.size)))
    }

    fn new(lab: &Lab, ends: impl Fn(u32) -> (Ipv4Addr, Ipv4Addr)) -> Outcome<Stream> {
        // A socket stays on the host that it was made on, whoever uses it.
        let prober = lab.inside(Host::Client, Prober::new)??;
        let syn = |n: u32| {
            let (from, to) = ends(n);
            Syn { from, from_port: 40_000, to, to_port: PORT, number: n }
        };
        Ok(Stream { prober, packets: (0..FLOWS).map(syn).collect() })
    }

    /// Nanoseconds that one of them takes, from the call that sends it until it is dropped or has arrived:
    /// on a pair of veth all of that happens within the call.
    pub(crate) fn batch(&self) -> Outcome<f64> {
        let began = steady();
        for syn in self.packets.iter().cycle().take(BATCH as usize) {
            self.prober.send(syn)?;
        }
        Ok(millis(steady() - began) * 1e6 / f64::from(BATCH))
    }
}

/// What a packet costs with a crowd of openings and at none, in nanoseconds, and how they compare.
pub(crate) struct PacketCost {
    pub(crate) crowd: Samples,
    pub(crate) none: Samples,
}

impl PacketCost {
    /// Median to median.
    pub(crate) fn ratio(&self) -> f64 {
        self.crowd.p50() / self.none.p50()
    }
}

/// Sends batches through two gates in turn.
pub(crate) fn compare(crowd: &Stream, none: &Stream, batches: usize) -> Outcome<PacketCost> {
    let (mut of_crowd, mut of_none) = (Vec::new(), Vec::new());
    for turn in 0..batches + 2 {
        let (at_crowd, at_none) = if turn % 2 == 0 {
            let first = crowd.batch()?;
            (first, none.batch()?)
        } else {
            let first = none.batch()?;
            (crowd.batch()?, first)
        };
        // The first two warm the caches.
        if turn >= 2 {
            of_crowd.push(at_crowd);
            of_none.push(at_none);
        }
    }
    Ok(PacketCost { crowd: Samples::of(of_crowd), none: Samples::of(of_none) })
}
