//! ARM templates, as `az group export` and the portal write them: what they hold, worked out.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use hourgate_core::{id::Name, resource::ResourceId};
use serde_json::{Map, Value, json};

use super::{
    expression::{Scope, shortened},
    thing::{Brought, Known, PartKind, Place, Skipped, Thing, Wanted, known},
};

/// How many resources a template may hold, with those within others (Azure's bound is 800).
pub(crate) const RESOURCES_MAX: usize = 20_000;
/// How deep resources may stand within resources.
const NESTED_MAX: usize = 5;
/// What a template says of a resource to whoever deploys it, and not of the resource.
const OF_THE_DEPLOYMENT: [&str; 9] = [
    "type",
    "apiVersion",
    "name",
    "dependsOn",
    "condition",
    "resources",
    "scope",
    "comments",
    "copy",
];
/// How names of the rules begin that Azure's own just-in-time access makes, compared without case as Azure compares
/// names. Copied, such a rule would be a
/// port that is open, or closed, for good.
const RULES_OF_JIT: [&str; 2] = ["MicrosoftDefenderForCloud-JITRule", "SecurityCenter-JITRule"];
/// Why those are not brought.
const OF_JIT: &str = "a rule that Azure's just-in-time access made for a time";

/// What a template holds, or everything that is wrong with it.
pub(super) fn read(
    template: &Value,
    given: Option<&Value>,
    place: &Place,
) -> Result<Brought, Vec<String>> {
    let scope = scope(template, given, place).map_err(|why| vec![why])?;
    let mut reading = Reading { scope, place, brought: Brought::default(), problems: Vec::new() };
    let mut parts = Vec::new();
    match template.get("resources") {
        Some(Value::Array(resources)) => {
            resources.iter().for_each(|resource| reading.resource(resource, None, &mut parts));
        }
        // Templates of the newer language name each resource.
        Some(Value::Object(resources)) => {
            resources.values().for_each(|resource| reading.resource(resource, None, &mut parts));
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            return Err(vec!["the template has no list `resources`".to_owned()]);
        }
    }
    reading.put_in_place(parts);
    reading.leave_out_rules_of_jit();
    if reading.problems.is_empty() { Ok(reading.brought) } else { Err(reading.problems) }
}

/// What expressions are worked out with: values that were given, else the template's own.
fn scope<'a>(
    template: &Value,
    given: Option<&Value>,
    place: &'a Place,
) -> Result<Scope<'a>, String> {
    let object = |value: Option<&Value>, what: &str| match value {
        Some(Value::Object(object)) => Ok(object.clone()),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(format!("`{what}` of the template is no object")),
    };
    let lower = |(name, value): (String, Value)| (name.to_ascii_lowercase(), value);
    let variables =
        object(template.get("variables"), "variables")?.into_iter().map(lower).collect();
    let mut scope = Scope { place, parameters: BTreeMap::new(), variables, made: Cell::new(0) };
    // A file of parameters in Azure's shape, or the values alone.
    let given = object(given.map(|given| given.get("parameters").unwrap_or(given)), "parameters")?;
    let mut given: BTreeMap<String, Value> = given.into_iter().map(lower).collect();
    let declared = object(template.get("parameters"), "parameters")?;
    for (name, declaration) in declared {
        let key = name.to_ascii_lowercase();
        let value = match given.remove(&key) {
            Some(Value::Object(mut entry)) if entry.contains_key("value") => {
                Ok(entry.remove("value").unwrap_or(Value::Null))
            }
            Some(Value::Object(entry)) if entry.contains_key("reference") => {
                Err(format!("the parameter `{name}` stands in a key vault: give its value"))
            }
            Some(value) => Ok(value),
            None => match declaration.get("defaultValue") {
                Some(value) => scope.value(value),
                None => Err(format!(
                    "the parameter `{name}` has no value: give one with --parameters FILE"
                )),
            },
        };
        scope.parameters.insert(key, value);
    }
    match given.keys().next() {
        Some(name) => Err(format!(
            "a value is given for the parameter `{}`, which the template does not have",
            shortened(name)
        )),
        None => Ok(scope),
    }
}

/// A part of a resource that stands beside it.
struct Part {
    of: ResourceId,
    kind: PartKind,
    name: Name,
    body: Value,
    after: Vec<Thing>,
}

/// What a resource stands within.
struct Within<'a> {
    kind: &'a str,
    name: &'a str,
    depth: usize,
}

struct Reading<'a> {
    scope: Scope<'a>,
    place: &'a Place,
    brought: Brought,
    problems: Vec<String>,
}

