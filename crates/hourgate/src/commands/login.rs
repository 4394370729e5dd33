//! `hourgate login` and `logout`: somebody signs in with a code that they type in a browser.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use hourgate_api::{
    metadata::Endpoints,
    paths::Route,
    token::{COMMAND_CLIENT, DEVICE_CODE, DeviceAnswer, TokenAnswer, TokenError, TokenErrorKind},
    whoami::Whoami,
};
use reqwest::{Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::block_on;
use crate::{
    cli::Global,
    client::{
        builder,
        pin::{Fingerprint, Pinned},
        roots,
        token::{TOKEN_MAX, renewed, told},
        unreached,
    },
    clock::{self, Patience},
    exit::{Exit, Failure},
    output::{Answer, Output, Table, escape::visible},
    profile::{
        Identity, Profile, Secret, Trust,
        kept::{self, Kept},
    },
    view::not_understood,
};

/// Largest answer that is read while nobody is signed in.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much longer to wait each time the server says that it is asked too often (RFC 8628, 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// The longest that a server may have a device wait between two askings, and for a code.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
const CODE_LIFE_MAX: Duration = Duration::from_hours(1);

/// Sign in as yourself: type a code in a browser, on any machine
///
/// The server is known by its CA: by the fingerprint that it printed at its first start, or by the file. Without
/// either it needs a public certificate. What is kept is for you alone, and renewed by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate login gate.example.com
  hourgate login gate.lan:8443 --fingerprint 3A:5F:…   as `hourgate serve` printed it
  hourgate login gate.lan:8443 --ca ca.pem
  hourgate login                                       again, at the server of last time")]
pub(crate) struct Login {
    /// Where the server is: a name, a name and port, or an https URL [default: that of last time]
    server: Option<String>,
    /// SHA-256 of the CA's certificate, as the server printed it
    #[arg(long, value_name = "SHA256", value_parser = Fingerprint::parse, conflicts_with = "ca")]
    fingerprint: Option<Fingerprint>,
    /// The CA's certificate: the server's ca.pem
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// End this sign-in, here and at the server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate logout")]
pub(crate) struct Logout {}

/// A server at which somebody signs in.
struct Place {
    server: Url,
    http: reqwest::Client,
    trust: Trust,
    pinned: Option<Arc<Pinned>>,
}

/// Signs in.
pub(crate) fn login(global: Global, args: Login) -> Result<(), Failure> {
    let path = path(global.profile.as_deref())?;
    if kept::is_another(&path) {
        let shown = path.display();
        return Err(Failure::usage(format!("{shown} is a profile of another kind."))
            .advise("Name another file with --profile, or none: the default place is your own."));
    }
    let place = Place::find(&args, global.profile.as_deref())?;
    let kept = block_on(place.sign_in())??;
    kept.write(&path)?;
    let mut table = Table::new(["SIGNED IN AS", "AT", "KEPT IN"]);
    table.row([kept.signed_in_as.clone(), kept.server.clone(), path.display().to_string()]);
    let value = json!({
        "signedInAs": kept.signed_in_as, "server": kept.server, "profile": path,
        "tenantId": kept.tenant_id, "subscriptionId": kept.subscription_id,
    });
    Output::new(global.output, global.query).show(&Answer::new(value, table))
}

/// Signs out.
pub(crate) fn logout(global: Global, _: Logout) -> Result<(), Failure> {
    let path = path(global.profile.as_deref())?;
    if !path.exists() {
        return Err(Failure::new(Exit::NotFound, "Nobody is signed in here.")
            .advise("An admin.json is no sign-in: it is the server's own, and stays."));
    }
    let profile = Profile::find(Some(&path))?;
    if !matches!(profile.identity, Identity::Person(_)) {
        let shown = path.display();
        return Err(Failure::usage(format!("{shown} is a service's profile, and no sign-in.")));
    }
    let kept = Kept::read(&path)?;
    let ended = block_on(end(&profile, &kept))?;
    let gone = std::fs::remove_file(&path);
    gone.map_err(|error| {
        Failure::new(Exit::Refused, format!("{} cannot be removed: {error}.", path.display()))
    })?;
    // What lies here is gone either way; that the server still knows the session must be said.
    ended.map_err(|failure| {
        failure.advise(
            "You are signed out here; end the session at the server with its page 'sessions'.",
        )
    })?;
    let mut table = Table::new(["SIGNED OUT", "AT"]);
    table.row([kept.signed_in_as.clone(), kept.server.clone()]);
    let value = json!({ "signedOut": kept.signed_in_as, "server": kept.server });
    Output::new(global.output, global.query).show(&Answer::new(value, table))
}

fn path(named: Option<&Path>) -> Result<PathBuf, Failure> {
    named.map(Path::to_owned).or_else(kept::default_path).ok_or_else(|| {
        Failure::usage("Neither HOME nor XDG_CONFIG_HOME says where a sign-in could be kept.")
            .advise("Name a file with --profile.")
    })
}

async fn end(profile: &Profile, kept: &Kept) -> Result<(), Failure> {
    let place = Place::at(profile.server.clone(), profile.trust.clone())?;
    let client = COMMAND_CLIENT.to_string();
    let form = [("client_id", client.as_str()), ("token", kept.refresh_token.reveal())];
    let route = Route::Revoke(profile.tenant_id.to_string());
    let response = place.post(&route, &form).await?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => {
            let sentence = format!("The server did not end the session: it answered {status}.");
            Err(Failure::new(Exit::Refused, sentence))
        }
    }
}

impl Place {
    fn find(args: &Login, named: Option<&Path>) -> Result<Place, Failure> {
        // The server of last time, with what was believed then.
        let before = Profile::find(named).ok();
        let server = match (&args.server, &before) {
            (Some(text), _) => server_url(text)?,
            (None, Some(before)) => before.server.clone(),
            (None, None) => {
                return Err(Failure::usage("No server is named, and none is known here.")
                    .advise("Name it: `hourgate login gate.example.com`."));
            }
        };
        if let Some(fingerprint) = args.fingerprint {
            let pinned = Pinned::new(fingerprint);
            let http = built(builder().tls_backend_preconfigured(pinned.tls()?))?;
            return Ok(Place { server, http, trust: Trust::Public, pinned: Some(pinned) });
        }
        let same = before.filter(|before| before.server.origin() == server.origin());
        let trust = match (&args.ca, same) {
            (Some(path), _) => Trust::File(path.clone()),
            (None, Some(before)) => before.trust,
            (None, None) => Trust::Public,
        };
        Place::at(server, trust)
    }

    fn at(server: Url, trust: Trust) -> Result<Place, Failure> {
        let builder = match roots(&trust)? {
            Some(roots) => builder().tls_certs_only(roots),
            None => builder(),
        };
        Ok(Place { server, http: built(builder)?, trust, pinned: None })
    }

    async fn sign_in(&self) -> Result<Kept, Failure> {
        let route = Route::MetadataEndpoints;
        let endpoints: Endpoints =
            self.get(&route.with_query(&[("api-version", "2022-09-01")]), None).await?;
        let tenant = endpoints.authentication.tenant;
        let tenant_id = tenant.parse().map_err(|_| not_understood("a tenant that is no GUID"))?;
        let client = COMMAND_CLIENT.to_string();
        let form = [("client_id", client.as_str()), ("scope", "openid profile offline_access")];
        let response = self.post(&Route::DeviceCode(tenant.clone()), &form).await?;
        let begun: DeviceAnswer = match answer(self, response).await? {
            Ok(begun) => begun,
            Err((_, error)) => return Err(no_sign_in(&told(&error))),
        };
        eprintln!(
            "Open {} in a browser and enter the code {}",
            visible(&begun.verification_uri),
            visible(&begun.user_code)
        );
        let asked_at = clock::now();
        let token = self.wait(&tenant, &begun).await?;
        let path = Route::Whoami(None).uri();
        let who: Whoami = self.get(&path, Some(&token.access_token)).await?;
        let kept = Kept {
            server: self.server.as_str().trim_end_matches('/').to_owned(),
            ca_pem: self.ca_pem()?,
            tenant_id,
            subscription_id: who.subscription_id,
            signed_in_as: who.user_principal_name.unwrap_or(who.name),
            access_token: Secret::new(String::new()),
            access_token_ends: asked_at,
            refresh_token: Secret::new(String::new()),
        };
        Ok(renewed(kept, &token, asked_at))
    }

    /// Waits until somebody has typed the code.
    async fn wait(&self, tenant: &str, begun: &DeviceAnswer) -> Result<TokenAnswer, Failure> {
        let client = COMMAND_CLIENT.to_string();
        let form = [
            ("grant_type", DEVICE_CODE),
            ("client_id", client.as_str()),
            ("device_code", begun.device_code.as_str()),
        ];
        let patience = Patience::new(Duration::from_secs(begun.expires_in).min(CODE_LIFE_MAX));
        let mut interval = Duration::from_secs(begun.interval).min(INTERVAL_MAX);
        while !patience.left().is_zero() {
            patience.pause(interval).await;
            let response = match self.post(&Route::Token(tenant.to_owned()), &form).await {
                Ok(response) => response,
                // The network may come back while the code still holds.
                Err(failure) if patience.left().is_zero() => return Err(failure),
                Err(_) => continue,
            };
            match answer::<TokenAnswer>(self, response).await? {
                Ok(token) => return Ok(token),
                Err((_, error)) => match error.error {
                    TokenErrorKind::AuthorizationPending => {}
                    TokenErrorKind::SlowDown | TokenErrorKind::TemporarilyUnavailable => {
                        interval = (interval + SLOWER_BY).min(INTERVAL_MAX);
                    }
                    TokenErrorKind::AccessDenied
                    | TokenErrorKind::ExpiredToken
                    | TokenErrorKind::InvalidGrant
                    | TokenErrorKind::InvalidRequest
                    | TokenErrorKind::InvalidClient
                    | TokenErrorKind::UnsupportedGrantType
                    | TokenErrorKind::InvalidResource => return Err(no_sign_in(&told(&error))),
                },
            }
        }
        Err(no_sign_in("Nobody entered the code in time"))
    }

    /// The CA's certificate to believe from now on.
    fn ca_pem(&self) -> Result<Option<String>, Failure> {
        match (&self.pinned, &self.trust) {
            (Some(pinned), _) => {
                let pem = pinned.pem();
                pem.map(Some).ok_or_else(|| not_understood("no certificate of its CA"))
            }
            (None, Trust::Pem(pem)) => Ok(Some(pem.clone())),
            (None, Trust::Public) => Ok(None),
            (None, Trust::File(path)) => std::fs::read_to_string(path).map(Some).map_err(|error| {
                Failure::usage(format!("The CA {} cannot be read: {error}.", path.display()))
            }),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Result<T, Failure> {
        let url = self.url(path)?;
        let call = self.http.get(url).timeout(TOKEN_MAX);
        let call = match token {
            Some(token) => call.bearer_auth(token),
            None => call,
        };
        let response = call.send().await.map_err(|error| unreached(&self.server, &error))?;
        match answer(self, response).await? {
            Ok(answer) => Ok(answer),
            Err((status, error)) => Err(no_sign_in(&format!("{status} {}", told(&error)))),
        }
    }

    async fn post(&self, route: &Route, form: &[(&str, &str)]) -> Result<Response, Failure> {
        let url = self.url(&route.to_string())?;
        let call = self.http.post(url).form(form).timeout(TOKEN_MAX);
        call.send().await.map_err(|error| unreached(&self.server, &error))
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.server.join(path).map_err(|_| not_understood("a path that is none"))
    }
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Failure> {
    builder.build().map_err(|error| {
        Failure::new(Exit::Unreached, format!("No connection can be prepared: {error}."))
    })
}

/// A server as somebody types it.
fn server_url(text: &str) -> Result<Url, Failure> {
    let wrong = || {
        Failure::usage(format!("{} is no server.", visible(text)))
            .advise("Name it as gate.example.com, gate.lan:8443 or https://gate.lan:8443.")
    };
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url: Url = whole.parse().map_err(|_| wrong())?;
    let bare = matches!(url.path(), "/" | "") && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || url.host_str().is_none() || !bare || !nobody {
        return Err(wrong());
    }
    Ok(url)
}

/// What a server answered, or its error as OAuth says it.
async fn answer<T: DeserializeOwned>(
    place: &Place,
    mut response: Response,
) -> Result<Result<T, (StatusCode, TokenError)>, Failure> {
    let status = response.status();
    let wait = response.headers().contains_key(header::RETRY_AFTER);
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| unreached(&place.server, &error))?
    {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(not_understood("an answer of more than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        let read = serde_json::from_slice(&body);
        return read
            .map(Ok)
            .map_err(|_| not_understood("an answer that is none of a Hourgate server"));
    }
    match serde_json::from_slice::<TokenError>(&body) {
        Ok(error) => Ok(Err((status, error))),
        Err(_) if wait => {
            Ok(Err((status, TokenError::new(TokenErrorKind::TemporarilyUnavailable))))
        }
        Err(_) => Err(no_sign_in(&format!("The server answered {status}"))),
    }
}

fn no_sign_in(why: &str) -> Failure {
    Failure::new(Exit::Refused, format!("You are not signed in: {}.", why.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_people_name_it() {
        for (typed, url) in [
            ("gate.example.com", "https://gate.example.com/"),
            ("gate.lan:8443", "https://gate.lan:8443/"),
            ("https://gate.lan:8443/", "https://gate.lan:8443/"),
            ("[::1]:8443", "https://[::1]:8443/"),
        ] {
            assert_eq!(server_url(typed).expect("a server").as_str(), url);
        }
        for wrong in ["http://gate", "https://a@gate", "https://gate/x", "gate?x", "", "https://"] {
            assert_eq!(server_url(wrong).expect_err(wrong).exit, Exit::Usage, "{wrong}");
        }
    }
}
