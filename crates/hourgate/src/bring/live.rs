//! What stands on the server, read once.

use std::collections::BTreeMap;

use hourgate_api::paths::Route;
use hourgate_core::{
    id::Name,
    resource::{Kind, ResourceId},
};
use serde_json::Value;

use super::thing::{PartKind, Thing};
use crate::{commands::Session, exit::Failure, view::not_understood};

/// Everything that can be brought, as the server answers it.
#[derive(Debug, Default)]
pub(crate) struct Live(BTreeMap<Thing, Value>);

impl Live {
    /// Reads all of it, or what is in one resource group.
    pub(crate) async fn read(session: &Session, group: Option<&Name>) -> Result<Live, Failure> {
        let subscription = session.client.profile().subscription_id;
        let group = group.cloned();
        let mut lists: Vec<Route> = Kind::ALL
            .into_iter()
            .map(|kind| Route::Resources { subscription, group: group.clone(), kind })
            .collect();
        lists.push(Route::Policies { subscription, group, location: None });
        let mut all = BTreeMap::new();
        for list in lists {
            for body in listed(session, &list).await? {
                let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
                let Some((thing, None)) = Thing::of_id(id) else {
                    return Err(not_understood("a resource without an id"));
                };
                all.insert(thing, body);
            }
        }
        for id in all.keys().filter_map(firewall_policy).cloned().collect::<Vec<_>>() {
            let groups = Route::Parts(id.clone(), PartKind::RuleGroup.parts());
            for body in listed(session, &groups).await? {
                let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
                let name =
                    name.parse().map_err(|_| not_understood("a group of rules without a name"))?;
                all.insert(Thing::Part(id.clone(), PartKind::RuleGroup, name), body);
            }
        }
        Ok(Live(all))
    }

    /// As it stands; a part, out of what it is part of.
    pub(crate) fn get(&self, thing: &Thing) -> Option<&Value> {
        match thing {
            // Its policy does not list what is in it, so it was asked for by itself.
            Thing::Part(_, PartKind::RuleGroup, _) | Thing::Resource(_) | Thing::Policy(_) => {
                self.0.get(thing)
            }
            Thing::Part(id, kind, name) => {
                let whole = self.0.get(&Thing::Resource(id.clone()))?;
                part(whole, kind.list(), name)
            }
        }
    }

    /// Everything, by its id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Thing, &Value)> {
        self.0.iter()
    }
}

/// What a list holds; nothing where the group is one in which nothing is.
async fn listed(session: &Session, list: &Route) -> Result<Vec<Value>, Failure> {
    match session.client.list(&list.uri()).await {
        Err(failure) if failure.exit == crate::exit::Exit::NotFound => Ok(Vec::new()),
        found => found,
    }
}

fn firewall_policy(thing: &Thing) -> Option<&ResourceId> {
    match thing {
        Thing::Resource(id) if id.kind == Kind::FirewallPolicies => Some(id),
        Thing::Resource(_) | Thing::Part(..) | Thing::Policy(_) => None,
    }
}

/// The part of that name in a list of a resource's properties.
pub(super) fn part<'a>(whole: &'a Value, list: &str, name: &Name) -> Option<&'a Value> {
    let listed = whole.get("properties")?.get(list)?.as_array()?;
    listed.iter().find(|part| {
        part.get("name")
            .and_then(Value::as_str)
            .is_some_and(|known| known.eq_ignore_ascii_case(name.as_str()))
    })
}

/// Only for tests: what stands, as if it had been read.
#[cfg(test)]
impl FromIterator<(Thing, Value)> for Live {
    fn from_iter<I: IntoIterator<Item = (Thing, Value)>>(all: I) -> Live {
        Live(all.into_iter().collect())
    }
}
