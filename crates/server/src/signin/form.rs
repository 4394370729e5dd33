//! The forms of the token, device and revocation routes: what a client sends to sign somebody in or out.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hourgate_api::{
    text::quoted,
    token::{
        AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, REFRESH_TOKEN, TokenError,
        TokenErrorKind,
    },
};

use super::{
    grant::Client,
    local::service::assertion::{ASSERTION_BYTES_MAX, ASSERTION_TYPE},
    session::RefreshToken,
};

/// Longest field that is looked at, but for assertions: a secret, a code.
const FIELD_BYTES_MAX: usize = 4 << 10;
/// How many fields of a form are read. MSAL sends a dozen.
const FIELDS_MAX: usize = 64;

/// Scopes of OpenID Connect, which az sends beside the resource's.
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What somebody sent to have a token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenForm {
    pub(crate) grant: Grant,
    /// What they want a token for, each without `/.default`; nothing, where they do not say.
    pub(crate) resources: Vec<String>,
}

/// How they come by it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// A service, with its secret.
    Secret(Credentials),
    /// A service, with an assertion; and the client id that the form names.
    Assertion { client: Option<String>, assertion: String },
    /// A device whose code somebody may have typed.
    Device { client: Client, secret: String },
    /// A client that a browser brought a code.
    Code { client: Client, code: String, redirect: String, verifier: String },
    /// A client that had a token before.
    Refresh { client: Client, token: RefreshToken },
}

/// What a service signs in with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) client: String,
    pub(crate) secret: String,
}

/// What a device sends to be shown a code.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DeviceForm {
    pub(crate) client: Client,
    pub(crate) resources: Vec<String>,
}

/// Reads what the token route is sent, and the `Authorization: Basic` header where the form has no secret. What
/// else Azure's clients send (`claims`, `client_info`) is passed over.
pub(crate) fn token_form(body: &[u8], basic: Option<&str>) -> Result<TokenForm, TokenError> {
    let mut fields = Fields::read(body)?;
    let grant = match fields.needed("grant_type")?.as_str() {
        CLIENT_CREDENTIALS => match fields.assertion()? {
            Some(assertion) => Grant::Assertion { client: fields.take("client_id")?, assertion },
            None => Grant::Secret(fields.credentials(basic)?),
        },
        DEVICE_CODE => {
            // az sends the same as `code` too.
            Grant::Device { client: fields.client()?, secret: fields.needed("device_code")? }
        }
        AUTHORIZATION_CODE => Grant::Code {
            client: fields.client()?,
            code: fields.needed("code")?,
            redirect: fields.needed("redirect_uri")?,
            verifier: fields.needed("code_verifier")?,
        },
        REFRESH_TOKEN => {
            let (client, token) = (fields.client()?, fields.needed("refresh_token")?);
            let token = RefreshToken::parse(&token)
                .ok_or_else(|| TokenError::new(TokenErrorKind::InvalidGrant))?;
            Grant::Refresh { client, token }
        }
        _ => return Err(TokenError::new(TokenErrorKind::UnsupportedGrantType)),
    };
    Ok(TokenForm { grant, resources: fields.resources() })
}

/// Reads what the device route is sent.
pub(crate) fn device_form(body: &[u8]) -> Result<DeviceForm, TokenError> {
    let mut fields = Fields::read(body)?;
    Ok(DeviceForm { client: fields.client()?, resources: fields.resources() })
}

/// Reads what the revocation route is sent: a refresh token, or nothing that we ever gave (RFC 7009, 2.2: not
/// worth an error).
pub(crate) fn revoke_form(body: &[u8]) -> Result<Option<RefreshToken>, TokenError> {
    let mut fields = Fields::read(body)?;
    let _known = fields.client()?;
    Ok(RefreshToken::parse(&fields.needed("token")?))
}

/// The resources of scopes: `https://host//.default` stands for `https://host/`, and what OpenID Connect
/// names for none.
pub(crate) fn resources(scopes: &str) -> impl Iterator<Item = String> {
    let scopes = scopes.split(' ').filter(|scope| !scope.is_empty() && !OF_OPENID.contains(scope));
    scopes.map(|scope| scope.strip_suffix("/.default").unwrap_or(scope).to_owned())
}

