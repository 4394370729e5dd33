//! The body of a person, group or service that is made known before it signs in.

use hourgate_core::role::principal::{LOCAL_ISSUER, PRINCIPAL_NAME_CHARS_MAX, PrincipalKind};

use super::{
    json::{self, Json},
    object::{Object, Problems},
    role::name,
    value,
};
use crate::{error::ArmError, paths::KINDS, text::quoted};

/// Longest issuer, in characters: it is the URL of a provider.
const ISSUER_CHARS_MAX: usize = 512;
/// Longest subject, in characters (OpenID Connect Core 1.0, section 2).
const SUBJECT_CHARS_MAX: usize = 255;

/// Somebody as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalSent {
    /// What they are.
    pub kind: PrincipalKind,
    /// Who vouches for them.
    pub issuer: String,
    /// Who they are there.
    pub subject: String,
    /// What they are called.
    pub name: String,
}

/// Reads the body of a principal.
pub fn principal(body: &[u8]) -> Result<PrincipalSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = a_principal(json, &mut problems);
    problems.or(sent)
}

fn a_principal(json: Json, problems: &mut Problems) -> Option<PrincipalSent> {
    let mut object = Object::of(json, "", problems)?;
    let needed = "an object with 'type', 'issuer', 'subject' and 'displayName'";
    let properties = object.required("properties", needed, problems);
    object.overlook(&["id", "name", "type"]);
    object.close(problems);
    let mut properties = Object::of(properties?, "properties", problems)?;
    let kind = properties
        .required("type", "'User', 'Group' or 'ServicePrincipal'", problems)
        .and_then(|json| value::word(json, "properties.type", &KINDS, problems));
    let issuer = properties
        .required("issuer", "the issuer's URL", problems)
        .and_then(|json| issuer(json, problems));
    let subject = properties
        .required("subject", "who they are there", problems)
        .and_then(|json| name(json, "properties.subject", SUBJECT_CHARS_MAX, problems));
    let shown = properties
        .required("displayName", "a name", problems)
        .and_then(|json| name(json, "properties.displayName", PRINCIPAL_NAME_CHARS_MAX, problems));
    // What their issuer says of them, and whether they are disabled, is not set with them.
    properties.overlook(&["userPrincipalName", "mail", "disabled", "groups", "groupsKnownOn"]);
    properties.close(problems);
    Some(PrincipalSent { kind: kind?, issuer: issuer?, subject: subject?, name: shown? })
}

fn issuer(json: Json, problems: &mut Problems) -> Option<String> {
    let path = "properties.issuer";
    let sent = value::text(json, path, "the issuer's URL", problems)?;
    let is_url = sent
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()));
    let fits = sent.len() <= ISSUER_CHARS_MAX && (is_url || sent == LOCAL_ISSUER);
    if !fits {
        let message = format!(
            "{} is no issuer: a URL as the provider writes it in 'iss' is accepted, such as \
             'https://login.example.com/realms/main', or '{LOCAL_ISSUER}'.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    fits.then_some(sent)
}
