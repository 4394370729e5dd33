//! How each thing is written in columns, and read back.

use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr, time::Duration};

use hourgate_core::{
    grant::{Access, EndReason, Request, Seen, Stage, Window},
    id::{Location, Name, PolicyId, VmId, VmInstance},
    network::{Port, Sessions, Source},
    nsg::lockdown::Exceptions,
    personal::Personal,
    policy::{
        AllowedSources, Approval, Confirmation, Member, Os, OtherAddresses, Placement, Policy,
        PortRule, Protocol, SignInDemand, SourcesForm, Vm, Widest,
    },
    role::{Person, PersonId},
    time::{BootTime, Deadline, Timestamp},
};
use rusqlite::{Connection, Row};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::Result;
use crate::{Principal, StoreError};

/// A VM's id as it is compared.
pub(super) fn vm_key(id: &VmId) -> String {
    vm_text(id).to_ascii_lowercase()
}

/// A VM's id as it was written, without what all ids share.
pub(super) fn vm_text(id: &VmId) -> String {
    format!("{}/{}/{}", id.subscription, id.group, id.name)
}

/// A policy's id as it is compared.
pub(super) fn policy_key(id: &PolicyId) -> String {
    policy_text(id).to_ascii_lowercase()
}

/// A policy's id as it was written, without what all ids share.
pub(super) fn policy_text(id: &PolicyId) -> String {
    format!("{}/{}/{}/{}", id.subscription, id.group, id.location, id.name)
}

fn vm_of(text: &str) -> Result<VmId> {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(subscription), Some(group), Some(name), None) => Ok(VmId {
            subscription: parse(subscription)?,
            group: parse::<Name>(group)?,
            name: parse::<Name>(name)?,
        }),
        _ => Err(damaged(format!("{text} is no VM's id"))),
    }
}

fn policy_of(text: &str) -> Result<PolicyId> {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(subscription), Some(group), Some(location), Some(name), None) => Ok(PolicyId {
            subscription: parse(subscription)?,
            group: parse::<Name>(group)?,
            location: parse::<Location>(location)?,
            name: parse::<Name>(name)?,
        }),
        _ => Err(damaged(format!("{text} is no policy's id"))),
    }
}

fn parse<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| damaged(format!("{text:?} is not what its column holds")))
}

pub(super) fn damaged(what: impl fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}

/// Wall time as it is stored: nanoseconds since 1970, which lasts until the year 2262.
pub(super) fn nanos(at: Timestamp) -> Result<i64> {
    i64::try_from(at.as_nanosecond())
        .map_err(|_| StoreError::Unavailable(format!("{at} is past the last time that is stored")))
}

pub(super) fn maybe_nanos(at: Option<Timestamp>) -> Result<Option<i64>> {
    at.map(nanos).transpose()
}

pub(super) fn length(length: Duration) -> Result<i64> {
    i64::try_from(length.as_nanos())
        .map_err(|_| StoreError::Unavailable("a duration is longer than any stored".to_owned()))
}

