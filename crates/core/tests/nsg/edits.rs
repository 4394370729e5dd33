//! The lock is an invariant: random edits, of which those that would let something new in are refused.

use std::net::IpAddr;

use hourgate_core::{
    network::Lock,
    nsg::{
        band::Band,
        flow::{Carried, Flow, Transport},
        grant_rule::grant_rule,
        group::SecurityGroup,
        hold::breaks,
        lockdown::{Exceptions, deny_rule, lockdown},
        name::RuleName,
        numbers::Numbers,
        passing::passing,
        region::Region,
        rule::{RuleDraft, SecurityRule},
        word::Side,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::Index};

use crate::{
    judging::Built,
    naive::{self, Groups, World},
    random::{NUMBERS, any_rule, cases, groups, rules},
    scene::*,
};

const GRANT: &str = "JIT_grant";
const DENY: &str = "JIT_deny";
const SOURCES: [&str; 4] = ["203.0.113.7/32", "203.0.113.0/24", "10.0.0.77/32", "192.168.0.0/16"];

/// What somebody does.
#[derive(Clone, Debug)]
enum Edit {
    Put { subnet: bool, rule: RuleDraft },
    Remove { subnet: bool, which: Index },
    Swap { subnet: bool, group: Option<Vec<RuleDraft>> },
    Network { net: usize },
    Members { address: usize },
    Grant { source: usize },
    End { which: Index },
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        5 => (any::<bool>(), any_rule(NUMBERS)).prop_map(|(subnet, rule)| Edit::Put { subnet, rule }),
        2 => (any::<bool>(), any::<Index>()).prop_map(|(subnet, which)| Edit::Remove { subnet, which }),
        1 => (any::<bool>(), option::of(rules(NUMBERS, 4)))
            .prop_map(|(subnet, group)| Edit::Swap { subnet, group }),
        1 => (0..3usize).prop_map(|net| Edit::Network { net }),
        1 => (0..3usize).prop_map(|address| Edit::Members { address }),
        3 => (0..SOURCES.len()).prop_map(|source| Edit::Grant { source }),
        2 => any::<Index>().prop_map(|which| Edit::End { which }),
    ]
}

/// A locked port, its groups as text, and the grants that run.
#[derive(Clone)]
struct Scene {
    groups: Groups,
    world: World,
    grants: u32,
}

impl Scene {
    fn is_grant(name: &str) -> bool {
        name.starts_with(GRANT)
    }

    fn home(&mut self) -> Option<&mut Vec<RuleDraft>> {
        self.groups.nic.as_mut().or(self.groups.subnet.as_mut())
    }

    /// What stands without grants, as the product computes it.
    fn standing(&self, to: Lock) -> Region {
        // The deny is written into the groups here.
        let groups = self.without_grants();
        passing(Built::of(&groups).layers(), &around(&self.world), to)
    }

    /// The same groups without grants, for the oracle.
    fn without_grants(&self) -> Groups {
        let keep = |rules: &Vec<RuleDraft>| -> Vec<RuleDraft> {
            rules.iter().filter(|rule| !Scene::is_grant(&rule.name)).cloned().collect()
        };
        Groups {
            subnet: self.groups.subnet.as_ref().map(keep),
            nic: self.groups.nic.as_ref().map(keep),
        }
    }

    /// The scene after an edit; none where rules could not stand together, or nothing would change.
    fn after(&self, edit: &Edit) -> Option<Scene> {
        let mut scene = self.clone();
        match edit {
            Edit::Put { subnet, rule } => {
                let rules = scene.layer(*subnet).as_mut()?;
                rules.retain(|old| old.name != rule.name);
                rules.push(rule.clone());
            }
            Edit::Remove { subnet, which } => {
                let rules = scene.layer(*subnet).as_mut()?;
                let others: Vec<usize> =
                    (0..rules.len()).filter(|n| !Scene::is_grant(&rules[*n].name)).collect();
                if others.is_empty() {
                    return None;
                }
                rules.remove(*which.get(&others));
            }
            Edit::Swap { subnet, group } => *scene.layer(*subnet) = group.clone(),
            Edit::Network { net } => {
                let net = ["203.0.113.0/24", "192.168.0.0/16", "10.0.0.0/16"][*net].to_owned();
                if scene.world.network.contains(&net) {
                    scene.world.network.retain(|old| *old != net);
                } else {
                    scene.world.network.push(net);
                }
            }
            Edit::Members { address } => {
                let address = ["203.0.113.9", "10.0.0.99", "10.0.0.4"][*address].to_owned();
                let members = &mut scene.world.asgs[1].1;
                if members.contains(&address) {
                    members.retain(|old| *old != address);
                } else {
                    members.push(address);
                }
            }
            Edit::Grant { .. } | Edit::End { .. } => return None,
        }
        let fits = |rules: &Vec<RuleDraft>| {
            let rules = rules.iter().map(|draft| SecurityRule::new(draft).expect("a rule"));
            SecurityGroup::new(group_id("x"), rules.collect()).is_ok()
        };
        let all_fit = [&scene.groups.subnet, &scene.groups.nic].into_iter().flatten().all(fits);
        all_fit.then_some(scene)
    }

