//! Resources of the network as rows: each whole in one row, and beside it what its constraints need.

use std::collections::BTreeSet;

use hourgate_core::resource::{Resource, ResourceId, SubnetId, Target};
use rusqlite::{Connection, params};

use super::{Result, load::all, rows};

/// Every resource.
pub(super) fn every(db: &Connection) -> Result<Vec<Resource>> {
    all(db, "SELECT body, key, version FROM document", [], |row| {
        let resource: Resource = serde_json::from_str(row.text(0)?).map_err(rows::damaged)?;
        let version: u64 = row.unsigned(2)?;
        let fits = key(&resource.id) == row.text(1)? && resource.version == version;
        if fits { Ok(resource) } else { Err(rows::damaged("a resource in another's row")) }
    })
}

/// Writes a resource as it is now.
pub(super) fn put(db: &Connection, resource: &Resource) -> Result<()> {
    let own = key(&resource.id);
    let body = serde_json::to_string(resource).map_err(rows::damaged)?;
    take_back(db, &own)?;
    db.prepare_cached(
        "INSERT INTO document (key, id, kind, grp, name, version, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body",
    )?
    .execute(params![
        own,
        resource.id.to_string(),
        resource.id.kind.as_str(),
        resource.id.group.folded(),
        resource.id.name.folded(),
        i64::try_from(resource.version).map_err(rows::damaged)?,
        body,
    ])?;
    parts(db, &own, resource)?;
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO document_reference (referrer, target) VALUES (?1, ?2)",
    )?;
    for target in resource.view.references() {
        insert.execute(params![own, target_key(&target)])?;
    }
    let mut insert =
        db.prepare_cached("INSERT INTO document_interface (interface, machine) VALUES (?1, ?2)")?;
    for interface in resource.virtual_machine().iter().flat_map(|machine| &machine.interfaces) {
        insert.execute(params![key(interface), own])?;
    }
    let mut insert =
        db.prepare_cached("INSERT INTO document_address (address, document) VALUES (?1, ?2)")?;
    for has in resource.network_interface().iter().flat_map(|nic| &nic.configurations) {
        insert.execute(params![has.address.to_string(), own])?;
    }
    Ok(())
}

/// Removes a resource.
pub(super) fn delete(db: &Connection, id: &ResourceId) -> Result<()> {
    let own = key(id);
    take_back(db, &own)?;
    db.prepare_cached("DELETE FROM document_part WHERE document = ?1")?.execute([&own])?;
    db.prepare_cached("DELETE FROM document WHERE key = ?1")?.execute([&own])?;
    Ok(())
}

/// What a resource refers to, which addresses and interfaces it has, before that is written anew.
fn take_back(db: &Connection, own: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM document_reference WHERE referrer = ?1")?.execute([own])?;
    db.prepare_cached("DELETE FROM document_address WHERE document = ?1")?.execute([own])?;
    db.prepare_cached("DELETE FROM document_interface WHERE machine = ?1")?.execute([own])?;
    Ok(())
}

/// What others can refer to. What is gone is taken away; if somebody still refers to it, that fails.
fn parts(db: &Connection, own: &str, resource: &Resource) -> Result<()> {
    let subnets = resource.virtual_network().into_iter().flat_map(|network| network.subnets.keys());
    let subnets = subnets.map(|name| {
        target_key(&Target::Subnet(SubnetId { network: resource.id.clone(), name: name.clone() }))
    });
    let rules = resource.load_balancer().into_iter().flat_map(|lb| lb.nat_targets(&resource.id));
    let rules = rules.map(|rule| target_key(&rule));
    let now: BTreeSet<String> = [own.to_owned()].into_iter().chain(subnets).chain(rules).collect();
    let before: Vec<String> =
        all(db, "SELECT key FROM document_part WHERE document = ?1", [own], |row| {
            Ok(row.text(0)?.to_owned())
        })?;
    let mut delete = db.prepare_cached("DELETE FROM document_part WHERE key = ?1")?;
    for gone in before.iter().filter(|part| !now.contains(*part)) {
        delete.execute([gone])?;
    }
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO document_part (key, document) VALUES (?1, ?2)")?;
    for part in now {
        insert.execute(params![part, own])?;
    }
    Ok(())
}

/// A resource's id as it is compared.
pub(super) fn key(id: &ResourceId) -> String {
    id.to_string().to_ascii_lowercase()
}

fn target_key(target: &Target) -> String {
    target.to_string().to_ascii_lowercase()
}
