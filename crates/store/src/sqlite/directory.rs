//! People, roles and assignments as rows: each whole in one row.

use std::sync::Arc;

use hourgate_core::role::{
    Directory, Scope,
    activation::{Activation, ActivationId, Eligibility, EligibilityId, Rules},
    assignment::{Assignment, AssignmentId},
    definition::{Definition, RoleId},
    principal::{Principal, PrincipalId},
};
use rusqlite::{Connection, params};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Result, load::all, rows};

/// All of it.
pub(super) fn everything(db: &Connection) -> Result<Directory> {
    let mut directory = Directory::default();
    let principals = bodies(db, "SELECT body FROM directory_principal")?;
    principals.into_iter().for_each(|who: Principal| directory.set_principal(Arc::new(who)));
    let roles = bodies(db, "SELECT body FROM role_definition")?;
    roles.into_iter().for_each(|role: Definition| directory.define(Arc::new(role)));
    let assignments = bodies(db, "SELECT body FROM role_assignment")?;
    assignments.into_iter().for_each(|given: Assignment| directory.assign(Arc::new(given)));
    let eligibilities = bodies(db, "SELECT body FROM role_eligibility")?;
    eligibilities
        .into_iter()
        .for_each(|given: Eligibility| directory.set_eligibility(Arc::new(given)));
    let rules = bodies(db, "SELECT body FROM role_rules")?;
    rules.into_iter().for_each(|rules: Rules| directory.set_rules(Arc::new(rules)));
    let activations = bodies(db, "SELECT body FROM role_activation")?;
    activations.into_iter().for_each(|it: Activation| directory.set_activation(Arc::new(it)));
    Ok(directory)
}

fn bodies<T: DeserializeOwned>(db: &Connection, sql: &str) -> Result<Vec<T>> {
    all(db, sql, [], |row| serde_json::from_str(row.text(0)?).map_err(rows::damaged))
}

fn body<T: Serialize>(what: &T) -> Result<String> {
    serde_json::to_string(what).map_err(rows::damaged)
}

/// Writes somebody as they are now; nobody is none.
pub(super) fn put_principal(
    db: &Connection,
    id: PrincipalId,
    who: Option<&Principal>,
) -> Result<()> {
    match who {
        Some(who) => put(db, "directory_principal", id, &body(who)?),
        None => delete(db, "directory_principal", id),
    }
}

/// Writes a role as it is now.
pub(super) fn put_role(db: &Connection, id: RoleId, role: Option<&Definition>) -> Result<()> {
    match role {
        Some(role) => put(db, "role_definition", id, &body(role)?),
        None => delete(db, "role_definition", id),
    }
}

/// Writes an assignment as it is now.
pub(super) fn put_assignment(
    db: &Connection,
    id: AssignmentId,
    given: Option<&Assignment>,
) -> Result<()> {
    let Some(given) = given else { return delete(db, "role_assignment", id) };
    db.prepare_cached(
        "INSERT INTO role_assignment (id, scope, role, principal, body) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    )?
    .execute(params![
        id.to_string(),
        given.scope.as_str().to_ascii_lowercase(),
        given.role.to_string(),
        given.principal.to_string(),
        body(given)?,
    ])?;
    Ok(())
}

/// Writes an eligibility as it is now.
pub(super) fn put_eligibility(
    db: &Connection,
    id: EligibilityId,
    given: Option<&Eligibility>,
) -> Result<()> {
    let Some(given) = given else { return delete(db, "role_eligibility", id) };
    db.prepare_cached(
        "INSERT INTO role_eligibility (id, principal, body) VALUES (?1, ?2, ?3) \
         ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    )?
    .execute(params![id.to_string(), given.principal.to_string(), body(given)?])?;
    Ok(())
}

/// Writes what it takes to activate a role as it is now.
pub(super) fn put_rules(
    db: &Connection,
    (role, scope): (RoleId, &Scope),
    rules: Option<&Rules>,
) -> Result<()> {
    let (role, scope) = (role.to_string(), scope.as_str().to_ascii_lowercase());
    match rules {
        Some(rules) => db
            .prepare_cached(
                "INSERT INTO role_rules (role, scope, body) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (role, scope) DO UPDATE SET body = excluded.body",
            )?
            .execute(params![role, scope, body(rules)?])?,
        None => db
            .prepare_cached("DELETE FROM role_rules WHERE role = ?1 AND scope = ?2")?
            .execute([role, scope])?,
    };
    Ok(())
}

/// Writes an activation as it is now.
pub(super) fn put_activation(
    db: &Connection,
    id: ActivationId,
    activation: Option<&Activation>,
) -> Result<()> {
    match activation {
        Some(activation) => put(db, "role_activation", id, &body(activation)?),
        None => delete(db, "role_activation", id),
    }
}

fn put(db: &Connection, table: &str, id: Uuid, body: &str) -> Result<()> {
    let sql = format!(
        "INSERT INTO {table} (id, body) VALUES (?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET body = excluded.body"
    );
    db.prepare_cached(&sql)?.execute(params![id.to_string(), body])?;
    Ok(())
}

fn delete(db: &Connection, table: &str, id: Uuid) -> Result<()> {
    let sql = format!("DELETE FROM {table} WHERE id = ?1");
    db.prepare_cached(&sql)?.execute([id.to_string()])?;
    Ok(())
}
