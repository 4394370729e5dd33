//! How fast requests are decided and durable: one caller, many callers, and with many grants running.
//!
//! `cargo run -p hourgate-store --example commits [DIR]`; the figures are those of DIR's disk.

use std::{
    error::Error,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hourgate_core::{
    command::{AccessAsk, Ask, Command, MemberDraft, PolicyDraft, PortDraft, Precondition, Sent},
    grant::Window,
    id::{PolicyId, RequestId, VmId, VmInstance},
    network::{Port, Source},
    personal::Personal,
    policy::{AllowedSources, Os, Protocol, Settings},
    role::{OwnAddress, Person, PersonId},
    time::{BootTime, Clock, Now, Timestamp},
};
use hourgate_store::{
    Origin, Store,
    sqlite::{Open, OsMint, SqliteStore},
};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

const VMS: u64 = 1_000;

struct Clocks;

impl Clock for Clocks {
    fn now(&self) -> Now {
        let (wall, boot) = (clock_gettime(ClockId::Realtime), clock_gettime(ClockId::Boottime));
        let wall = Timestamp::new(wall.tv_sec, wall.tv_nsec as i32).unwrap_or(Timestamp::MAX);
        let nanos = boot.tv_sec as u64 * 1_000_000_000 + boot.tv_nsec as u64;
        Now { wall, boot: BootTime { boot: Uuid::from_u128(1), nanos } }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().nth(1).map(PathBuf::from);
    let dir = given.unwrap_or_else(std::env::temp_dir).join("hourgate-commits");
    fs::create_dir_all(&dir)?;
    println!("bare fsync of 4 KiB: {:.0}/s", bare_fsyncs(&dir)?);
    let open = || Open {
        path: dir.join("store.db"),
        log_key: [7; 32],
        settings: Settings::default(),
        clock: Arc::new(Clocks),
        mint: Arc::new(OsMint),
    };
    let store = SqliteStore::open(open())?;
    let subscription = store.installation().subscription;
    prepare(&store, subscription).await?;
    let next = Arc::new(AtomicU64::new(0));
    println!("with 64 callers CPU is what the whole process used, callers included");
    for (callers, count) in [(1, 3_000), (8, 10_000), (64, 30_000), (64, 57_000)] {
        let live = next.load(Ordering::Relaxed);
        let (rate, cpu, p99) = run(&store, subscription, &next, callers, count).await?;
        println!(
            "{callers:>3} callers, {live:>6} running: {rate:>6.0} requests/s, \
             {cpu:>4.0} µs CPU each, p99 {p99:?}"
        );
    }
    let (millis, verdict) = timed(store.verify_log()).await;
    println!("verify {verdict:?}: {millis} ms");
    let (millis, state) = timed(store.everything()).await;
    println!("everything with {} requests: {millis} ms", state?.requests.len());
    drop(store);
    let before = millis_now();
    let store = SqliteStore::open(open())?;
    println!("open, rows checked: {} ms", millis_now() - before);
    println!("file: {} MB", fs::metadata(dir.join("store.db"))?.len() / 1_000_000);
    drop(store);
    fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn timed<T>(work: impl Future<Output = T>) -> (u64, T) {
    let before = millis_now();
    let done = work.await;
    (millis_now() - before, done)
}

fn millis_now() -> u64 {
    Clocks.now().boot.nanos / 1_000_000
}

fn bare_fsyncs(dir: &Path) -> Result<f64, Box<dyn Error>> {
    use std::io::Write;
    let path = dir.join("fsync");
    let mut file = fs::File::create(&path)?;
    let before = millis_now();
    for _ in 0..2_000 {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
    }
    fs::remove_file(path)?;
    Ok(2_000_000.0 / (millis_now() - before).max(1) as f64)
}

async fn run(
    store: &SqliteStore,
    subscription: Uuid,
    next: &Arc<AtomicU64>,
    callers: u64,
    count: u64,
) -> Result<(f64, f64, Duration), Box<dyn Error>> {
    let (before, cpu) = (Clocks.now().boot.nanos, cpu_micros()?);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, next) = (store.clone(), Arc::clone(next));
            tokio::spawn(async move {
                let mut times = Vec::new();
                for _ in 0..count / callers {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let began = Clocks.now().boot.nanos;
                    let asked = store.transact(origin(number), ask(subscription, number)).await;
                    if let Err(error) = asked {
                        return Err(format!("{number}: {error:?}"));
                    }
                    times.push(Clocks.now().boot.nanos - began);
                }
                Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let seconds = (Clocks.now().boot.nanos - before) as f64 / 1e9;
    times.sort_unstable();
    let p99 = Duration::from_nanos(times[times.len() * 99 / 100]);
    let done = times.len() as f64;
    Ok((done / seconds, (cpu_micros()? - cpu) / done, p99))
}

/// CPU that this process used, in µs (proc(5); a tick is 10 ms).
fn cpu_micros() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    Ok((fields[12].parse::<f64>()? + fields[13].parse::<f64>()?) * 10_000.0)
}

async fn prepare(store: &SqliteStore, subscription: Uuid) -> Result<(), Box<dyn Error>> {
    let known = store.vms(Default::default()).await?.len();
    assert_eq!(known, 0, "begin with an empty directory");
    for number in 0..VMS {
        let address = Ipv4Addr::from_bits(0x0a00_0001 + number as u32);
        let command = Command::RegisterVm {
            id: vm(subscription, number),
            instance: VmInstance(Uuid::from_u128(u128::from(number))),
            location: "local".parse().map_err(|_| "location")?,
            os: Os::Linux,
            addresses: vec![IpAddr::V4(address)],
        };
        store.transact(origin(number), command).await?;
    }
    let member = |number| MemberDraft {
        vm: vm(subscription, number),
        placement: Sent::Omitted,
        ports: vec![PortDraft {
            port: ssh(),
            protocol: Protocol::Tcp,
            allowed: AllowedSources::one(Source::Any),
            longest: Duration::from_hours(3),
            approval: Sent::Omitted,
            end_sessions: Sent::Omitted,
            widest_unapproved: Sent::Omitted,
            other_addresses: Sent::Omitted,
            exceptions: Sent::Omitted,
            sign_in: Sent::Omitted,
        }],
    };
    let draft = PolicyDraft {
        id: policy(subscription),
        kind: Some("Basic".to_owned()),
        vms: (0..VMS).map(member).collect(),
    };
    let command = Command::SetPolicy { draft, only_if: Precondition::None, confirm_within: None };
    store.transact(origin(0), command).await?;
    Ok(())
}

fn ask(subscription: Uuid, number: u64) -> Command {
    let address = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0001 + number as u32));
    Command::Request(Ask {
        id: RequestId::mint(number),
        policy: policy(subscription),
        requester: person(number),
        address: OwnAddress::Seen(address),
        sign_in: None,
        start: None,
        justification: Some("a disk is full and must be looked at".to_owned()),
        ticket: None,
        accesses: vec![AccessAsk {
            vm: vm(subscription, number % VMS),
            port: ssh(),
            source: None,
            addresses: None,
            window: Some(Window::For(Duration::from_hours(1))),
        }],
    })
}

fn origin(number: u64) -> Origin {
    Origin {
        person: Some(person(number)),
        address: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0001 + number as u32))),
        action: hourgate_core::role::Action::Initiate.name().to_owned(),
        target: format!("/subscriptions/{number}"),
        correlation: Uuid::from_u128(u128::from(number)),
    }
}

fn person(number: u64) -> Person {
    Person {
        id: PersonId(Uuid::from_u128(u128::from(number)).to_string()),
        name: Personal(format!("Person {number}")),
        upn: Some(Personal(format!("person{number}@example.com"))),
    }
}

fn ssh() -> Port {
    Port::new(22).unwrap_or_else(|| unreachable!("22 is a port"))
}

fn vm(subscription: Uuid, number: u64) -> VmId {
    format!(
        "/subscriptions/{subscription}/resourceGroups/default\
         /providers/Microsoft.Compute/virtualMachines/vm-{number}"
    )
    .parse()
    .unwrap_or_else(|_| unreachable!("a VM's id"))
}

fn policy(subscription: Uuid) -> PolicyId {
    format!(
        "/subscriptions/{subscription}/resourceGroups/default\
         /providers/Microsoft.Security/locations/local/jitNetworkAccessPolicies/default"
    )
    .parse()
    .unwrap_or_else(|_| unreachable!("a policy's id"))
}
