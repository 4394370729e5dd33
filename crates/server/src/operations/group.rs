//! Resource groups: made by hand, or by the first resource that is put into one.

use std::{collections::BTreeMap, sync::Arc};

use hourgate_core::{
    command::Precondition,
    id::{Location, Name},
    resource::{Kind, Network, Resource, ResourceDraft, ResourceId, Tags, ViewDraft},
    role::{Action, Caller, NetworkThing, Scope, Verb, may},
};
use hourgate_store::Store;

use super::{Call, Problem, permit, permit_within, resource};
use crate::server::Server;

/// A resource group.
pub(crate) enum Group {
    /// Made by hand.
    Made(Arc<Resource>),
    /// There because something is in it, and gone with the last of that.
    Implied {
        /// Its name, as its first resource has it.
        name: Name,
        /// Where that is.
        location: Location,
    },
}

impl Group {
    /// Its name.
    pub(crate) fn name(&self) -> &Name {
        match self {
            Group::Made(resource) => &resource.id.name,
            Group::Implied { name, .. } => name,
        }
    }

    /// Its tags: only who makes one gives it some.
    pub(crate) fn tags(&self) -> Option<&Tags> {
        match self {
            Group::Made(resource) => Some(&resource.tags),
            Group::Implied { .. } => None,
        }
    }
}

/// The resource groups, by their names; or one alone.
pub(crate) async fn groups<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    only: Option<&Name>,
) -> Result<Vec<Group>, Problem> {
    let read = action(Verb::Read);
    let scope = Scope::of(server.installation.subscription, only);
    match only {
        Some(_) => permit(caller, server, call, read, &scope).await?,
        None => permit_within(caller, server, call, read, &scope).await?,
    }
    let network = resource::network(server).await?;
    let mut found = found(&network, only);
    found.retain(|name, _| may(caller, read, &Scope::group(scope.of_subscription(), name)));
    match only.filter(|_| found.is_empty()) {
        Some(group) => Err(Problem::NoGroup(group.clone())),
        None => Ok(found.into_values().collect()),
    }
}

/// Sets the tags of a group, which makes it one that stays.
pub(crate) async fn tag_group<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (group, tags): (&Name, &Tags),
    only_if: Precondition,
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let id = ResourceId::of_group(server.installation.subscription, group.clone());
    permit(caller, server, call, action(Verb::Write), &Scope::from(&id)).await?;
    let network = resource::network(server).await?;
    match found(&network, Some(group)).into_values().next() {
        None => Err(Problem::NoGroup(group.clone())),
        Some(Group::Made(_)) => {
            resource::tag_resource(caller, server, call, (id, tags), only_if).await
        }
        Some(Group::Implied { location, .. }) => {
            let draft = draft(id, location, tags.clone());
            let put = resource::put_resource(caller, server, call, draft, only_if).await;
            put.map(|(resource, network, _)| (resource, network))
        }
    }
}

fn draft(id: ResourceId, location: Location, tags: Tags) -> ResourceDraft {
    let (view, document) = (ViewDraft::ResourceGroup, "{}".to_owned());
    ResourceDraft { id, location, tags, view, document }
}

fn found(network: &Network, only: Option<&Name>) -> BTreeMap<Name, Group> {
    let mut groups: BTreeMap<Name, Group> = BTreeMap::new();
    let wanted =
        network.all().filter(|resource| only.is_none_or(|only| resource.id.group == *only));
    for resource in wanted {
        let name = resource.id.group.clone();
        if resource.id.kind == Kind::ResourceGroups {
            groups.insert(name, Group::Made(Arc::clone(resource)));
        } else {
            let location = resource.location.clone();
            groups.entry(name.clone()).or_insert(Group::Implied { name, location });
        }
    }
    groups
}

fn action(verb: Verb) -> Action {
    Action::Network(NetworkThing::Of(Kind::ResourceGroups), verb)
}
