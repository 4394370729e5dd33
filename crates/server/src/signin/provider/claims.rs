//! What a token of a known key says: whether it is for us and of now, and about whom.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hourgate_core::time::{Timestamp, later};
use serde_json::{Map, Value};

use super::{Groups, Rejected, Verified};
use crate::config::{ClaimNames, ProviderConfig};

/// How far ahead of ours a provider's clock may be. None the other way: past its end a token is over.
const AHEAD_MAX: Duration = Duration::from_secs(60);
/// How long a token counts at most after it was made, whatever its end says.
const TOKEN_LIFE_MAX: Duration = Duration::from_hours(24);
/// Longest subject (OpenID Connect Core, 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// How many groups of one person are read; a token with more would not fit into a request.
const GROUPS_MAX: usize = 1_000;
/// Longest id of a group, in bytes.
const GROUP_BYTES_MAX: usize = 256;
/// How much of a name is kept; it is for showing.
const NAME_CHARS_MAX: usize = 256;
/// Longest mail address (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
/// How many means of signing in are kept, and how long each may be, in bytes.
const MEANS_MAX: usize = 16;
const MEANS_BYTES_MAX: usize = 64;

/// For whom a token must be.
pub(super) enum For<'a> {
    /// For this client, from its own sign-in, with the number it sent along.
    SignIn { client: &'a str, nonce: &'a str },
    /// For what the provider's configuration names.
    Bearer,
    /// For one of these: somebody shows it in place of a secret.
    Assertion(&'a [&'a str]),
}

/// What a token's claims come to, at `now`.
pub(super) fn read(
    claims: &Map<String, Value>,
    config: &ProviderConfig,
    provider: (&Arc<str>, &Arc<str>),
    audience: &For<'_>,
    now: Timestamp,
) -> Result<Verified, Rejected> {
    let (name, issuer) = provider;
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(Rejected::Issuer);
    }
    is_of_its_kind(claims, audience)?;
    let party = text(claims, "azp").or_else(|| text(claims, "appid")).unwrap_or_default();
    is_for(claims, config, audience, party)?;
    let (issued, until) = times(claims, now)?;
    let about = About::read(claims, &config.claims);
    Ok(Verified {
        provider: Arc::clone(name),
        issuer: Arc::clone(issuer),
        subject: subject(claims)?,
        name: about.name,
        upn: about.upn,
        email: about.email,
        groups: about.groups,
        groups_until: later(issued, config.groups_hold),
        auth_time: moment(claims, "auth_time")?,
        amr: means(claims),
        acr: shown(text(claims, "acr")),
        party: shown(Some(party)),
        issued,
        until,
    })
}

/// That a token is none that was made for something else (RFC 8725, 3.11): one that tells of a sign-out, one
/// of Keycloak's that says so, and for calls none that is bound to a key (`cnf`, RFC 7800). Taken without that
/// key's proof, such a one would be worth something to a thief.
fn is_of_its_kind(claims: &Map<String, Value>, audience: &For<'_>) -> Result<(), Rejected> {
    let other = claims.contains_key("events")
        || match audience {
            For::SignIn { .. } => false,
            For::Bearer | For::Assertion(_) => {
                let said = text(claims, "typ").unwrap_or_default();
                claims.contains_key("cnf") || ["ID", "Refresh", "Offline", "Logout"].contains(&said)
            }
        };
    if other { Err(Rejected::Kind) } else { Ok(()) }
}

/// Who somebody is called, and where they belong: what else than a token may tell, too.
pub(super) struct About {
    pub(super) name: String,
    pub(super) upn: String,
    pub(super) email: Option<(String, bool)>,
    pub(super) groups: Groups,
}

impl About {
    pub(super) fn read(claims: &Map<String, Value>, names: &ClaimNames) -> About {
        let said = |name: &str| at(claims, name).and_then(Value::as_str);
        // Some providers write it as text.
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            Some(_) | None => false,
        };
        let email =
            said(&names.email).filter(|text| text.contains('@') && text.len() <= EMAIL_BYTES_MAX);
        About {
            name: shown(said(&names.name)),
            upn: shown(said(&names.upn)),
            email: email.map(|email| (email.to_owned(), verified)),
            groups: groups(claims, &names.groups),
        }
    }
}

