//! The token route's form: what a client sends to sign in.

use base64::{Engine, engine::general_purpose::STANDARD};
use hourgate_api::{
    text::quoted,
    token::{CLIENT_CREDENTIALS, TokenError, TokenErrorKind},
};

/// Longest secret, and longest client id, that is looked at.
const FIELD_BYTES_MAX: usize = 4 << 10;

/// Scopes of OpenID Connect, which az sends beside the resource's.
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What somebody sent to sign in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) client: String,
    pub(crate) secret: String,
    /// What they want a token for, each without `/.default`; nothing, where they do not say.
    pub(crate) resources: Vec<String>,
}

/// Reads the form, and the `Authorization: Basic` header where the form has no secret. What else Azure's
/// clients send (`claims`, `client_info`) is passed over.
pub(crate) fn credentials(body: &[u8], basic: Option<&str>) -> Result<Credentials, TokenError> {
    let mut fields: [(&str, Option<String>); 7] = [
        ("grant_type", None),
        ("client_id", None),
        ("client_secret", None),
        ("scope", None),
        ("resource", None),
        ("client_assertion", None),
        ("client_assertion_type", None),
    ];
    for (name, value) in form_urlencoded::parse(body) {
        let Some((_, held)) = fields.iter_mut().find(|(field, _)| *field == name) else { continue };
        if held.is_some() {
            return Err(invalid(format!("The parameter {} is sent twice.", quoted(&name))));
        }
        *held = Some(value.into_owned());
    }
    let [grant, client, secret, scope, resource, assertion, _] = fields.map(|(_, value)| value);
    match grant.as_deref() {
        Some(CLIENT_CREDENTIALS) => {}
        Some(_) => return Err(TokenError::new(TokenErrorKind::UnsupportedGrantType)),
        None => return Err(missing("grant_type")),
    }
    if assertion.is_some() {
        return Err(invalid("This server takes a client secret, no client assertion.".to_owned()));
    }
    let (client, secret) = match (client, secret, basic.and_then(from_basic)) {
        (Some(client), Some(secret), _) => (client, secret),
        (None, _, Some((client, secret))) => (client, secret),
        (Some(client), None, Some((other, secret))) if client == other => (client, secret),
        (None, _, None) => return Err(missing("client_id")),
        (Some(_), None, _) => return Err(missing("client_secret")),
    };
    if client.len() > FIELD_BYTES_MAX || secret.len() > FIELD_BYTES_MAX {
        return Err(invalid(format!("A field is longer than {FIELD_BYTES_MAX} bytes.")));
    }
    // Both are looked at: a token for one of the two that is taken for the other opens a door.
    let resources = scope.iter().flat_map(|scope| resources(scope)).chain(resource);
    let resources = resources.filter(|resource| !resource.is_empty()).collect();
    Ok(Credentials { client, secret, resources })
}

/// The resources of scopes: `https://host//.default` stands for `https://host/`, and what OpenID Connect
/// names for none.
fn resources(scopes: &str) -> impl Iterator<Item = String> {
    let scopes = scopes.split(' ').filter(|scope| !OF_OPENID.contains(scope));
    scopes.map(|scope| scope.strip_suffix("/.default").unwrap_or(scope).to_owned())
}

fn from_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client, secret) = text.split_once(':')?;
    // Both are form-encoded inside (RFC 6749, 2.3.1).
    let decoded = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned())
    };
    Some((decoded(client)?, decoded(secret)?))
}

fn missing(field: &str) -> TokenError {
    invalid(format!("The request body must contain the following parameter: '{field}'."))
}

fn invalid(error_description: String) -> TokenError {
    TokenError { error: TokenErrorKind::InvalidRequest, error_description }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        body: &str,
        basic: Option<&str>,
    ) -> Result<(String, String, Vec<String>), TokenErrorKind> {
        credentials(body.as_bytes(), basic)
            .map(|sent| (sent.client, sent.secret, sent.resources))
            .map_err(|error| error.error)
    }

    #[test]
    fn reads_what_az_sends() {
        let body = "client_id=c&grant_type=client_credentials&client_info=1&client_secret=s%2B1\
                    &claims=%7B%7D&scope=https%3A%2F%2Flocalhost%3A8443%2F%2F.default";
        let expected =
            ("c".to_owned(), "s+1".to_owned(), vec!["https://localhost:8443/".to_owned()]);
        assert_eq!(read(body, None), Ok(expected));
    }

    #[test]
    fn every_resource_that_is_named_is_seen() {
        for (wanted, resources) in [
            ("", &[][..]),
            ("&scope=", &[]),
            ("&scope=openid+profile+offline_access+email", &[]),
            ("&scope=openid+https://a/.default", &["https://a"]),
            ("&scope=https://a/.default+https://b/.default", &["https://a", "https://b"]),
            ("&scope=https://a/.default&resource=https://b/", &["https://a", "https://b/"]),
            ("&scope=https://a/user_impersonation", &["https://a/user_impersonation"]),
            ("&resource=https://a", &["https://a"]),
        ] {
            let body = format!("grant_type=client_credentials&client_id=c&client_secret=s{wanted}");
            let (_, _, seen) = read(&body, None).expect("credentials");
            assert_eq!(seen, resources, "{wanted}");
        }
    }

    #[test]
    fn reads_http_basic() {
        let header = format!("Basic {}", STANDARD.encode("c:hg~a%2Bb"));
        let (client, secret, _) =
            read("grant_type=client_credentials", Some(&header)).expect("credentials");
        assert_eq!((client.as_str(), secret.as_str()), ("c", "hg~a+b"));
    }

    #[test]
    fn says_what_is_missing() {
        use TokenErrorKind::{InvalidRequest, UnsupportedGrantType};
        for (body, kind) in [
            ("", InvalidRequest),
            ("grant_type=password&client_id=c", UnsupportedGrantType),
            ("grant_type=client_credentials", InvalidRequest),
            ("grant_type=client_credentials&client_id=c", InvalidRequest),
            ("grant_type=client_credentials&client_id=c&client_id=d", InvalidRequest),
            ("grant_type=client_credentials&client_assertion=x", InvalidRequest),
        ] {
            assert_eq!(read(body, None), Err(kind), "{body}");
        }
    }
}
