//! A service's public key, as a JSON Web Key (RFC 7517): which are taken, and how a token of its is verified.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How long the modulus of an RSA key may be, in bytes: 2,048 to 4,096 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Longest exponent, in bytes.
const EXPONENT_BYTES_MAX: usize = 8;

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableKey {
    /// It holds what must never leave its owner.
    #[error(
        "This is a private key. It is not kept; make a new pair, since this one has been sent, and send the \
         public half."
    )]
    Private,
    /// It is none, or of another kind.
    #[error(
        "A key is a public JSON Web Key: EC on P-256 or P-384, OKP Ed25519, or RSA of 2,048 to 4,096 bits."
    )]
    Unsupported,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "crv")]
pub(crate) enum ServiceKey {
    /// ECDSA on P-256, with SHA-256.
    #[serde(rename = "P-256")]
    P256 {
        /// In base64, as a JWK has it.
        x: String,
        /// In base64.
        y: String,
    },
    /// ECDSA on P-384, with SHA-384.
    #[serde(rename = "P-384")]
    P384 {
        /// In base64.
        x: String,
        /// In base64.
        y: String,
    },
    /// Ed25519.
    Ed25519 {
        /// In base64.
        x: String,
    },
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa {
        /// In base64.
        n: String,
        /// In base64.
        e: String,
    },
}

impl ServiceKey {
    /// Reads a JWK; what it says besides its key is passed over.
    pub(crate) fn read(jwk: &Value) -> Result<ServiceKey, UnusableKey> {
        // RFC 7518, sections 6.2.2, 6.3.2 and 6.4: what a private or symmetric key has.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.get(name).is_some())
        {
            return Err(UnusableKey::Private);
        }
        let text = |name: &str| jwk[name].as_str().map(str::to_owned);
        let (kind, curve) = (text("kty").unwrap_or_default(), text("crv").unwrap_or_default());
        let key = match (kind.as_str(), curve.as_str()) {
            ("EC", "P-256") => text("x").zip(text("y")).map(|(x, y)| ServiceKey::P256 { x, y }),
            ("EC", "P-384") => text("x").zip(text("y")).map(|(x, y)| ServiceKey::P384 { x, y }),
            ("OKP", "Ed25519") => text("x").map(|x| ServiceKey::Ed25519 { x }),
            ("RSA", "") => text("n").zip(text("e")).map(|(n, e)| ServiceKey::Rsa { n, e }),
            _ => None,
        };
        // A point that is not on its curve is found now, and not at a sign-in.
        key.filter(|key| key.is_usable() == Some(true)).ok_or(UnusableKey::Unsupported)
    }

    /// RFC 7638: names the key, however it was written.
    pub(crate) fn thumbprint(&self) -> String {
        let text = match self {
            ServiceKey::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            ServiceKey::P384 { x, y } => {
                format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            ServiceKey::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            ServiceKey::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(Sha256::digest(text))
    }

    /// What a token that says it is signed so is verified with; none where the key does not sign so. The
    /// token's word alone chooses nothing.
    pub(super) fn verifier(&self, said: Algorithm) -> Option<DecodingKey> {
        match (self, said) {
            (ServiceKey::P256 { x, y }, Algorithm::ES256)
            | (ServiceKey::P384 { x, y }, Algorithm::ES384) => {
                DecodingKey::from_ec_components(x, y).ok()
            }
            (ServiceKey::Ed25519 { x }, Algorithm::EdDSA) => {
                DecodingKey::from_ed_components(x).ok()
            }
            (ServiceKey::Rsa { n, e }, Algorithm::RS256 | Algorithm::PS256) => {
                DecodingKey::from_rsa_components(n, e).ok()
            }
            _ => None,
        }
    }

    fn is_usable(&self) -> Option<bool> {
        let bytes = |text: &String| URL_SAFE_NO_PAD.decode(text).ok();
        let point = |x: &String, y: &String, length: usize| {
            let (x, y) = (bytes(x)?, bytes(y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
        };
        Some(match self {
            ServiceKey::P256 { x, y } => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y, 32)?).is_ok()
            }
            ServiceKey::P384 { x, y } => {
                ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(x, y, 48)?).is_ok()
            }
            ServiceKey::Ed25519 { x } => ParsedPublicKey::new(&ED25519, bytes(x)?).is_ok(),
            ServiceKey::Rsa { n, e } => {
                let (n, e) = (bytes(n)?, bytes(e)?);
                let fits = RSA_BYTES.contains(&n.len()) && e.len() <= EXPONENT_BYTES_MAX;
                let key = RsaPublicKeyComponents { n, e };
                fits && key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).is_ok()
            }
        })
    }
}
