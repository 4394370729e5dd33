//! The roles that are always there: Azure's, with Azure's ids and names, and two of ours.
//!
//! Ids, names and patterns of Azure's are those of Microsoft's list of built-in roles
//! (<https://learn.microsoft.com/azure/role-based-access-control/built-in-roles>), as far as they speak of what is
//! served here. Where ours differ, a comment says so.

use std::sync::{Arc, LazyLock};

use uuid::{Uuid, uuid};

use super::definition::{Definition, Permission, RoleId, RoleKind, Said};

/// Everything.
pub const OWNER: RoleId = uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
/// Everything but giving rights.
pub const CONTRIBUTOR: RoleId = uuid!("b24988ac-6180-42a0-ab88-20f7382dd24c");
/// Seeing everything.
pub const READER: RoleId = uuid!("acdd72a7-3385-48ef-bd42-f606fba81ae7");
/// Giving rights.
pub const USER_ACCESS_ADMINISTRATOR: RoleId = uuid!("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9");
/// Giving rights by assignments alone.
pub const RBAC_ADMINISTRATOR: RoleId = uuid!("f58310d9-a9f6-439a-9e8d-f62e7b41a168");
/// Setting policies of security.
pub const SECURITY_ADMIN: RoleId = uuid!("fb1c8493-542b-48eb-b624-b4c8fea62acd");
/// Seeing policies of security.
pub const SECURITY_READER: RoleId = uuid!("39bc4728-0917-49c7-9d2c-d95423bc2eb4");
/// Changing the network.
pub const NETWORK_CONTRIBUTOR: RoleId = uuid!("4d97b98b-1d4f-4787-a291-c67834d212e7");
/// Changing machines.
pub const VM_CONTRIBUTOR: RoleId = uuid!("9980e02c-c2be-4d73-94e8-173b1dc7cf3c");
/// Asking for access.
pub const JIT_REQUESTER: RoleId = uuid!("a43a2634-cd40-44bc-87ef-6b838a29b784");
/// Deciding about other people's requests.
pub const JIT_APPROVER: RoleId = uuid!("ca1c34ee-292b-417d-b35e-2adddb695fad");

/// Every built-in role.
pub fn all() -> &'static [Arc<Definition>] {
    &ALL
}

/// The built-in role of that id.
pub fn role(id: RoleId) -> Option<&'static Arc<Definition>> {
    ALL.iter().find(|role| role.id() == id)
}