pub(super) fn boot_nanos(nanos: u64) -> i64 {
    // 292 years after the boot; an end past that is on the wall clock alone anyway.
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// One row, read by the place of its columns.
pub(super) struct Columns<'a>(pub(super) &'a Row<'a>);

impl Columns<'_> {
    /// A VM's id as it is compared, of what may be forgotten by now.
    pub(super) fn maybe_vm_key(&self, at: usize) -> Result<Option<VmId>> {
        self.maybe_text(at)?.map(vm_of).transpose()
    }

    pub(super) fn text(&self, at: usize) -> Result<&str> {
        self.0.get_ref(at)?.as_str().map_err(damaged)
    }

    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<&str>> {
        self.0.get_ref(at)?.as_str_or_null().map_err(damaged)
    }

    pub(super) fn blob(&self, at: usize) -> Result<&[u8]> {
        self.0.get_ref(at)?.as_blob().map_err(damaged)
    }

    pub(super) fn hash(&self, at: usize) -> Result<[u8; 32]> {
        self.blob(at)?.try_into().map_err(damaged)
    }

    pub(super) fn number(&self, at: usize) -> Result<i64> {
        self.0.get_ref(at)?.as_i64().map_err(damaged)
    }

    pub(super) fn unsigned<T: TryFrom<i64>>(&self, at: usize) -> Result<T> {
        T::try_from(self.number(at)?).map_err(|_| damaged("a number out of range"))
    }

    pub(super) fn maybe_number(&self, at: usize) -> Result<Option<i64>> {
        self.0.get_ref(at)?.as_i64_or_null().map_err(damaged)
    }

    pub(super) fn time(&self, at: usize) -> Result<Timestamp> {
        time(self.number(at)?)
    }

    pub(super) fn maybe_time(&self, at: usize) -> Result<Option<Timestamp>> {
        self.maybe_number(at)?.map(time).transpose()
    }

    pub(super) fn uuid(&self, at: usize) -> Result<Uuid> {
        Uuid::from_slice(self.blob(at)?).map_err(damaged)
    }

    pub(super) fn parsed<T: FromStr>(&self, at: usize) -> Result<T> {
        parse(self.text(at)?)
    }

    pub(super) fn port(&self, at: usize) -> Result<Port> {
        Port::new(self.unsigned(at)?).ok_or_else(|| damaged("port 0"))
    }

    pub(super) fn vm_id(&self, at: usize) -> Result<VmId> {
        vm_of(self.text(at)?)
    }

    pub(super) fn policy_id(&self, at: usize) -> Result<PolicyId> {
        policy_of(self.text(at)?)
    }

    fn seen(&self, at: usize) -> Result<Option<Seen>> {
        match (self.maybe_time(at)?, self.maybe_text(at + 1)?) {
            (Some(at), Some(guard)) => Ok(Some(Seen { at, guard: guard.to_owned() })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(damaged("half a guard's word")),
        }
    }

    /// A deadline in three columns: wall, boot, nanoseconds of it.
    fn deadline(&self, at: usize) -> Result<Option<Deadline>> {
        let Some(wall) = self.maybe_time(at)? else { return Ok(None) };
        let boot = match self.maybe_number(at + 2)? {
            Some(_) => Some(BootTime { boot: self.uuid(at + 1)?, nanos: self.unsigned(at + 2)? }),
            None => None,
        };
        Ok(Some(Deadline { wall, boot }))
    }
}

fn time(nanos: i64) -> Result<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanos)).map_err(damaged)
}

pub(super) const VM: &str = "id, instance, location, os";

/// A VM without its addresses.
pub(super) fn vm(row: &Columns<'_>) -> Result<Vm> {
    Ok(Vm {
        id: row.vm_id(0)?,
        instance: VmInstance(row.uuid(1)?),
        location: row.parsed(2)?,
        os: os_of(row.text(3)?)?,
        addresses: Vec::new(),
    })
}

pub(super) const POLICY: &str =
    "id, kind, version, confirm_wall, confirm_boot, confirm_nanos, confirm_before";

/// A policy without its members.
pub(super) fn policy(row: &Columns<'_>) -> Result<Policy> {
    let before = match row.maybe_text(6)? {
        Some(text) => Some(serde_json::from_str(text).map_err(damaged)?),
        None => None,
    };
    Ok(Policy {
        id: row.policy_id(0)?,
        kind: row.maybe_text(1)?.map(str::to_owned),
        version: row.unsigned(2)?,
        members: std::collections::BTreeMap::new(),
        confirmation: row.deadline(3)?.map(|until| Confirmation { until, before }),
    })
}

pub(super) const MEMBER: &str = "vm_id, policy, instance, position, placement";

/// A member without its rules, with its VM and the key of its policy.
pub(super) fn member(row: &Columns<'_>) -> Result<(VmId, String, Member)> {
    let member = Member {
        instance: VmInstance(row.uuid(2)?),
        position: row.unsigned(3)?,
        placement: placement_of(row.text(4)?)?,
        ports: Vec::new(),
    };
    Ok((row.vm_id(0)?, row.text(1)?.to_owned(), member))
}

pub(super) const RULE: &str = "policy, vm, port, protocol, form, sources, longest, sessions, \
                               widest_v4, widest_v6, other_addresses, approval, position, exceptions, \
                               denies, sign_in";

/// A rule, and its place among those of its member.
pub(super) fn rule(row: &Columns<'_>) -> Result<(u32, PortRule)> {
    let sources: Vec<Source> = row.text(5)?.split(' ').map(parse).collect::<Result<_>>()?;
    let allowed = match (form_of(row.text(4)?)?, sources.as_slice()) {
        (SourcesForm::One, [one]) => Some(AllowedSources::one(*one)),
        (SourcesForm::One, _) => None,
        (SourcesForm::List, _) => AllowedSources::list(sources),
    };
    let rule = PortRule {
        port: row.port(2)?,
        protocol: protocol_of(row.text(3)?)?,
        allowed: allowed.ok_or_else(|| damaged("a rule without its sources"))?,
        longest: Duration::from_nanos(row.unsigned(6)?),
        approval: approval_of(row.text(11)?)?,
        sessions: sessions_of(row.text(7)?)?,
        widest_unapproved: Widest { ipv4: row.unsigned(8)?, ipv6: row.unsigned(9)? },
        other_addresses: others_of(row.text(10)?)?,
        exceptions: exceptions_of(row.text(13)?)?,
        denies: list(row.maybe_text(14)?)?,
        sign_in: sign_in_of(row.maybe_text(15)?)?,
    };
    Ok((row.unsigned(12)?, rule))
}