    fn layer(&mut self, subnet: bool) -> &mut Option<Vec<RuleDraft>> {
        if subnet { &mut self.groups.subnet } else { &mut self.groups.nic }
    }

    fn grant(&mut self, source: &str, to: Lock) {
        let built = Built::of(&self.groups);
        let Some((_, home)) = built.layers().home() else { return };
        let deny = home.rule(&named(DENY)).map(SecurityRule::priority);
        let Ok(free) = Band::default().free(home, &Numbers::default(), deny) else { return };
        let opening = opening(source, &to.address.to_string(), to.port.number());
        self.grants += 1;
        let name: RuleName = named(&format!("{GRANT}{}", self.grants));
        let to = [opening.address()];
        let rule = grant_rule(name, opening.source(), &to, opening.port(), free);
        self.home().expect("a group").push(rule.draft());
    }

    fn end(&mut self, which: Index) {
        let Some(rules) = self.home() else { return };
        let grants: Vec<usize> =
            (0..rules.len()).filter(|n| Scene::is_grant(&rules[*n].name)).collect();
        if !grants.is_empty() {
            rules.remove(*which.get(&grants));
        }
    }

    /// Whether a grant that runs is for a flow.
    fn granted(&self, flow: &Flow) -> bool {
        let tcp = matches!(flow.carried(), Carried::Ports { transport: Transport::Tcp, .. });
        let from = naive::point(flow.address(Side::Source));
        tcp && self
            .groups
            .rules()
            .filter(|rule| Scene::is_grant(&rule.name))
            .any(|rule| self.world.is(&rule.sources[0], from))
    }
}

fn flows(scenes: &[&Scene], to: Lock) -> Vec<Flow> {
    let rules: Vec<&RuleDraft> = scenes.iter().flat_map(|scene| scene.groups.rules()).collect();
    let worlds: Vec<&World> = scenes.iter().map(|scene| &scene.world).collect();
    naive::flows_to((to.address, to.port.number()), &rules, &worlds, &[])
}

/// A locked port; none where these groups leave no number for its deny.
fn locked(groups: &Groups, to: Lock) -> Option<Scene> {
    let mut scene = Scene { groups: groups.clone(), world: world(), grants: 0 };
    let built = Built::of(groups);
    let around = around(&scene.world);
    let found =
        lockdown(built.layers(), &around, to, Exceptions::Stay, &Numbers::default()).ok()?;
    let deny = deny_rule(named(DENY), to, found.priority).draft();
    scene.home().expect("a group").push(deny);
    Some(scene)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn no_edit_lets_anything_new_in(groups in groups(5), edits in vec(edit(), 1..16)) {
        let to = lock("10.0.0.4", 22);
        let Some(mut scene) = locked(&groups, to) else { return Ok(()) };
        let first = scene.clone();
        let exceptions = scene.standing(to);
        for edit in edits {
            match &edit {
                Edit::Grant { source } => scene.grant(SOURCES[*source], to),
                Edit::End { which } => scene.end(*which),
                _ => {
                    let Some(after) = scene.after(&edit) else { continue };
                    let new = breaks(&scene.standing(to), &Region::nothing(), &after.standing(to));
                    let (was, is) = (scene.without_grants(), after.without_grants());
                    let opens: Vec<Flow> = flows(&[&scene, &after], to)
                        .into_iter()
                        .filter(|f| is.pass(&after.world, f) && !was.pass(&scene.world, f))
                        .collect();
                    prop_assert_eq!(new.is_some(), !opens.is_empty(), "{:?}: {:?}", edit, opens.first());
                    match new {
                        Some(new) => {
                            prop_assert!(opens.iter().all(|flow| new.contains(flow)));
                            let example = new.example(to).expect("a flow");
                            prop_assert!(is.pass(&after.world, &example), "{:?}", example);
                        }
                        None => scene = after,
                    }
                }
            }
            for flow in flows(&[&first, &scene], to) {
                let pass = scene.groups.pass(&scene.world, &flow);
                prop_assert!(
                    !pass || exceptions.contains(&flow) || scene.granted(&flow),
                    "after {:?} the locked port lets {:?} in", edit, flow
                );
            }
        }
    }
}

