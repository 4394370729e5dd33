//! Query parameters: read once, for server and clients alike.

use std::str::FromStr;

use hourgate_core::{
    id::{Name, RequestId, VmId},
    resource::ResourceId,
    time::Timestamp,
};
use percent_encoding::percent_decode_str;

use crate::{
    error::{ArmError, Code},
    text::quoted,
};

/// How many requests one page has where the caller does not say.
pub const PAGE_DEFAULT: usize = 100;
/// How many it has at most: a page stays under a few MiB.
pub const PAGE_MAX: usize = 1_000;
/// How long a call may wait for a change, in seconds: proxies cut a silent connection after a minute.
pub const WAIT_SECONDS_MAX: u64 = 50;
/// The parameter that has a change told and not made.
pub const WHAT_IF: &str = "whatIf";
/// The parameter that has a list of policies tell of their locks.
pub const LOCKS: &str = "locks";

/// Which requests a caller wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestQuery {
    /// Of this status alone.
    pub status: Option<StatusFilter>,
    /// Only those that name this VM.
    pub vm: Option<VmId>,
    /// Only those of this person: the sign-in name or the id, compared without case.
    pub requestor: Option<String>,
    /// Only those older than this one: the next page.
    pub before: Option<(Timestamp, RequestId)>,
    /// How many at most.
    pub most: usize,
}

impl Default for RequestQuery {
    fn default() -> RequestQuery {
        RequestQuery { status: None, vm: None, requestor: None, before: None, most: PAGE_DEFAULT }
    }
}

/// A status that requests can be filtered by: one of their ports has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// `Live`: not `Revoked`, or `Revoked` and not seen closed since it was seen open.
    Live,
    /// `Initiating`.
    Initiating,
    /// `Initiated`.
    Initiated,
    /// `Revoked`.
    Revoked,
}

impl StatusFilter {
    const ALL: [StatusFilter; 4] = [
        StatusFilter::Live,
        StatusFilter::Initiating,
        StatusFilter::Initiated,
        StatusFilter::Revoked,
    ];

    fn name(self) -> &'static str {
        match self {
            StatusFilter::Live => "Live",
            StatusFilter::Initiating => "Initiating",
            StatusFilter::Initiated => "Initiated",
            StatusFilter::Revoked => "Revoked",
        }
    }
}

impl RequestQuery {
    /// Reads `$filter`, `$top` and `$skipToken`. A filter that is not understood is an error: with it
    /// ignored, the answer would show more than was asked for.
    pub fn parse(query: Option<&str>) -> Result<RequestQuery, ArmError> {
        let mut wanted = RequestQuery::default();
        if let Some(filter) = first(query, "$filter").filter(|filter| !filter.trim().is_empty()) {
            for clause in clauses(&filter) {
                wanted.take(&clause)?;
            }
        }
        wanted.most = top(query)?.unwrap_or(wanted.most);
        if let Some(token) = first(query, "$skipToken") {
            let read = token
                .split_once('_')
                .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
            wanted.before = Some(read.ok_or_else(|| {
                let message =
                    format!("{} is no page's token. Follow 'nextLink' as given.", quoted(&token));
                ArmError::new(Code::InvalidParameter, message).at("$skipToken")
            })?);
        }
        Ok(wanted)
    }

    /// The parameters that [`RequestQuery::parse`] reads back, for [`super::Route::with_query`].
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let text = |text: &str| text.replace('\'', "''");
        let clauses: Vec<String> = [
            self.status.map(|status| format!("status eq '{}'", status.name())),
            self.vm.as_ref().map(|vm| format!("vm eq '{vm}'")),
            self.requestor.as_ref().map(|person| format!("requestor eq '{}'", text(person))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let filter = (!clauses.is_empty()).then(|| ("$filter", clauses.join(" and ")));
        let top = (self.most != PAGE_DEFAULT).then(|| ("$top", self.most.to_string()));
        let token = self.before.map(|(at, id)| ("$skipToken", format!("{at}_{id}")));
        [filter, top, token].into_iter().flatten().collect()
    }

    fn take(&mut self, clause: &Clause) -> Result<(), ArmError> {
        match clause {
            Clause::Equals { name, value } if name.eq_ignore_ascii_case("status") => {
                let status = StatusFilter::ALL
                    .into_iter()
                    .find(|status| status.name().eq_ignore_ascii_case(value));
                self.status = Some(status.ok_or_else(|| not_a_filter(value))?);
            }
            Clause::Equals { name, value } if name.eq_ignore_ascii_case("vm") => {
                self.vm = Some(value.parse().map_err(|_| not_a_filter(value))?);
            }
            Clause::Equals { name, value } if name.eq_ignore_ascii_case("requestor") => {
                self.requestor = Some(value.clone());
            }
            Clause::Equals { name: text, .. } | Clause::NotUnderstood(text) => {
                return Err(not_a_filter(text));
            }
        }
        Ok(())
    }
}

fn not_a_filter(sent: &str) -> ArmError {
    let message = format!(
        "The filter is not understood at {}. Accepted are status eq 'Live', 'Initiating', 'Initiated' or \
         'Revoked', vm eq 'ID' with a VM's resource id, and requestor eq 'NAME', joined by 'and'.",
        quoted(sent)
    );
    ArmError::new(Code::InvalidParameter, message).at("$filter")
}

/// Which page of a list of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePage {
    /// Behind this one, in the order of ids.
    pub after: Option<ResourceId>,
}

