//! The token: asked for once by client credentials, kept in memory only, renewed when it is refused.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::{
    Client,
    failure::{refused, unreached},
};
use crate::{
    exit::{Exit, Failure},
    view::not_understood,
};

/// How long the server may take to hand out a token.
const TOKEN_MAX: Duration = Duration::from_secs(30);

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
    /// A token; a fresh one where the last was refused.
    pub(super) async fn token(&self, fresh: bool) -> Result<String, Failure> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|_| !fresh) {
            return Ok(token.clone());
        }
        let token = self.ask_for_token().await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn ask_for_token(&self) -> Result<String, Failure> {
        let profile = self.profile();
        let client_id = profile.client_id.to_string();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &client_id),
            ("client_secret", profile.client_secret.reveal()),
            // No scope: the token is for the server itself, whose own name for itself may be another than
            // the one that leads to it from here, through a tunnel for example.
        ];
        let url = self.url(&format!("/{}/oauth2/v2.0/token", profile.tenant_id));
        let response = self.http.post(url).form(&form).timeout(TOKEN_MAX).send().await;
        let response = response.map_err(|error| unreached(&profile.server, &error))?;
        let status = response.status();
        let body = self.read(response).await?;
        if status.is_success() {
            let granted: Granted = serde_json::from_slice(&body)
                .map_err(|_| not_understood("a token answer without a token"))?;
            return Ok(granted.access_token);
        }
        Err(match serde_json::from_slice::<OAuthError>(&body) {
            Ok(OAuthError { error, error_description }) => {
                denied(status, &error, &error_description)
            }
            Err(_) => refused(status, &body),
        })
    }
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
