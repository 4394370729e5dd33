//! What stands against the rules of locks and grants, in words: group, numbers, and what helps.

use hourgate_api::error::{Code, Positions, explain};
use hourgate_core::{
    event::{LetBy, LockBreak},
    network::{Lock, Port},
    nsg::{
        band::NoNumber,
        flow::Transport,
        id::GroupId,
        lockdown::{LockdownRefusal, Numbered},
        word::Priority,
    },
    refusal::{At, Refusal, Refusals},
};

use crate::world::AZURE_VM;

fn group(name: &str) -> GroupId {
    let path = "/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg1\
                /providers/Microsoft.Network/networkSecurityGroups";
    format!("{path}/{name}").parse().unwrap()
}

fn number(number: u16) -> Priority {
    Priority::own(number).unwrap()
}

#[test]
fn what_stands_against_a_rule_of_jits_is_told_with_what_helps() {
    let at = || At { vm: AZURE_VM.parse().unwrap(), port: Port::new(22).unwrap() };
    let address = "10.0.0.4".parse().unwrap();
    let no_place = |why| Refusal::NoPlace { at: at(), address, why };
    let numbered =
        |name: &str, of| Some(Numbered { rule: name.parse().unwrap(), priority: number(of) });
    let lock = Lock { address, port: Port::new(22).unwrap() };
    let broken = |by: Option<LetBy>| LockBreak {
        vm: AZURE_VM.parse().unwrap(),
        lock,
        group: group("inner"),
        deny: number(4_095),
        from: "203.0.113.9".parse().unwrap(),
        transport: Transport::Udp,
        by,
    };
    let by =
        |of: &str| LetBy { group: group(of), rule: "x".parse().unwrap(), priority: number(200) };
    let rows = [
        (
            Refusal::NoNumber {
                at: at(),
                why: NoNumber::BandFull { group: group("inner"), first: 100, before: 1_100 },
            },
            Code::NoFreePriority,
            vec!["from 100 on and before 1100", "port 22", "jit_rule_priorities"],
        ),
        (
            Refusal::NoNumber {
                at: at(),
                why: NoNumber::GroupFull { group: group("inner"), most: 1_000 },
            },
            Code::SecurityRuleCountLimitReached,
            vec!["1000 rules", "End accesses"],
        ),
        (
            no_place(LockdownRefusal::MissingSecurityGroup),
            Code::MissingNetworkSecurityGroup,
            vec!["Missing NSG", "10.0.0.4", "Give one of them a group"],
        ),
        (
            no_place(LockdownRefusal::NoFreeNumber {
                group: group("inner"),
                after: numbered("jump", 199),
                before: numbered("all", 200),
            }),
            Code::NoFreePriority,
            vec!["between 'jump' (priority 199) and 'all' (priority 200)", "removeStanding"],
        ),
        (
            Refusal::AddressNotOfVm {
                at: at(),
                address: "10.0.0.9".parse().unwrap(),
                addresses: vec![address],
            },
            Code::InvalidParameter,
            vec!["10.0.0.9 is no address", "It has 10.0.0.4"],
        ),
        (
            Refusal::LockWouldBreak { broken: broken(Some(by("inner"))) },
            Code::JitLockWouldBreak,
            vec!["'x' (priority 200)", "UDP from 203.0.113.9", "behind the lock's deny (4095)"],
        ),
        (
            Refusal::LockWouldBreak {
                broken: LockBreak { deny: Priority::MAX, ..broken(Some(by("inner"))) },
            },
            Code::JitLockWouldBreak,
            vec!["has the last priority (4096)", "leave that port"],
        ),
        (
            Refusal::LockWouldBreak { broken: broken(Some(by("other"))) },
            Code::JitLockWouldBreak,
            vec!["networkSecurityGroups/other", "stands in", "networkSecurityGroups/inner"],
        ),
        (
            Refusal::LockWouldBreak { broken: broken(None) },
            Code::JitLockWouldBreak,
            vec!["No network security group", "take the port out of its JIT policy"],
        ),
    ];
    for (refusal, code, parts) in rows {
        let error = explain(&Refusals(vec![refusal]), &Positions::none());
        assert_eq!(error.code, code, "{}", error.message);
        for part in parts {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
    }
}
