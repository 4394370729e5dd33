//! Signing in: the token route, the discovery document and the keys, as MSAL and our own clients use them.

use std::fmt;

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    paths::{RESERVED, Route},
    text::quoted,
};

/// The grant type that is served.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// What a client sends to the token route, as a form. What it sends besides is overlooked, as OAuth wants.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenForm {
    /// How it signs in: [`CLIENT_CREDENTIALS`].
    pub grant_type: String,
    /// As whom.
    pub client_id: String,
    /// The proof.
    pub client_secret: String,
    /// For what: a resource and `/.default`.
    pub scope: String,
}

impl fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret: forms end up in logs.
        f.debug_struct("TokenForm")
            .field("grant_type", &self.grant_type)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl TokenForm {
    /// Reads `application/x-www-form-urlencoded`; none where it is no text or names a property twice.
    pub fn decode(form: &[u8]) -> Option<TokenForm> {
        let form = std::str::from_utf8(form).ok()?;
        let mut read: [Option<String>; 4] = Default::default();
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8().ok()?.into_owned();
            let slot = match name {
                "grant_type" => &mut read[0],
                "client_id" => &mut read[1],
                "client_secret" => &mut read[2],
                "scope" => &mut read[3],
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let [grant_type, client_id, client_secret, scope] = read.map(Option::unwrap_or_default);
        Some(TokenForm { grant_type, client_id, client_secret, scope })
    }

    /// Writes it.
    pub fn encode(&self) -> String {
        let TokenForm { grant_type, client_id, client_secret, scope } = self;
        [
            ("grant_type", grant_type),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("scope", scope),
        ]
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)))
        .join("&")
    }

    /// The resource of the scope, without the slashes that clients leave at its end: az sends
    /// `https://host//.default` where the audience ends with a slash.
    pub fn resource(&self) -> &str {
        let scope = self.scope.split(' ').next().unwrap_or_default();
        scope.strip_suffix(".default").unwrap_or(scope).trim_end_matches('/')
    }
}

/// A token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// `Bearer`.
    pub token_type: String,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// The same, for MSAL.
    pub ext_expires_in: u64,
    /// The token.
    pub access_token: String,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl TokenAnswer {
    /// A bearer token that lives for that many seconds.
    pub fn bearer(access_token: String, expires_in: u64) -> TokenAnswer {
        let token_type = "Bearer".to_owned();
        TokenAnswer { token_type, expires_in, ext_expires_in: expires_in, access_token }
    }
}

/// Why there is no token, as OAuth says it (RFC 6749, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenError {
    /// Which kind.
    pub error: TokenErrorKind,
    /// For a person.
    pub error_description: String,
}

/// The kinds of OAuth's token errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenErrorKind {
    /// 400: the form is no form, or lacks something.
    InvalidRequest,
    /// 401: no such client, or a wrong secret; it does not say which.
    InvalidClient,
    /// 400: another grant type than [`CLIENT_CREDENTIALS`].
    UnsupportedGrantType,
    /// 400: a resource that is not this server, as Entra ID calls it.
    InvalidResource,
    /// 503: the server cannot tell now.
    TemporarilyUnavailable,
}

impl TokenError {
    /// In words.
    pub fn new(error: TokenErrorKind) -> TokenError {
        let description = match error {
            TokenErrorKind::InvalidRequest => {
                "The form is not complete: 'grant_type', 'client_id', 'client_secret' and 'scope' are needed, \
                 each once."
            }
            TokenErrorKind::InvalidClient => "The client id or its secret is wrong.",
            TokenErrorKind::UnsupportedGrantType => {
                "Only the grant type 'client_credentials' is served."
            }
            TokenErrorKind::InvalidResource => {
                "The scope must be this server's URL with '/.default' behind it."
            }
            TokenErrorKind::TemporarilyUnavailable => {
                "The server cannot sign anybody in now. Try again."
            }
        };
        TokenError { error, error_description: description.to_owned() }
    }

    /// Somebody wants a token for a resource that is not this server: in the words of Entra ID, which scripts
    /// know by their number, and with the scope to ask for.
    pub fn unknown_resource(resource: &str, tenant: Uuid, public_url: &str) -> TokenError {
        let error_description = format!(
            "AADSTS500011: The resource principal named {} was not found in the tenant named {tenant}. \
             Tokens are given for this server alone: the scope is '{}/.default'.",
            quoted(resource),
            public_url.trim_end_matches('/'),
        );
        TokenError { error: TokenErrorKind::InvalidResource, error_description }
    }
}