fn jit(lines: &[&str]) -> SecurityGroup {
    group("nic", &[lines, &["JIT_deny 4096 Deny * * > 10.0.0.4@22"]].concat())
}

fn stands(nic: &SecurityGroup) -> Region {
    let nic = nic.without(|rule| rule.name().as_str().starts_with(GRANT));
    passing(layers(None, Some(&nic)), &surroundings(), lock("10.0.0.4", 22))
}

#[test]
fn what_breaks_a_lock_and_what_does_not() {
    let before = jit(&["jump 1000 Allow Tcp 203.0.113.0/24 > *@22"]);
    let with = |line: &str| before.with(rule(line)).expect("a group");
    let rows = [
        ("a new allow before the deny", with("x 200 Allow Tcp 198.51.100.7 > *@22"), true),
        ("of another port", with("x 200 Allow Tcp * > *@443"), false),
        ("of another machine", with("x 200 Allow Tcp * > 10.0.0.5@22"), false),
        ("of what stands already", with("x 200 Allow Tcp 203.0.113.7 > *@22"), false),
        ("over UDP: every transport is locked", with("x 200 Allow Udp 203.0.113.7 > *@22"), true),
        ("ICMP goes to no port", with("x 200 Allow Icmp * > *"), false),
        ("an exception made wider", with("jump 1000 Allow Tcp 203.0.112.0/23 > *@22"), true),
        ("an exception made narrower", with("jump 1000 Allow Tcp 203.0.113.7 > *@22"), false),
        ("another deny", with("x 200 Deny * * > *"), false),
        ("the deny gone", before.without(|rule| rule.name().as_str() == "JIT_deny"), true),
        ("a grant", with("JIT_grant1 100 Allow Tcp 198.51.100.7 > 10.0.0.4@22"), false),
    ];
    for (why, after, broken) in rows {
        let new = breaks(&stands(&before), &Region::nothing(), &stands(&after));
        assert_eq!(new.is_some(), broken, "{why}");
    }
}

#[test]
fn a_rule_cannot_hide_behind_a_running_grant() {
    let granted = jit(&["JIT_grant1 100 Allow Tcp 198.51.100.7 > 10.0.0.4@22"]);
    let after =
        granted.with(rule("mine 200 Allow Tcp 198.51.100.7 > 10.0.0.4@22")).expect("a group");
    let (to, around) = (lock("10.0.0.4", 22), surroundings());
    let now = |nic: &SecurityGroup| passing(layers(None, Some(nic)), &around, to);
    assert_eq!(now(&granted), now(&after), "nothing new passes while the grant runs");
    let new = breaks(&stands(&granted), &Region::nothing(), &stands(&after)).expect("found");
    let from: Vec<IpAddr> = new.sources().first().into_iter().collect();
    assert_eq!(from, [ip("198.51.100.7")]);
}

#[test]
fn what_a_change_is_entitled_to_open_breaks_nothing() {
    let (before, opening) = (jit(&[]), opening("198.51.100.7/32", "10.0.0.4", 22));
    let after = before
        .with(grant_rule(
            named("x"),
            opening.source(),
            &[opening.address()],
            opening.port(),
            number(100),
        ))
        .expect("a group");
    let (before, after) = (stands(&before), stands(&after));
    assert!(breaks(&before, &Region::nothing(), &after).is_some());
    assert_eq!(breaks(&before, &Region::of_opening(&opening), &after), None);
}

#[test]
fn a_nic_without_its_group_breaks_the_lock() {
    let (to, around, nic) = (lock("10.0.0.4", 22), surroundings(), jit(&[]));
    let bare = passing(layers(None, None), &around, to);
    assert!(breaks(&stands(&nic), &Region::nothing(), &bare).is_some());
    let subnet = group("subnet", &["x 100 Deny * * > *@22"]);
    let elsewhere = passing(layers(Some(&subnet), None), &around, to);
    assert_eq!(breaks(&stands(&nic), &Region::nothing(), &elsewhere), None, "closed all the same");
}
