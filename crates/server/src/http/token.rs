//! The token, device and revocation routes: how a client has somebody signed in, and out.
//!
//! Errors are OAuth's (RFC 6749, 5.2). What is guessed at is counted, and waited for.

use std::net::IpAddr;

use hourgate_api::{
    paths::{Page, Route},
    token::{DeviceAnswer, TokenAnswer, TokenError, TokenErrorKind},
};
use hourgate_core::{
    event::Note,
    role::{Scope, principal::PrincipalKind},
    time::{Now, Timestamp},
};
use hourgate_store::{Origin, Principal, Store};
use hyper::StatusCode;
use uuid::Uuid;

use super::exchange::{Answer, Exchange, with};
use crate::{
    admin::{person, visitor},
    mint,
    mint::NoRandomness,
    server::Server,
    signin::{
        Asking, Attempt, Client, Code, DEVICE_LIFE, DeviceForm, Grant, INTERVAL, Polled, Redeemed,
        RefreshToken, Refreshed, SessionTokens, SignInError, SignedIn, TOKEN_LIFE, TokenForm,
        UserCode, device_form,
        local::{
            accounts::Occasion,
            service::{
                Proved,
                assertion::{AssertionFault, Issuers},
            },
        },
        provider::Providers,
        revoke_form, token_form,
    },
};

/// How often a code is minted anew because somebody has it: with a thousand of 20^8 once is plenty.
const CODE_TRIES_MAX: usize = 4;
/// What is told as the action of whoever signs in.
const SIGN_IN: &str = "Hourgate.Access/signIn/action";

/// Somebody who wants a token.
pub(super) struct Caller<'a, S> {
    pub(super) server: &'a Server<S>,
    pub(super) exchange: &'a Exchange,
    pub(super) from: IpAddr,
}

/// Asks the providers about tokens that stand for services.
struct Federated<'a> {
    providers: &'a Providers,
    now: Now,
}

impl Issuers for Federated<'_> {
    async fn subject(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        _now: Timestamp,
    ) -> Result<String, String> {
        let verified = self.providers.verify_assertion(token, &[audience], self.now).await;
        let verified = verified.map_err(|rejected| rejected.to_string())?;
        if *verified.issuer != *issuer {
            return Err("another issuer made it".to_owned());
        }
        Ok(verified.subject)
    }
}

/// Why there is no token.
enum Refused {
    /// As OAuth says it.
    With(StatusCode, TokenError),
    /// They guess too often.
    TooOften(std::time::Duration),
}

impl From<TokenErrorKind> for Refused {
    fn from(kind: TokenErrorKind) -> Refused {
        let status = match kind {
            TokenErrorKind::InvalidClient => StatusCode::UNAUTHORIZED,
            TokenErrorKind::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            TokenErrorKind::InvalidRequest
            | TokenErrorKind::UnsupportedGrantType
            | TokenErrorKind::InvalidGrant
            | TokenErrorKind::AuthorizationPending
            | TokenErrorKind::SlowDown
            | TokenErrorKind::ExpiredToken
            | TokenErrorKind::AccessDenied
            | TokenErrorKind::InvalidResource => StatusCode::BAD_REQUEST,
        };
        Refused::With(status, TokenError::new(kind))
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Refused {
        let status = match error.error == TokenErrorKind::InvalidClient {
            true => StatusCode::UNAUTHORIZED,
            false => StatusCode::BAD_REQUEST,
        };
        Refused::With(status, error)
    }
}

impl From<NoRandomness> for Refused {
    fn from(error: NoRandomness) -> Refused {
        tracing::error!(%error, "nothing can be minted");
        TokenErrorKind::TemporarilyUnavailable.into()
    }
}

impl From<SignInError> for Refused {
    fn from(error: SignInError) -> Refused {
        tracing::error!(%error, "no token");
        TokenErrorKind::TemporarilyUnavailable.into()
    }
}

impl<S: Store> Caller<'_, S> {
    /// Answers the token route.
    pub(super) async fn token(&self, form: &[u8], basic: Option<&str>) -> Answer {
        let answered = match token_form(form, basic) {
            Ok(TokenForm { grant, resources }) => self.grant(grant, &resources).await,
            Err(error) => Err(error.into()),
        };
        match answered {
            Ok(answer) => self.exchange.json(StatusCode::OK, &answer),
            Err(refused) => self.refused(refused),
        }
    }

    /// Answers the device route.
    pub(super) fn device(&self, form: &[u8]) -> Answer {
        let begun = device_form(form).map_err(Refused::from).and_then(|form| self.begin(form));
        match begun {
            Ok(answer) => self.exchange.json(StatusCode::OK, &answer),
            Err(refused) => self.refused(refused),
        }
    }

