//! From what people call a person, a role or a place to the one that is meant; never to one of several.

use clap::Args;
use hourgate_api::{
    paths::{PrincipalRoute, RoleRoute, Route},
    role::{DefinitionResource, PrincipalResource},
};
use hourgate_core::{
    id::Name,
    resource::ResourceId,
    role::{Scope, scope::Place},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    commands::Session,
    exit::{Exit, Failure},
    input::network,
    resolve::{self, Target},
    view::not_understood,
};

/// How many candidates are shown for a name that is not unique.
const CANDIDATES_MAX: usize = 10;

/// Where a role holds.
#[derive(Clone, Debug, Args)]
pub(crate) struct At {
    /// Where: a resource id [default: the whole subscription]
    #[arg(long, value_parser = scope, conflicts_with_all = ["group", "vm"])]
    pub(crate) scope: Option<Scope>,
    /// This resource group; with --vm, the group that the machine is in
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    pub(crate) group: Option<Name>,
    /// This machine
    #[arg(long, value_name = "NAME", value_parser = resolve::target)]
    pub(crate) vm: Option<Target>,
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|_| {
        "a scope is /subscriptions/ID, with /resourceGroups/NAME or a resource's id behind it"
            .to_owned()
    })
}

impl At {
    /// The scope that is meant; none if none is named.
    pub(crate) async fn find(&self, session: &Session) -> Result<Option<Scope>, Failure> {
        let subscription = session.client.profile().subscription_id;
        if let Some(vm) = &self.vm {
            let found =
                resolve::find(session, std::slice::from_ref(vm), self.group.as_ref()).await?;
            return Ok(found.first().map(|vm| Scope::from(&vm.id)));
        }
        let group = self.group.as_ref().map(|group| Scope::group(subscription, group));
        Ok(self.scope.clone().or(group))
    }
}

/// A scope as people call it: `group prod`, `virtualMachines web-1 of prod`.
pub(crate) fn place(scope: &Scope) -> String {
    match scope.place() {
        Place::Subscription => "subscription".to_owned(),
        Place::Policy(id) => format!("policy {} of {} ({})", id.name, id.group, id.location),
        Place::Resource(id) => {
            let ResourceId { kind, group, name, .. } = id;
            let kind = kind.type_name().rsplit('/').next().unwrap_or_default();
            match kind {
                "resourceGroups" => format!("group {name}"),
                kind => format!("{kind} {name} of {group}"),
            }
        }
        Place::Other => scope.to_string(),
    }
}

/// Everybody who is known.
pub(crate) async fn everybody(session: &Session) -> Result<Vec<PrincipalResource>, Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Principals(subscription, PrincipalRoute::All).uri();
    session.client.list(&list).await?.into_iter().map(|value| read(value, "a principal")).collect()
}

/// The one who is meant: by object id, name or sign-in name. A mail address is none of these: it is for
/// showing.
pub(crate) async fn who(session: &Session, called: &str) -> Result<PrincipalResource, Failure> {
    pick(everybody(session).await?, called)
}

fn pick(all: Vec<PrincipalResource>, called: &str) -> Result<PrincipalResource, Failure> {
    let folded = called.trim().to_lowercase();
    let is_meant = |who: &PrincipalResource| {
        let upn = who.properties.user_principal_name.as_deref().unwrap_or_default();
        who.name.to_string() == folded
            || who.properties.display_name.to_lowercase() == folded
            || upn.to_lowercase() == folded
    };
    let mut meant: Vec<PrincipalResource> = all.into_iter().filter(is_meant).collect();
    match (meant.pop(), meant.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => {
            let sentence = format!("Nobody is known as {called}.");
            Err(Failure::new(Exit::NotFound, sentence)
                .advise("People are known once they have signed in; groups are made known first."))
        }
        (Some(last), false) => {
            meant.push(last);
            let count = meant.len();
            let candidates = meant.iter().take(CANDIDATES_MAX).map(described).collect();
            Err(Failure::usage(format!("{count} are known as {called}."))
                .because(candidates)
                .advise("Say which by the object id."))
        }
    }
}

