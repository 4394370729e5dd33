//! Signing in: the token route, the discovery document and the keys, as MSAL and our own clients use them.

use std::fmt;

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    paths::{RESERVED, Route},
    text::quoted,
};

/// A service signs in with its secret (RFC 6749, 4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// A device asks whether somebody has typed its code (RFC 8628).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// A client redeems the code that a browser brought it (RFC 6749, 4.1).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// A client renews its tokens (RFC 6749, 6).
pub const REFRESH_TOKEN: &str = "refresh_token";

/// The client id of `hourgate`, the command. It is the same at every installation, and no secret.
pub const COMMAND_CLIENT: Uuid = Uuid::from_u128(0x8f1c_6b1e_52a4_4d0b_9c6e_7a1d_3e90_c2f4);
/// Where the command's own little server takes a code from a browser.
pub const COMMAND_REDIRECT_PATH: &str = "/signed-in";

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
    /// What gives the next one, once; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Who signed in, for the client; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// Object and tenant id, as MSAL wants them; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_info: Option<String>,
    /// What the token is for; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
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
        TokenAnswer {
            token_type,
            expires_in,
            ext_expires_in: expires_in,
            access_token,
            refresh_token: None,
            id_token: None,
            client_info: None,
            scope: None,
        }
    }

    /// A token for somebody in a session, with what renews it.
    pub fn of_session(
        access_token: String,
        expires_in: u64,
        refresh_token: String,
        (id_token, client_info): (String, String),
        scope: String,
    ) -> TokenAnswer {
        TokenAnswer {
            refresh_token: Some(refresh_token),
            id_token: Some(id_token),
            client_info: Some(client_info),
            scope: Some(scope),
            ..TokenAnswer::bearer(access_token, expires_in)
        }
    }
}

/// What a device shows and keeps (RFC 8628, 3.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAnswer {
    /// What it asks with.
    pub device_code: String,
    /// What somebody types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Seconds until both are over.
    pub expires_in: u64,
    /// Seconds between two askings.
    pub interval: u64,
    /// All of that for a person, as az shows it.
    pub message: String,
}

impl fmt::Debug for DeviceAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAnswer").field("expires_in", &self.expires_in).finish_non_exhaustive()
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
    /// 400: another grant type than those that are served.
    UnsupportedGrantType,
    /// 400: a code or refresh token that is over, was used, or never was.
    InvalidGrant,
    /// 400: nobody has typed the device's code yet.
    AuthorizationPending,
    /// 400: the same, and the device asks too often.
    SlowDown,
    /// 400: the device's code is over.
    ExpiredToken,
    /// 400: somebody said no.
    AccessDenied,
    /// 400: a resource that is not this server, as Entra ID calls it.
    InvalidResource,
    /// 503: the server cannot tell now.
    TemporarilyUnavailable,
}

impl TokenError {
    /// In words.
    pub fn new(error: TokenErrorKind) -> TokenError {
        let description = match error {
            TokenErrorKind::InvalidRequest => "The form is not complete.",
            TokenErrorKind::InvalidClient => "The client id or its secret is wrong.",
            TokenErrorKind::UnsupportedGrantType => {
                "The grant types 'client_credentials', 'authorization_code', 'refresh_token' and \
                 'urn:ietf:params:oauth:grant-type:device_code' are served."
            }
            // Entra ID's number for it: MSAL has somebody sign in anew then.
            TokenErrorKind::InvalidGrant => {
                "AADSTS70008: The code or token is over, or was used before. Sign in again."
            }
            TokenErrorKind::AuthorizationPending => {
                "AADSTS70016: Nobody has approved this sign-in yet. Ask again after the interval."
            }
            TokenErrorKind::SlowDown => "Ask less often: wait five seconds more each time.",
            TokenErrorKind::ExpiredToken => "The code is over. Begin again.",
            TokenErrorKind::AccessDenied => "Somebody said no to this sign-in.",
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
    /// Where a session is ended.
    pub revocation_endpoint: String,
    /// How a client comes by a token.
    pub grant_types_supported: Vec<String>,
    /// How a code is bound to its client.
    pub code_challenge_methods_supported: Vec<String>,
    /// Whether a code comes with who gave it (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
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
        Discovery {
            issuer: issuer_of(base, tenant),
            authorization_endpoint: format!("{base}{}", Route::Authorize(tenant.to_owned())),
            token_endpoint: format!("{base}{}", Route::Token(tenant.to_owned())),
            device_authorization_endpoint: format!(
                "{base}{}",
                Route::DeviceCode(tenant.to_owned())
            ),
            jwks_uri: format!("{base}{}", Route::Keys(tenant.to_owned())),
            revocation_endpoint: format!("{base}{}", Route::Revoke(tenant.to_owned())),
            grant_types_supported: [
                CLIENT_CREDENTIALS,
                AUTHORIZATION_CODE,
                REFRESH_TOKEN,
                DEVICE_CODE,
            ]
            .map(str::to_owned)
            .to_vec(),
            code_challenge_methods_supported: list("S256"),
            authorization_response_iss_parameter_supported: true,
            token_endpoint_auth_methods_supported: [
                "client_secret_post",
                "client_secret_basic",
                "none",
            ]
            .map(str::to_owned)
            .to_vec(),
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