    /// Answers the revocation route: 200 whatever the token is (RFC 7009, 2.2).
    pub(super) async fn revoke(&self, form: &[u8]) -> Answer {
        match revoke_form(form) {
            Ok(token) => {
                let session = token.and_then(|sent| self.server.sign_in.sessions.of_refresh(&sent));
                if let Some((session, change)) =
                    session.and_then(|id| self.server.sign_in.sessions.end(id))
                {
                    let (object, id) = (session.who.object, session.id.to_string());
                    let note = Note::SessionEnded { object, session: id };
                    let origin = self.origin(Some(&session.who));
                    self.server.keep(origin, vec![change], note).await;
                }
                self.exchange.empty(StatusCode::OK)
            }
            Err(error) => self.refused(error.into()),
        }
    }

    async fn grant(&self, grant: Grant, resources: &[String]) -> Result<TokenAnswer, Refused> {
        let server = self.server;
        let audience = server.sign_in.audience(resources).map_err(|unknown| {
            let tenant = server.installation.tenant;
            TokenError::unknown_resource(unknown, tenant, &server.base)
        });
        // Who names no resource gets a token for the name that the device or browser was told.
        match grant {
            Grant::Secret(sent) => {
                let (audience, now) = (audience?, server.now());
                if let Some(proved) = server.services.secret(&sent.client, &sent.secret, now.wall) {
                    return self.service_account(&proved, audience).await;
                }
                match server.sign_in.attempt(&sent, self.from, now) {
                    Attempt::Right(principal) => self.service(&principal, audience).await,
                    Attempt::Wrong => {
                        self.failed(hourgate_api::text::quoted(&sent.client)).await;
                        Err(TokenErrorKind::InvalidClient.into())
                    }
                    Attempt::TooOften(wait) => {
                        self.passed_over();
                        Err(Refused::TooOften(wait))
                    }
                }
            }
            Grant::Assertion { client, assertion } => {
                let (audience, sent) = (audience?, (assertion.as_str(), client.as_deref()));
                let on = Occasion {
                    store: &server.store,
                    origin: self.origin(None),
                    from: self.from,
                    now: server.now(),
                };
                let is_ours = |audience: &str| server.sign_in.takes_assertions_for(audience);
                let issuers = Federated { providers: &server.providers, now: server.now() };
                match server.services.assertion(on, sent, is_ours, &issuers).await {
                    Ok(proved) => self.service_account(&proved, audience).await,
                    Err(fault) => Err(self.no_assertion(client, &fault).await),
                }
            }
            Grant::Device { client, secret } => {
                audience?;
                let polled = server.sign_in.devices().poll(&secret, client, server.now().wall);
                match polled {
                    Polled::Approved { who, audience } => {
                        self.begin_session(client, who, audience, None, mint::uuid()?).await
                    }
                    Polled::Pending => Err(TokenErrorKind::AuthorizationPending.into()),
                    Polled::SlowDown => Err(TokenErrorKind::SlowDown.into()),
                    Polled::Denied => Err(TokenErrorKind::AccessDenied.into()),
                    Polled::Expired => Err(TokenErrorKind::ExpiredToken.into()),
                    Polled::Unknown => Err(self.guessed(client).await),
                }
            }
            Grant::Code { client, code, redirect, verifier } => {
                audience?;
                self.code(client, (&code, &redirect, &verifier)).await
            }
            Grant::Refresh { client, token } => self.refresh(client, &token, audience?).await,
        }
    }

    /// A token for a service that showed its secret.
    async fn service(
        &self,
        principal: &Principal,
        audience: String,
    ) -> Result<TokenAnswer, Refused> {
        let client = principal.client.to_string();
        let directory = self.server.store.directory();
        if directory.principal(principal.object).is_none_or(|known| known.disabled) {
            self.failed(client).await;
            return Err(TokenErrorKind::InvalidClient.into());
        }
        let origin = Origin { person: Some(person(principal)), ..self.origin(None) };
        // A sign-in goes on when it cannot be recorded: somebody must be able to close a port then.
        self.server.note(origin.clone(), Note::SignedIn { client }).await;
        let whole = Scope::subscription(self.server.installation.subscription);
        if directory.leads(&whole).any(|who| who.kind == PrincipalKind::User) {
            let what = "the administrator of the first start signed in, although a person is Owner: if nobody \
                        needs it, disable it"
                .to_owned();
            tracing::warn!(what);
            self.server.metrics.administrator_alarms.inc();
            self.server.note(origin, Note::Alarm { what }).await;
        }
        let (base, now) = (&self.server.base, self.server.now());
        let token = self.server.sign_in.token(principal, base, audience, now)?;
        Ok(TokenAnswer::bearer(token, TOKEN_LIFE.as_secs() - 1))
    }

