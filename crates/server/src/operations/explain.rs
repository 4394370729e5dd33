//! Why a new connection would reach a machine or not, as far as the caller may read it.

use hourgate_api::{
    error::{ArmError, Code},
    explain::{Explained, Question},
};
use hourgate_core::{
    network::Family,
    nsg::{
        flow::{Carried, Flow},
        id::GroupId,
    },
    reach::reach,
    role::{Action, Caller, Scope},
};
use hourgate_store::Store;

use super::{Call, Problem, machine::machine, permit, sight::sees_group};
use crate::server::Server;

/// The port that a connection is taken to come from: clients choose one of the upper ports each time.
const FROM_PORT: u16 = 50_000;

/// Explains what becomes of a connection now.
pub(crate) async fn explain<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    question: &Question,
) -> Result<Explained, Problem> {
    permit(caller, server, call, Action::VM_READ, &Scope::from(&question.vm)).await?;
    let (state, vm) = machine(server, &question.vm).await?;
    let family = Family::of(question.from);
    let named = question.address.or_else(|| vm.addresses_of(family).next());
    let address = named.filter(|address| vm.addresses.contains(address));
    let carried = Carried::Ports {
        transport: question.transport,
        source: FROM_PORT,
        destination: question.port.number(),
    };
    let flow = address.and_then(|address| Flow::new(question.from, address, carried));
    let (Some(address), Some(flow)) = (address, flow) else {
        let has: Vec<String> = vm.addresses.iter().map(ToString::to_string).collect();
        let message = format!(
            "No connection from {} reaches an address of '{}' that was asked for; it has {}.",
            question.from,
            vm.id,
            has.join(", ")
        );
        return Err(Problem::Unreadable(
            ArmError::new(Code::InvalidParameter, message).at("address"),
        ));
    };
    let reach = reach(&state, &vm.id, &flow, server.now());
    let may_read = |group: &GroupId| sees_group(caller, group);
    Ok(Explained::of(&reach, address, may_read))
}