pub(super) const REQUEST: &str = "r.id, coalesce(r.policy_spelled, p.id), r.person, r.name, r.upn, r.created, r.justification, r.ticket";
/// Where the columns of [`REQUEST`] and [`ACCESS`] come from. Crossed, so that the accesses of a request
/// come one after the other.
pub(super) const REQUESTS: &str = "request r CROSS JOIN resource p ON p.n = r.policy \
     CROSS JOIN access a ON a.request = r.n CROSS JOIN resource v ON v.n = a.vm";
/// How many columns [`REQUEST`] has: those of [`ACCESS`] follow.
pub(super) const REQUEST_COLUMNS: usize = 8;

/// A request without its accesses.
pub(super) fn request(row: &Columns<'_>) -> Result<Request> {
    let personal = |at| Ok::<_, StoreError>(row.maybe_text(at)?.map(|t| Personal(t.to_owned())));
    Ok(Request {
        id: row.parsed(0)?,
        policy: row.policy_id(1)?,
        requester: Person {
            id: PersonId(row.text(2)?.to_owned()),
            name: Personal(row.text(3)?.to_owned()),
            upn: personal(4)?,
        },
        created: row.time(5)?,
        justification: personal(6)?,
        ticket: personal(7)?,
        accesses: Vec::new(),
    })
}

pub(super) const ACCESS: &str = "coalesce(a.vm_spelled, v.id), a.instance, a.port, a.source, a.window, a.window_nanos, a.stage, a.start, a.since, \
     a.until, a.until_boot, a.until_nanos, a.ended, a.reason, a.reason_text, a.opened, \
     a.opened_by, a.closed, a.closed_by, a.position, a.addresses, a.rules, a.mapped";

/// An access, whose columns begin at `from`, and its place among those of its request.
pub(super) fn access(row: &Columns<'_>, from: usize) -> Result<(u32, Access)> {
    let window = match row.text(from + 4)? {
        "until" => Window::Until(row.time(from + 5)?),
        "for" => Window::For(Duration::from_nanos(row.unsigned(from + 5)?)),
        other => return Err(damaged(format!("{other:?} is no window"))),
    };
    let opened = row.seen(from + 15)?;
    let stage = match row.text(from + 6)? {
        "planned" => Stage::Planned { start: row.time(from + 7)? },
        "granted" => Stage::Granted {
            since: row.time(from + 8)?,
            until: row.deadline(from + 9)?.ok_or_else(|| damaged("a grant without an end"))?,
            opened,
            rules: list(row.maybe_text(from + 21)?)?,
            mapped: list(row.maybe_text(from + 22)?)?,
        },
        "ended" => Stage::Ended {
            since: row.maybe_time(from + 8)?,
            until: row.maybe_time(from + 9)?,
            at: row.time(from + 12)?,
            reason: reason_of(row.text(from + 13)?, row.maybe_text(from + 14)?)?,
            opened,
            closed: row.seen(from + 17)?,
        },
        other => return Err(damaged(format!("{other:?} is no stage"))),
    };
    let access = Access {
        vm: row.vm_id(from)?,
        instance: VmInstance(row.uuid(from + 1)?),
        port: row.port(from + 2)?,
        source: row.parsed(from + 3)?,
        addresses: row.maybe_text(from + 20)?.map(addresses_of).transpose()?,
        window,
        stage,
    };
    Ok((row.unsigned(from + 19)?, access))
}

