//! Takes one figure after the other; each part of the run becomes rows of the table.

use std::{path::Path, time::Duration};

use hourgate_core::time::Clock;
use hourgate_server::{clock::SystemClock, measure::check_costs};
use rustix::process::Signal;

use crate::{
    LABS, Outcome,
    api::{Admin, Fleet, Standing, end_of},
    clock::{Wall, pause, steady},
    closing::{self, Closings},
    crowd::{self, PacketCost, Restarted, Stream},
    lab::Host,
    limits, load,
    opening::{self, Knocker, Openings},
    peer::{self, Peer},
    probe::{Ear, Prober},
    rules,
    sample::Samples,
    site::{self, Site, door, on_client, sink, source},
    table::{Held, Row},
    walls::{self, Costs, Walled},
};

/// Machines that answer.
const DOORS: Fleet = Fleet { name: "doors", size: 20, address: door };
/// Interfaces behind a group each.
const WALLED: Fleet = Fleet { name: "walled", size: 200, address: |n| door(1_000 + n) };
/// Machines that are many.
const MACHINES: Fleet = Fleet { name: "machines", size: 1_000, address: sink };

/// How many openings a crowd is.
const CROWD: u64 = 100_000;
/// How many samples warm caches, connections and the server before any is counted.
const WARM_UP: u32 = 30;
/// How long after its end an access of somebody killed is looked at.
const AFTER_KILL: Duration = Duration::from_secs(10);

// Who asks for what: no source asks twice for one machine.
const OPENING: u32 = 0;
const OPENING_IN_CROWD: u32 = 500;
const CLOSING: u32 = 1_000;
const SURVIVING: u32 = 1_500;
const PACED: u32 = 3_000;
const LOADING: u32 = 8_000;
/// The load is to leave room for what is asked for among 100,000: the guard's set takes 117,000.
const LOADED_MAX: u32 = 90_000;

/// How much of everything.
struct Extent {
    openings: u32,
    closings: u32,
    load: Duration,
    paced: u32,
    batches: usize,
    peer: u32,
    edits: u16,
}

/// Takes every figure.
pub(crate) fn take(dir: &Path, quick: bool, only_rules: bool) -> Outcome<Vec<Row>> {
    let extent = if quick {
        let load = Duration::from_secs(3);
        Extent { openings: 50, closings: 40, load, paced: 200, batches: 10, peer: 8, edits: 30 }
    } else {
        let load = Duration::from_secs(12);
        Extent {
            openings: 250,
            closings: 200,
            load,
            paced: 1_500,
            batches: 40,
            peer: 30,
            edits: 100,
        }
    };
    let example = std::env::var("HOURGATE_BENCH_LIMIT");
    let example = example.map_err(|_| "start it with ./bench, which builds all that it needs")?;
    let began = steady();
    let say = |what: &str| eprintln!("[{:3.0} s] {what}", (steady() - began).as_secs_f64());

    if only_rules {
        return rule_rows(dir, &extent, &say);
    }
    say("fwknopd: time to open");
    let mut peer = Peer::build(LABS[2], dir)?;
    let peer_openings = peer.openings(extent.peer)?;

    say("Hourgate: server, guard, 20 machines");
    let mut site = Site::build(LABS[0], dir)?;
    protect(&site, DOORS)?;
    let limits = Limits {
        fsync: limits::fsync(dir)?,
        netlink: limits::netlink(&site.lab, Path::new(&example))?,
    };

    say("from initiate to the first SYN let through");
    let openings = openings(&site, OPENING, extent.openings)?;
    let mut rows = opening_rows(&openings, &limits, &peer_openings);

    say("who calls, and what they may");
    rows.extend(checking_rows()?);

    say("close error");
    let ear = Ear::open(&site.lab, Host::Vm)?;
    let closings = on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        closing::run(&mut admin, ear, DOORS, CLOSING..CLOSING + extent.closings).await
    })?;
    rows.push(closing_row(&closings));

    say("1,000 machines");
    protect(&site, MACHINES)?;
    say("initiations a second");
    let sources = LOADING..LOADING + LOADED_MAX;
    let load =
        on_client(&site.lab, async || load::run(&site, MACHINES, sources, extent.load).await)?;
    rows.extend(load_rows(&load, &limits));

    rows.extend(crowd_rows(&mut site, dir, &extent, load.made, &say)?);

    say("everybody is killed while an access runs");
    rows.push(kill_row(&mut site, &mut peer)?);
    drop((site, peer));
    rows.extend(rule_rows(dir, &extent, &say)?);
    Ok(rows)
}

