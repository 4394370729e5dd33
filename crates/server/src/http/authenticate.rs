//! Who is there, by their token: one of ours, or one that a configured provider made for this server.

use hourgate_api::error::{
    ArmError, authentication_failed, expired_token, invalid_token, unavailable,
};
use hourgate_core::{
    role::{Caller, Groups, OwnAddress, Rights, SignIn, principal::PrincipalId},
    time::Timestamp,
};
use hourgate_store::{Origin, Store};
use hyper::{HeaderMap, header::AUTHORIZATION};
use uuid::Uuid;

use super::exchange::Exchange;
use crate::{
    server::Server,
    signin::{
        self, BadToken, Identity, Visitor, introduce,
        provider::{Rejected, Verified},
    },
};

/// Somebody, as their token shows them.
struct Shown {
    object: PrincipalId,
    /// The session that the token belongs to; none for services and for another provider's tokens.
    session: Option<Uuid>,
    sign_in: Option<SignIn>,
}

/// Who calls, with what they may at this moment, and in which session.
pub(super) async fn authenticate<S: Store>(
    server: &Server<S>,
    exchange: &Exchange,
    address: OwnAddress,
    headers: &HeaderMap,
) -> Result<(Caller, Option<Uuid>), ArmError> {
    let header = headers.get(AUTHORIZATION).ok_or_else(authentication_failed)?;
    let (scheme, token) =
        header.to_str().ok().and_then(|header| header.split_once(' ')).ok_or_else(invalid_token)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(invalid_token());
    }
    let token = token.trim();
    let shown = match server.whose.as_ref().and_then(|whose| whose(token)) {
        Some(object) => Shown { object, session: None, sign_in: None },
        None => match server.sign_in.verify(token, server.now()) {
            Ok(identity) => ours(server, identity)?,
            Err(BadToken::Expired) => return Err(expired_token()),
            Err(BadToken::Invalid) => anothers(server, exchange, address, token).await?,
        },
    };
    let known = server.store.directory();
    // Nobody is let in who was forgotten or disabled since.
    let who = known.principal(shown.object).filter(|who| !who.disabled);
    let who = who.ok_or_else(invalid_token)?;
    let (settings, now) = (server.store.settings(), server.now());
    let rights = Rights::of(&known, &settings, who.id, Groups::Fresh, now);
    let Shown { session, sign_in, .. } = shown;
    Ok((Caller { person: who.person(), address, sign_in, rights }, session))
}

fn ours<S: Store>(server: &Server<S>, identity: Identity) -> Result<Shown, ArmError> {
    Ok(match identity {
        Identity::Administrator(principal) => {
            Shown { object: principal.object, session: None, sign_in: None }
        }
        Identity::Person(Visitor { session, who, .. }) => {
            let second_factor = who.methods.contains(&signin::Method::Mfa);
            let sign_in = Some(SignIn { at: who.at, second_factor });
            Shown { object: who.object, session: Some(session), sign_in }
        }
        // With what it signed in must still be its own: a removed secret ends its tokens.
        Identity::Service { client, credential } => {
            let stands = server.services.holds(client, credential, server.now().wall);
            Shown { object: stands.ok_or_else(invalid_token)?, session: None, sign_in: None }
        }
    })
}

/// Whose token of another provider it is. Whoever is new, or in other groups since, is made known first.
async fn anothers<S: Store>(
    server: &Server<S>,
    exchange: &Exchange,
    address: OwnAddress,
    token: &str,
) -> Result<Shown, ArmError> {
    let verified = server.providers.verify(token, server.now()).await.map_err(|why| {
        tracing::debug!(request = %exchange.request_id, %why, "a token is not believed");
        if let Rejected::Down(down) = &why {
            tracing::warn!(request = %exchange.request_id, %down, "a provider is down");
            return unavailable();
        }
        if matches!(why, Rejected::Expired) { expired_token() } else { invalid_token() }
    })?;
    let object = match introduce::is_known(server, &verified) {
        Some(object) => object,
        None => {
            let origin = Origin {
                person: None,
                address: Some(address.seen()),
                action: "Hourgate.Access/signIn/action".to_owned(),
                target: exchange.target.clone(),
                correlation: exchange.correlation,
            };
            introduce::person(server, origin, &verified).await.ok_or_else(invalid_token)?
        }
    };
    Ok(Shown { object, session: None, sign_in: Some(sign_in(&verified)) })
}

/// How they signed in there. A provider that does not say when may have done so at any time.
fn sign_in(verified: &Verified) -> SignIn {
    let at = verified.auth_time.unwrap_or(Timestamp::UNIX_EPOCH);
    SignIn { at, second_factor: verified.amr.contains("mfa") }
}
