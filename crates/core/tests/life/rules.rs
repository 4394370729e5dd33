//! The seam: the rules as a life sees them, so that a test can break one of them and product code cannot.

use hourgate_core::{
    command::Command,
    decide::decide,
    event::Event,
    open::open_now,
    plan::{Desired, Observed, Plan, plan},
    policy::Settings,
    refusal::Refusals,
    state::State,
    time::Now,
};

pub trait Rules {
    fn name(&self) -> &'static str;

    fn decide(
        &self,
        state: &State,
        settings: &Settings,
        command: &Command,
        now: Now,
    ) -> Result<Vec<Event>, Refusals> {
        decide(state, settings, command, now)
    }

    fn evolve(&self, state: &mut State, event: &Event) {
        state.evolve(event);
    }

    fn open_now(&self, state: &State, now: Now) -> Desired {
        open_now(state, now)
    }

    fn plan(&self, desired: &Desired, observed: &Observed) -> Plan {
        plan(desired, observed)
    }
}

/// As they are.
pub struct Real;

impl Rules for Real {
    fn name(&self) -> &'static str {
        "the rules"
    }
}