static ALL: LazyLock<Vec<Arc<Definition>>> = LazyLock::new(|| {
    vec![
        built_in(OWNER, "Owner", "Everything, giving roles to others too.", &["*"], &[]),
        built_in(
            CONTRIBUTOR,
            "Contributor",
            "Everything but giving roles, setting other people's credentials and deciding about requests.",
            &["*"],
            &[
                "Microsoft.Authorization/*/Delete",
                "Microsoft.Authorization/*/Write",
                "Microsoft.Authorization/elevateAccess/Action",
                // Ours: whoever sets somebody's credentials can be them.
                "Hourgate.Access/principals/write",
                "Hourgate.Access/principals/delete",
                "Hourgate.Access/accounts/*",
                "Hourgate.Access/sessions/*",
                // Ours: approvers hold a role for it.
                "Hourgate.Access/requests/approve/action",
                "Hourgate.Access/requests/deny/action",
            ],
        ),
        built_in(READER, "Reader", "Seeing everything, and changing nothing.", &["*/read"], &[]),
        built_in(
            USER_ACCESS_ADMINISTRATOR,
            "User Access Administrator",
            "Giving roles to others.",
            &["*/read", "Microsoft.Authorization/*", "Hourgate.Access/principals/*"],
            &[],
        ),
        built_in(
            RBAC_ADMINISTRATOR,
            "Role Based Access Control Administrator",
            "Giving roles to others by assignments.",
            &[
                "Microsoft.Authorization/roleAssignments/write",
                "Microsoft.Authorization/roleAssignments/delete",
                "*/read",
            ],
            &[],
        ),
        built_in(
            SECURITY_ADMIN,
            "Security Admin",
            "Setting JIT policies and plans, and asking for access.",
            &[
                "Microsoft.Authorization/*/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Microsoft.Security/*",
                // Ours: Microsoft says that this role can ask for access, which needs to see the machine.
                "Microsoft.Compute/virtualMachines/read",
                "Microsoft.Network/*/read",
                "Microsoft.Resources/subscriptions/read",
                "Hourgate.Access/*/read",
            ],
            &[],
        ),
        built_in(
            SECURITY_READER,
            "Security Reader",
            "Seeing JIT policies, requests and plans.",
            &[
                "Microsoft.Authorization/*/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Microsoft.Security/*/read",
                // Ours: a policy shown without its machines tells nothing.
                "Microsoft.Compute/virtualMachines/read",
                "Microsoft.Network/*/read",
                "Microsoft.Resources/subscriptions/read",
                "Hourgate.Access/*/read",
            ],
            &[],
        ),
        built_in(
            NETWORK_CONTRIBUTOR,
            "Network Contributor",
            "Changing networks, and nothing else.",
            &[
                "Microsoft.Authorization/*/read",
                "Microsoft.Network/*",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Microsoft.Resources/subscriptions/read",
            ],
            &[],
        ),
        built_in(
            VM_CONTRIBUTOR,
            "Virtual Machine Contributor",
            "Changing machines and what joins them to a network.",
            &[
                "Microsoft.Authorization/*/read",
                "Microsoft.Compute/virtualMachines/*",
                "Microsoft.Network/networkInterfaces/*",
                "Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action",
                "Microsoft.Network/loadBalancers/inboundNatRules/join/action",
                "Microsoft.Network/loadBalancers/read",
                "Microsoft.Network/networkSecurityGroups/join/action",
                "Microsoft.Network/networkSecurityGroups/read",
                "Microsoft.Network/publicIPAddresses/join/action",
                "Microsoft.Network/publicIPAddresses/read",
                "Microsoft.Network/virtualNetworks/read",
                "Microsoft.Network/virtualNetworks/subnets/join/action",
                "Microsoft.Network/virtualNetworks/subnets/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Microsoft.Resources/subscriptions/read",
            ],
            &[],
        ),
        built_in(
            JIT_REQUESTER,
            "JIT Access Requester",
            "Asking for access to machines.",
            &[
                "Microsoft.Security/locations/jitNetworkAccessPolicies/read",
                "Microsoft.Security/locations/jitNetworkAccessPolicies/*/read",
                "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action",
                "Microsoft.Security/policies/read",
                "Microsoft.Security/pricings/read",
                "Microsoft.Compute/virtualMachines/read",
                "Microsoft.Network/networkInterfaces/read",
                "Microsoft.Network/networkInterfaces/*/read",
                "Microsoft.Network/publicIPAddresses/read",
                "Microsoft.Resources/subscriptions/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Hourgate.Access/eligibility/read",
            ],
            &[],
        ),
        built_in(
            JIT_APPROVER,
            "JIT Access Approver",
            "Deciding about other people's requests for access.",
            &[
                "Microsoft.Security/locations/jitNetworkAccessPolicies/read",
                "Microsoft.Security/locations/jitNetworkAccessPolicies/*/read",
                "Microsoft.Compute/virtualMachines/read",
                "Microsoft.Network/networkInterfaces/read",
                "Microsoft.Network/publicIPAddresses/read",
                "Microsoft.Resources/subscriptions/read",
                "Microsoft.Resources/subscriptions/resourceGroups/read",
                "Hourgate.Access/requests/approve/action",
                "Hourgate.Access/requests/deny/action",
            ],
            &[],
        ),
    ]
});

