//! A request on its way to its handler.

use std::sync::Arc;

use bytes::Bytes;
use hourgate_api::{
    error::{ArmError, Positions},
    resource::Around,
};
use hourgate_core::{
    jit_rules::JitRuleOf,
    named::Named,
    resource::{Network, ResourceId},
    role::Caller,
};
use hyper::{HeaderMap, Method};
use uuid::Uuid;

use super::{
    error::{sees_all, told},
    exchange::Exchange,
};
use crate::{
    operations::{self, Call, Problem},
    server::Server,
};

/// A request whose caller is known and whose body has been read.
pub(super) struct Asked<'a, S> {
    pub(super) server: &'a Arc<Server<S>>,
    pub(super) exchange: &'a Exchange,
    pub(super) caller: Caller,
    /// The session that asks; none where a service does.
    pub(super) session: Option<Uuid>,
    pub(super) method: Method,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl<S> Asked<'_, S> {
    /// What the operation records as called.
    pub(super) fn call(&self) -> Call {
        Call { target: self.exchange.target.clone(), correlation: self.exchange.correlation }
    }

    /// A header as text; none where it is not there or is no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its body, read as what it must be. A large one keeps nobody else waiting.
    pub(super) async fn parse<T: Send + 'static>(
        &self,
        parse: impl FnOnce(&[u8]) -> Result<T, ArmError> + Send + 'static,
    ) -> Result<T, ArmError> {
        self.server.parsers.parse(&self.body, parse).await
    }

    /// Whether the caller may read all of these.
    pub(super) fn sees_all(&self, named: &[Named]) -> bool {
        sees_all(&self.caller, named)
    }

    /// The network around what is shown, as far as the caller may read it.
    pub(super) fn around<T>(&self, network: &Network, show: impl FnOnce(Around<'_>) -> T) -> T {
        let caller = &self.caller;
        let sees = |id: &ResourceId| operations::sees(caller, id);
        let sees_jit = |of: &JitRuleOf| match of {
            JitRuleOf::Lock { policy, vm, .. } => operations::sees_member(caller, policy, vm),
            JitRuleOf::Grant { vm, .. } => operations::sees_asked_at(caller, vm),
        };
        show(Around { network, sees: &sees, sees_jit: &sees_jit })
    }

    /// What an operation did not do, as an answer.
    pub(super) fn problem(&self, problem: &Problem, positions: &Positions) -> ArmError {
        told(problem, &self.caller, positions, self.exchange)
    }
}