/// Whether there are so many requests and accesses, and whether the columns that only help to find rows fit
/// those that tell something: where they do not, a row is there that no answer shows.
pub(super) fn hang_together(db: &Connection, requests: usize, accesses: usize) -> Result<bool> {
    let count = |sql: &str| {
        let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
        usize::try_from(count).map_err(damaged)
    };
    if (count("SELECT count(*) FROM request")?, count("SELECT count(*) FROM access")?)
        != (requests, accesses)
    {
        return Ok(false);
    }
    for misfits in MISFITS {
        if count(&format!("SELECT EXISTS ({misfits})"))? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rows whose columns contradict one another. An id begins with a subscription, 36 characters, and `/`.
const MISFITS: &[&str] = &[
    "SELECT 1 FROM access \
     WHERE settled <> (stage = 'ended' AND (opened IS NULL OR closed IS NOT NULL))",
    "SELECT 1 FROM request r WHERE live <> EXISTS \
     (SELECT 1 FROM access a WHERE a.request = r.n AND a.stage <> 'ended')",
    "SELECT 1 FROM request r WHERE ended IS NOT CASE live \
     WHEN 0 THEN (SELECT max(a.ended) FROM access a WHERE a.request = r.n) END",
    "SELECT 1 FROM vm WHERE key <> lower(id) OR substr(key, 38) <> grp || '/' || name",
    "SELECT 1 FROM vm_address WHERE vm NOT IN (SELECT key FROM vm)",
    "SELECT 1 FROM policy WHERE key <> lower(id) \
     OR substr(key, 38, length(grp) + length(location) + 2) <> grp || '/' || location || '/'",
    "SELECT 1 FROM member WHERE vm <> lower(vm_id)",
    "SELECT 1 FROM resource WHERE key <> lower(id)",
];

pub(super) fn principal(row: &Columns<'_>) -> Result<Principal> {
    Ok(Principal {
        client: row.uuid(0)?,
        object: row.uuid(1)?,
        name: row.text(2)?.to_owned(),
        secret_digest: row.hash(3)?,
    })
}

pub(super) fn reason_text(reason: &EndReason) -> (&'static str, Option<String>) {
    match reason {
        EndReason::Expired => ("Expired", None),
        EndReason::UserRequested => ("UserRequested", None),
        EndReason::Replaced { by } => ("Replaced", Some(by.to_string())),
        EndReason::PolicyChanged => ("PolicyChanged", None),
        EndReason::RightLost => ("RightLost", None),
        EndReason::Lapsed => ("Lapsed", None),
        EndReason::Failed { why } => ("Failed", Some(why.clone())),
    }
}

fn reason_of(reason: &str, detail: Option<&str>) -> Result<EndReason> {
    match (reason, detail) {
        ("Expired", None) => Ok(EndReason::Expired),
        ("UserRequested", None) => Ok(EndReason::UserRequested),
        ("Replaced", Some(by)) => Ok(EndReason::Replaced { by: parse(by)? }),
        ("PolicyChanged", None) => Ok(EndReason::PolicyChanged),
        ("RightLost", None) => Ok(EndReason::RightLost),
        ("Lapsed", None) => Ok(EndReason::Lapsed),
        ("Failed", Some(why)) => Ok(EndReason::Failed { why: why.to_owned() }),
        (other, _) => Err(damaged(format!("{other:?} is no reason"))),
    }
}

/// How somebody must have signed in; nothing where it does not matter.
pub(super) fn sign_in_text(demand: SignInDemand) -> Result<Option<String>> {
    let text = (demand != SignInDemand::default()).then(|| serde_json::to_string(&demand));
    text.transpose().map_err(damaged)
}

fn sign_in_of(text: Option<&str>) -> Result<SignInDemand> {
    let demand = text.map(serde_json::from_str).transpose().map_err(damaged)?;
    Ok(demand.unwrap_or_default())
}

pub(super) fn sources_text(sources: &[Source]) -> String {
    sources.iter().map(Source::to_string).collect::<Vec<_>>().join(" ")
}

/// A list as JSON; nothing where it is empty.
pub(super) fn list_text<T: Serialize>(list: &[T]) -> Result<Option<String>> {
    let text = (!list.is_empty()).then(|| serde_json::to_string(list));
    text.transpose().map_err(damaged)
}

fn list<T: DeserializeOwned>(text: Option<&str>) -> Result<Vec<T>> {
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(text).map_err(damaged))
}

pub(super) fn addresses_text(addresses: &BTreeSet<IpAddr>) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

fn addresses_of(text: &str) -> Result<BTreeSet<IpAddr>> {
    text.split(' ').map(parse).collect()
}

pub(super) fn address(text: &str) -> Result<IpAddr> {
    parse(text)
}

macro_rules! words {
    ($($ty:ty, $to:ident, $of:ident: $($variant:ident),+;)*) => {$(
        pub(super) fn $to(value: $ty) -> &'static str {
            match value { $(<$ty>::$variant => stringify!($variant)),+ }
        }

        fn $of(text: &str) -> Result<$ty> {
            $(if text == stringify!($variant) { return Ok(<$ty>::$variant); })+
            Err(damaged(format!("{text:?} is not what its column holds")))
        }
    )*};
}

words! {
    Os, os_text, os_of: Linux, Windows, Unknown;
    Placement, placement_text, placement_of: Nic, NicAndSubnet;
    Protocol, protocol_text, protocol_of: Tcp, Any;
    SourcesForm, form_text, form_of: One, List;
    Approval, approval_text, approval_of: NotNeeded;
    Sessions, sessions_text, sessions_of: GoOn, EndWithAccess;
    OtherAddresses, others_text, others_of: Approval, Allowed;
    Exceptions, exceptions_text, exceptions_of: Stay, Taken;
}
