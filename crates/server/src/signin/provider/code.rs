//! Somebody signs in at a provider: sent there with a challenge, back with a code (RFC 6749, 4.1; RFC 7636;
//! OpenID Connect Core, 3.1).

use std::{fmt, sync::Arc, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hourgate_api::text::quoted;
use hourgate_core::time::{Now, Timestamp, later};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Down, Groups, Provider, Providers, Rejected, Verified,
    claims::{About, For},
    discovery::{Shows, SignInAt},
    jws::Jws,
    look::{Age, FAILURE_PAUSE},
};
use crate::{
    config::{ClientConfig, ConfigError},
    mint::{self, NoRandomness},
    outgoing::{Call, HttpsUrl, OutgoingError},
};

/// How long somebody has for a provider's pages; second factors are looked for in drawers.
pub const PENDING_LIFE: Duration = Duration::from_mins(15);
/// How far behind ours a provider's clock may be where it says when somebody signed in.
const BEHIND_MAX: Duration = Duration::from_secs(60);
/// Longest code that is handed on, in bytes; Entra ID's have 1,500.
const CODE_BYTES_MAX: usize = 4_096;

/// Whether a provider's memory of somebody is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// Whoever signed in there a while ago need not again.
    AsItIs,
    /// They must sign in there now, and the token must say that they did.
    Again,
}

/// Somebody was sent to a provider.
#[derive(Debug)]
pub struct Begun {
    /// Where their browser goes now.
    pub url: String,
    /// What must be kept for their return, in their session alone.
    pub pending: Pending,
}

/// A sign-in under way. Whoever has it and the code can finish it, so it is shown to nobody, not even in
/// a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The provider's configured name.
    pub provider: String,
    /// Where people come back to, as it was said to the provider.
    pub redirect_uri: String,
    /// When it began.
    pub begun: Timestamp,
    /// Whether an earlier sign-in there is enough.
    pub freshness: Freshness,
    state: String,
    nonce: String,
    verifier: String,
}

impl Pending {
    /// What comes back in the URL, by which a sign-in under way is found.
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending {{ provider: {:?}, begun: {} }}", self.provider, self.begun)
    }
}

/// What came back in the URL.
#[derive(Clone, Debug)]
pub struct Returned {
    /// Its `state`.
    pub state: String,
    /// Its `iss` (RFC 9207), if it had one.
    pub issuer: Option<String>,
    /// What became of it there.
    pub went: Went,
}

/// What became of a sign-in at a provider.
#[derive(Clone)]
pub enum Went {
    /// Its `code`.
    Code(String),
    /// Its `error`: `access_denied` and others (RFC 6749, 4.1.2.1).
    Error(String),
}

impl fmt::Debug for Went {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Went::Code(_) => f.write_str("Code"),
            Went::Error(error) => write!(f, "Error({error:?})"),
        }
    }
}

/// Why nobody is signed in. The words are for the log.
#[derive(Debug, thiserror::Error)]
pub enum SignInFailure {
    /// No such provider, or none that people sign in with.
    #[error("nobody signs in with a provider of that name")]
    NoProvider,
    /// The provider does not answer.
    #[error(transparent)]
    Down(Down),
    /// It does not know us, or not the code: used before, too old, or another's.
    #[error("the provider refuses: {}", quoted(.0))]
    Refused(String),
    /// What came back belongs to another sign-in, or nobody began one.
    #[error("what came back is of another sign-in")]
    State,
    /// Another provider sent them back than they were sent to.
    #[error("another provider answered")]
    Issuer,
    /// They took too long.
    #[error("the sign-in took longer than {} min", PENDING_LIFE.as_secs() / 60)]
    TooLate,
    /// They were to sign in anew, and the token does not say that they did.
    #[error("the provider does not say that they signed in just now (auth_time)")]
    NotFresh,
    /// The token that came for the code is not good.
    #[error("the provider's token: {0}")]
    Token(Rejected),
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(ConfigError),
    /// Nothing can be minted.
    #[error(transparent)]
    Random(NoRandomness),
}