    /// A token for a service account that proved what it is.
    async fn service_account(
        &self,
        proved: &Proved,
        audience: String,
    ) -> Result<TokenAnswer, Refused> {
        let server = self.server;
        let known = server.store.directory().principal(proved.service.object).cloned();
        let Some(known) = known.filter(|known| !known.disabled) else {
            self.failed(proved.service.client.to_string()).await;
            return Err(TokenErrorKind::InvalidClient.into());
        };
        let client = proved.service.client.to_string();
        let origin = Origin { person: Some(known.person()), ..self.origin(None) };
        server.note(origin, Note::SignedIn { client }).await;
        let token = server.sign_in.service_token(proved, &server.base, audience, server.now())?;
        Ok(TokenAnswer::bearer(token, TOKEN_LIFE.as_secs() - 1))
    }

    /// An assertion that is not taken. Why is for the log alone: whoever sent it may be anybody.
    async fn no_assertion(&self, client: Option<String>, fault: &AssertionFault) -> Refused {
        let client = client.unwrap_or_default();
        let said = client.parse().unwrap_or_default();
        match self.server.sign_in.guessed(said, self.from, self.server.now()) {
            Some(wait) => {
                self.passed_over();
                Refused::TooOften(wait)
            }
            None => {
                let client = hourgate_api::text::quoted(&client);
                tracing::info!(client, %fault, "an assertion was not taken");
                self.failed(client).await;
                TokenErrorKind::InvalidClient.into()
            }
        }
    }

    fn begin(&self, form: DeviceForm) -> Result<DeviceAnswer, Refused> {
        let server = self.server;
        let DeviceForm { client, resources } = form;
        let audience = server.sign_in.audience(&resources).map_err(|unknown| {
            let tenant = server.installation.tenant;
            TokenError::unknown_resource(unknown, tenant, &server.base)
        })?;
        let now = server.now();
        let asking = Asking { client, from: self.from, at: now.wall, audience };
        for _ in 0..CODE_TRIES_MAX {
            let (secret, code) = (mint::secret()?, UserCode::of(mint::key()?));
            let begun = server.sign_in.devices().begin(&secret, code, asking.clone());
            if begun.is_err() {
                continue;
            }
            let verification_uri = format!("{}{}", server.base, Route::Page(Page::Device));
            let message = format!(
                "To sign in, open {verification_uri} in a browser and enter the code {code}."
            );
            return Ok(DeviceAnswer {
                device_code: secret,
                user_code: code.to_string(),
                verification_uri,
                expires_in: DEVICE_LIFE.as_secs(),
                interval: INTERVAL.as_secs(),
                message,
            });
        }
        Err(Refused::TooOften(INTERVAL))
    }

    async fn code(
        &self,
        client: Client,
        (code, redirect, verifier): (&str, &str, &str),
    ) -> Result<TokenAnswer, Refused> {
        let (session, now) = (mint::uuid()?, self.server.now().wall);
        let shown = (client, redirect, verifier);
        let redeemed = self.server.sign_in.codes().redeem(code, shown, session, now);
        match redeemed {
            Redeemed::Right(code) => {
                let Code { who, audience, nonce, .. } = *code;
                self.begin_session(client, who, audience, nonce, session).await
            }
            Redeemed::Again(session) => {
                // Two have it, and one of them is not who it was made for.
                if let Some((session, change)) = self.server.sign_in.sessions.end(session) {
                    let (object, family) = (session.who.object, session.id.to_string());
                    let note = Note::RefreshReused { object, family };
                    let origin = self.origin(Some(&session.who));
                    self.server.keep(origin, vec![change], note).await;
                }
                Err(TokenErrorKind::InvalidGrant.into())
            }
            Redeemed::Wrong => Err(self.guessed(client).await),
        }
    }

    /// A session at a command begins, with its first tokens.
    async fn begin_session(
        &self,
        client: Client,
        who: SignedIn,
        audience: String,
        nonce: Option<String>,
        id: Uuid,
    ) -> Result<TokenAnswer, Refused> {
        let (server, now) = (self.server, self.server.now());
        if !self.is_let_in(who.object) {
            return Err(TokenErrorKind::InvalidGrant.into());
        }
        let first = RefreshToken::first(id, mint::key()?, mint::key()?);
        let sessions = &server.sign_in.sessions;
        let begun =
            sessions.begin_at_command(&first, client.id(), who.clone(), self.from, now.wall);
        let changes = begun.map_err(|_| Refused::from(TokenErrorKind::TemporarilyUnavailable))?;
        let note = Note::SessionBegan { object: who.object, session: id.to_string() };
        // Also where it cannot be written: then it lasts until the server ends.
        server.keep(self.origin(Some(&who)), changes, note).await;
        self.tokens((id, client), &who, audience, nonce, &first)
    }