impl Reading<'_> {
    /// One resource, and those within it.
    fn resource(&mut self, resource: &Value, within: Option<Within<'_>>, parts: &mut Vec<Part>) {
        let depth = within.as_ref().map_or(0, |within| within.depth);
        let count = self.brought.wanted.len() + self.brought.skipped.len() + parts.len();
        if depth > NESTED_MAX || count >= RESOURCES_MAX {
            if self.problems.is_empty() {
                self.problems.push(format!(
                    "the template holds more than {RESOURCES_MAX} resources, or resources nested deeper than \
                     {NESTED_MAX}"
                ));
            }
            return;
        }
        let written = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default();
        let (mut kind, raw) = (written("type").to_owned(), written("name").to_owned());
        let mut name = self.scope.value(&Value::String(raw.clone()));
        if let Some(within) = &within
            && !kind.contains('.')
        {
            kind = format!("{}/{kind}", within.kind);
            name = name.map(|name| {
                Value::String(format!("{}/{}", within.name, name.as_str().unwrap_or_default()))
            });
        }
        let shown = match &name {
            Ok(Value::String(name)) => name.clone(),
            Ok(_) | Err(_) => raw.clone(),
        };
        let told = |why: String| format!("{} `{}`: {why}", shortened(&kind), shortened(&shown));
        let Ok(Value::String(name)) = name else {
            let why = name.err().unwrap_or_else(|| "its name is no text".to_owned());
            return self.unreadable(&kind, shown.clone(), told(why));
        };
        let names: Vec<&str> = name.split('/').collect();
        let place = (self.place.subscription, &self.place.group);
        let is = match known(&kind, &names, place) {
            Ok(is) => is,
            Err(why) => return self.problems.push(told(why)),
        };
        if let Known::No(why) = is {
            return self.skip(&kind, name, why);
        }
        match self.scope.value(resource.get("condition").unwrap_or(&Value::Bool(true))) {
            Ok(Value::Bool(false)) => {
                return self.skip(&kind, name, "its condition is false".into());
            }
            Ok(Value::Bool(true)) => {}
            Ok(_) => {
                return self.problems.push(told("its condition is neither true nor false".into()));
            }
            Err(why) => return self.problems.push(told(why)),
        }
        if resource.get("copy").is_some() {
            let why = "it stands for many (`copy`), which only a deployment counts";
            return self.skip(&kind, name, why.to_owned());
        }
        let after = match self.needed(resource) {
            Ok(after) => after,
            Err(why) => return self.problems.push(told(why)),
        };
        let mut body = match self.body(resource) {
            Ok(body) => body,
            Err(why) => return self.problems.push(told(why)),
        };
        let is_part = matches!(is, Known::Part(..) | Known::Whole(Thing::Part(..)));
        if let (true, Value::Object(body)) = (is_part, &mut body) {
            // Exports write it also for what is where its whole is.
            body.remove("location");
        }
        match is {
            Known::Whole(thing) => self.brought.wanted.push(Wanted { thing, body, after }),
            Known::Part(of, kind, name) => parts.push(Part { of, kind, name, body, after }),
            Known::No(_) => {}
        }
        for child in resource.get("resources").and_then(Value::as_array).into_iter().flatten() {
            let within = Within { kind: &kind, name: &name, depth: depth + 1 };
            self.resource(child, Some(within), parts);
        }
    }

    /// One whose name cannot be worked out: left out where it would be left out anyway.
    fn unreadable(&mut self, kind: &str, raw: String, problem: String) {
        let names: Vec<&str> = kind.split('/').skip(1).collect();
        match known(kind, &names, (self.place.subscription, &self.place.group)) {
            Ok(Known::No(why)) => self.skip(kind, raw, why),
            Ok(Known::Whole(_) | Known::Part(..)) | Err(_) => self.problems.push(problem),
        }
    }

    fn skip(&mut self, kind: &str, name: String, why: String) {
        self.brought.skipped.push(Skipped { kind: kind.to_owned(), name, why });
    }

    /// What it is said to depend on, of what is kept here.
    fn needed(&self, resource: &Value) -> Result<Vec<Thing>, String> {
        let listed = resource.get("dependsOn").and_then(Value::as_array);
        let mut needed = Vec::new();
        for value in listed.into_iter().flatten() {
            if let Value::String(id) = self.scope.value(value)? {
                needed.extend(Thing::of_id(&id).map(|(thing, _)| thing));
            }
        }
        Ok(needed)
    }

    /// What is sent of it.
    fn body(&self, resource: &Value) -> Result<Value, String> {
        let Value::Object(object) = resource else {
            return Err("a resource is no object".to_owned());
        };
        let kept = object.iter().filter(|(key, _)| !OF_THE_DEPLOYMENT.contains(&key.as_str()));
        let kept: Map<String, Value> =
            kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.scope.value(&Value::Object(kept))
    }

    /// Puts each part into the resource it belongs to. Where the file does not hold that, the part is brought
    /// by itself.
    fn put_in_place(&mut self, parts: Vec<Part>) {
        for Part { of, kind, name, body, after } in parts {
            let whole = Thing::Resource(of.clone());
            if let Some(wanted) = self.brought.wanted.iter_mut().find(|w| w.thing == whole) {
                set_part(&mut wanted.body, kind.list(), &name, body);
                wanted.after.extend(after.into_iter().filter(|thing| *thing != whole));
            } else {
                let thing = Thing::Part(of, kind, name);
                self.brought.wanted.push(Wanted { thing, body, after });
            }
        }
    }

    fn leave_out_rules_of_jit(&mut self) {
        for wanted in &mut self.brought.wanted {
            let kind = format!("{}/securityRules", wanted.thing.type_name());
            let Some(Value::Array(rules)) = wanted.body.pointer_mut("/properties/securityRules")
            else {
                continue;
            };
            let mut left_out = Vec::new();
            rules.retain(|rule| {
                let name = rule.get("name").and_then(Value::as_str).unwrap_or_default();
                let is = is_of_jit(name);
                if is {
                    left_out.push(name.to_owned());
                }
                !is
            });
            for name in left_out {
                let name = format!("{}/{name}", wanted.thing.name());
                self.brought.skipped.push(Skipped { kind: kind.clone(), name, why: OF_JIT.into() });
            }
        }
        let by_itself = |wanted: &mut Wanted| match &wanted.thing {
            Thing::Part(_, PartKind::Rule, name) => is_of_jit(name.as_str()),
            Thing::Part(
                _,
                PartKind::Subnet | PartKind::Peering | PartKind::NatRule | PartKind::RuleGroup,
                _,
            )
            | Thing::Resource(_)
            | Thing::Policy(_) => false,
        };
        let left_out: Vec<Wanted> = self.brought.wanted.extract_if(.., by_itself).collect();
        for Wanted { thing, .. } in left_out {
            let (kind, name) = (thing.type_name(), thing.name());
            self.brought.skipped.push(Skipped { kind, name, why: OF_JIT.into() });
        }
    }
}