/// What comes for a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// What comes instead (RFC 6749, 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Providers {
    /// Sends somebody to a provider, to be sent back to `redirect_uri`.
    pub async fn begin(
        &self,
        provider: &str,
        redirect_uri: &str,
        freshness: Freshness,
        now: Now,
    ) -> Result<Begun, SignInFailure> {
        let (provider, client) = self.signing_in(provider)?;
        let at = provider.sign_in_at(now).await?;
        let secret = || mint::secret().map_err(SignInFailure::Random);
        let pending = Pending {
            provider: provider.config.name.clone(),
            redirect_uri: redirect_uri.to_owned(),
            begun: now.wall,
            freshness,
            state: secret()?,
            nonce: secret()?,
            verifier: secret()?,
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&pending.verifier));
        let scope = provider.config.scopes.join(" ");
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", &pending.state),
            ("nonce", &pending.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        match freshness {
            Freshness::AsItIs => {}
            // The second also has the provider say when it was (OpenID Connect Core, 3.1.2.1).
            Freshness::Again => query.extend([("prompt", "login"), ("max_age", "0")]),
        }
        let url = at.authorization.with_query(query).as_str().to_owned();
        Ok(Begun { url, pending })
    }

    /// Says who came back. What was pending is used up, whatever comes of it: the caller must have taken it
    /// away before.
    pub async fn finish(
        &self,
        pending: Pending,
        returned: Returned,
        now: Now,
    ) -> Result<Verified, SignInFailure> {
        if !bool::from(pending.state.as_bytes().ct_eq(returned.state.as_bytes())) {
            return Err(SignInFailure::State);
        }
        if now.wall > later(pending.begun, PENDING_LIFE) {
            return Err(SignInFailure::TooLate);
        }
        let (provider, client) = self.signing_in(&pending.provider)?;
        let at = provider.sign_in_at(now).await?;
        // Else a provider that people were lured to could have its code, or another's, changed here.
        let names_right = match &returned.issuer {
            Some(issuer) => **issuer == *provider.issuer,
            None => !at.names_itself,
        };
        if !names_right {
            return Err(SignInFailure::Issuer);
        }
        let code = match returned.went {
            Went::Code(code) if code.len() <= CODE_BYTES_MAX => code,
            Went::Code(_) => return Err(SignInFailure::Refused("the code is too long".to_owned())),
            Went::Error(error) => return Err(SignInFailure::Refused(error)),
        };
        let tokens = self.change(provider, client, &at, &pending, &code).await?;
        let mut verified = provider.of_sign_in(&tokens.id_token, client, &pending, now).await?;
        if let (Some(about), Some(token)) = (&at.about, &tokens.access_token) {
            self.ask_about(provider, about, token, &mut verified).await;
        }
        Ok(verified)
    }

    fn signing_in(&self, name: &str) -> Result<(&Provider, &ClientConfig), SignInFailure> {
        let provider = self.providers.iter().find(|provider| *provider.name == *name);
        let client =
            provider.and_then(|provider| Some((provider, provider.config.client.as_ref()?)));
        client.ok_or(SignInFailure::NoProvider)
    }

    /// Changes a code for tokens.
    async fn change(
        &self,
        provider: &Provider,
        client: &ClientConfig,
        at: &SignInAt,
        pending: &Pending,
        code: &str,
    ) -> Result<Tokens, SignInFailure> {
        let secret = provider.config.secret().map_err(SignInFailure::Secret)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &pending.redirect_uri),
            ("code_verifier", &pending.verifier),
        ];
        let in_header = match (&secret, at.shows) {
            (Some(secret), Shows::InHeader) => Some(basic(&client.id, secret)),
            (Some(secret), Shows::InForm) => {
                form.extend([("client_id", &*client.id), ("client_secret", secret)]);
                None
            }
            (None, Shows::InHeader | Shows::InForm) => {
                form.push(("client_id", &client.id));
                None
            }
        };
        let call = Call::form(&at.token, form);
        let call = match in_header {
            Some(header) => call.authorized(header),
            None => call,
        };
        let answer = self.outgoing.make(call).await;
        let answer = answer.map_err(|error| provider.silent("a code", &error))?;
        let down = |why: &str| {
            let why = format!("a code: the answer's status is {}{why}", answer.status);
            SignInFailure::Down(provider.down(why))
        };
        match answer.status {
            200 => answer.json().ok_or_else(|| down(", and it holds no id_token")),
            400..=499 if answer.status != 429 => match answer.json::<Refusal>() {
                Some(refusal) => Err(SignInFailure::Refused(refusal.error)),
                None => Err(down("")),
            },
            _ => Err(down("")),
        }
    }

    /// Asks for what the token does not say about somebody (OpenID Connect Core, 5.3): many providers write
    /// names and groups only there. What it does say stays.
    async fn ask_about(
        &self,
        provider: &Provider,
        url: &HttpsUrl,
        token: &str,
        verified: &mut Verified,
    ) {
        let named = !verified.name.is_empty() && !verified.upn.is_empty();
        if named && verified.email.is_some() && verified.groups != Groups::Absent {
            return;
        }
        let answer = self.outgoing.make(Call::get(url).authorized(format!("Bearer {token}"))).await;
        let claims = match answer {
            Ok(answer) if answer.status == 200 => answer.json::<Map<String, Value>>(),
            Ok(_) | Err(_) => None,
        };
        // Of anybody else it would be another's name that is shown, and another's groups that count.
        let same = |claims: &Map<String, Value>| {
            claims.get("sub").and_then(Value::as_str) == Some(verified.subject.as_str())
        };
        let Some(claims) = claims.filter(same) else {
            tracing::warn!(
                provider = &*provider.name,
                "the provider says nothing more of somebody"
            );
            return;
        };
        let About { name, upn, email, groups } = About::read(&claims, &provider.config.claims);
        if verified.name.is_empty() {
            verified.name = name;
        }
        if verified.upn.is_empty() {
            verified.upn = upn;
        }
        if verified.email.is_none() {
            verified.email = email;
        }
        if verified.groups == Groups::Absent {
            verified.groups = groups;
        }
    }
}