/// Registers and protects a fleet.
fn protect(site: &Site, fleet: Fleet) -> Outcome<()> {
    on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        admin.register(fleet).await?;
        admin.protect(fleet).await
    })
}

struct Limits {
    /// Milliseconds.
    fsync: Samples,
    /// Microseconds.
    netlink: (f64, f64),
}

fn openings(site: &Site, first: u32, count: u32) -> Outcome<Openings> {
    let ear = Ear::open(&site.lab, Host::Vm)?;
    on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        let knocker = Knocker::start(ear)?;
        let sources = first..first + WARM_UP + count;
        opening::run(&mut admin, &knocker, DOORS, sources, WARM_UP as usize).await
    })
}

fn opening_rows(openings: &Openings, limits: &Limits, peer: &Samples) -> Vec<Row> {
    let Openings { opened, answered } = openings;
    vec![
        Row {
            figure: "initiate to first SYN, p50",
            ours: format!("{:.1} ms", opened.p50()),
            target: "≤ 5 ms",
            beside: format!(
                "fwknopd {:.0} ms ({:.0} times); limit: fsync {:.2} ms + netlink {:.0} µs ({:.0} µs read back)",
                peer.p50(),
                peer.p50() / opened.p50(),
                limits.fsync.p50(),
                limits.netlink.0,
                limits.netlink.1,
            ),
            held: Held::when(opened.p50() <= 5.0),
        },
        Row {
            figure: "initiate to first SYN, p99",
            ours: format!("{:.1} ms ({} samples)", opened.p99(), opened.count()),
            target: "≤ 15 ms",
            beside: format!(
                "fwknopd {:.0} ms ({} samples); limit: fsync {:.2} ms",
                peer.p99(),
                peer.count(),
                limits.fsync.p99(),
            ),
            held: Held::when(opened.p99() <= 15.0),
        },
        Row {
            figure: "initiate to its answer",
            ours: format!("p50 {:.1} ms, p99 {:.1} ms", answered.p50(), answered.p99()),
            target: "",
            beside: String::new(),
            held: Held::NoTarget,
        },
    ]
}

/// How many assignments somebody has, and how often they are looked at.
const ASSIGNMENTS: u32 = 50;
const CHECKS: u32 = 20_000;

fn checking_rows() -> Outcome<Vec<Row>> {
    let now = SystemClock::new()?.now();
    let costs = check_costs(ASSIGNMENTS, CHECKS, now)?;
    let micros = |all: &[Duration]| Samples::of(all.iter().map(|one| one.as_secs_f64() * 1e6));
    let [seen, new, rs256] = [&costs.seen, &costs.new, &costs.rs256].map(|all| micros(all));
    let beside = format!("RS256 alone p50 {:.0} µs", rs256.p50());
    Ok(vec![
        Row {
            figure: "token and roles, 50 assignments, token seen before",
            ours: format!("p50 {:.1} µs, p99 {:.1} µs", seen.p50(), seen.p99()),
            target: "≤ 20 µs",
            beside: String::new(),
            held: Held::when(seen.p50() <= 20.0),
        },
        Row {
            figure: "the same, token not seen before",
            ours: format!("p50 {:.0} µs, p99 {:.0} µs", new.p50(), new.p99()),
            target: "",
            beside,
            held: Held::NoTarget,
        },
    ])
}

