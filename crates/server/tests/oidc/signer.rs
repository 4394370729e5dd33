//! Keys that sign tokens, as a provider has them, and tokens signed with them in any way.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize, SigningKey};
use serde_json::{Value, json};

/// A key on P-256 or an RSA key, with an id.
pub(crate) struct Signer {
    pub(crate) id: String,
    key: KeyPair,
    rsa: bool,
}

impl Signer {
    pub(crate) fn ec(id: &str) -> Signer {
        Signer { id: id.to_owned(), key: KeyPair::generate().unwrap(), rsa: false }
    }

    pub(crate) fn rsa(id: &str) -> Signer {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Signer { id: id.to_owned(), key, rsa: true }
    }

    /// The public key as it is published.
    pub(crate) fn public(&self) -> Value {
        let raw = self.key.public_key_raw();
        let part = |from: usize, to: usize| URL_SAFE_NO_PAD.encode(&raw[from..to]);
        if self.rsa {
            // DER: a sequence of n, 257 bytes with its leading zero, and e.
            let (n, e) = (part(9, 265), part(267, 270));
            json!({ "kty": "RSA", "use": "sig", "kid": self.id, "n": n, "e": e })
        } else {
            let (x, y) = (part(1, 33), part(33, 65));
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y })
        }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        if self.rsa { "RS256" } else { "ES256" }
    }

    /// A token with an honest header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.with_header(&json!({ "alg": self.algorithm(), "kid": self.id, "typ": "JWT" }), claims)
    }

    /// A token with any header, signed by this key all the same.
    pub(crate) fn with_header(&self, header: &Value, claims: &Value) -> String {
        let signed = signed(header, claims);
        let signature = if self.rsa {
            URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).unwrap())
        } else {
            let key = EncodingKey::from_ec_der(self.key.serialized_der());
            jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::ES256).unwrap()
        };
        format!("{signed}.{signature}")
    }

    /// A token signed as if the public key were a shared secret.
    pub(crate) fn with_public_key_as_secret(&self, claims: &Value) -> String {
        let signed = signed(&json!({ "alg": "HS256", "kid": self.id }), claims);
        let key = EncodingKey::from_secret(self.key.public_key_raw());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256);
        format!("{signed}.{}", signature.unwrap())
    }
}

/// A token that nobody signed.
pub(crate) fn unsigned(claims: &Value) -> String {
    format!("{}.", signed(&json!({ "alg": "none" }), claims))
}

fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
