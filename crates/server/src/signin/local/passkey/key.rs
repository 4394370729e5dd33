//! A passkey's public key: what it may be, how it is read from COSE (RFC 9052, RFC 9053), and whether a
//! signature is its.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use serde::{Deserialize, Serialize};

use super::cbor::{NotCbor, Reader};

/// Which keys are taken, best first, by their numbers at IANA: Ed25519, P-256, and the RSA that Windows makes
/// where it has no better chip.
pub(super) const ALGORITHMS: [i64; 3] = [-8, -7, -257];

/// How long the modulus of an RSA key may be, in bytes: 2,048 to 4,096 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Longest exponent, in bytes; all that are made have three.
const EXPONENT_BYTES_MAX: usize = 8;

/// A public key, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "alg")]
pub(crate) enum PublicKey {
    /// On P-256, with SHA-256.
    #[serde(rename = "ES256")]
    P256 {
        /// The uncompressed point of SEC 1.
        #[serde(with = "hex")]
        point: Vec<u8>,
    },
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    Ed25519 {
        /// Its 32 bytes.
        #[serde(with = "hex")]
        point: Vec<u8>,
    },
    /// RSA with PKCS #1 v1.5 and SHA-256.
    #[serde(rename = "RS256")]
    Rsa {
        /// The modulus.
        #[serde(with = "hex")]
        n: Vec<u8>,
        /// The exponent.
        #[serde(with = "hex")]
        e: Vec<u8>,
    },
}

/// The parameters of a COSE key that matter here. What -1 to -3 mean depends on the type.
#[derive(Default)]
struct Parameters<'a> {
    kind: Option<i64>,
    algorithm: Option<i64>,
    curve: Option<i64>,
    first: Option<&'a [u8]>,
    second: Option<&'a [u8]>,
    third: Option<&'a [u8]>,
}

impl PublicKey {
    /// Reads a key at the reader's front, and is an error for one that no signature could be checked with.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<PublicKey, NotCbor> {
        let found = parameters(reader)?;
        // Type, algorithm, curve: RFC 9053, tables 1, 2, 5 and 17 to 19; RFC 8812, table 1.
        let key = match (found.kind, found.algorithm, found.curve) {
            (Some(2), Some(-7), Some(1)) => {
                let (x, y) = (found.second.ok_or(NotCbor)?, found.third.ok_or(NotCbor)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(NotCbor);
                }
                PublicKey::P256 { point: [&[4], x, y].concat() }
            }
            (Some(1), Some(-8), Some(6)) => {
                PublicKey::Ed25519 { point: found.second.ok_or(NotCbor)?.to_vec() }
            }
            (Some(3), Some(-257), None) => {
                let (n, e) = (found.first.ok_or(NotCbor)?, found.second.ok_or(NotCbor)?);
                if !RSA_BYTES.contains(&n.len()) || e.len() > EXPONENT_BYTES_MAX {
                    return Err(NotCbor);
                }
                PublicKey::Rsa { n: n.to_vec(), e: e.to_vec() }
            }
            _ => return Err(NotCbor),
        };
        // A point that is not on its curve, or a modulus that is too short, is found now and not at a sign-in.
        if key.is_usable() { Ok(key) } else { Err(NotCbor) }
    }

    /// Whether a signature over a message is this key's.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed().is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    fn is_usable(&self) -> bool {
        self.parsed().is_some()
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        match self {
            PublicKey::P256 { point } => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok(),
            PublicKey::Ed25519 { point } => ParsedPublicKey::new(&ED25519, point).ok(),
            PublicKey::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
            }
        }
    }
}

/// Reads a map, and passes over what it holds besides.
fn parameters<'a>(reader: &mut Reader<'a>) -> Result<Parameters<'a>, NotCbor> {
    let mut found = Parameters::default();
    for _ in 0..reader.map()? {
        let key = reader.integer()?;
        let is_new = match key {
            1 => found.kind.replace(reader.integer()?).is_none(),
            3 => found.algorithm.replace(reader.integer()?).is_none(),
            // A curve, by number; of RSA the modulus, as bytes.
            -1 if found.kind == Some(3) => found.first.replace(reader.bytes()?).is_none(),
            -1 => found.curve.replace(reader.integer()?).is_none(),
            -2 => found.second.replace(reader.bytes()?).is_none(),
            -3 => found.third.replace(reader.bytes()?).is_none(),
            _ => {
                reader.skip()?;
                true
            }
        };
        if !is_new {
            return Err(NotCbor);
        }
    }
    Ok(found)
}
