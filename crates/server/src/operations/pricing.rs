//! The plan that just-in-time access is part of: shown, turned on and off.

use hourgate_api::pricing::PLAN;
use hourgate_core::{
    command::{Command, Needs},
    id::Name,
    pricing::Tier,
    role::{Action, Caller},
    state::State,
};
use hourgate_store::Store;

use super::{Call, Problem, permit, whole};
use crate::server::{Server, origin};

/// The tier of the one plan there is; `name` says which plan is meant.
pub(crate) async fn get_pricing<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    name: Option<&Name>,
) -> Result<Tier, Problem> {
    permit(caller, server, call, Action::PricingRead, &whole(server)).await?;
    known(name)?;
    Ok(tier(server, &server.store.load(Needs::default()).await?))
}

/// Turns the plan on or off.
pub(crate) async fn set_pricing<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (name, tier): (&Name, Tier),
) -> Result<Tier, Problem> {
    permit(caller, server, call, Action::PricingWrite, &whole(server)).await?;
    known(Some(name))?;
    let command = Command::SetPricing { subscription: server.installation.subscription, tier };
    let committed = server.commit(origin(caller, call, Action::PricingWrite), command).await?;
    Ok(self::tier(server, &committed.state))
}

fn known(name: Option<&Name>) -> Result<(), Problem> {
    match name {
        Some(name) if !name.as_str().eq_ignore_ascii_case(PLAN) => {
            Err(Problem::NoPlan(name.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn tier<S: Store>(server: &Server<S>, state: &State) -> Tier {
    state.tier(&server.store.settings(), server.installation.subscription)
}
