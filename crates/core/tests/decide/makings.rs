//! Whoever changes a part of a resource that was read earlier undoes nothing that came between.

use hourgate_core::{command::Precondition, refusal::Refusal, resource::ResourceFault};
use uuid::Uuid;

use crate::{effect::*, network::*, scene::*};

#[test]
fn a_change_of_what_was_read_holds_for_that_making_and_that_version() {
    let mut scene = scene();
    scene.does(&put(nsg("g"), nsg_of(vec![])));
    let read = (**scene.state.network.get(&nsg("g")).expect("there")).clone();
    scene.does(&put(nsg("g"), nsg_of(vec![allow("theirs", 200, "192.0.2.0/24")])));
    let mine = || nsg_of(vec![allow("mine", 300, "192.0.2.0/24")]);
    let making = |instance, version| Precondition::Making { instance, version };
    let refused = [Refusal::PreconditionFailed { version: Some(2) }];
    for (why, only_if) in [
        ("somebody came between", making(read.instance, read.version)),
        ("another of its name", making(Uuid::from_u128(4_711), 2)),
    ] {
        assert_eq!(scene.refuses(&put_if(nsg("g"), mine(), only_if)), refused, "{why}");
    }
    scene.does(&put_if(nsg("g"), mine(), making(read.instance, 2)));
}

#[test]
fn an_interface_has_no_address_that_nothing_reaches_from_elsewhere() {
    let mut scene = scene();
    for address in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "fe80::1", "::1"] {
        let sent = nic_of(vec![configuration("ip", None, at_address(address))]);
        let expected = fault(nic("k"), ResourceFault::AddressUnfit { address: ip(address) });
        assert_eq!(scene.refuses(&put(nic("k"), sent)), [expected], "{address}");
    }
}
