//! From rows to what they tell: everything that stands, and what answers show of the past.

use std::{collections::BTreeMap, sync::Arc};

use hourgate_core::{
    grant::{Access, Request},
    id::{PolicyId, RequestId, VmId},
    network::Lock,
    policy::{Member, Policy, PortRule, Vm},
    state::State,
    time::Timestamp,
};
use rusqlite::{Connection, Params};
use uuid::Uuid;

use super::{
    Result, directory, documents, pricings,
    rows::{self, Columns},
    standing::Released,
};
use crate::Principal;

/// Everything that stands: every VM and policy, every request with an access that is not settled.
pub(super) fn everything(db: &Connection, highest: Option<Timestamp>) -> Result<State> {
    let mut state = State { highest, ..State::default() };
    state.vms = vms(db, "TRUE", [])?.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
    for vm in state.vms.values() {
        state.owners.extend(vm.addresses.iter().map(|address| (*address, vm.id.clone())));
    }
    let heads = all(db, &format!("SELECT {} FROM policy", rows::POLICY), [], rows::policy)?;
    let mut heads: BTreeMap<String, _> =
        heads.into_iter().map(|policy| (rows::policy_key(&policy.id), policy)).collect();
    let places = members(
        db,
        &format!("SELECT {} FROM member", rows::MEMBER),
        &format!("SELECT {} FROM rule", rows::RULE),
        [],
    )?;
    for (vm, policy, member) in places {
        let policy = heads.get_mut(&policy).ok_or_else(|| rows::damaged("a VM of no policy"))?;
        policy.members.insert(vm, member);
    }
    state.policies = heads.into_values().map(|policy| (policy.id.clone(), policy)).collect();
    let unsettled = "r.n IN (SELECT request FROM access WHERE settled = 0)";
    each_request(db, unsettled, [], |request| {
        state.requests.insert(request.id, Arc::new(request));
    })?;
    state.released = released(db)?.into_keys().collect();
    let network = Arc::make_mut(&mut state.network);
    documents::every(db)?.into_iter().for_each(|resource| network.put(Arc::new(resource)));
    state.pricings = pricings::every(db)?;
    state.directory = Arc::new(directory::everything(db)?);
    state.count_numbers();
    Ok(state)
}

/// Locks that were given back and not yet seen gone.
pub(super) fn released(db: &Connection) -> Result<BTreeMap<Lock, Released>> {
    let found = all(db, "SELECT address, port, vm FROM released", [], |row| {
        let lock = Lock { address: rows::address(row.text(0)?)?, port: row.port(1)? };
        Ok((lock, Released { vm: row.maybe_vm_key(2)? }))
    })?;
    Ok(found.into_iter().collect())
}

/// A policy with all its members, without the VMs.
pub(super) fn policy(db: &Connection, id: &PolicyId) -> Result<Option<Policy>> {
    let key = rows::policy_key(id);
    let sql = format!("SELECT {} FROM policy WHERE key = ?1", rows::POLICY);
    let Some(head) = all(db, &sql, [&key], rows::policy)?.into_iter().next() else {
        return Ok(None);
    };
    let members = members(
        db,
        &format!("SELECT {} FROM member WHERE policy = ?1", rows::MEMBER),
        &format!("SELECT {} FROM rule WHERE policy = ?1", rows::RULE),
        [&key],
    )?;
    let members = members.into_iter().map(|(vm, _, member)| (vm, member)).collect();
    Ok(Some(Policy { members, ..head }))
}

