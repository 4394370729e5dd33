//! Nothing that a caller may not read is named: neither a security group, nor its rules, nor what would have to
//! change in it (P12).

use hourgate_api::{
    effective::{EffectiveGroupSeen, qualified},
    explain::Explained,
};
use hourgate_core::{
    command::{Command, Precondition},
    id::VmId,
    nsg::{
        effective::effective,
        flow::{Carried, Flow, Transport},
        judge::Layer,
        rule::RuleDraft,
    },
    reach::reach,
    resource::{ResourceDraft, Tags, ViewDraft},
};
use uuid::Uuid;

use crate::world::{AZURE_VM, World};

const ADDRESS: &str = "10.0.0.4";

fn rule(name: &str) -> RuleDraft {
    let any = || vec!["*".to_owned()];
    RuleDraft {
        name: name.to_owned(),
        description: None,
        priority: 200,
        direction: "Inbound".to_owned(),
        access: "Allow".to_owned(),
        protocol: "Udp".to_owned(),
        sources: any(),
        source_ports: any(),
        destinations: any(),
        destination_ports: any(),
    }
}

/// A machine behind a group with one rule of its own, which says nothing of TCP.
fn walled() -> World {
    let mut world = World::at("2026-03-01T12:00:00Z").vm(AZURE_VM, ADDRESS);
    let address = ADDRESS.parse().unwrap();
    let group = world.state.network.groups_before(address).next().unwrap().clone();
    let draft = ResourceDraft {
        id: (&group).into(),
        location: "westeurope".parse().unwrap(),
        tags: Tags::new(),
        view: ViewDraft::SecurityGroup(vec![rule("secret")]),
        document: "{}".to_owned(),
    };
    let (draft, instance) = (Box::new(draft), Uuid::from_u128(1));
    world.command(Command::PutResource { draft, instance, only_if: Precondition::None }).unwrap();
    world
}

#[test]
fn an_explanation_names_no_group_or_rule_that_may_not_be_read() {
    let world = walled();
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 80 };
    let address = ADDRESS.parse().unwrap();
    let flow = Flow::new("203.0.113.7".parse().unwrap(), address, carried).unwrap();
    let vm: VmId = AZURE_VM.parse().unwrap();
    let reach = reach(&world.state, &vm, &flow, world.now);
    let told = |may: bool| {
        let told = Explained::of(&reach, address, |_| may);
        (serde_json::to_string(&told).unwrap(), told)
    };
    let (text, explained) = told(true);
    assert!(text.contains("vm1-nsg") && text.contains("secret") && text.contains("DenyAllInBound"));
    assert_eq!(explained.cures.len(), 1);
    let (text, explained) = told(false);
    for name in ["nsg", "secret", "DenyAllInBound", "AllowVnetInBound", "200", "65500"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    assert!(explained.cures.is_empty());
    let [layer] = &explained.layers[..] else { panic!("{explained:?}") };
    assert_eq!(
        (layer.layer.as_str(), &layer.group),
        ("networkInterface", &None),
        "that it is there"
    );
}

#[test]
fn effective_rules_are_those_of_groups_that_may_be_read() {
    let world = walled();
    let nic = world.state.network.owner(ADDRESS.parse().unwrap()).unwrap();
    let (layers, around) = world.state.network.around(ADDRESS.parse().unwrap()).unwrap();
    let groups = effective(layers, &around);
    let [group] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!(group.layer, Layer::Nic);
    let told = |may| EffectiveGroupSeen::of(group, nic, None, |_| may);
    let rules = told(true).effective_security_rules.unwrap();
    assert_eq!(rules.len(), 1 + 6);
    assert_eq!(rules[0].name, "securityRules/secret");
    assert_eq!(rules[1].name, "defaultSecurityRules/AllowVnetInBound");
    assert_eq!(qualified(group.rules[0].rule), rules[0].name);
    let hidden = told(false);
    assert_eq!(hidden.network_security_group, None);
    assert_eq!(hidden.effective_security_rules, None);
}
