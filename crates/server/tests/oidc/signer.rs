//! Keys that sign tokens, as a provider has them, and tokens signed with them in any way.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    RsaKeySize,
};
use serde_json::{Value, json};

/// A key with an id, and what it signs with.
pub(crate) struct Signer {
    pub(crate) id: String,
    algorithm: Algorithm,
    key: KeyPair,
}

impl Signer {
    /// On P-256, which is made in no time.
    pub(crate) fn ec(id: &str) -> Signer {
        Signer::of(id, Algorithm::ES256)
    }

    pub(crate) fn rsa(id: &str) -> Signer {
        Signer::of(id, Algorithm::RS256)
    }

    pub(crate) fn of(id: &str, algorithm: Algorithm) -> Signer {
        let key = match algorithm.family() {
            AlgorithmFamily::Ec if algorithm == Algorithm::ES384 => {
                KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)
            }
            AlgorithmFamily::Ec => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            AlgorithmFamily::Ed => KeyPair::generate_for(&PKCS_ED25519),
            AlgorithmFamily::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            AlgorithmFamily::Hmac => panic!("that is no key of a provider"),
        };
        Signer { id: id.to_owned(), algorithm, key: key.unwrap() }
    }

    /// The public key as it is published.
    pub(crate) fn public(&self) -> Value {
        let raw = self.key.public_key_raw();
        let part = |from: usize, to: usize| URL_SAFE_NO_PAD.encode(&raw[from..to]);
        let mut public = match self.algorithm.family() {
            // DER: a sequence of n, 257 bytes with its leading zero, and e.
            AlgorithmFamily::Rsa => json!({ "kty": "RSA", "n": part(9, 265), "e": part(267, 270) }),
            AlgorithmFamily::Ec => {
                let half = (raw.len() - 1) / 2;
                let curve = if half == 32 { "P-256" } else { "P-384" };
                let (x, y) = (part(1, 1 + half), part(1 + half, raw.len()));
                json!({ "kty": "EC", "crv": curve, "x": x, "y": y })
            }
            AlgorithmFamily::Ed => json!({ "kty": "OKP", "crv": "Ed25519", "x": part(0, 32) }),
            AlgorithmFamily::Hmac => panic!("that is no key of a provider"),
        };
        public["use"] = json!("sig");
        public["kid"] = json!(self.id);
        public
    }

    /// A token with an honest header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.with_header(&json!({ "alg": self.algorithm, "kid": self.id, "typ": "JWT" }), claims)
    }

    /// A token with any header, signed by this key all the same.
    pub(crate) fn with_header(&self, header: &Value, claims: &Value) -> String {
        let signed = signed(header, claims);
        let der = self.key.serialized_der();
        let key = match self.algorithm.family() {
            // PKCS#8 wraps the key itself in 26 bytes.
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_der(&der[26..]),
            AlgorithmFamily::Ec => EncodingKey::from_ec_der(der),
            AlgorithmFamily::Ed => EncodingKey::from_ed_der(der),
            AlgorithmFamily::Hmac => panic!("that is no key of a provider"),
        };
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, self.algorithm);
        let signature = signature.unwrap();
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