/// A tenant's OpenID configuration, as far as MSAL reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Who signs tokens.
    pub issuer: String,
    /// Where a browser signs in.
    pub authorization_endpoint: String,
    /// Where tokens are.
    pub token_endpoint: String,
    /// Where a device's code is.
    pub device_authorization_endpoint: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// How a client proves itself.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// What may be asked for.
    pub response_types_supported: Vec<String>,
    /// Whether a person has one id everywhere.
    pub subject_types_supported: Vec<String>,
    /// How tokens are signed.
    pub id_token_signing_alg_values_supported: Vec<String>,
}

impl Discovery {
    /// Of a tenant, named as the client named it, behind a public URL; `algorithm` as JOSE calls it.
    pub fn new(public_url: &str, tenant: &str, algorithm: &str) -> Discovery {
        let base = public_url.trim_end_matches('/');
        let list = |text: &str| vec![text.to_owned()];
        let encoded = utf8_percent_encode(tenant, RESERVED);
        Discovery {
            issuer: issuer_of(base, tenant),
            authorization_endpoint: format!("{base}/{encoded}/oauth2/v2.0/authorize"),
            token_endpoint: format!("{base}{}", Route::Token(tenant.to_owned())),
            device_authorization_endpoint: format!("{base}/{encoded}/oauth2/v2.0/devicecode"),
            jwks_uri: format!("{base}{}", Route::Keys(tenant.to_owned())),
            token_endpoint_auth_methods_supported: list("client_secret_post"),
            response_types_supported: list("code"),
            subject_types_supported: list("public"),
            id_token_signing_alg_values_supported: list(algorithm),
        }
    }
}

/// Who signs the tokens of a tenant.
pub fn issuer(public_url: &str, tenant: Uuid) -> String {
    issuer_of(public_url.trim_end_matches('/'), &tenant.to_string())
}

fn issuer_of(base: &str, tenant: &str) -> String {
    format!("{base}/{}/v2.0", utf8_percent_encode(tenant, RESERVED))
}

/// The public keys that sign tokens (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Each of them.
    pub keys: Vec<Key>,
}

/// A public key. Which of `n` and `e`, or `crv`, `x` and `y` it has depends on `kty`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its type: `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// Its name.
    pub kid: String,
    /// What it is for: `sig`.
    #[serde(rename = "use")]
    pub purpose: String,
    /// How it signs.
    pub alg: String,
    /// The curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// A point's coordinate, or the whole point of an Edwards curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The other coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA's modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA's exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_az_sends_is_read() {
        let form =
            b"client_id=a-b&grant_type=client_credentials&client_info=1&client_secret=s%2B%26+x\
                     &claims=%7B%7D&scope=https%3A%2F%2Flocalhost%3A8443%2F%2F.default";
        let read = TokenForm::decode(form).unwrap();
        assert_eq!(read.client_id, "a-b");
        assert_eq!(read.client_secret, "s+& x");
        assert_eq!(read.resource(), "https://localhost:8443");
        assert_eq!(TokenForm::decode(read.encode().as_bytes()), Some(read));
    }

    #[test]
    fn a_property_that_stands_twice_makes_no_form() {
        assert_eq!(TokenForm::decode(b"client_id=a&client_id=b"), None);
        assert_eq!(TokenForm::decode(b"client_id=%ff"), None);
        assert_eq!(TokenForm::decode(b""), Some(TokenForm::default()));
    }

    #[test]
    fn no_secret_is_ever_printed_by_accident() {
        let form = TokenForm { client_secret: "hush".to_owned(), ..TokenForm::default() };
        assert!(!format!("{form:?}").contains("hush"));
        assert!(!format!("{:?}", TokenAnswer::bearer("hush".to_owned(), 1)).contains("hush"));
    }

    #[test]
    fn errors_are_named_as_oauth_names_them() {
        let error = TokenError::new(TokenErrorKind::InvalidClient);
        let json = serde_json::to_value(error).unwrap();
        assert_eq!(json["error"], "invalid_client");
        let tenant = Uuid::nil();
        let error = TokenError::unknown_resource("https://a\u{1b}[2J", tenant, "https://gate/");
        let json = serde_json::to_value(error).unwrap();
        assert_eq!(json["error"], "invalid_resource");
        let why = json["error_description"].as_str().unwrap();
        assert!(why.starts_with("AADSTS500011: ") && why.contains("'https://gate/.default'"));
        assert!(!why.contains('\u{1b}'), "{why:?}");
    }
}
