//! From sending `initiate` to the first SYN that is let through.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use crate::{
    Outcome,
    api::{Admin, Fleet},
    clock::{Wall, pause},
    probe::{Ear, Prober, Syn},
    sample::Samples,
    site::{PORT, door, source},
};

/// From one SYN to the next while the request is in flight.
const EVERY: Duration = Duration::from_micros(250);
/// A SYN that is not let through after so many has met a gate that stays closed.
const SYNS_MAX: u32 = 8_000;
/// From one sample to the next.
const PAUSE: Duration = Duration::from_millis(15);

/// What one run told.
pub(crate) struct Openings {
    /// From sending to the first SYN let through, in milliseconds.
    pub(crate) opened: Samples,
    /// From sending to the answer, in milliseconds.
    pub(crate) answered: Samples,
}

/// Knocks at a port from the moment on that it is told which, until it is let in.
pub(crate) struct Knocker {
    doors: Sender<(Ipv4Addr, SocketAddrV4)>,
    knocking: Receiver<()>,
    opened: Receiver<Option<Wall>>,
}

impl Knocker {
    /// Starts on a thread of its own, on the host that this is called on.
    pub(crate) fn start(ear: Ear) -> Outcome<Knocker> {
        let prober = Prober::new()?;
        let (doors, told) = channel::<(Ipv4Addr, SocketAddrV4)>();
        let (tell_knocking, knocking) = channel();
        let (tell_opened, opened) = channel();
        std::thread::spawn(move || {
            for (from, to) in told {
                let passed = knock(&prober, &ear, from, to, &tell_knocking);
                if tell_opened.send(passed).is_err() {
                    return;
                }
            }
        });
        Ok(Knocker { doors, knocking, opened })
    }

    /// Begins to knock; returns once the first SYN was sent.
    pub(crate) fn begin(&self, from: Ipv4Addr, to: Ipv4Addr) -> Outcome<()> {
        self.begin_at(from, SocketAddrV4::new(to, PORT))
    }

    /// The same at any port.
    pub(crate) fn begin_at(&self, from: Ipv4Addr, to: SocketAddrV4) -> Outcome<()> {
        self.doors.send((from, to))?;
        Ok(self.knocking.recv()?)
    }

    /// When the first SYN was let through.
    pub(crate) fn opened(&self) -> Outcome<Wall> {
        Ok(self.opened.recv()?.ok_or("the port did not open")?)
    }
}

fn knock(
    prober: &Prober,
    ear: &Ear,
    from: Ipv4Addr,
    to: SocketAddrV4,
    knocking: &Sender<()>,
) -> Option<Wall> {
    for number in 0..SYNS_MAX {
        // A port of its own each: nothing that is remembered of one SYN helps the next.
        let from_port = 1_024 + (number % 60_000) as u16;
        let syn = Syn { from, from_port, to: *to.ip(), to_port: to.port(), number };
        prober.send(&syn).ok()?;
        if number == 0 {
            knocking.send(()).ok()?;
        }
        pause(EVERY);
        while let Some(passed) = ear.heard() {
            if passed.from == from && passed.to == to {
                return Some(passed.at);
            }
        }
    }
    None
}

/// Asks so many times for a machine and a source that were not open before; each access lasts a minute.
/// The first `warm_up` are not counted.
pub(crate) async fn run(
    admin: &mut Admin,
    knocker: &Knocker,
    fleet: Fleet,
    sources: std::ops::Range<u32>,
    warm_up: usize,
) -> Outcome<Openings> {
    let path = admin.initiate_path(fleet);
    let (mut opened, mut answered) = (Vec::new(), Vec::new());
    for n in sources {
        let machine = n % fleet.size;
        let from = source(n);
        let body = admin.ask(fleet, machine..machine + 1, from, "PT1M");
        knocker.begin(from, door(machine))?;
        let sent = Wall::now();
        let answer = admin.initiate(&path, &body).await?;
        let got = Wall::now();
        answer.json()?;
        opened.push(knocker.opened()? - sent);
        answered.push(got - sent);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Openings {
        opened: Samples::of(opened.into_iter().skip(warm_up)),
        answered: Samples::of(answered.into_iter().skip(warm_up)),
    })
}
