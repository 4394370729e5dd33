//! A small installation without store or server: what the rules decide, as the wire shows it.

use std::time::Duration;

use hourgate_api::{
    body,
    jit::{Observed, PolicyResource, ProvisioningState, RequestResource, View},
};
use hourgate_core::{
    command::{Command, PolicyDraft, Precondition},
    decide::decide,
    event::Event,
    grant::{Access, Request},
    id::{PolicyId, RequestId, VmId, VmInstance},
    lock_facts,
    network::Port,
    personal::Personal,
    policy::{Os, Settings, Vm},
    refusal::Refusals,
    role::{OwnAddress, Person, PersonId},
    state::State,
    time::{BootTime, Now},
};
use uuid::Uuid;

pub(crate) const AZURE_VM: &str = "/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg1\
                                   /providers/Microsoft.Compute/virtualMachines/vm1";
pub(crate) const AZURE_POLICY: &str = "/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg1\
                                       /providers/Microsoft.Security/locations/westeurope\
                                       /jitNetworkAccessPolicies/default";

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Now,
    pub(crate) settings: Settings,
}

impl World {
    pub(crate) fn at(time: &str) -> World {
        let boot = BootTime { boot: Uuid::from_u128(1), nanos: 1_000_000_000 };
        World {
            state: State::default(),
            now: Now { wall: time.parse().unwrap(), boot },
            settings: Settings::default(),
        }
    }

    pub(crate) fn vm(mut self, id: &str, address: &str) -> World {
        self.command(Command::RegisterVm {
            id: id.parse().unwrap(),
            instance: VmInstance(Uuid::from_u128(7)),
            location: "westeurope".parse().unwrap(),
            os: Os::Linux,
            addresses: vec![address.parse().unwrap()],
        })
        .unwrap();
        self
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Vec<Event>, Refusals> {
        let events = decide(&self.state, &self.settings, &command, self.now)?;
        events.iter().for_each(|event| self.state.evolve(event));
        Ok(events)
    }

    pub(crate) fn put(&mut self, draft: PolicyDraft) -> Result<Vec<Event>, Refusals> {
        let only_if = Precondition::None;
        self.command(Command::SetPolicy { draft, only_if, confirm_within: None })
    }

    pub(crate) fn put_json(&mut self, policy: &str, json: &str) -> Vec<Event> {
        let id: PolicyId = policy.parse().unwrap();
        let (draft, _) = body::policy(json.as_bytes(), &id).unwrap();
        self.put(draft).unwrap()
    }

    pub(crate) fn ask(&mut self, policy: &str, json: &str, by: Person, from: &str) -> RequestId {
        let parts = body::initiate(json.as_bytes(), &policy.parse().unwrap()).unwrap();
        let id = RequestId::mint(self.state.requests.len() as u64);
        let ask = parts.ask(id, by, (OwnAddress::Seen(from.parse().unwrap()), None));
        self.command(Command::Request(ask)).unwrap();
        id
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.wall += jiff::SignedDuration::try_from(time).unwrap();
        self.now.boot.nanos += u64::try_from(time.as_nanos()).unwrap();
    }

    pub(crate) fn policy(&self, policy: &str, state: ProvisioningState) -> PolicyResource {
        let policy = &self.state.policies[&policy.parse::<PolicyId>().unwrap()];
        let requests: Vec<Request> = self.state.requests.values().map(|r| (**r).clone()).collect();
        self.view(|view| PolicyResource::new(policy, &requests, state, view))
    }

    pub(crate) fn request(&self, id: RequestId) -> RequestResource {
        self.view(|view| RequestResource::new(&self.state.requests[&id], view))
    }

    fn view<T>(&self, show: impl FnOnce(&View<'_>) -> T) -> T {
        let vm = |id: &VmId| -> Option<Vm> { self.state.vms.get(id).cloned() };
        let observed = |_, access: &Access| Observed::of(access);
        let locks = |vm: &VmId, port: Port| {
            let known = self.state.vms.get(vm);
            let mut members = self.state.policies_of(vm).map(|(_, member)| member);
            let of = members.find_map(|member| Some((member, member.rule(port)?)));
            known.zip(of).map_or_else(Vec::new, |(vm, (member, rule))| {
                lock_facts::of_port(&self.state.network, vm, member, rule)
            })
        };
        show(&View {
            vm: &vm,
            observed: &observed,
            blocked: &|_, _| None,
            locks: &locks,
            network: &self.state.network,
        })
    }
}

pub(crate) fn service() -> Person {
    Person { id: PersonId("s".to_owned()), name: Personal("admin".to_owned()), upn: None }
}

pub(crate) fn barbara() -> Person {
    let upn = Some(Personal("barbara@contoso.com".to_owned()));
    Person { id: PersonId("b".to_owned()), name: Personal("Barbara".to_owned()), upn }
}
