//! The token: a service's is asked for once and kept in memory; a person's is kept in a file, and renewed there
//! when it is over.

use std::{path::Path, time::Duration};

use hourgate_api::{
    paths::Route,
    token::{COMMAND_CLIENT, REFRESH_TOKEN, TokenAnswer, TokenError},
};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Client,
    failure::{refused, unreached},
};
use crate::{
    clock,
    exit::{Exit, Failure},
    profile::{
        Identity, Secret,
        kept::{self, Kept},
    },
    view::not_understood,
};

/// How long the server may take to hand out a token.
pub(crate) const TOKEN_MAX: Duration = Duration::from_secs(30);
/// How long before its end a token is renewed: a call takes a while, and clocks differ.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Client {
    /// A token; another one where the last was refused.
    pub(super) async fn token(&self, fresh: bool) -> Result<String, Failure> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|_| !fresh) {
            return Ok(token.clone());
        }
        let token = match &self.profile().identity {
            Identity::Service { .. } => self.ask_for_token().await?,
            Identity::Person(path) => self.kept_token(path, held.as_deref()).await?,
        };
        *held = Some(token.clone());
        Ok(token)
    }

    /// The token of somebody who is signed in; `refused` is one that the server does not take.
    async fn kept_token(&self, path: &Path, refused: Option<&str>) -> Result<String, Failure> {
        let held = Kept::read(path)?;
        if let Some(token) = holds(&held, refused) {
            return Ok(token);
        }
        let _lock = kept::lock(path).await?;
        // Another command may have renewed it meanwhile; a refresh token that is sent twice ends the session.
        let held = Kept::read(path)?;
        if let Some(token) = holds(&held, refused) {
            return Ok(token);
        }
        let client_id = COMMAND_CLIENT.to_string();
        let form = [
            ("grant_type", REFRESH_TOKEN),
            ("client_id", &client_id),
            ("refresh_token", held.refresh_token.reveal()),
        ];
        let asked_at = clock::now();
        let answer: TokenAnswer = match self.post_form(&form).await? {
            Ok(answer) => answer,
            Err((status, error)) => return Err(signed_out(status, &error)),
        };
        let renewed = renewed(held, &answer, asked_at);
        renewed.write(path)?;
        Ok(answer.access_token)
    }

    async fn ask_for_token(&self) -> Result<String, Failure> {
        let Identity::Service { client_id, client_secret } = &self.profile().identity else {
            return Err(not_understood("a profile without a secret"));
        };
        let client_id = client_id.to_string();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &client_id),
            ("client_secret", client_secret.reveal()),
            // No scope: the token is for the server itself, whose own name for itself may be another than
            // the one that leads to it from here, through a tunnel for example.
        ];
        match self.post_form::<Granted>(&form).await? {
            Ok(granted) => Ok(granted.access_token),
            Err((status, OAuthError { error, error_description })) => {
                Err(denied(status, &error, &error_description))
            }
        }
    }

    /// Sends a form to the token route; what OAuth calls an error comes back as one.
    async fn post_form<T: DeserializeOwned>(
        &self,
        form: &[(&str, &str)],
    ) -> Result<Result<T, (StatusCode, OAuthError)>, Failure> {
        let profile = self.profile();
        let url = self.url(&Route::Token(profile.tenant_id.to_string()).to_string());
        let response = self.http.post(url).form(form).timeout(TOKEN_MAX).send().await;
        let response = response.map_err(|error| unreached(&profile.server, &error))?;
        let status = response.status();
        let body = self.read(response).await?;
        if status.is_success() {
            let granted = serde_json::from_slice(&body)
                .map_err(|_| not_understood("a token answer without a token"))?;
            return Ok(Ok(granted));
        }
        match serde_json::from_slice::<OAuthError>(&body) {
            Ok(error) => Ok(Err((status, error))),
            Err(_) => Err(refused(status, &body)),
        }
    }
}

/// The kept token, if it holds for a while and was not refused.
fn holds(held: &Kept, refused: Option<&str>) -> Option<String> {
    let token = held.access_token.reveal();
    let left = held.access_token_ends.duration_since(clock::now());
    let lasts = Duration::try_from(left).is_ok_and(|left| left > RENEWED_BEFORE);
    (lasts && refused != Some(token)).then(|| token.to_owned())
}

/// The sign-in with the tokens of an answer.
pub(crate) fn renewed(held: Kept, answer: &TokenAnswer, asked_at: Timestamp) -> Kept {
    let life = Duration::from_secs(answer.expires_in);
    Kept {
        access_token: Secret::new(answer.access_token.clone()),
        access_token_ends: asked_at.checked_add(life).unwrap_or(Timestamp::MAX),
        refresh_token: answer.refresh_token.clone().map_or(held.refresh_token, Secret::new),
        ..held
    }
}

fn signed_out(status: StatusCode, error: &OAuthError) -> Failure {
    if error.error != "invalid_grant" {
        return denied(status, &error.error, &error.error_description);
    }
    Failure::new(Exit::Refused, "You are no longer signed in: the session is over, or was ended.")
        .advise("Sign in again with `hourgate login`.")
}

/// What OAuth says where there is no token.
pub(crate) fn told(error: &TokenError) -> String {
    let line = error.error_description.lines().next().unwrap_or_default();
    line.trim_end_matches('.').to_owned()
}

fn denied(status: StatusCode, error: &str, description: &str) -> Failure {
    let why = description.lines().next().filter(|line| !line.is_empty()).unwrap_or(error);
    let why = why.trim_end_matches('.');
    let failure = Failure::new(Exit::Refused, format!("The server gives no token: {why}."));
    if status == StatusCode::TOO_MANY_REQUESTS {
        return failure.advise("Too many attempts failed; try again later.");
    }
    failure.advise(
        "The profile's secret is not the server's: `hourgate admin rotate`, on its machine, writes a \
         new one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_once() {
        for said in ["The secret is wrong.", "The secret is wrong"] {
            let failure = denied(StatusCode::UNAUTHORIZED, "invalid_client", said);
            assert_eq!(failure.sentence, "The server gives no token: The secret is wrong.");
        }
    }
}