fn closing_row(closings: &Closings) -> Row {
    let Closings { errors, unseen, widest_gap } = closings;
    Row {
        figure: "last SYN let through, from the granted end",
        ours: format!(
            "{:+.1} / {:+.1} / {:+.1} ms (least, median, most of {}; unseen {unseen})",
            errors.least(),
            errors.p50(),
            errors.most(),
            errors.count(),
        ),
        target: "≤ 4 ms late",
        beside: format!("a SYN every 0.3 ms, {widest_gap:.1} ms at most"),
        held: Held::when(errors.most() <= 4.0 && *unseen == 0),
    }
}

fn load_rows(load: &load::Load, limits: &Limits) -> Vec<Row> {
    let [bench, server, guard] = load.shares.map(|share| share * 100.0);
    let per_fsync = 1_000.0 / limits.fsync.p50();
    vec![
        Row {
            figure: "initiations a second, 64 clients, 1,000 VMs",
            ours: format!("{:.0}/s ({} in all)", load.per_second, load.made),
            target: "≥ 3,000/s",
            beside: format!("one fsync each: {per_fsync:.0}/s"),
            held: Held::when(load.per_second >= 3_000.0),
        },
        Row {
            figure: "their answers",
            ours: format!(
                "p50 {:.1} ms, p99 {:.1} ms; all open {:.0} ms after the last",
                load.answered.p50(),
                load.answered.p99(),
                load.behind,
            ),
            target: "",
            beside: format!("CPU: clients {bench:.0} %, server {server:.0} %, guard {guard:.0} %"),
            held: Held::NoTarget,
        },
    ]
}

fn crowd_rows(
    site: &mut Site,
    dir: &Path,
    extent: &Extent,
    loaded: u32,
    say: &dyn Fn(&str),
) -> Outcome<Vec<Row>> {
    say("100,000 openings");
    let next = LOADING + loaded;
    // Openings of earlier figures end meanwhile.
    let wanted = CROWD + load::ENDING;
    let standing = on_client(&site.lab, async || crowd::fill(site, MACHINES, next, wanted).await)?;
    say(&format!("{} openings stand; initiations among them", standing.openings.1));
    let paced = on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        let sources = PACED..PACED + WARM_UP + extent.paced;
        crowd::paced(&mut admin, MACHINES, sources, WARM_UP as usize).await
    })?;
    let opened = openings(site, OPENING_IN_CROWD, extent.openings.min(100))?.opened;
    let mut rows = vec![
        Row {
            figure: "100,000 openings: initiate, p99",
            ours: format!("{:.1} ms (p50 {:.1} ms, 100/s)", paced.p99(), paced.p50()),
            target: "≤ 20 ms",
            beside: String::new(),
            held: Held::when(paced.p99() <= 20.0),
        },
        Row {
            figure: "100,000 openings: initiate to first SYN",
            ours: format!("p50 {:.1} ms, p99 {:.1} ms", opened.p50(), opened.p99()),
            target: "",
            beside: String::new(),
            held: Held::NoTarget,
        },
    ];
    say("what a packet costs");
    // A second gate with the same locks, so that both are asked in turn and under the same conditions.
    let none = Site::build(LABS[1], dir)?;
    protect(&none, MACHINES)?;
    rows.extend(packet_rows(site, &none, extent)?);
    say("restarts");
    rows.extend(restart_rows(site, standing)?);
    Ok(rows)
}

/// The figures of security groups, at a gate of their own.
fn rule_rows(dir: &Path, extent: &Extent, say: &dyn Fn(&str)) -> Outcome<Vec<Row>> {
    say("Hourgate: server, guard");
    let site = Site::build(LABS[3], dir)?;
    say("200 groups of 100 rules");
    let mut rows = wall_rows(&site, extent)?;
    say("1,000 machines behind them, 100,000 openings");
    on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        admin.register(MACHINES).await?;
        walls::join(&mut admin, MACHINES, walls::GROUPS).await?;
        admin.protect(MACHINES).await
    })?;
    on_client(&site.lab, async || crowd::fill(&site, MACHINES, LOADING, CROWD).await)?;
    say("a second gate");
    let plain = Site::build(LABS[4], dir)?;
    protect(&plain, MACHINES)?;
    say("edits among them, and what a packet costs");
    rows.extend(walled_rows(&site, &plain, extent)?);
    say("one flow through 1,000 rules");
    rows.push(flow_row(&rules::flows()?));
    say("done");
    Ok(rows)
}

