//! Random lives of resources against a naive oracle, which knows neither indexes nor the order of checks: it
//! looks at everything there is after each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_core::{
    command::Command,
    policy::{Os, Vm},
    resource::{
        Network, ResourceId, Target, View, ViewDraft,
        virtual_machine::{InterfaceDraft, Joined, Storage, VirtualMachineDraft},
    },
    state::State,
};

use crate::{network::*, scene::*};

/// SplitMix64: the same seed, the same life.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn command(random: &mut Random, step: u64) -> Command {
    let (net, group) = (random.of(&["v", "w"]), random.of(&["g", "h"]));
    match random.below(18) {
        0 => delete(vnet(net)),
        1 => delete(nsg(group)),
        2 => delete(random.of(&[asg("x"), public("p"), public("q")])),
        3 => delete(nic(random.of(&["k", "l", "m"]))),
        4 | 5 => {
            let space = random.of(&["10.0.0.0/16", "10.1.0.0/16"]);
            let (a, b) = (
                random.of(&["10.0.0.0/29", "10.0.0.0/28", "10.1.0.0/29"]),
                random.of(&["10.0.0.8/29", "10.1.0.0/28"]),
            );
            let subnets = [("a", a, (random.below(2) == 0).then_some(group)), ("b", b, None)];
            let mut sent = network(&[space], &subnets[..=random.below(2)]);
            if random.below(4) == 0 {
                sent.peers.get_or_insert_default().push(vnet(random.of(&["v", "w"])));
            }
            put(vnet(net), ViewDraft::VirtualNetwork(sent))
        }
        6 => {
            let from = random.of(&["*".to_owned(), asg("x").to_string()]);
            put(nsg(group), nsg_of(vec![security_rule("r", 100, &from)]))
        }
        7 => put(asg("x"), ViewDraft::ApplicationSecurityGroup),
        8 => {
            let address = random.of(&[None, Some("203.0.113.1"), Some("203.0.113.2")]);
            put(random.of(&[public("p"), public("q")]), public_of(address))
        }
        12 => {
            let name = random.of(&["a", "b"]);
            if random.below(2) == 0 {
                delete(ResourceId::from(&vm(name)))
            } else {
                Command::UnregisterVm { id: vm(name) }
            }
        }
        13 | 14 => {
            let all = ["10.0.0.4", "10.0.0.5", "10.1.0.4", "10.7.0.1"];
            let addresses: Vec<&str> = (0..1 + random.below(2)).map(|_| random.of(&all)).collect();
            register(random.of(&["a", "b"]), 1_000 + step, &addresses)
        }
        15 => {
            let nics = (0..1 + random.below(2)).map(|_| random.of(&["k", "l", "m", "a-nic"]));
            let interface = |name| InterfaceDraft { id: nic(name), primary: false };
            let view = VirtualMachineDraft {
                joined: Joined::Interfaces(nics.map(interface).collect()),
                os: Os::Unknown,
                storage: Storage::Unknown,
            };
            put(ResourceId::from(&vm(random.of(&["a", "b"]))), ViewDraft::VirtualMachine(view))
        }
        16 => match random.below(3) {
            0 => set("p", vec![member(random.of(&["a", "b"]), vec![rule(22)])]),
            _ => remove("p"),
        },
        _ => {
            let within = subnet(net, random.of(&["a", "b"]));
            let wanted = random.of(&[any(), at_address("10.0.0.5"), at_address("10.1.0.4"), any()]);
            let mut sent = configuration("ip", Some(within.clone()), wanted);
            sent.public_address = (random.below(2) == 0).then(|| public(random.of(&["p", "q"])));
            if random.below(3) == 0 {
                sent.asgs = asg("x").asg().into_iter().collect();
            }
            let mut all = vec![sent];
            if random.below(4) == 0 {
                all.push(configuration("ip2", Some(within), any()));
            }
            put(nic(random.of(&["k", "l", "m"])), nic_of(all))
        }
    }
}

