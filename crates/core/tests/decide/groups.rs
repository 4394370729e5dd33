//! Resource groups: what makes one, and what goes with it.

use hourgate_core::{
    command::Command,
    event::Event,
    refusal::Refusal,
    resource::{ResourceFault, ResourceId, Target, ViewDraft},
};
use uuid::Uuid;

use crate::{network::*, scene::*};

fn group(name: &str) -> ResourceId {
    ResourceId::of_group(Uuid::nil(), name.parse().expect("a name"))
}

/// The same resource in the group `other`.
fn elsewhere(id: ResourceId) -> ResourceId {
    ResourceId { group: "other".parse().expect("a name"), ..id }
}

fn made(name: &str) -> Command {
    put(group(name), ViewDraft::ResourceGroup)
}

/// One of each kind in `g`, with networks that are joined, and a machine that was added by its address.
fn furnished() -> Scene {
    let mut scene = scene();
    scene.does(&made("g"));
    scene.does(&put(asg("x"), ViewDraft::ApplicationSecurityGroup));
    scene.does(&put(nsg("s"), nsg_of(vec![security_rule("r", 100, &asg("x").to_string())])));
    scene.does(&put(public("p"), public_of(Some("203.0.113.1"))));
    let subnets = [("a", "10.0.0.0/24", Some("s"))];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &subnets)));
    let mut joined = network(&["10.1.0.0/16"], &[]);
    joined.peers.get_or_insert_default().push(vnet("v"));
    scene.does(&put(vnet("w"), ViewDraft::VirtualNetwork(joined)));
    let mut joined = network(&["10.0.0.0/16"], &subnets);
    joined.peers.get_or_insert_default().push(vnet("w"));
    scene.does(&put(vnet("v"), ViewDraft::VirtualNetwork(joined)));
    scene.does(&put(nic("k"), one(at_address("10.0.0.5"))));
    scene.vm("web", &["10.9.0.4"])
}

#[test]
fn an_id_of_a_group_is_read_as_it_is_written_and_stands_behind_no_provider() {
    let id = group("Prod");
    let text = id.to_string();
    assert_eq!(text, "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Prod");
    assert_eq!(text.to_lowercase().parse(), Ok(id));
    for bad in [
        format!("{text}/"),
        format!("{text}/providers/Microsoft.Resources/resourceGroups/Prod"),
        text.replace("Prod", ""),
    ] {
        assert!(bad.parse::<ResourceId>().is_err(), "{bad}");
    }
}

#[test]
fn a_group_and_what_is_in_it_stay_where_they_are() {
    let role = asg("x");
    for (id, made) in
        [(group("g"), made("g")), (role.clone(), put(role, ViewDraft::ApplicationSecurityGroup))]
    {
        let mut scene = scene();
        scene.does(&made);
        assert!(scene.does(&made).is_empty(), "the same again changes nothing");
        let mut moved = made;
        if let Command::PutResource { draft, .. } = &mut moved {
            draft.location = "elsewhere".parse().expect("a location");
        }
        let (sent, location) = ("elsewhere".parse().unwrap(), "local".parse().unwrap());
        let wrong = ResourceFault::Elsewhere { sent, location };
        assert_eq!(scene.refuses(&moved), [fault(id, wrong)]);
    }
}

#[test]
fn everything_in_a_group_goes_with_it_users_first() {
    let mut scene = furnished();
    scene.does(&put(elsewhere(asg("y")), ViewDraft::ApplicationSecurityGroup));
    let events = scene.does(&delete(group("g")));
    let mut gone = Vec::new();
    for event in &events {
        if let Event::ResourceDeleted { id, .. } = event {
            gone.push(id.clone());
        }
    }
    let place = |id: ResourceId| gone.iter().position(|gone| *gone == id).expect("it went");
    assert!(place(nic("k")) < place(vnet("v")), "{gone:?}");
    assert!(place(vnet("v")) < place(nsg("s")), "{gone:?}");
    assert!(place(nsg("s")) < place(asg("x")), "{gone:?}");
    assert_eq!(place(group("g")), gone.len() - 1, "the group comes last");
    assert!(events.iter().any(|event| matches!(event, Event::VmUnregistered { .. })));
    assert!(scene.state.vms.is_empty());
    let left: Vec<&ResourceId> = scene.state.network.all().map(|left| &left.id).collect();
    assert_eq!(left, [&elsewhere(asg("y"))], "other groups stay");
    let none = ResourceFault::NotFound;
    assert_eq!(scene.refuses(&delete(group("g"))), [fault(group("g"), none)]);
}

#[test]
fn a_group_that_only_its_resources_make_goes_too() {
    let mut scene = scene();
    scene.does(&put(asg("x"), ViewDraft::ApplicationSecurityGroup));
    scene.does(&delete(group("G")));
    assert!(scene.state.network.is_empty());
}

#[test]
fn nothing_goes_while_a_policy_holds_a_machine_or_others_use_what_is_in_it() {
    let mut scene = furnished().policy("default", vec![member("web", vec![rule(22)])]);
    let nic_elsewhere = elsewhere(nic("o"));
    scene.does(&put(nic_elsewhere.clone(), one(at_address("10.0.0.9"))));
    let before = scene.state.clone();
    let used = Target::Subnet(subnet("v", "a"));
    let refusals = scene.refuses(&delete(group("g")));
    assert_eq!(
        refusals,
        [
            fault(group("g"), in_use(used, &[nic_elsewhere])),
            Refusal::VmHasPolicy { vm: vm("web"), policy: policy("default") },
        ],
        "everything that stands against it at once"
    );
    assert_eq!(scene.state, before, "and nothing is half done");
}
