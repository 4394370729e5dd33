//! P6: a name of JIT's form belongs to one rule of one group; elsewhere it is nobody's.

use hourgate_core::{
    event::Event,
    id::RequestId,
    jit_rules::{self, JitRuleOf},
    nsg::{
        fault::GroupFault,
        group::SecurityGroup,
        rule::{RuleDraft, SecurityRule},
    },
    refusal::Refusal,
    resource::{ResourceFault, ResourceId, View},
};

use crate::{effect::*, locks::*, network::*, scene::*};

/// `web` behind `inner`, SSH locked, and an access; with the access's rule as it is read.
fn granted() -> (Scene, RequestId, RuleDraft) {
    let mut scene = locked(None, Some(vec![]));
    scene.does(&put(nsg("other"), nsg_of(vec![])));
    let id = scene.gets(ask("web", 22).from("203.0.113.7").lasting(hours(1)));
    let group = nsg("inner").security_group().expect("a group");
    let rules = jit_rules::of_group(&scene.state, &group);
    let rule = rules.first().expect("the grant's").rule.draft();
    (scene, id, rule)
}

fn faults(scene: &mut Scene, group: ResourceId, rule: RuleDraft) -> Vec<ResourceFault> {
    let refusals = scene.refuses(&put(group, nsg_of(vec![rule]))).into_iter();
    let of = |refusal| match refusal {
        Refusal::Resource { fault, .. } => fault,
        other => panic!("{other:?}"),
    };
    refusals.map(of).collect()
}

#[test]
fn the_rule_of_what_runs_is_refused_in_another_group_with_the_request_it_belongs_to() {
    let (mut scene, id, rule) = granted();
    let of = JitRuleOf::Grant { request: id, vm: vm("web"), port: port(22) };
    let name = rule.name.parse().expect("a name");
    let expected = ResourceFault::JitRule { rule: name, of };
    assert_eq!(faults(&mut scene, nsg("other"), rule), [expected]);
}

#[test]
fn what_is_over_is_known_by_all_of_its_name() {
    let (mut scene, id, rule) = granted();
    scene.does(&end(id));
    assert_eq!(scene.does(&put(nsg("inner"), nsg_of(vec![rule.clone()]))), []);
    for (why, name) in [
        ("another machine's", rule.name.replace("_web_", "_db_")),
        ("of another time", rule.name.replace("T120000Z", "T120001Z")),
    ] {
        let reserved = ResourceFault::JitName { rule: name.clone() };
        let sent = RuleDraft { name, ..rule.clone() };
        assert_eq!(faults(&mut scene, nsg("inner"), sent), [reserved], "{why}");
    }
}

#[test]
fn a_rule_of_others_does_not_share_its_name_with_a_lock_that_came_later() {
    let mut scene = before_locks(None, Some(vec![]));
    let theirs = deny("JIT_web_22_Deny_0a000004", 300, "192.0.2.0/24");
    // Of a time when the form was nobody's.
    let mut stored = (**scene.state.network.get(&nsg("inner")).expect("there")).clone();
    let rules = vec![SecurityRule::new(&theirs).expect("a rule")];
    let id = nsg("inner").security_group().expect("a group");
    stored.view = View::SecurityGroup(SecurityGroup::new(id, rules).expect("a group"));
    stored.version += 1;
    scene.state.evolve(&Event::ResourcePut { resource: Box::new(stored), before: Some(1) });
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    let changed = RuleDraft { priority: 310, ..theirs };
    let found = faults(&mut scene, nsg("inner"), changed);
    assert!(
        matches!(&found[..], [ResourceFault::Rules { problem: GroupFault::NameTwice { .. } }]),
        "{found:?}"
    );
}