impl ResourcePage {
    /// Reads `$skipToken`: the path of the last resource of the page before.
    pub fn parse(query: Option<&str>) -> Result<ResourcePage, ArmError> {
        Ok(ResourcePage { after: skip_token(query)? })
    }
}

/// Which resource groups a caller wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupQuery {
    /// Only those that have this tag.
    pub tag: Option<String>,
    /// Only those whose tag has this value.
    pub value: Option<String>,
    /// How many at most; all where nothing is said.
    pub most: Option<usize>,
    /// Only those behind this one: the next page.
    pub after: Option<Name>,
}

impl GroupQuery {
    /// Reads `$filter`, `$top` and `$skipToken`. A filter that is not understood is an error: whoever removes
    /// what a list holds would remove more than was meant.
    pub fn parse(query: Option<&str>) -> Result<GroupQuery, ArmError> {
        let mut wanted =
            GroupQuery { most: top(query)?, after: skip_token(query)?, ..GroupQuery::default() };
        let filter = first(query, "$filter").filter(|filter| !filter.trim().is_empty());
        for clause in filter.iter().flat_map(|filter| clauses(filter)) {
            match clause {
                Clause::Equals { name, value } if name.eq_ignore_ascii_case("tagName") => {
                    wanted.tag = Some(value);
                }
                Clause::Equals { name, value } if name.eq_ignore_ascii_case("tagValue") => {
                    wanted.value = Some(value);
                }
                Clause::Equals { name: text, .. } | Clause::NotUnderstood(text) => {
                    return Err(not_a_group_filter(&text));
                }
            }
        }
        match (&wanted.tag, &wanted.value) {
            (None, Some(value)) => Err(not_a_group_filter(value)),
            (Some(_) | None, _) => Ok(wanted),
        }
    }

    /// The same filter and page size, behind a group.
    pub fn next(&self, after: &Name) -> Vec<(&'static str, String)> {
        let text = |text: &str| text.replace('\'', "''");
        let tag = self.tag.as_ref().map(|tag| format!("tagName eq '{}'", text(tag)));
        let value = self.value.as_ref().map(|value| format!("tagValue eq '{}'", text(value)));
        let clauses: Vec<String> = tag.into_iter().chain(value).collect();
        let filter = (!clauses.is_empty()).then(|| ("$filter", clauses.join(" and ")));
        let top = self.most.map(|most| ("$top", most.to_string()));
        let token = Some(("$skipToken", after.to_string()));
        [filter, top, token].into_iter().flatten().collect()
    }
}

fn not_a_group_filter(sent: &str) -> ArmError {
    let message = format!(
        "The filter is not understood at {}. Accepted are tagName eq 'NAME', and tagValue eq 'VALUE' behind it, \
         joined by 'and'.",
        quoted(sent)
    );
    ArmError::new(Code::InvalidParameter, message).at("$filter")
}

/// `$top`: how many things one page has at most.
fn top(query: Option<&str>) -> Result<Option<usize>, ArmError> {
    let Some(sent) = first(query, "$top") else { return Ok(None) };
    match sent.parse() {
        Ok(most @ 1..=PAGE_MAX) => Ok(Some(most)),
        Ok(_) | Err(_) => {
            let message =
                format!("{} is no page size; 1 to {PAGE_MAX} is accepted.", quoted(&sent));
            Err(ArmError::new(Code::InvalidParameter, message).at("$top"))
        }
    }
}

/// Which page of a list of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmPage {
    /// Behind this one, in the order of ids.
    pub after: Option<VmId>,
}

