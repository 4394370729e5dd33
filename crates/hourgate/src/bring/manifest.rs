//! Our own file: what `hourgate export` writes and `hourgate apply` reads.
//!
//! Each resource as it is sent, with its type, resource group and name before it.

use serde_json::{Map, Value, json};

use super::{
    expression::shortened,
    thing::{Brought, Known, Place, Thing, Wanted, known},
};
use crate::input::network;

/// The one version there is.
pub(crate) const VERSION: u64 = 1;
/// What the file says before what is sent.
const OF_THE_FILE: [&str; 3] = ["type", "resourceGroup", "name"];

/// The file that holds these.
pub(super) fn file(resources: &[(Thing, Value)]) -> Value {
    let shown = resources.iter().map(|(thing, body)| {
        let mut out = Map::new();
        out.insert("type".to_owned(), json!(thing.type_name()));
        out.insert("resourceGroup".to_owned(), json!(thing.group()));
        out.insert("name".to_owned(), json!(thing.name()));
        if let Value::Object(body) = body {
            out.extend(body.clone());
        }
        Value::Object(out)
    });
    json!({ "hourgate": VERSION, "resources": shown.collect::<Vec<_>>() })
}

/// What the file holds, or everything that is wrong with it.
pub(super) fn read(file: &Value, place: &Place) -> Result<Brought, Vec<String>> {
    if file.get("hourgate").and_then(Value::as_u64) != Some(VERSION) {
        return Err(vec![format!(
            "the file is of another version (`hourgate`); {VERSION} is what this one reads"
        )]);
    }
    let mut problems: Vec<String> = file
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !["hourgate", "resources"].contains(&key.as_str()))
        .map(|(key, _)| {
            format!("unknown `{}`; there are `hourgate` and `resources`", shortened(key))
        })
        .collect();
    let Some(Value::Array(resources)) = file.get("resources") else {
        return Err(vec!["the file has no list `resources`".to_owned()]);
    };
    let mut brought = Brought::default();
    for (index, resource) in resources.iter().enumerate() {
        match one(resource, place) {
            Ok(wanted) => brought.wanted.push(wanted),
            Err(why) => problems.push(format!("resource {}: {why}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(brought) } else { Err(problems) }
}

fn one(resource: &Value, place: &Place) -> Result<Wanted, String> {
    let Value::Object(object) = resource else { return Err("no object".to_owned()) };
    let text = |key: &str| match object.get(key) {
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        None | Some(Value::Null) => Ok(None),
        Some(_) => Err(format!("`{key}` is no text; put it in quotes")),
    };
    let (Some(kind), Some(name)) = (text("type")?, text("name")?) else {
        return Err("`type` and `name` are needed".to_owned());
    };
    let group = match text("resourceGroup")? {
        Some(group) => network::name(group).map_err(|why| format!("`resourceGroup`: {why}"))?,
        None => place.group.clone(),
    };
    let names: Vec<&str> = name.split('/').collect();
    let thing = match known(kind, &names, (place.subscription, &group))? {
        Known::Whole(thing) => thing,
        Known::Part(..) => {
            return Err(format!(
                "`{}` is part of another resource: write it there",
                shortened(kind)
            ));
        }
        Known::No(why) => return Err(format!("`{}`: {why}", shortened(kind))),
    };
    let body = object.iter().filter(|(key, _)| !OF_THE_FILE.contains(&key.as_str()));
    let body = body.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Wanted { thing, body: Value::Object(body), after: Vec::new() })
}
