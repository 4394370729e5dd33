//! People who come, change groups, are disabled, forgotten, given roles and lose them.

use std::collections::BTreeSet;

use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        Person, Scope,
        built_in::{JIT_REQUESTER, OWNER, READER},
        change::{AssignmentDraft, DirectoryCommand, Introduction, RoleDraft},
        definition::Permission,
        principal::{ADMINISTRATOR, LOCAL_ISSUER, PrincipalKind},
    },
    time::{Timestamp, later},
};
use uuid::Uuid;

use crate::{
    days::Life,
    oracle::people::SUBSCRIPTION,
    scene::{hours, minutes, policy, seconds, vm},
};

pub const ANN: u128 = 1;
pub const BOB: u128 = 2;
pub const OPS: u128 = 9;
pub const FIRST: u128 = 50;

/// The role that people make.
const ASKER: u128 = 0xd001;

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x5000 + number)
}

pub fn person(number: u128) -> Person {
    Person { id: id(number).into(), name: Personal(format!("name {number}")), upn: None }
}

fn introduction(who: u128, groups: Option<BTreeSet<Uuid>>) -> Introduction {
    let (kind, issuer, subject) = match who {
        OPS => (PrincipalKind::Group, "https://login.example.org", "ops".to_owned()),
        FIRST => (PrincipalKind::ServicePrincipal, LOCAL_ISSUER, ADMINISTRATOR.to_owned()),
        _ => (PrincipalKind::User, "https://login.example.org", format!("subject {who}")),
    };
    Introduction {
        id: id(who),
        kind,
        issuer: issuer.to_owned(),
        subject: Personal(subject),
        name: Personal(format!("name {who}")),
        upn: None,
        verified_mail: None,
        groups,
        said: None,
    }
}

fn told(command: DirectoryCommand) -> Command {
    Command::Directory(command)
}

fn assignment(number: u64) -> Uuid {
    Uuid::from_u128(0xa000 + u128::from(number))
}

/// How a life begins: everybody is known, and may ask for everything.
pub fn first() -> Vec<Command> {
    let whole: Scope = SUBSCRIPTION.parse().expect("a scope");
    let given = |number, role, who| {
        told(DirectoryCommand::Assign(AssignmentDraft {
            id: assignment(number),
            scope: whole.clone(),
            role,
            principal: id(who),
            kind: None,
            description: None,
            until: None,
            by: None,
        }))
    };
    let known = [FIRST, OPS, ANN, BOB]
        .map(|who| told(DirectoryCommand::Introduce(introduction(who, None))));
    let roles =
        [given(1, OWNER, FIRST), given(2, JIT_REQUESTER, ANN), given(3, JIT_REQUESTER, BOB)];
    known.into_iter().chain(roles).collect()
}

impl Life<'_> {
    pub fn people(&mut self) -> Command {
        let who = self.dice.one(&[ANN, ANN, BOB, BOB, OPS]);
        told(match self.dice.below(100) {
            0..=17 => {
                let groups = match (who, self.dice.below(5)) {
                    (OPS, _) | (_, 0) => None,
                    (_, 1 | 2) => Some(BTreeSet::new()),
                    _ => Some(BTreeSet::from([id(OPS)])),
                };
                DirectoryCommand::Introduce(introduction(who, groups))
            }
            18..=29 => {
                let who = if self.dice.in_hundred(15) { FIRST } else { who };
                let who = if self.dice.in_hundred(4) { 77 } else { who };
                let disabled = self.dice.in_hundred(30);
                DirectoryCommand::SetDisabled { principal: id(who), disabled }
            }
            30..=31 => DirectoryCommand::Forget { principal: id(who) },
            32..=37 => self.define(),
            38..=43 => DirectoryCommand::Undefine { role: Uuid::from_u128(ASKER) },
            44..=52 => DirectoryCommand::Unassign { assignment: self.given() },
            _ => self.assign(who),
        })
    }

    fn given(&mut self) -> Uuid {
        let known: Vec<Uuid> =
            self.scene.state.directory.assignments().map(|given| given.id).collect();
        if known.is_empty() || self.dice.in_hundred(5) {
            assignment(4_711_000)
        } else {
            self.dice.one(&known)
        }
    }

    fn define(&mut self) -> DirectoryCommand {
        let asks = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action";
        let sees = "Microsoft.Compute/virtualMachines/read";
        let actions: &[&str] = if self.dice.in_hundred(60) { &[asks, sees] } else { &[sees] };
        let actions = actions.iter().map(|text| text.parse().expect("a pattern")).collect();
        let group = format!("{SUBSCRIPTION}/resourceGroups/g");
        DirectoryCommand::Define(RoleDraft {
            id: Uuid::from_u128(ASKER),
            name: "Asker".to_owned(),
            description: String::new(),
            permissions: vec![Permission { actions, ..Permission::default() }],
            assignable: vec![group.parse().expect("a scope")],
        })
    }

    fn assign(&mut self, who: u128) -> DirectoryCommand {
        let who = if self.dice.in_hundred(3) { 77 } else { who };
        let role = self.dice.one(&[
            JIT_REQUESTER,
            JIT_REQUESTER,
            JIT_REQUESTER,
            READER,
            OWNER,
            Uuid::from_u128(ASKER),
            Uuid::from_u128(ASKER),
        ]);
        let place = if role.as_u128() == ASKER { 3 } else { self.dice.below(8) };
        let place = if self.dice.in_hundred(20) { self.dice.below(8) } else { place };
        let scope = match place {
            0..=2 => SUBSCRIPTION.to_owned(),
            3 => format!("{SUBSCRIPTION}/resourceGroups/G"),
            4 => policy(self.dice.one(&["p", "q"])).to_string(),
            _ => vm(self.dice.one(&["a", "b", "c"])).to_string(),
        };
        let now = self.scene.now.wall;
        let until: Option<Timestamp> = self.dice.in_hundred(40).then(|| {
            let length = self.dice.one(&[minutes(5), minutes(20), hours(1), hours(3), seconds(0)]);
            later(now, length)
        });
        self.scene.minted += 1;
        let fresh = assignment(self.scene.minted);
        let id_of = if self.dice.in_hundred(12) { self.given() } else { fresh };
        DirectoryCommand::Assign(AssignmentDraft {
            id: id_of,
            scope: scope.parse().expect("a scope"),
            role,
            principal: id(who),
            kind: None,
            description: None,
            until,
            by: None,
        })
    }
}