fn is_for(
    claims: &Map<String, Value>,
    config: &ProviderConfig,
    audience: &For<'_>,
    party: &str,
) -> Result<(), Rejected> {
    let named = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => {
            let texts: Option<Vec<&str>> = several.iter().map(Value::as_str).collect();
            texts.ok_or(Rejected::Audience)?
        }
        Some(_) | None => return Err(Rejected::Audience),
    };
    let is_client = |id: &str| config.client.as_ref().is_some_and(|client| client.id == id);
    match audience {
        For::SignIn { client, nonce } => {
            // OpenID Connect Core, 3.1.3.7: for us, for nobody we do not know, and if for several, then
            // made for us. Else a token of another client's sign-in would be one of ours.
            let known = |one: &&str| one == client || config.audiences.contains::<str>(one);
            if !named.contains(client) || !named.iter().all(known) {
                return Err(Rejected::Audience);
            }
            if (named.len() > 1 || !party.is_empty()) && party != *client {
                return Err(Rejected::Party);
            }
            if text(claims, "nonce") == Some(nonce) { Ok(()) } else { Err(Rejected::Nonce) }
        }
        For::Bearer => {
            if !named.iter().any(|one| config.audiences.contains(*one)) {
                return Err(Rejected::Audience);
            }
            // Whoever else such a token is for could bring it here as theirs.
            let trusted = is_client(party) || config.clients.contains(party);
            let needed = named.len() > 1 || !config.clients.is_empty();
            if needed && !trusted { Err(Rejected::Party) } else { Ok(()) }
        }
        For::Assertion(accepted) => match named.as_slice() {
            [one] if accepted.contains(one) => Ok(()),
            _ => Err(Rejected::Audience),
        },
    }
}

/// When it was made, and when it is over.
fn times(claims: &Map<String, Value>, now: Timestamp) -> Result<(Timestamp, Timestamp), Rejected> {
    let issued = moment(claims, "iat")?.ok_or(Rejected::Time)?;
    let end = moment(claims, "exp")?.ok_or(Rejected::Time)?;
    let until = end.min(later(issued, TOKEN_LIFE_MAX));
    if until <= now {
        return Err(Rejected::Expired);
    }
    let begins = moment(claims, "nbf")?.unwrap_or(issued).max(issued);
    if begins > later(now, AHEAD_MAX) { Err(Rejected::TooEarly) } else { Ok((issued, until)) }
}

/// A moment in seconds, with or without a fraction (RFC 7519, 2), which is cut.
fn moment(claims: &Map<String, Value>, claim: &str) -> Result<Option<Timestamp>, Rejected> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let whole = |seconds: f64| {
        // Exact: within what fits into a timestamp, all whole seconds are f64s.
        let fits = seconds.is_finite() && seconds.abs() < 1e12;
        fits.then_some(seconds as i64)
    };
    let seconds = value.as_i64().or_else(|| value.as_f64().and_then(whole));
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map(Some).ok_or(Rejected::Time)
}

fn subject(claims: &Map<String, Value>) -> Result<String, Rejected> {
    let subject = text(claims, "sub").ok_or(Rejected::Subject)?;
    let fits = !subject.is_empty() && subject.len() <= SUBJECT_BYTES_MAX;
    // It is compared and kept as it is; nobody's look like another's.
    let plain = subject.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits && plain { Ok(subject.to_owned()) } else { Err(Rejected::Subject) }
}

fn groups(claims: &Map<String, Value>, name: &str) -> Groups {
    let listed = match at(claims, name) {
        None => return if has_overage(claims, name) { Groups::TooMany } else { Groups::Absent },
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) if several.len() > GROUPS_MAX => return Groups::TooMany,
        Some(Value::Array(several)) => match several.iter().map(Value::as_str).collect() {
            Some(texts) => texts,
            None => return Groups::Unreadable,
        },
        Some(_) => return Groups::Unreadable,
    };
    if listed.iter().any(|id| id.is_empty() || id.len() > GROUP_BYTES_MAX) {
        return Groups::Unreadable;
    }
    Groups::Known(listed.into_iter().map(str::to_owned).collect())
}

/// Entra ID says that somebody is in more groups than it writes down (over 200), and where to ask for them:
/// `_claim_names` as OpenID Connect Core 5.6.2 has it, or `hasgroups`, or `groups:src1`.
fn has_overage(claims: &Map<String, Value>, name: &str) -> bool {
    let elsewhere = claims.get("_claim_names").and_then(|names| names.get(name)).is_some();
    let said = claims.get("hasgroups").is_some_and(|has| *has != Value::Bool(false));
    let source =
        |claim: &String| claim.strip_prefix(name).is_some_and(|rest| rest.starts_with(":src"));
    elsewhere || said || claims.keys().any(source)
}

/// A claim by its name, or by a path through objects. The name comes first: some have dots in it, such as
/// `https://example.com/groups`.
fn at<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut parts = name.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_object()?.get(part))
}

fn means(claims: &Map<String, Value>) -> BTreeSet<String> {
    let listed = claims.get("amr").and_then(Value::as_array);
    let texts = listed.into_iter().flatten().take(MEANS_MAX).filter_map(Value::as_str);
    texts.filter(|text| text.len() <= MEANS_BYTES_MAX).map(str::to_owned).collect()
}

fn text<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a str> {
    claims.get(claim).and_then(Value::as_str)
}

fn shown(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect()
}