    async fn refresh(
        &self,
        client: Client,
        sent: &RefreshToken,
        audience: String,
    ) -> Result<TokenAnswer, Refused> {
        let (server, now) = (self.server, self.server.now());
        let fresh = sent.next(mint::key()?);
        match server.sign_in.sessions.refresh(sent, client.id(), &fresh, now.wall) {
            Refreshed::Next { session, change } => {
                if !self.is_let_in(session.who.object) {
                    return Err(TokenErrorKind::InvalidGrant.into());
                }
                let (object, family) = (session.who.object, session.id.to_string());
                let note = Note::TokensRenewed { object, family };
                let origin = self.origin(Some(&session.who));
                let of = (session.id, client);
                // What is not written would be forgotten by a restart, and its owner taken for a thief.
                let given = match server.store.keep(origin, vec![change], note).await {
                    Ok(()) => &fresh,
                    Err(error) => {
                        tracing::error!(%error, "a refresh token stays, since the next cannot be kept");
                        server.sign_in.sessions.not_refreshed(sent);
                        sent
                    }
                };
                self.tokens(of, &session.who, audience, None, given)
            }
            Refreshed::Reused { session, change } => {
                let (object, family) = (session.who.object, session.id.to_string());
                tracing::warn!(family, "a refresh token came a second time; its session is over");
                let origin = self.origin(Some(&session.who));
                let note = Note::RefreshReused { object, family };
                server.keep(origin, vec![change], note).await;
                Err(TokenErrorKind::InvalidGrant.into())
            }
            Refreshed::Over(change) => {
                let note = Note::CredentialsSwept { count: 1 };
                server.keep(self.origin(None), vec![change], note).await;
                Err(TokenErrorKind::InvalidGrant.into())
            }
            Refreshed::Unknown => Err(self.guessed(client).await),
        }
    }

    fn tokens(
        &self,
        (session, client): (Uuid, Client),
        who: &SignedIn,
        audience: String,
        nonce: Option<String>,
        refresh: &RefreshToken,
    ) -> Result<TokenAnswer, Refused> {
        let (server, now) = (self.server, self.server.now());
        let scope = format!("{audience}/.default openid profile offline_access");
        let target = (server.base.as_str(), audience);
        let SessionTokens { access, id, client_info } =
            server.sign_in.session_tokens((session, client), who, target, nonce, now)?;
        let life = TOKEN_LIFE.as_secs() - 1;
        Ok(TokenAnswer::of_session(access, life, refresh.text(), (id, client_info), scope))
    }

    /// Whether somebody is known and not disabled.
    fn is_let_in(&self, object: Uuid) -> bool {
        self.server.store.directory().principal(object).is_some_and(|who| !who.disabled)
    }

    /// Somebody sent a code or a token that is nobody's.
    async fn guessed(&self, client: Client) -> Refused {
        match self.server.sign_in.guessed(client.id(), self.from, self.server.now()) {
            Some(wait) => {
                self.passed_over();
                Refused::TooOften(wait)
            }
            None => {
                self.failed(client.id().to_string()).await;
                TokenErrorKind::InvalidGrant.into()
            }
        }
    }

    async fn failed(&self, client: String) {
        let server = self.server;
        server.metrics.sign_in_failures.inc();
        let (recorded, before) = server.failed_sign_ins.count(server.now().boot.nanos);
        if before > 0 {
            server.note(self.origin(None), Note::MoreRefused { count: before }).await;
        }
        if recorded {
            server.note(self.origin(None), Note::SignInFailed { client }).await;
        }
    }

    fn passed_over(&self) {
        self.server.metrics.sign_in_failures.inc();
        self.server.failed_sign_ins.pass_over();
    }

    fn refused(&self, refused: Refused) -> Answer {
        match refused {
            Refused::With(status, error) => self.exchange.json(status, &error),
            Refused::TooOften(wait) => {
                let error = TokenError::new(TokenErrorKind::TemporarilyUnavailable);
                let answer = self.exchange.json(StatusCode::TOO_MANY_REQUESTS, &error);
                with(answer, "retry-after", &(wait.as_secs() + 1).to_string())
            }
        }
    }

    fn origin(&self, who: Option<&SignedIn>) -> Origin {
        Origin {
            person: who.map(visitor),
            address: Some(self.from),
            action: SIGN_IN.to_owned(),
            target: self.exchange.target.clone(),
            correlation: self.exchange.correlation,
        }
    }
}
