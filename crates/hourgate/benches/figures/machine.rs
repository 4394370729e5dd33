//! This machine: how many cores, which kernel, and who used them.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};

/// How often the kernel counts a second of CPU in `/proc`; fixed for everything that reads it.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU used until now, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    bench: f64,
    server: f64,
    guard: f64,
}

impl Used {
    /// By this process and those two.
    pub(crate) fn now(server: Option<u32>, guard: Option<u32>) -> Used {
        let own = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
            [usage.user_time(), usage.system_time()]
                .iter()
                .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
                .sum()
        });
        Used { bench: own, server: of(server), guard: of(guard) }
    }

    /// Shares of the whole machine (0 to 1) since `before`, over so many seconds: bench, server, guard.
    pub(crate) fn shares_since(self, before: Used, seconds: f64) -> [f64; 3] {
        let whole = seconds * cores() as f64;
        [self.bench - before.bench, self.server - before.server, self.guard - before.guard]
            .map(|used| used / whole)
    }
}

fn of(process: Option<u32>) -> f64 {
    let read = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process?)).ok()?;
        // The name in brackets may hold anything; what follows are numbers.
        let (_, numbers) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = numbers.split(' ').collect();
        let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    };
    read().unwrap_or(0.0)
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One line about it.
pub(crate) fn facts() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = read("/proc/meminfo");
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
    format!(
        "{} cores, {}, {:.1} GiB, Linux {}",
        cores(),
        model.map_or("unknown processor", |(_, name)| name),
        kib.unwrap_or(0.0) / f64::from(1 << 20),
        kernel.split('-').next().unwrap_or_default().trim(),
    )
}