impl VmPage {
    /// Reads `$skipToken`: the id of the last machine of the page before.
    pub fn parse(query: Option<&str>) -> Result<VmPage, ArmError> {
        Ok(VmPage { after: skip_token(query)? })
    }
}

/// `$skipToken`: the id of the last thing of the page before.
pub(super) fn skip_token<T: FromStr>(query: Option<&str>) -> Result<Option<T>, ArmError> {
    let Some(token) = first(query, "$skipToken") else { return Ok(None) };
    token.parse().map(Some).map_err(|_| {
        let message = format!("{} is no page's token. Follow 'nextLink' as given.", quoted(&token));
        ArmError::new(Code::InvalidParameter, message).at("$skipToken")
    })
}

/// `name eq 'value'`, or what stands there instead.
enum Clause {
    Equals { name: String, value: String },
    NotUnderstood(String),
}

fn clauses(filter: &str) -> Vec<Clause> {
    let mut out = Vec::new();
    let mut rest = filter.trim();
    loop {
        let Some((name, value, behind)) = equals(rest) else {
            out.push(Clause::NotUnderstood(rest.to_owned()));
            return out;
        };
        out.push(Clause::Equals { name: name.to_owned(), value });
        if behind.trim().is_empty() {
            return out;
        }
        let Some(next) = word(behind, "and") else {
            out.push(Clause::NotUnderstood(behind.to_owned()));
            return out;
        };
        rest = next;
    }
}

/// The first `name eq 'value'` and what stands behind it. A quote in a value is written twice (OData).
fn equals(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.trim_start().split_once(' ')?;
    let mut rest = word(rest, "eq")?.trim_start().strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (part, behind) = rest.split_once('\'')?;
        value.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((name, value, behind)),
        }
    }
}

/// What stands behind a word.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (first, rest) = text.split_at_checked(word.len())?;
    (first.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then_some(rest)
}

/// `?wait=SECONDS`: how long a call waits for a change; none where it is not to wait. More than
/// [`WAIT_SECONDS_MAX`] is refused.
pub fn wait_seconds(query: Option<&str>) -> Result<Option<u64>, ArmError> {
    let Some(sent) = first(query, "wait") else { return Ok(None) };
    match sent.parse::<u64>() {
        Ok(seconds @ 0..=WAIT_SECONDS_MAX) => Ok(Some(seconds)),
        Ok(_) | Err(_) => {
            let message = format!(
                "{} is no time to wait; whole seconds up to {WAIT_SECONDS_MAX} are accepted.",
                quoted(&sent)
            );
            Err(ArmError::new(Code::InvalidParameter, message).at("wait"))
        }
    }
}

/// `?whatIf=true`: what a change would do is told, and nothing is changed.
pub fn what_if(query: Option<&str>) -> Result<bool, ArmError> {
    flag(query, WHAT_IF)
}

/// `?locks=true`: a list of policies tells what their locks do to the rules around them.
pub fn with_locks(query: Option<&str>) -> Result<bool, ArmError> {
    flag(query, LOCKS)
}

fn flag(query: Option<&str>, name: &str) -> Result<bool, ArmError> {
    match first(query, name) {
        None => Ok(false),
        Some(sent) if sent.eq_ignore_ascii_case("true") => Ok(true),
        Some(sent) if sent.eq_ignore_ascii_case("false") => Ok(false),
        Some(sent) => {
            let message = format!("{} is not accepted: 'true' or 'false' is.", quoted(&sent));
            Err(ArmError::new(Code::InvalidParameter, message).at(name))
        }
    }
}

/// The first parameter of that name, compared without case, decoded.
pub(crate) fn first(query: Option<&str>, name: &str) -> Option<String> {
    each(query, name).next()
}

/// Every parameter of that name, compared without case, decoded.
pub(crate) fn all(query: Option<&str>, name: &str) -> Vec<String> {
    each(query, name).collect()
}

fn each<'a>(query: Option<&'a str>, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.into_iter().flat_map(|query| query.split('&')).filter_map(move |pair| {
        let (sent, value) = pair.split_once('=').unwrap_or((pair, ""));
        decoded(sent).eq_ignore_ascii_case(name).then(|| decoded(value))
    })
}

/// Undoes the encoding of forms: `+` for a space, then percent signs. What is no UTF-8 becomes visible.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Whether a query asks for that beside the resource (`$expand`).
pub fn expands(query: Option<&str>, what: &str) -> bool {
    let sent = first(query, "$expand").unwrap_or_default();
    sent.split(',').any(|word| word.trim().eq_ignore_ascii_case(what))
}
