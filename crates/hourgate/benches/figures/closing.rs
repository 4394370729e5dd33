//! How far from the granted end the last SYN is let through.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use crate::{
    Outcome,
    api::{Admin, Fleet, end_of},
    clock::{Wall, pause},
    probe::{Ear, Prober, Syn},
    sample::Samples,
    site::{PORT, door, source},
};

/// From one grant, and so from one end, to the next.
const STAGGER: Duration = Duration::from_millis(50);
/// SYNs are sent from so long before an end until so long after it, in milliseconds: less than half of
/// [`STAGGER`], so that one thread can watch every end.
const AROUND: f64 = 20.0;
/// From one SYN to the next.
const EVERY: Duration = Duration::from_micros(250);

/// A grant whose end is awaited.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    from: Ipv4Addr,
    to: Ipv4Addr,
    end: Wall,
}

/// What was seen of all ends.
pub(crate) struct Closings {
    /// Last SYN let through minus the granted end, in milliseconds: late is positive.
    pub(crate) errors: Samples,
    /// Grants of which no SYN was let through around the end: closed too early, or never open.
    pub(crate) unseen: usize,
    /// The longest time between two SYNs of one end, in milliseconds: finer than this nothing is known.
    pub(crate) widest_gap: f64,
}

/// Grants accesses of three seconds, one after the other, and watches each end.
pub(crate) async fn run(
    admin: &mut Admin,
    ear: Ear,
    fleet: Fleet,
    sources: std::ops::Range<u32>,
) -> Outcome<Closings> {
    let prober = Prober::new()?;
    let (tell, told) = std::sync::mpsc::channel::<Awaited>();
    let watching = std::thread::spawn(move || -> Outcome<Closings> {
        let awaited: Vec<(Awaited, f64)> =
            told.iter().map(|one| watch(&prober, one)).collect::<Outcome<_>>()?;
        judge(&ear, &awaited)
    });
    let path = admin.initiate_path(fleet);
    let mut ticks = tokio::time::interval(STAGGER);
    for n in sources {
        ticks.tick().await;
        let (from, machine) = (source(n), n % fleet.size);
        let body = admin.ask(fleet, machine..machine + 1, from, "PT3S");
        let end = end_of(&admin.initiate(&path, &body).await?.json()?)?;
        tell.send(Awaited { from, to: door(machine), end })?;
    }
    drop(tell);
    match watching.join() {
        Ok(closings) => closings,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sends SYNs around one end; says how far apart they were at most.
fn watch(prober: &Prober, awaited: Awaited) -> Outcome<(Awaited, f64)> {
    let (begin, end) = (awaited.end.plus_millis(-AROUND), awaited.end.plus_millis(AROUND));
    let wait = begin - Wall::now();
    pause(Duration::from_secs_f64(wait.max(0.0) / 1_000.0));
    let (mut number, mut widest, mut last) = (0, 0.0_f64, Wall::now());
    while last < end {
        // A port of its own each: a second SYN of one flow could pass as part of what is established.
        let Awaited { from, to, .. } = awaited;
        let from_port = 1_024 + (number % 60_000) as u16;
        prober.send(&Syn { from, from_port, to, to_port: PORT, number })?;
        number += 1;
        pause(EVERY);
        let now = Wall::now();
        (widest, last) = (widest.max(now - last), now);
    }
    Ok((awaited, widest))
}

fn judge(ear: &Ear, awaited: &[(Awaited, f64)]) -> Outcome<Closings> {
    let mut last: BTreeMap<Ipv4Addr, Wall> = BTreeMap::new();
    for passed in ear.all(Duration::from_millis(200)) {
        let at = last.entry(passed.from).or_insert(passed.at);
        *at = passed.at.max(*at);
    }
    let seen = awaited.iter().filter_map(|(one, _)| Some(*last.get(&one.from)? - one.end));
    let errors = Samples::of(seen);
    Ok(Closings {
        unseen: awaited.len() - errors.count(),
        widest_gap: awaited.iter().map(|(_, gap)| *gap).fold(0.0, f64::max),
        errors,
    })
}
