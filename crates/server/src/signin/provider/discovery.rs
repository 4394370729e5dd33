//! What a provider says about itself, and what of it is believed.

use hourgate_api::text::quoted;
use serde::Deserialize;

use super::keys::algorithm;
use crate::outgoing::HttpsUrl;

/// Where a provider answers what.
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    /// Its keys.
    pub(super) keys: HttpsUrl,
    /// Where people are sent to sign in, and their code is changed for a token. None where a provider only
    /// makes tokens.
    pub(super) sign_in: Option<SignInAt>,
}

/// The two ends of a sign-in.
#[derive(Clone, Debug)]
pub(super) struct SignInAt {
    pub(super) authorization: HttpsUrl,
    pub(super) token: HttpsUrl,
    /// Where more is said about a person than fits into a token.
    pub(super) about: Option<HttpsUrl>,
    /// Whether it names itself when it sends people back (RFC 9207).
    pub(super) names_itself: bool,
    /// How a client shows its secret.
    pub(super) shows: Shows,
}

/// How a client shows its secret (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    InHeader,
    InForm,
}

/// Why a provider's word about itself is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadDiscovery {
    #[error("what it says about itself is not understood")]
    NotUnderstood,
    #[error("it calls itself {}, and the configured issuer is another", quoted(.0))]
    AnotherIssuer(String),
    #[error("its {0} is no https URL")]
    NotHttps(&'static str),
    #[error("it signs with no algorithm that is accepted here")]
    Algorithms,
    #[error("it does not take the sign-in that is made here: {0}")]
    SignIn(&'static str),
}

/// OpenID Connect Discovery, 3; RFC 8414, 2; RFC 9207, 3.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    response_types_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    /// Where an issuer says what it is (OpenID Connect Discovery, 4). An issuer's own slash is not doubled.
    pub(super) fn place(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
    }

    /// Reads what was found there.
    pub(super) fn read(body: &[u8], issuer: &str) -> Result<Discovery, BadDiscovery> {
        let document: Document =
            serde_json::from_slice(body).map_err(|_| BadDiscovery::NotUnderstood)?;
        // To the letter. Else one provider could have its tokens taken for another's.
        if document.issuer != issuer {
            return Err(BadDiscovery::AnotherIssuer(document.issuer));
        }
        let signs = document.id_token_signing_alg_values_supported.as_ref();
        if signs.is_some_and(|names| !names.iter().any(|name| algorithm(name).is_some())) {
            return Err(BadDiscovery::Algorithms);
        }
        Ok(Discovery {
            keys: https("jwks_uri", &document.jwks_uri)?,
            sign_in: SignInAt::read(&document)?,
        })
    }
}

impl SignInAt {
    fn read(document: &Document) -> Result<Option<SignInAt>, BadDiscovery> {
        let ends = (&document.authorization_endpoint, &document.token_endpoint);
        let (Some(authorization), Some(token)) = ends else { return Ok(None) };
        let lacks = |listed: &Option<Vec<String>>, name: &str| {
            listed.as_ref().is_some_and(|listed| !listed.iter().any(|one| one == name))
        };
        if lacks(&document.response_types_supported, "code") {
            return Err(BadDiscovery::SignIn("response_types_supported lacks code"));
        }
        // Entra ID takes S256 and does not say so; one that says something and leaves it out does not.
        if lacks(&document.code_challenge_methods_supported, "S256") {
            return Err(BadDiscovery::SignIn("code_challenge_methods_supported lacks S256"));
        }
        // In the header where nothing is said (OpenID Connect Discovery, 3).
        let methods = &document.token_endpoint_auth_methods_supported;
        let shows = match lacks(methods, "client_secret_basic") {
            true if !lacks(methods, "client_secret_post") => Shows::InForm,
            true | false => Shows::InHeader,
        };
        Ok(Some(SignInAt {
            authorization: https("authorization_endpoint", authorization)?,
            token: https("token_endpoint", token)?,
            about: document
                .userinfo_endpoint
                .as_deref()
                .map(|url| https("userinfo_endpoint", url))
                .transpose()?,
            names_itself: document.authorization_response_iss_parameter_supported,
            shows,
        }))
    }
}

fn https(which: &'static str, url: &str) -> Result<HttpsUrl, BadDiscovery> {
    HttpsUrl::parse(url).map_err(|_| BadDiscovery::NotHttps(which))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.com/realms/main";

    fn read(more: &Value) -> Result<Discovery, BadDiscovery> {
        let mut document = json!({
            "issuer": ISSUER,
            "jwks_uri": "https://id.example.com/keys",
            "authorization_endpoint": "https://id.example.com/auth",
            "token_endpoint": "https://id.example.com/token",
        });
        let more = more.as_object().expect("an object").clone();
        document.as_object_mut().expect("an object").extend(more);
        Discovery::read(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_provider_is_who_it_was_configured_as_and_answers_over_https() {
        assert!(read(&json!({})).expect("good").sign_in.is_some());
        for issuer in ["https://id.example.com/realms/main/", "https://evil.example.com", ""] {
            let error = read(&json!({ "issuer": issuer })).expect_err("another");
            assert_eq!(error, BadDiscovery::AnotherIssuer(issuer.to_owned()), "{issuer}");
        }
        for which in ["jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint"] {
            let error = read(&json!({ which: "http://id.example.com/x" })).expect_err("plain");
            assert_eq!(error, BadDiscovery::NotHttps(which));
        }
        let not_understood = Discovery::read(b"<html>", ISSUER).expect_err("no JSON");
        assert_eq!(not_understood, BadDiscovery::NotUnderstood);
    }

    #[test]
    fn what_it_says_it_can_must_do() {
        let symmetric = json!({ "id_token_signing_alg_values_supported": ["HS256", "none"] });
        assert_eq!(read(&symmetric).expect_err("refused"), BadDiscovery::Algorithms);
        for (key, value) in [
            ("response_types_supported", "id_token"),
            ("code_challenge_methods_supported", "plain"),
        ] {
            let error = read(&json!({ key: [value] })).expect_err("refused");
            assert!(matches!(error, BadDiscovery::SignIn(_)), "{key}");
        }
        let shows = |methods: &Value| {
            let methods = json!({ "token_endpoint_auth_methods_supported": methods });
            read(&methods).expect("good").sign_in.map(|sign_in| sign_in.shows)
        };
        assert_eq!(shows(&json!(["client_secret_post"])), Some(Shows::InForm));
        let both = json!(["client_secret_post", "client_secret_basic"]);
        assert_eq!(shows(&both), Some(Shows::InHeader));
        let tokens_only = json!({ "authorization_endpoint": null });
        assert!(read(&tokens_only).expect("good").sign_in.is_none());
    }

    #[test]
    fn the_place_has_one_slash() {
        let place = "https://a.example/x/.well-known/openid-configuration";
        assert_eq!(Discovery::place("https://a.example/x"), place);
        assert_eq!(Discovery::place("https://a.example/x/"), place);
    }
}
