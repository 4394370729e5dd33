//! Would a new connection reach a port of a machine, and why? Its lock, then the groups before its address.

use crate::{
    effect::{grants_at, grants_in, look_up},
    id::VmId,
    network::{Family, Lock, Opening, Port},
    nsg::{
        cure::Cure,
        explain::{Asked, Look, explain},
        flow::{Carried, Flow, Transport},
        judge::{Layer, Layers},
        word::{Access, Direction, Side},
    },
    open::{needs, standing, until},
    screen::Screen,
    state::State,
    time::{Deadline, Now},
};

/// What a new connection meets, in the order in which it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach<'a> {
    /// Whether it goes through.
    pub access: Access,
    /// The lock of the port; none where it is not locked.
    pub lock: Option<Locked>,
    /// What each group says; none where no group stands before the address.
    pub layers: Vec<Met<'a>>,
    /// What would have to change in the groups.
    pub cures: Vec<Cure>,
}

/// A locked port, seen from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Until when an access lets this source through; none: it does not.
    pub open_until: Option<Deadline>,
    /// Whether a standing exception lets it through.
    pub standing: bool,
}

/// What one group says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met<'a> {
    /// The group's rules, by themselves.
    pub asked: Asked<'a>,
    /// Whether the access decides here, before any of those rules would.
    pub by_access: bool,
}

/// Asks for a flow towards a VM that was loaded.
pub fn reach<'a>(state: &'a State, vm: &VmId, flow: &Flow, now: Now) -> Reach<'a> {
    let lock = locked(state, flow, now);
    let granted = lock.is_some_and(|lock| lock.open_until.is_some());
    let passes_lock = lock.is_none_or(|lock| granted || lock.standing);
    let Some((layers, surroundings)) = state.network.around(flow.address(Side::Destination)) else {
        let access = if passes_lock { Access::Allow } else { Access::Deny };
        return Reach { access, lock, layers: Vec::new(), cures: Vec::new() };
    };
    let band = |layer| grants_in(state, vm, layers, layer).then(look_up);
    let family = Family::of(flow.address(Side::Destination));
    let screen = Screen::of(layers, &surroundings, family, band);
    let allowed = screen.allows(Direction::Inbound, flow, granted);
    let explained = explain(layers, Direction::Inbound, flow, &surroundings, &state.numbers);
    // Where an access decides no rule is needed; where it could, to ask for one is what helps.
    let helps = lock.is_some_and(|lock| !lock.standing) && is_tcp(flow);
    let denies = explained.layers.iter().filter(|asked| asked.decisive.access() == Access::Deny);
    let helped = denies.map(|asked| helps && decides(state, vm, layers, asked));
    let cures = explained.cures.into_iter().zip(helped);
    let cures: Vec<Cure> =
        cures.filter(|(_, helped)| !allowed && !helped).map(|(cure, _)| cure).collect();
    let met = |asked: Asked<'a>| {
        let by_access = granted && decides(state, vm, layers, &asked);
        // An access is looked up before most rules, and then they look at nothing.
        let at = grants_at(layers, asked.layer);
        let looked = |look: &Look<'_>| !by_access || look.rule.priority() < at;
        let passed_over = asked.passed_over.into_iter().filter(looked).collect();
        Met { by_access, asked: Asked { passed_over, ..asked } }
    };
    let layers: Vec<Met<'a>> = explained.layers.into_iter().map(met).collect();
    let access = if passes_lock && allowed { Access::Allow } else { Access::Deny };
    Reach { access, lock, layers, cures }
}

/// Whether an access decides in a group before the rule that would.
fn decides(state: &State, vm: &VmId, layers: Layers<'_>, asked: &Asked<'_>) -> bool {
    let layer: Layer = asked.layer;
    grants_in(state, vm, layers, layer) && asked.decisive.priority() >= grants_at(layers, layer)
}

/// The lock of the port that a flow is for. Only TCP is ever opened; a flow without ports meets no lock.
fn locked(state: &State, flow: &Flow, now: Now) -> Option<Locked> {
    let address = flow.address(Side::Destination);
    let port = Port::new(flow.port(Side::Destination)?)?;
    let locks = state.locks();
    locks.contains_key(&Lock { address, port }).then(|| {
        let source = flow.address(Side::Source);
        let covers = |opening: &Opening| {
            opening.address() == address
                && opening.port() == port
                && opening.source().contains(&source)
        };
        let needs = needs(state, &locks, now);
        let open = until(&needs, now).filter(|(opening, _)| is_tcp(flow) && covers(opening));
        let standing = standing(state).remove(&Lock { address, port });
        let standing = standing.is_some_and(|all| all.iter().any(|one| one.passes(flow)));
        let open_until = open.map(|(_, until)| until).reduce(|a, b| a.later_of(b, now));
        Locked { open_until, standing }
    })
}

fn is_tcp(flow: &Flow) -> bool {
    matches!(flow.carried(), Carried::Ports { transport: Transport::Tcp, .. })
}