/// Somebody, so that nobody else of the same name is taken for them.
pub(crate) fn described(who: &PrincipalResource) -> String {
    let properties = &who.properties;
    let upn = properties.user_principal_name.as_deref().unwrap_or(&properties.subject);
    format!(
        "{} {} ({upn} of {}): {}",
        properties.kind, properties.display_name, properties.issuer, who.name
    )
}

/// The roles that can be given at a scope or below it, as far as we may see them.
pub(crate) async fn roles(
    session: &Session,
    scope: &Scope,
) -> Result<Vec<DefinitionResource>, Failure> {
    let list = Route::Roles(scope.clone(), RoleRoute::Definitions)
        .with_query(&[("$filter", "atScopeAndBelow()")]);
    session.client.list(&list).await?.into_iter().map(|value| read(value, "a role")).collect()
}

/// The role that is meant among some: by id, by name, or by a word of its name that no other has, such as
/// `approver`.
pub(crate) fn role<'a>(
    all: &'a [DefinitionResource],
    called: &str,
) -> Result<&'a DefinitionResource, Failure> {
    let folded = called.trim().to_lowercase();
    let id = folded.rsplit('/').next().and_then(|id| id.parse::<Uuid>().ok());
    let name = |role: &DefinitionResource| role.properties.role_name.to_lowercase();
    let whole = all
        .iter()
        .find(|role| name(role) == folded || id.is_some_and(|id| role.name == id.to_string()));
    if let Some(role) = whole {
        return Ok(role);
    }
    let has = |role: &&DefinitionResource| name(role).split(' ').any(|word| word == folded);
    let meant: Vec<&DefinitionResource> = all.iter().filter(has).collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::new(Exit::NotFound, format!("There is no role called {called}."))
            .advise("`hourgate role definition list` shows those there are.")),
        several => {
            let names = several.iter().take(CANDIDATES_MAX);
            Err(Failure::usage(format!("{} roles are called {called}.", several.len()))
                .because(names.map(|role| role.properties.role_name.clone()).collect())
                .advise("Say the whole name."))
        }
    }
}

pub(crate) fn read<T: DeserializeOwned>(value: Value, what: &str) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| not_understood(&format!("{what}: {error}")))
}

#[cfg(test)]
mod tests {
    use hourgate_core::role::built_in;

    use super::*;

    #[test]
    fn a_role_is_called_by_its_name_or_by_a_word_that_no_other_has() {
        let shown = |role| DefinitionResource::new(Uuid::nil(), role, |_| true);
        let all: Vec<DefinitionResource> =
            built_in::all().iter().map(|role| shown(role.as_ref())).collect();
        for (called, meant) in [
            ("approver", "JIT Access Approver"),
            ("Requester", "JIT Access Requester"),
            ("reader", "Reader"),
            ("jit access approver", "JIT Access Approver"),
            ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner"),
        ] {
            assert_eq!(role(&all, called).expect(called).properties.role_name, meant);
        }
        assert_eq!(role(&all, "contribut").expect_err("none").exit, Exit::NotFound);
        assert_eq!(role(&all, "jit").expect_err("several").exit, Exit::Usage);
    }

    #[test]
    fn who_is_called_as_two_are_is_nobody() {
        let known = |id: u128, name: &str, upn: &str| -> PrincipalResource {
            serde_json::from_value(serde_json::json!({
                "id": "", "name": Uuid::from_u128(id), "type": "",
                "properties": {"type": "User", "issuer": "https://a", "subject": name,
                    "displayName": name, "userPrincipalName": upn, "mail": "m@x",
                    "disabled": false},
            }))
            .expect("a principal")
        };
        // The second calls herself as the first signs in.
        let all = vec![known(1, "Anna", "anna@x"), known(2, "ANNA@x", "eve@x")];
        assert_eq!(pick(all.clone(), "anna").expect("one").name, Uuid::from_u128(1));
        let two = pick(all.clone(), "anna@x").expect_err("two");
        assert_eq!((two.exit, two.details.len()), (Exit::Usage, 2));
        assert_eq!(pick(all, "m@x").expect_err("mail").exit, Exit::NotFound);
    }
}