/// Groups before 200 interfaces of which no VM is known.
fn wall_rows(site: &Site, extent: &Extent) -> Outcome<Vec<Row>> {
    let to = (WALLED.address)(0);
    let ear = Ear::open(&site.lab, Host::Vm)?;
    let (edited, renumbered) = on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        walls::build(&mut admin).await?;
        walls::join(&mut admin, WALLED, walls::GROUPS).await?;
        let knocker = Knocker::start(ear)?;
        let edited = walls::edits(&mut admin, &knocker, to, (0, extent.edits)).await?;
        Ok((edited, walls::renumbered(&mut admin, &knocker, to, (0, 5)).await?))
    })?;
    Ok(vec![
        edit_row("an edited rule to its first SYN", &edited, ""),
        Row {
            figure: "200 groups of 100 rules compiled and applied",
            ours: format!("{:.0} ms (most of {})", renumbered.most(), renumbered.count()),
            target: "≤ 1 s",
            beside: "from the PUT to the first SYN".to_owned(),
            held: Held::when(renumbered.most() <= 1_000.0),
        },
    ])
}

fn edit_row(figure: &'static str, edited: &Samples, beside: &str) -> Row {
    let (p50, p99, count) = (edited.p50(), edited.p99(), edited.count());
    Row {
        figure,
        ours: format!("p50 {p50:.1} ms, p99 {p99:.1} ms ({count} samples)"),
        target: "≤ 50 ms",
        beside: beside.to_owned(),
        held: Held::when(p99 <= 50.0),
    }
}

/// The crowd's machines behind the same groups, each with its share of the openings.
fn walled_rows(site: &Site, plain: &Site, extent: &Extent) -> Outcome<Vec<Row>> {
    let to = (MACHINES.address)(0);
    site::hear_at(&site.lab, to)?;
    let ear = Ear::open(&site.lab, Host::Vm)?;
    let (edited, renumbered, openings) = on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        let knocker = Knocker::start(ear)?;
        let edited = walls::edits(&mut admin, &knocker, to, (extent.edits, extent.edits)).await?;
        let renumbered = walls::renumbered(&mut admin, &knocker, to, (5, 5)).await?;
        let standing = Admin::sign_in(&site.profile()?).await?.standing().await?;
        Ok((edited, renumbered, standing.openings.1))
    })?;
    let hundred = Walled::new(&site.lab, MACHINES)?;
    let empty = Walled::new(&plain.lab, MACHINES)?;
    let Costs { first, established } = walls::compare(&hundred, &empty, extent.batches)?;
    let row = |figure, cost: &PacketCost, target, most| Row {
        figure,
        ours: format!("{:.3} times ({:.0} ns)", cost.ratio(), cost.crowd.p50()),
        target,
        beside: format!("through an empty chain: {:.0} ns", cost.none.p50()),
        held: Held::when(cost.ratio() <= most),
    };
    let beside = format!("{openings} openings stand");
    Ok(vec![
        edit_row("100,000 openings: an edited rule to its first SYN", &edited, &beside),
        Row {
            figure: "100,000 openings: all 200 groups before all machines made anew",
            ours: format!("{:.0} ms (most of {})", renumbered.most(), renumbered.count()),
            target: "",
            beside: "1,200 interfaces".to_owned(),
            held: Held::NoTarget,
        },
        row("100 rules, 100,000 openings: a flow's first packet", &first, "≤ 2.5 times", 2.5),
        row("100 rules, 100,000 openings: a later packet", &established, "≤ 1.05 times", 1.05),
    ])
}

