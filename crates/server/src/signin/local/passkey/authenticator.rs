//! An authenticator and the browser before it, in software: what a device would answer, and what an attacker
//! would.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A passkey on a device, and how the device answers.
pub(crate) struct Device {
    key: EcdsaKeyPair,
    pub(crate) id: Vec<u8>,
    pub(crate) origin: String,
    pub(crate) party: String,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) user: Option<String>,
    pub(crate) cross_origin: bool,
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Device {
    /// On the page of that origin, unlocked by its owner.
    pub(crate) fn at(origin: &str, party: &str, id: &[u8]) -> Device {
        Device {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            id: id.to_vec(),
            origin: origin.to_owned(),
            party: party.to_owned(),
            flags: 0b0000_0101,
            counter: 0,
            user: None,
            cross_origin: false,
        }
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
            "other_keys_can_be_added_here": "do not compare clientDataJSON against a template",
        });
        data.to_string().into_bytes()
    }

    fn word(&self, new: &[u8]) -> Vec<u8> {
        let mut word = Sha256::digest(&self.party).to_vec();
        word.push(self.flags | if new.is_empty() { 0 } else { 0x40 });
        word.extend_from_slice(&self.counter.to_be_bytes());
        word.extend_from_slice(new);
        word
    }

    /// Its COSE key: P-256 for ES256.
    pub(crate) fn cose(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut cose = hex::decode("a5010203262001215820").expect("hex");
        cose.extend_from_slice(&point[1..33]);
        cose.extend_from_slice(&hex::decode("225820").expect("hex"));
        cose.extend_from_slice(&point[33..]);
        cose
    }

    /// Its answer to creation options.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        self.user = options["user"]["id"].as_str().map(str::to_owned);
        self.create_with(options["challenge"].as_str().expect("a challenge"), &self.cose())
    }

    /// The same with any key.
    pub(crate) fn create_with(&self, challenge: &str, cose: &[u8]) -> Value {
        let mut new = vec![0; 16];
        new.extend_from_slice(&u16::try_from(self.id.len()).expect("short").to_be_bytes());
        new.extend_from_slice(&self.id);
        new.extend_from_slice(cose);
        let word = self.word(&new);
        // {"fmt": "none", "attStmt": {}, "authData": word}.
        let begin = "a363666d74646e6f6e656761747453746d74a0686175746844617461";
        let mut object = hex::decode(begin).expect("hex");
        match u8::try_from(word.len()) {
            Ok(length) => object.extend([0x58, length]),
            Err(_) => {
                object.push(0x59);
                object.extend(u16::try_from(word.len()).expect("short").to_be_bytes());
            }
        }
        object.extend_from_slice(&word);
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(self.client_data("webauthn.create", challenge)),
                "attestationObject": encode(object),
                "transports": ["internal"],
            },
        })
    }

    /// Its answer to request options.
    pub(crate) fn get(&self, options: &Value) -> Value {
        let challenge = options["challenge"].as_str().expect("a challenge");
        let data = self.client_data("webauthn.get", challenge);
        let word = self.word(&[]);
        let signed = [&word[..], &Sha256::digest(&data)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("a signature");
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(data),
                "authenticatorData": encode(word),
                "signature": encode(signature),
                "userHandle": self.user,
            },
        })
    }
}
