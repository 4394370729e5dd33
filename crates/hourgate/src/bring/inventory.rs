//! A simple list of machines: name, addresses, os, group, location; as CSV, YAML or JSON.

use std::net::IpAddr;

use hourgate_core::resource::{Kind, ResourceId};
use serde_json::{Value, json};

use super::{
    expression::shortened,
    thing::{Brought, Place, Thing, Wanted},
};
use crate::input::network;

/// How many machines one list may hold.
const MACHINES_MAX: usize = 50_000;
/// What is said of a machine.
const FIELDS: [&str; 5] = ["name", "addresses", "os", "group", "location"];
/// What separates addresses in one cell.
const BETWEEN: [char; 4] = [' ', ';', ',', '\n'];

/// One machine as it was written: the fields as texts, addresses apart.
#[derive(Default)]
struct Row {
    name: String,
    addresses: Vec<String>,
    os: String,
    group: String,
    location: String,
}

/// A list of machines as CSV, with the fields named in its first line.
pub(super) fn csv(text: &str, place: &Place) -> Result<Brought, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| vec![error.to_string()])?.clone();
    let head: Vec<String> = head.iter().map(str::to_ascii_lowercase).collect();
    let mut problems: Vec<String> = head
        .iter()
        .filter(|field| !FIELDS.contains(&field.as_str()))
        .map(|field| unknown(field))
        .collect();
    let again = head.iter().enumerate().filter(|(at, field)| head[..*at].contains(field));
    problems
        .extend(again.map(|(_, field)| format!("the field `{}` stands twice", shortened(field))));
    for needed in ["name", "addresses"] {
        if !head.iter().any(|field| field == needed) {
            problems.push(format!("the first line has no field `{needed}`"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut rows = Vec::new();
    for record in reader.records().take(MACHINES_MAX + 1) {
        let record = record.map_err(|error| vec![error.to_string()])?;
        let mut row = Row::default();
        for (field, cell) in head.iter().zip(record.iter()) {
            row.set(field, cell);
        }
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((format!("line {line}"), row));
    }
    brought(rows, place)
}

/// A list of machines as a value: the list itself, or `machines`.
pub(super) fn value(value: &Value, place: &Place) -> Result<Brought, Vec<String>> {
    let list = value.get("machines").unwrap_or(value);
    let Value::Array(items) = list else {
        return Err(vec!["`machines` is no list".to_owned()]);
    };
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    for (index, item) in items.iter().take(MACHINES_MAX + 1).enumerate() {
        let at = format!("machine {}", index + 1);
        let Value::Object(object) = item else {
            problems.push(format!("{at}: no object with `name` and `addresses`"));
            continue;
        };
        let mut row = Row::default();
        for (field, value) in object {
            let field = field.to_ascii_lowercase();
            if !FIELDS.contains(&field.as_str()) {
                problems.push(format!("{at}: {}", unknown(&field)));
                continue;
            }
            match (field.as_str(), value) {
                (_, Value::String(text)) => row.set(&field, text),
                ("addresses", Value::Array(list)) => {
                    let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
                    match texts.collect::<Option<Vec<_>>>() {
                        Some(texts) => row.addresses = texts,
                        None => problems.push(format!("{at}: an address is no text")),
                    }
                }
                (_, Value::Null) => {}
                (_, Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    problems.push(format!("{at}: `{field}` is no text; put it in quotes"))
                }
            }
        }
        rows.push((at, row));
    }
    if problems.is_empty() { brought(rows, place) } else { Err(problems) }
}

fn unknown(field: &str) -> String {
    format!("unknown field `{}`; there are {}", shortened(field), FIELDS.join(", "))
}

fn brought(rows: Vec<(String, Row)>, place: &Place) -> Result<Brought, Vec<String>> {
    if rows.len() > MACHINES_MAX {
        return Err(vec![format!("more than {MACHINES_MAX} machines: split the list")]);
    }
    let mut problems = Vec::new();
    let mut brought = Brought::default();
    for (at, row) in rows {
        match row.wanted(place) {
            Ok(wanted) => brought.wanted.push(wanted),
            Err(why) => problems.extend(why.into_iter().map(|why| format!("{at}: {why}"))),
        }
    }
    if problems.is_empty() { Ok(brought) } else { Err(problems) }
}

impl Row {
    fn set(&mut self, field: &str, text: &str) {
        match field {
            "name" => self.name = text.to_owned(),
            "addresses" => {
                let each = text.split(BETWEEN).filter(|part| !part.is_empty());
                self.addresses = each.map(str::to_owned).collect();
            }
            "os" => self.os = text.to_owned(),
            "group" => self.group = text.to_owned(),
            _ => self.location = text.to_owned(),
        }
    }

    fn wanted(&self, place: &Place) -> Result<Wanted, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |field: &str, why: String| problems.push(format!("{field}: {why}"));
        let name = network::name(&self.name).map_err(|why| keep("name", why)).ok();
        let group = match self.group.as_str() {
            "" => Some(place.group.clone()),
            group => network::name(group).map_err(|why| keep("group", why)).ok(),
        };
        let location = match self.location.as_str() {
            "" => Some(place.location.clone()),
            location => network::location(location).map_err(|why| keep("location", why)).ok(),
        };
        let os = match self.os.to_ascii_lowercase().as_str() {
            "" => None,
            "linux" => Some("Linux"),
            "windows" => Some("Windows"),
            other => {
                keep("os", format!("`{}` is neither Linux nor Windows", shortened(other)));
                None
            }
        };
        if self.addresses.is_empty() {
            keep("addresses", "at least one is needed".to_owned());
        }
        let addresses: Vec<IpAddr> = self
            .addresses
            .iter()
            .filter_map(|text| network::address(text).map_err(|why| keep("addresses", why)).ok())
            .collect();
        let (Some(name), Some(group), Some(location), true) =
            (name, group, location, problems.is_empty())
        else {
            return Err(problems);
        };
        let mut properties = json!({ "privateAddresses": addresses });
        if let Some(os) = os {
            properties["osType"] = json!(os);
        }
        let (subscription, kind) = (place.subscription, Kind::VirtualMachines);
        let thing = Thing::Resource(ResourceId { subscription, group, kind, name });
        let body = json!({ "location": location, "properties": properties });
        Ok(Wanted { thing, body, after: Vec::new() })
    }
}

#[cfg(test)]
mod tests;