fn is_of_jit(name: &str) -> bool {
    RULES_OF_JIT
        .iter()
        .any(|head| name.get(..head.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(head)))
}

/// Sets a part in the list of a resource's properties, in the place of one of that name.
fn set_part(body: &mut Value, list: &str, name: &Name, mut part: Value) {
    if let Value::Object(part) = &mut part {
        part.insert("name".to_owned(), json!(name));
    }
    let Value::Object(body) = body else { return };
    let properties = body.entry("properties").or_insert_with(|| json!({}));
    let Value::Object(properties) = properties else { return };
    let listed = properties.entry(list).or_insert_with(|| json!([]));
    let Value::Array(listed) = listed else { return };
    let of_name = |known: &Value| {
        known
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(|known| known.eq_ignore_ascii_case(name.as_str()))
    };
    match listed.iter_mut().find(|known| of_name(known)) {
        Some(known) => *known = part,
        None => listed.push(part),
    }
}

/// Makes ids of a foreign subscription ids of this one: a template says where it came from, and what it holds
/// comes here. Two at once would make one of two things of one name.
pub(super) fn adopt(brought: &mut Brought, place: &Place) -> Result<(), String> {
    let own = place.subscription.to_string();
    let mut foreign = BTreeSet::new();
    let mut see = |text: &mut String| {
        if let Some(id) = subscription_of(text)
            && !id.eq_ignore_ascii_case(&own)
        {
            let lower = id.to_ascii_lowercase();
            let rest = text[HEAD.len() + id.len()..].to_owned();
            foreign.insert(lower);
            *text = format!("{HEAD}{own}{rest}");
        }
    };
    for wanted in &mut brought.wanted {
        each_text(&mut wanted.body, &mut see);
    }
    if foreign.len() > 1 {
        let all: Vec<String> = foreign.into_iter().take(5).collect();
        return Err(format!(
            "its ids are of several subscriptions ({}), and here is one: bring what belongs together",
            all.join(", ")
        ));
    }
    Ok(())
}

const HEAD: &str = "/subscriptions/";

/// The subscription in an id of something that is kept here.
fn subscription_of(text: &str) -> Option<&str> {
    let id = text.strip_prefix(HEAD)?.split('/').next()?;
    Thing::of_id(text).map(|_| id)
}

fn each_text(value: &mut Value, see: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, see)),
        Value::Object(object) => object.values_mut().for_each(|value| each_text(value, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