fn packet_rows(site: &Site, none: &Site, extent: &Extent) -> Outcome<Vec<Row>> {
    let stream = |site: &Site| Stream::dropped(&site.lab, MACHINES);
    let dropped = crowd::compare(&stream(site)?, &stream(none)?, extent.batches)?;
    // Some must be open there to let anything through: those that the packets use, as here.
    let few = u64::from(MACHINES.size);
    on_client(&none.lab, async || crowd::fill(none, MACHINES, LOADING, few).await)?;
    let stream = |site: &Site| Stream::accepted(&site.lab, MACHINES, LOADING);
    let accepted = crowd::compare(&stream(site)?, &stream(none)?, extent.batches)?;
    let row = |figure, cost: &PacketCost, beside: &str| Row {
        figure,
        ours: format!("{:.3} times ({:.0} ns)", cost.ratio(), cost.crowd.p50()),
        target: "≤ 1.05 times",
        beside: format!("{beside}: {:.0} ns", cost.none.p50()),
        held: Held::when(cost.ratio() <= 1.05),
    };
    Ok(vec![
        row("100,000 openings: a SYN that is dropped", &dropped, "at none"),
        row("100,000 openings: a SYN let through", &accepted, "at its own 1,000"),
    ])
}

fn restart_rows(site: &mut Site, standing: Standing) -> Outcome<Vec<Row>> {
    let figures = [
        ("100,000 openings: server restarted to converged", Restarted::Server, true),
        // The guard outlives the server; without it the kernel's table is made anew.
        ("100,000 openings: server and guard restarted", Restarted::Both, false),
    ];
    let mut rows = Vec::new();
    for (figure, who, is_promised) in figures {
        let took = crowd::restart(site, who, standing)?;
        rows.push(Row {
            figure,
            ours: format!(
                "{:.2} s (of it {:.2} s to stop)",
                took.converged / 1_000.0,
                took.stopped / 1_000.0
            ),
            target: if is_promised { "≤ 3 s" } else { "" },
            beside: String::new(),
            held: if is_promised { Held::when(took.converged <= 3_000.0) } else { Held::NoTarget },
        });
    }
    Ok(rows)
}

/// A group whose rules differ in the worst way counts.
fn flow_row(flows: &[(&str, Samples)]) -> Row {
    let each: Vec<String> =
        flows.iter().map(|(kind, took)| format!("{kind} {:.2}", took.p50())).collect();
    let most = flows.iter().map(|(_, took)| took.p50()).fold(0.0, f64::max);
    Row {
        figure: "one flow through a group of 1,000 rules",
        ours: format!("{} µs", each.join(", ")),
        target: "≤ 5 µs",
        beside: String::new(),
        held: Held::when(most <= 5.0),
    }
}

fn kill_row(site: &mut Site, peer: &mut Peer) -> Outcome<Row> {
    let peers_end = peer.killed_while_open()?;
    let (from, to) = (source(SURVIVING), door(0));
    let end = on_client(&site.lab, async || {
        let mut admin = Admin::sign_in(&site.profile()?).await?;
        let path = admin.initiate_path(DOORS);
        let body = admin.ask(DOORS, 0..1, from, "PT3S");
        end_of(&admin.initiate(&path, &body).await?.json()?)
    })?;
    let ear = Ear::open(&site.lab, Host::Vm)?;
    let prober = site.lab.inside(Host::Client, Prober::new)??;
    let before = peer::passes(&prober, &ear, from, to)?;
    site.lab.kill_all(Host::Gateway)?;
    site.stop_server(Signal::KILL)?;
    let look_at = end.max(peers_end).plus_millis(AFTER_KILL.as_secs_f64() * 1_000.0);
    pause(Duration::from_secs_f64((look_at - Wall::now()).max(0.0) / 1_000.0));
    let after = peer::passes(&prober, &ear, from, to)?;
    let open = |open: bool| if open { "still open" } else { "closed" };
    Ok(Row {
        figure: "killed during an access: 10 s after its end",
        ours: if before { open(after).to_owned() } else { "never open".to_owned() },
        target: "closed",
        beside: format!("fwknopd: {}", open(peer.still_open()?)),
        held: Held::when(before && !after),
    })
}