/// VMs with their addresses, by id.
pub(super) fn vms(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Vm>> {
    let sql = format!(
        "SELECT {}, (SELECT group_concat(address, ' ' ORDER BY position) FROM vm_address \
         WHERE vm_address.vm = vm.key) FROM vm WHERE {which} ORDER BY key",
        rows::VM
    );
    all(db, &sql, params, |row| {
        let mut vm = rows::vm(row)?;
        let addresses = row.maybe_text(4)?.unwrap_or_default();
        vm.addresses = addresses
            .split(' ')
            .filter(|text| !text.is_empty())
            .map(rows::address)
            .collect::<Result<_>>()?;
        Ok(vm)
    })
}

/// Places of VMs in policies, each with the key of its policy and with its rules.
fn members(
    db: &Connection,
    places: &str,
    rules: &str,
    params: impl Params + Copy,
) -> Result<Vec<(VmId, String, Member)>> {
    let mut found = all(db, places, params, rows::member)?;
    let index: BTreeMap<(String, String), usize> = found
        .iter()
        .enumerate()
        .map(|(at, (vm, policy, _))| ((policy.clone(), rows::vm_key(vm)), at))
        .collect();
    let mut ports: Vec<Vec<(u32, PortRule)>> = vec![Vec::new(); found.len()];
    let mut statement = db.prepare_cached(rules)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let row = Columns(row);
        let at = *index
            .get(&(row.text(0)?.to_owned(), row.text(1)?.to_owned()))
            .ok_or_else(|| rows::damaged("a rule of no VM"))?;
        let (position, rule) = rows::rule(&row)?;
        ports[at].push((position, rule));
    }
    for ((_, _, member), mut ports) in found.iter_mut().zip(ports) {
        ports.sort_by_key(|(position, _)| *position);
        member.ports = ports.into_iter().map(|(_, rule)| rule).collect();
    }
    Ok(found)
}

/// Requests with all their accesses.
pub(super) fn requests(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Request>> {
    let mut found = Vec::new();
    each_request(db, which, params, |request| found.push(request))?;
    Ok(found)
}

/// One request.
pub(super) fn request(db: &Connection, id: RequestId) -> Result<Option<Request>> {
    Ok(requests(db, "r.id = ?1", [id.as_str()])?.into_iter().next())
}

/// Each request with all its accesses, as soon as it is read: at the start there can be many, and room for
/// them is made once. Accesses are put in order here: a sorter costs more than the rows.
pub(super) fn each_request(
    db: &Connection,
    which: &str,
    params: impl Params,
    mut take: impl FnMut(Request),
) -> Result<()> {
    let (request, access, from) = (rows::REQUEST, rows::ACCESS, rows::REQUESTS);
    let mut statement =
        db.prepare_cached(&format!("SELECT {request}, {access} FROM {from} WHERE {which}"))?;
    let mut found = statement.query(params)?;
    let mut reading: Option<(Request, Vec<(u32, Access)>)> = None;
    let mut whole = |(request, mut accesses): (Request, Vec<(u32, Access)>)| {
        accesses.sort_by_key(|(position, _)| *position);
        let accesses = accesses.into_iter().map(|(_, access)| access).collect();
        take(Request { accesses, ..request });
    };
    while let Some(row) = found.next()? {
        let row = Columns(row);
        let access = rows::access(&row, rows::REQUEST_COLUMNS)?;
        match &mut reading {
            Some((request, accesses)) if request.id.as_str() == row.text(0)? => {
                accesses.push(access);
            }
            other => {
                // Mostly it is the only one.
                let next = (rows::request(&row)?, vec![access]);
                other.replace(next).into_iter().for_each(&mut whole);
            }
        }
    }
    reading.into_iter().for_each(whole);
    Ok(())
}

/// The service principal of that client id.
pub(super) fn principal(db: &Connection, client: Uuid) -> Result<Option<Principal>> {
    let found = all(db, PRINCIPAL_OF, [client.as_bytes().as_slice()], rows::principal)?;
    Ok(found.into_iter().next())
}

/// Every service principal.
pub(super) fn principals(db: &Connection) -> Result<Vec<Principal>> {
    all(db, PRINCIPALS, [], rows::principal)
}

const PRINCIPALS: &str = "SELECT client, object, name, secret_digest FROM principal";
const PRINCIPAL_OF: &str =
    "SELECT client, object, name, secret_digest FROM principal WHERE client = ?1";

/// Every row that a statement finds.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Columns(row))?);
    }
    Ok(found)
}