/// A form, each of whose fields stands once.
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn read(body: &[u8]) -> Result<Fields, TokenError> {
        let mut fields = BTreeMap::new();
        for (count, (name, value)) in form_urlencoded::parse(body).enumerate() {
            if count >= FIELDS_MAX {
                return Err(invalid(format!("The form has more than {FIELDS_MAX} parameters.")));
            }
            if fields.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(invalid(format!("The parameter {} is sent twice.", quoted(&name))));
            }
        }
        Ok(Fields(fields))
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, TokenError> {
        match self.0.remove(name) {
            Some(value) if value.len() > FIELD_BYTES_MAX => {
                Err(invalid(format!("A field is longer than {FIELD_BYTES_MAX} bytes.")))
            }
            value => Ok(value),
        }
    }

    fn needed(&mut self, name: &str) -> Result<String, TokenError> {
        self.take(name)?.ok_or_else(|| missing(name))
    }

    /// The client, where it needs no secret.
    fn client(&mut self) -> Result<Client, TokenError> {
        let id = self.needed("client_id")?;
        Client::of(&id).ok_or_else(|| TokenError::new(TokenErrorKind::InvalidClient))
    }

    /// An assertion, where there is one (RFC 7521, section 4.2). A secret beside it would be a second way in.
    fn assertion(&mut self) -> Result<Option<String>, TokenError> {
        let Some(assertion) = self.0.remove("client_assertion") else { return Ok(None) };
        if self.needed("client_assertion_type")? != ASSERTION_TYPE {
            return Err(invalid(format!("A client assertion is of the type '{ASSERTION_TYPE}'.")));
        }
        if assertion.len() > ASSERTION_BYTES_MAX {
            let most = format!("An assertion is longer than {ASSERTION_BYTES_MAX} bytes.");
            return Err(invalid(most));
        }
        if self.take("client_secret")?.is_some() {
            return Err(invalid("Send a client secret or an assertion, not both.".to_owned()));
        }
        Ok(Some(assertion))
    }

    fn credentials(&mut self, basic: Option<&str>) -> Result<Credentials, TokenError> {
        let (client, secret) = (self.take("client_id")?, self.take("client_secret")?);
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
        Ok(Credentials { client, secret })
    }

    /// Both are looked at: a token for one of the two that is taken for the other opens a door.
    fn resources(mut self) -> Vec<String> {
        let scope = self.0.remove("scope").unwrap_or_default();
        let resource = self.0.remove("resource").filter(|resource| !resource.is_empty());
        resources(&scope).chain(resource).collect()
    }
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
        match token_form(body.as_bytes(), basic) {
            Ok(TokenForm { grant: Grant::Secret(sent), resources }) => {
                Ok((sent.client, sent.secret, resources))
            }
            Ok(_) => panic!("another grant"),
            Err(error) => Err(error.error),
        }
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
    fn reads_how_az_has_a_person_sign_in() {
        let az = "client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46";
        let scope =
            "scope=https%3A%2F%2Flocalhost%3A8443%2F%2F.default+offline_access+openid+profile";
        let device = device_form(format!("{az}&{scope}").as_bytes()).expect("a form");
        assert_eq!(device.client, Client::AzureCli);
        assert_eq!(device.resources, ["https://localhost:8443/"]);
        let body = format!("{az}&{scope}&grant_type={DEVICE_CODE}&device_code=d&code=d");
        let form = token_form(body.as_bytes(), None).expect("a form");
        let client = Client::AzureCli;
        assert!(form.grant == Grant::Device { client, secret: "d".to_owned() });
    }

    #[test]
    fn a_client_without_a_secret_is_one_that_we_know() {
        for grant in [DEVICE_CODE, AUTHORIZATION_CODE, REFRESH_TOKEN] {
            let body = format!("grant_type={grant}&client_id={}&code=c", uuid::Uuid::nil());
            let error = token_form(body.as_bytes(), None).err().map(|error| error.error);
            assert_eq!(error, Some(TokenErrorKind::InvalidClient), "{grant}");
        }
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
        use TokenErrorKind::{InvalidGrant, InvalidRequest, UnsupportedGrantType};
        let command = Client::Command.id();
        let refresh = |token: &str| {
            format!("grant_type=refresh_token&client_id={command}&refresh_token={token}")
        };
        for (body, kind) in [
            (String::new(), InvalidRequest),
            ("grant_type=password&client_id=c".to_owned(), UnsupportedGrantType),
            ("grant_type=client_credentials".to_owned(), InvalidRequest),
            ("grant_type=client_credentials&client_id=c".to_owned(), InvalidRequest),
            ("grant_type=client_credentials&client_id=c&client_id=d".to_owned(), InvalidRequest),
            ("grant_type=client_credentials&client_assertion=x".to_owned(), InvalidRequest),
            (format!("grant_type={DEVICE_CODE}&client_id={command}"), InvalidRequest),
            (format!("grant_type=authorization_code&client_id={command}&code=c"), InvalidRequest),
            (refresh("hgr~x"), InvalidGrant),
            (refresh(&"x".repeat(FIELD_BYTES_MAX + 1)), InvalidRequest),
            ("a=&".repeat(FIELDS_MAX + 1).replace("a=", "=") + &"x&".repeat(70), InvalidRequest),
        ] {
            assert_eq!(read(&body, None), Err(kind), "{body}");
        }
    }
}
