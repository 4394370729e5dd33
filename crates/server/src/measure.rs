//! What it costs to find out who calls and what they may: the same functions that every call goes through, without
//! a network between. For the bench alone.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

use hourgate_core::{
    personal::Personal,
    policy::Settings,
    role::{
        Action, Directory, Groups, Rights, Scope,
        assignment::Assignment,
        built_in::{JIT_REQUESTER, READER},
        principal::{LOCAL_ISSUER, Membership, Principal as Known, PrincipalKind},
    },
    time::Now,
};
use hourgate_store::Principal;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::Stopwatch,
    interfaces::OwnAddresses,
    signin::{Audiences, Client, KeyRing, Lives, Method, SignIn, SignInError, SignedIn},
};

const BASE: &str = "https://localhost:8443";
const SUBSCRIPTION: Uuid = Uuid::from_u128(0x51);
const WHO: Uuid = Uuid::from_u128(0x77);

/// How long each of many checks took.
pub struct CheckCosts {
    /// Token and roles, where the token was seen before.
    pub seen: Vec<Duration>,
    /// The same, where it comes for the first time: with the signature.
    pub new: Vec<Duration>,
    /// The signature of another provider's token alone, with RS256 and 2,048 bits.
    pub rs256: Vec<Duration>,
}

/// Checks somebody's token and roles so many times, who has so many assignments of which only the last lets them ask.
pub fn check_costs(given: u32, rounds: u32, now: Now) -> Result<CheckCosts, SignInError> {
    let administrator = Principal {
        client: Uuid::from_u128(1),
        object: Uuid::from_u128(2),
        name: "administrator".to_owned(),
        secret_digest: [0; 32],
    };
    let keys = KeyRing::of(Duration::from_hours(24 * 30), [])?;
    keys.tend(now.wall)?;
    let audiences = Audiences::new(BASE, &[], OwnAddresses::default());
    let lives = Lives { idle: Duration::from_hours(12), longest: Duration::from_hours(168) };
    let sign_in =
        SignIn::open(Uuid::from_u128(3), administrator.clone(), audiences, keys, (lives, &[]));
    let who = SignedIn {
        object: WHO,
        name: "Ann".to_owned(),
        upn: None,
        at: now.wall,
        methods: BTreeSet::from([Method::Pwd, Method::Mfa]),
    };
    let session = Uuid::from_u128(4);
    let from = Ipv4Addr::LOCALHOST.into();
    let _row = sign_in.sessions.begin_in_browser(session, "cookie", who.clone(), from, now.wall);
    let of = (session, Client::Command);
    let tokens = sign_in.session_tokens(of, &who, (BASE, BASE.to_owned()), None, now)?;
    let (directory, settings) = (directory(given, now), Settings::default());
    let check = || {
        let watch = Stopwatch::start();
        let seen = sign_in.verify(&tokens.access, now).is_ok();
        let known = directory.principal(WHO).is_some_and(|who| !who.disabled);
        let rights = Rights::of(&directory, &settings, WHO, Groups::Fresh, now);
        let may = rights.allow(Action::Initiate, &vm(given.saturating_sub(1)));
        let took = watch.elapsed();
        (seen && known && may).then_some(took)
    };
    let new = (0..rounds).filter_map(|_| {
        sign_in.replaced(administrator.clone());
        check()
    });
    Ok(CheckCosts {
        new: new.collect(),
        seen: (0..rounds).filter_map(|_| check()).collect(),
        rs256: rs256(rounds)?,
    })
}

fn vm(number: u32) -> Scope {
    let group = Scope::subscription(SUBSCRIPTION);
    let path = format!(
        "{group}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web-{number}"
    );
    path.parse().unwrap_or(group)
}

fn directory(given: u32, now: Now) -> Directory {
    let mut directory = Directory::default();
    directory.set_principal(Arc::new(Known {
        id: WHO,
        kind: PrincipalKind::User,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal("ann".to_owned()),
        name: Personal("Ann".to_owned()),
        upn: None,
        verified_mail: None,
        disabled: false,
        groups: Membership::default(),
    }));
    for number in 0..given {
        directory.assign(Arc::new(Assignment {
            id: Uuid::from_u128(0xa000 + u128::from(number)),
            scope: vm(number),
            role: if number + 1 == given { JIT_REQUESTER } else { READER },
            principal: WHO,
            description: None,
            created: now.wall,
            by: None,
            until: None,
        }));
    }
    directory
}

/// How much stands before the key itself in PKCS #8, for RSA with 2,048 bits.
const PKCS8_HEADER_BYTES: usize = 26;

fn rs256(rounds: u32) -> Result<Vec<Duration>, SignInError> {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .map_err(SignInError::Key)?;
    // What is inside of a PKCS #8 key of this length (RFC 5208) is what the library wants (RFC 8017).
    let inside = key.serialized_der().get(PKCS8_HEADER_BYTES..).unwrap_or_default();
    let signing = EncodingKey::from_rsa_der(inside);
    let verifying = DecodingKey::from_rsa_der(key.public_key_raw());
    let claims = json!({ "iss": BASE, "sub": "ann", "exp": 4_000_000_000_u32 });
    let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signing)
        .map_err(SignInError::Token)?;
    let validation = Validation::new(Algorithm::RS256);
    let check = |_| {
        let watch = Stopwatch::start();
        let read = jsonwebtoken::decode::<Value>(&token, &verifying, &validation);
        let took = watch.elapsed();
        read.ok().map(|_| took)
    };
    Ok((0..rounds).filter_map(check).collect())
}

#[cfg(test)]
mod tests {
    use hourgate_core::time::Clock;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn each_check_lets_in_whom_it_should() {
        let now = SystemClock::new().expect("a clock").now();
        let costs = check_costs(50, 3, now).expect("keys");
        assert_eq!((costs.seen.len(), costs.new.len(), costs.rs256.len()), (3, 3, 3));
    }
}
