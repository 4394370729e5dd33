//! P13, the firewall in front: what leads to a machine leads to that one, for as long as the access runs, and
//! what cannot lead there ends the access.

use hourgate_core::{
    command::Command,
    gateway::{MAPPED_PORTS, fixed},
    open::{MappedNeed, mapped_needs},
    plan::{Coverage, OpeningFailure},
    resource::{ViewDraft, network_interface::NetworkInterfaceDraft},
};

use crate::{gateways::*, network::*, scene::*};

fn needs(scene: &Scene) -> Vec<MappedNeed> {
    let needs = mapped_needs(&scene.state, &scene.state.locks(), scene.now);
    needs.into_values().flatten().collect()
}

#[test]
fn what_leads_to_a_machine_ends_with_the_access_it_belongs_to() {
    let mut scene = behind(&[("web", "10.1.0.4")]);
    scene.gets(ask("web", 22).from("203.0.113.7").lasting(hours(1)));
    let [need] = &needs(&scene)[..] else { panic!("one") };
    let until = need.onward.until.expect("it ends by itself");
    assert_eq!(until.remaining(scene.now), hours(1));
    assert_eq!(need.translation.source(), "203.0.113.7/32".parse().expect("a prefix"));
}

#[test]
fn each_address_of_a_machine_is_led_to_by_a_port_of_its_own() {
    let mut scene = behind(&[("web", "10.1.0.4")]);
    scene.does(&remove("p"));
    let own = |name: &str, address: &str| {
        configuration(name, Some(subnet("spoke", "a")), at_address(address))
    };
    let configurations = vec![own("ip", "10.1.0.4"), own("ip2", "10.1.0.5")];
    let security_group = nsg("g").security_group();
    let view = NetworkInterfaceDraft { security_group, configurations };
    scene.does(&put(nic("web"), ViewDraft::NetworkInterface(view)));
    scene.does(&register("web", 9, &["10.1.0.4", "10.1.0.5"]));
    scene.does(&set("p", vec![member("web", vec![crate::scene::rule(22)])]));
    scene.gets(ask("web", 22));
    let told: Vec<(String, String)> = needs(&scene)
        .iter()
        .map(|need| {
            assert_eq!(need.onward.to.address, need.opening.address(), "what it opens");
            (need.translation.at().to_string(), need.onward.to.to_string())
        })
        .collect();
    let expected = [("198.51.100.1:50000", "10.1.0.4:22"), ("198.51.100.1:50001", "10.1.0.5:22")];
    assert_eq!(told, expected.map(|(at, to)| (at.to_owned(), to.to_owned())));
}

#[test]
fn what_the_firewalls_guard_cannot_lead_has_failed_and_the_machine_closes_too() {
    let mut scene = behind(&[("web", "10.1.0.4")]);
    let request = scene.gets(ask("web", 22));
    let [need] = &needs(&scene)[..] else { panic!("one") };
    let mut word = scene.word(&["10.1.0.4"]);
    if let Command::Observe { observed, .. } = &mut word {
        if let Coverage::Only(addresses) = &mut observed.coverage {
            addresses.insert(ip("198.51.100.1"));
        }
        observed.untranslated.insert(need.translation, OpeningFailure::Full);
    }
    scene.does(&word);
    assert_eq!(scene.stage(request), "failed");
    assert!(scene.open().is_empty() && needs(&scene).is_empty(), "both or neither");
}

#[test]
fn a_rule_for_an_address_that_is_not_the_firewalls_leads_nowhere_and_takes_no_port() {
    let mut scene = behind(&[("web", "10.1.0.4")]);
    let elsewhere = dnat(&[], ("198.51.100.2", 50_000), ("10.1.0.9", 80));
    let rules = ruled(100, &[(100, std::slice::from_ref(&elsewhere))]);
    scene.does(&put(crate::gateways::policy(), rules));
    assert!(fixed(&scene.state.network, MAPPED_PORTS).each.is_empty());
    let request = scene.gets(ask("web", 22));
    assert_eq!(ports(&scene, request)[0].0, "198.51.100.1:50000");
}
