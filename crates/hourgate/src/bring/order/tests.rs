use serde_json::json;

use super::*;

const NETWORK: &str = "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/g/providers\
                       /Microsoft.Network";

fn thing(path: &str) -> Thing {
    Thing::of_id(&format!("{NETWORK}/{path}")).expect("ours").0
}

/// `path: what it refers to, what it is said to depend on`.
fn wanted(path: &str, refers: &[&str], after: &[&str]) -> Wanted {
    let refers = refers.iter().map(|other| json!({ "id": format!("{NETWORK}/{other}") }));
    Wanted {
        thing: thing(path),
        body: json!({ "properties": { "x": refers.collect::<Vec<_>>() } }),
        after: after.iter().map(|other| thing(other)).collect(),
    }
}

#[test]
fn each_stands_behind_what_it_needs_and_otherwise_as_it_came() {
    let all = [
        wanted("networkInterfaces/n", &["virtualNetworks/v/subnets/a", "publicIPAddresses/p"], &[]),
        wanted("applicationSecurityGroups/z", &[], &[]),
        wanted("virtualNetworks/v", &["networkSecurityGroups/g"], &[]),
        wanted("publicIPAddresses/p", &[], &["virtualNetworks/v"]),
        wanted("networkSecurityGroups/g", &[], &[]),
    ];
    assert_eq!(ordered(&all), Ok(vec![1, 4, 2, 3, 0]));
}

#[test]
fn an_id_of_a_part_is_a_reference_to_the_whole() {
    let all = [
        wanted("networkInterfaces/n", &["loadBalancers/l/inboundNatRules/r"], &[]),
        wanted("loadBalancers/l", &["loadBalancers/l/frontendIPConfigurations/f"], &[]),
    ];
    assert_eq!(ordered(&all), Ok(vec![1, 0]));
}

#[test]
fn networks_that_are_joined_are_no_cycle_and_others_are_named() {
    let joined = [
        wanted("virtualNetworks/a", &["virtualNetworks/b"], &[]),
        wanted("virtualNetworks/b", &["virtualNetworks/a"], &[]),
    ];
    assert_eq!(ordered(&joined), Ok(vec![0, 1]));

    let groups = |one: &str, other: &str| {
        wanted(
            &format!("applicationSecurityGroups/{one}"),
            &[],
            &[&format!("applicationSecurityGroups/{other}")],
        )
    };
    let all = [groups("before", "a"), groups("a", "b"), groups("b", "c"), groups("c", "a")];
    let cycle: Vec<String> = ordered(&all).expect_err("a cycle").iter().map(Thing::name).collect();
    assert_eq!(cycle, ["a", "b", "c"], "the one before it is not on it");
    // Whoever names itself needs nothing else.
    assert_eq!(ordered(&[groups("a", "a")]), Ok(vec![0]));
}
