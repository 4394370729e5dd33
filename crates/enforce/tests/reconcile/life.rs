//! Random days: requests, ends, failures of guard and database. A packet is never let through after the
//! end of its access, and when everything answers again, guard and facts agree.

use std::{collections::BTreeMap, time::Duration};

use hourgate_core::{grant::Stage, id::RequestId, time::Timestamp};
use hourgate_enforce::guard::GuardError;
use tokio::time::sleep;

use crate::world::{World, address, lock, opening, port, source, until, world};

const SEEDS: u64 = 40;
const STEPS: u32 = 150;
const SOURCES: u8 = 5;

/// The sequence of one seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// The latest end that was ever granted for a source and machine.
type Ends = BTreeMap<(u8, u8), Timestamp>;

#[tokio::test(start_paused = true)]
async fn never_open_after_the_end_and_in_agreement_at_last() {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let world = world();
        until("locked", || world.guard.locks().contains_key(&lock(6))).await;
        let mut ends = Ends::new();
        let mut ids: Vec<RequestId> = Vec::new();
        for step in 0..STEPS {
            act(&world, &mut dice, &mut ends, &mut ids, step);
            let pause = [0, 1, 20, 300, 1_000, 4_000][dice.throw(6) as usize];
            sleep(Duration::from_millis(pause)).await;
            no_packet_after_its_end(&world, &ends, seed, step);
        }
        world.memory.go_down(false);
        world.guard.lag(false);
        world.guard.refuse(false);
        // The longest pause of a guard that failed often, and a sweep that finds what was lost.
        sleep(Duration::from_secs(30)).await;
        agreed(&world, seed);
    }
}

fn act(world: &World, dice: &mut Dice, ends: &mut Ends, ids: &mut Vec<RequestId>, step: u32) {
    let (machine, from) = (dice.throw(6) as u8 + 1, dice.throw(SOURCES.into()) as u8 + 1);
    match dice.throw(16) {
        0..6 => {
            let seconds = 1 + dice.throw(20);
            // The command itself goes to the database; with that gone, nobody is granted anything.
            let id = u64::from(step) * 1_000 + dice.throw(1_000) + 1;
            if ids.contains(&RequestId::mint(id)) {
                return;
            }
            ids.push(world.request(id, machine, source(from), seconds));
            let end = world.clock.now().wall + Duration::from_secs(seconds);
            let latest = ends.entry((from, machine)).or_insert(end);
            *latest = end.max(*latest);
        }
        6..8 if !ids.is_empty() => {
            let id = ids[dice.throw(ids.len() as u64) as usize];
            world.end(id);
        }
        8 => world.memory.go_down(dice.throw(2) == 0),
        9 => world.guard.lag(dice.throw(2) == 0),
        10 => world.guard.refuse(dice.throw(3) == 0),
        11 => world.guard.forget(),
        12 => world.guard.lose(&opening(from, machine)),
        13 => {
            let many = dice.throw(5) as usize;
            world.guard.fail(std::iter::repeat_n(GuardError::Failed("told to".to_owned()), many));
        }
        14 if !ids.is_empty() => {
            let id = ids[dice.throw(ids.len() as u64) as usize];
            world.reconciler.hold(id, None);
            world.end(id);
            world.reconciler.release(id);
        }
        _ => world.reconciler.wake_all(),
    }
}

fn no_packet_after_its_end(world: &World, ends: &Ends, seed: u64, step: u32) {
    let now = world.clock.now().wall;
    let locks = world.guard.locks();
    for machine in (1..=6).filter(|machine| locks.contains_key(&lock(*machine))) {
        for from in 1..=SOURCES {
            let granted = ends.get(&(from, machine)).is_some_and(|end| *end > now);
            let accepted = world.guard.accepts(source(from), address(machine), port());
            assert!(granted || !accepted, "seed {seed}, step {step}: {from} reaches {machine}");
        }
    }
}

fn agreed(world: &World, seed: u64) {
    let now = world.clock.now();
    let state = world.memory.state.lock().unwrap();
    let desired = hourgate_core::open::open_now(&state, now);
    assert_eq!(world.guard.openings(), desired.openings, "seed {seed}");
    assert_eq!(world.guard.locks(), desired.locks, "seed {seed}");
    for (request, access) in state.accesses() {
        let told = match &access.stage {
            Stage::Granted { opened, .. } => opened.is_some(),
            Stage::Ended { opened, closed, .. } => opened.is_none() || closed.is_some(),
            Stage::Planned { .. } => true,
        };
        assert!(told, "seed {seed}: {:?} {access:?}", request.id);
    }
}
