//! A signed token taken apart, before anything in it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{
    Rejected,
    keys::{self, KEY_ID_BYTES_MAX, ProviderKey},
};

/// Longest token that is looked at. Entra ID's with 200 groups have 9 kB.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Header, claims and signature of a token, in their compact form (RFC 7515).
pub(super) struct Jws<'a> {
    /// As which algorithm it wants to be verified.
    pub(super) algorithm: Algorithm,
    /// The id of the key that is said to have signed it.
    pub(super) key_id: Option<String>,
    /// What it says, which is worth nothing before [`Jws::is_by`].
    pub(super) claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    /// Takes a token apart. Where it says a key can be found (`jku`, `x5u`) or brings one (`jwk`, `x5c`) is
    /// not looked at: whoever made the token wrote that.
    pub(super) fn read(token: &'a str) -> Result<Jws<'a>, Rejected> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Rejected::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejected::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejected::Malformed)?;
        let (header, claims) = (object(header)?, object(claims)?);
        let named = header.get("alg").and_then(Value::as_str).ok_or(Rejected::Malformed)?;
        let algorithm = keys::algorithm(named).ok_or(Rejected::Algorithm)?;
        // What is critical must be understood (RFC 7515, 4.1.11), and we understand no extension.
        if header.contains_key("crit") {
            return Err(Rejected::Critical);
        }
        // Those with a type of their own are no access or ID tokens: sign-outs, proofs, events.
        let kind =
            header.get("typ").map_or(Some("JWT"), Value::as_str).ok_or(Rejected::Malformed)?;
        let kind = kind.rsplit('/').next().unwrap_or_default();
        if !["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(Rejected::Kind);
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
            Some(_) => return Err(Rejected::Malformed),
        };
        Ok(Jws { algorithm, key_id, claims, signed, signature })
    }

    /// Who is said to have made it.
    pub(super) fn issuer(&self) -> Result<&str, Rejected> {
        self.claims.get("iss").and_then(Value::as_str).ok_or(Rejected::Malformed)
    }

    /// Whether a key signed it.
    pub(super) fn is_by(&self, key: &ProviderKey) -> bool {
        key.made(self.signature, self.signed, self.algorithm)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Rejected> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejected::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Rejected::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str, signature: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{signature}", part(header), part(claims))
    }

    fn refused(token: &str) -> Option<Rejected> {
        Jws::read(token).err()
    }

    #[test]
    fn a_token_is_three_parts_with_an_algorithm_that_proves_something() {
        let good =
            token(r#"{"alg":"RS256","kid":"a","jku":"https://evil"}"#, r#"{"iss":"x"}"#, "AA");
        assert_eq!(refused(&good), None);
        for algorithm in ["none", "None", "HS256", "HS384", "HS512", "RS1", ""] {
            let token = token(&format!(r#"{{"alg":"{algorithm}"}}"#), "{}", "");
            assert_eq!(refused(&token), Some(Rejected::Algorithm), "{algorithm}");
        }
        let critical = token(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, "{}", "AA");
        assert_eq!(refused(&critical), Some(Rejected::Critical));
        for (kind, good) in [("jwt", true), ("application/at+jwt", true), ("logout+jwt", false)] {
            let token = token(&format!(r#"{{"alg":"RS256","typ":"{kind}"}}"#), "{}", "AA");
            assert_eq!(refused(&token), (!good).then_some(Rejected::Kind), "{kind}");
        }
        let long_key = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(KEY_ID_BYTES_MAX + 1));
        let malformed = [
            String::new(),
            "..".to_owned(),
            "a.b".to_owned(),
            format!("{good}.{good}"),
            token("{}", "{}", "AA"),
            token(r#"{"alg":5}"#, "{}", "AA"),
            token("[]", "{}", "AA"),
            token(r#"{"alg":"RS256"}"#, "[]", "AA"),
            token(r#"{"alg":"RS256","kid":7}"#, "{}", "AA"),
            token(r#"{"alg":"RS256","typ":7}"#, "{}", "AA"),
            token(&long_key, "{}", "AA"),
            token(r#"{"alg":"RS256"}"#, &"[".repeat(5_000), "AA"),
            format!("{}=.{}.AA", "e30", "e30"),
            "a".repeat(TOKEN_BYTES_MAX + 1),
        ];
        for token in malformed {
            assert_eq!(refused(&token), Some(Rejected::Malformed), "{token}");
        }
    }
}