/// What is wrong with the whole, by looking at all of it.
fn wrong(network: &Network) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut addresses, mut publics) = (BTreeMap::new(), BTreeSet::new());
    for resource in network.all() {
        for target in resource.view.references() {
            let there = network.all().any(|other| match &target {
                Target::Resource(id) => other.id == *id,
                Target::Subnet(subnet) => {
                    other.id == subnet.network
                        && matches!(&other.view, View::VirtualNetwork(n)
                            if n.subnets.contains_key(&subnet.name))
                }
                Target::InboundNatRule(rule) => {
                    other.id == rule.balancer
                        && matches!(&other.view, View::LoadBalancer(lb)
                            if lb.nat_rule(&rule.name).is_some())
                }
            });
            if !there {
                wrong.push(format!("{} refers to {target}", resource.id));
            }
        }
        let View::NetworkInterface(nic) = &resource.view else { continue };
        for has in &nic.configurations {
            if let Some(other) = addresses.insert(has.address, &resource.id) {
                wrong.push(format!("{} is {}'s and {other}'s", has.address, resource.id));
            }
            if has.public_address.as_ref().is_some_and(|public| !publics.insert(public.clone())) {
                wrong.push(format!("{} has another's public address", resource.id));
            }
            let Some(subnet) = has.subnet.as_ref() else { continue };
            let subnet = network.subnet(subnet);
            if !subnet.is_some_and(|s| s.prefixes.iter().any(|p| p.contains(&has.address))) {
                wrong.push(format!("{} of {} lies outside", has.address, resource.id));
            }
        }
    }
    wrong
}

/// What is wrong with what JIT knows of machines.
fn wrong_machines(state: &State) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut interfaces: BTreeSet<&ResourceId> = BTreeSet::new();
    let mut known = 0;
    for resource in state.network.all() {
        let View::VirtualMachine(machine) = &resource.view else { continue };
        let addresses: Vec<IpAddr> = machine
            .interfaces
            .iter()
            .filter_map(|id| state.network.get(id)?.network_interface())
            .flat_map(|nic| nic.configurations.iter().map(|has| has.address))
            .collect();
        known += 1;
        let id = resource.id.virtual_machine().expect("a machine");
        let same = |vm: &Vm| vm.addresses == addresses && vm.instance.0 == resource.instance;
        if !state.vms.get(&id).is_some_and(same) {
            wrong.push(format!("{id} has {addresses:?}, known are {:?}", state.vms.get(&id)));
        }
        if addresses.iter().any(|address| state.owners.get(address) != Some(&id)) {
            wrong.push(format!("{id} has an address of another's"));
        }
        if !machine.interfaces.iter().all(|id| interfaces.insert(id)) {
            wrong.push(format!("{id} has an interface of another's"));
        }
        if !machine.interfaces.contains(&machine.primary) {
            wrong.push(format!("{id} speaks with what it has not"));
        }
    }
    if state.vms.len() != known {
        wrong.push(format!("{} machines are known, {known} stand", state.vms.len()));
    }
    wrong
}

fn users(network: &Network, id: &ResourceId) -> usize {
    let uses = |other: &View| other.references().iter().any(|target| target.resource() == id);
    network.all().filter(|other| other.id != *id && uses(&other.view)).count()
}

#[test]
fn nothing_dangles_nothing_is_had_twice_and_what_is_in_use_stays() {
    let (mut done, mut refused) = (0, 0);
    for seed in 0..60 {
        let (mut random, mut scene) = (Random(seed), scene());
        for step in 0..250 {
            let command = command(&mut random, step);
            let before = scene.state.network.clone();
            let locked = scene.locks();
            match scene.hears(&command) {
                Ok(_) => {
                    done += 1;
                    if let Command::DeleteResource { id, .. } = &command {
                        assert_eq!(users(&before, id), 0, "seed {seed}, step {step}: {id}");
                    }
                }
                Err(_) => refused += 1,
            }
            let mut wrong = wrong(&scene.state.network);
            wrong.extend(wrong_machines(&scene.state));
            let of_policy =
                matches!(command, Command::SetPolicy { .. } | Command::RemovePolicy { .. });
            if !of_policy && scene.locks() != locked {
                wrong.push(format!("{locked:?} became {:?}", scene.locks()));
            }
            assert!(wrong.is_empty(), "seed {seed}, step {step}, {command:?}: {wrong:?}");
            let mut anew = Network::default();
            scene.state.network.all().for_each(|resource| anew.put(resource.clone()));
            assert_eq!(anew, *scene.state.network, "seed {seed}, step {step}: the indexes drifted");
        }
    }
    assert!(done > 3_000 && refused > 3_000, "{done} done, {refused} refused: too tame a life");
}