fn built_in(
    id: Uuid,
    name: &str,
    description: &str,
    may: &[&str],
    not: &[&str],
) -> Arc<Definition> {
    // A test reads that every one of them is a pattern.
    let patterns = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    let permission =
        Permission { actions: patterns(may), not_actions: patterns(not), ..Permission::default() };
    Arc::new(Definition::from(Said {
        id,
        name: name.to_owned(),
        description: description.to_owned(),
        kind: RoleKind::BuiltInRole,
        permissions: vec![permission],
        assignable: Vec::new(),
        created: None,
        updated: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::{Action, Change};

    fn may(role: RoleId, action: Action) -> bool {
        super::role(role).expect("a built-in role").allows(action)
    }

    /// What each role is for, and what it must not bring along: one row each.
    #[test]
    fn each_role_allows_what_it_is_for_and_no_more() {
        let give = Action::Assignment(Change::Write);
        for (role, action, allowed, why) in [
            (OWNER, give, true, "an owner gives roles"),
            (OWNER, Action::Initiate, true, "an owner may all"),
            (CONTRIBUTOR, give, false, "a contributor gives none"),
            (CONTRIBUTOR, Action::Role(Change::Write), false, "nor makes roles"),
            (CONTRIBUTOR, Action::Eligibility(Change::Write), false, "nor lets others activate"),
            (CONTRIBUTOR, Action::Account(Change::Write), false, "nor sets a password"),
            (CONTRIBUTOR, Action::Principal(Change::Write), false, "nor enables somebody"),
            (CONTRIBUTOR, Action::Session(Change::Read), false, "nor sees sessions"),
            (CONTRIBUTOR, Action::Initiate, true, "Microsoft: can request"),
            (CONTRIBUTOR, Action::PolicyWrite, true, "but sets policies"),
            (READER, Action::PolicyRead, true, "a reader sees"),
            (READER, Action::Initiate, false, "and does nothing"),
            (READER, Action::Session(Change::Read), false, "and sees no sessions of others"),
            (READER, Action::Close, false, "and closes nothing"),
            (USER_ACCESS_ADMINISTRATOR, give, true, "gives roles"),
            (USER_ACCESS_ADMINISTRATOR, Action::Account(Change::Write), false, "not passwords"),
            (USER_ACCESS_ADMINISTRATOR, Action::Initiate, false, "and opens nothing itself"),
            (RBAC_ADMINISTRATOR, give, true, "gives roles"),
            (RBAC_ADMINISTRATOR, Action::Role(Change::Write), false, "and makes none"),
            (SECURITY_ADMIN, Action::Initiate, true, "Microsoft: can request"),
            (SECURITY_ADMIN, Action::VM_READ, true, "and sees what for"),
            (SECURITY_ADMIN, Action::VM_WRITE, false, "and changes no machine"),
            (SECURITY_READER, Action::PolicyRead, true, "sees policies"),
            (SECURITY_READER, Action::Initiate, false, "and asks for nothing"),
            (JIT_REQUESTER, Action::Initiate, true, "asks"),
            (JIT_REQUESTER, Action::VM_READ, true, "sees the machine"),
            (JIT_REQUESTER, Action::PolicyWrite, false, "sets no policy"),
            (JIT_REQUESTER, Action::Close, false, "ends no other's access"),
            (JIT_APPROVER, Action::PolicyRead, true, "sees what is asked"),
            (JIT_APPROVER, Action::Initiate, false, "and does not ask"),
            (NETWORK_CONTRIBUTOR, Action::VM_WRITE, false, "machines are others'"),
            (VM_CONTRIBUTOR, Action::VM_WRITE, true, "machines are theirs"),
            (VM_CONTRIBUTOR, Action::Initiate, false, "and not the way to them"),
        ] {
            assert_eq!(may(role, action), allowed, "{why}: {}", action.name());
        }
    }

    #[test]
    fn every_pattern_is_one() {
        let wild = |role: &Arc<Definition>| role.said().permissions[0].patterns();
        let counts: Vec<usize> = all().iter().map(wild).collect();
        assert_eq!(counts, [1, 10, 1, 3, 3, 7, 7, 4, 15, 12, 9]);
    }
}