impl Provider {
    async fn sign_in_at(&self, now: Now) -> Result<SignInAt, SignInFailure> {
        let seen = match self.known.now(now) {
            Age::Fresh(seen) => seen,
            Age::Old(seen) => {
                self.known.ask_aside(now);
                seen
            }
            Age::Nothing => self.known.ask(now).await.map_err(SignInFailure::Down)?,
        };
        let none = || SignInFailure::Down(self.down("it names no ends for a sign-in".to_owned()));
        seen.discovery.sign_in.clone().ok_or_else(none)
    }

    async fn of_sign_in(
        &self,
        token: &str,
        client: &ClientConfig,
        pending: &Pending,
        now: Now,
    ) -> Result<Verified, SignInFailure> {
        let jws = Jws::read(token).map_err(SignInFailure::Token)?;
        self.is_signed(&jws, now).await.map_err(refused)?;
        let ours = For::SignIn { client: &client.id, nonce: &pending.nonce };
        let verified = self.read(&jws, &ours, now).map_err(SignInFailure::Token)?;
        // In whole seconds, as the provider says it.
        let just_now =
            |at: Timestamp| later(at, BEHIND_MAX).as_second() >= pending.begun.as_second();
        match pending.freshness {
            Freshness::AsItIs => Ok(verified),
            Freshness::Again if verified.auth_time.is_some_and(just_now) => Ok(verified),
            Freshness::Again => Err(SignInFailure::NotFresh),
        }
    }

    fn silent(&self, what: &str, error: &OutgoingError) -> SignInFailure {
        SignInFailure::Down(self.down(format!("{what}: {error}")))
    }

    fn down(&self, why: String) -> Down {
        Down { provider: Arc::clone(&self.name), why, wait: FAILURE_PAUSE }
    }
}

/// A provider that does not answer is no fault of the token.
fn refused(rejected: Rejected) -> SignInFailure {
    if let Rejected::Down(down) = rejected {
        SignInFailure::Down(down)
    } else {
        SignInFailure::Token(rejected)
    }
}

/// Both are encoded as a form's are, before they are put together (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}
