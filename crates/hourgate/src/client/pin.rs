//! A server that is known by the fingerprint of its CA, as it prints it at its first start.
//!
//! The CA's certificate comes with the server's own. It is believed if it has that fingerprint, and then for the
//! names that it may vouch for: nothing else is ever believed on the way.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::exit::Failure;

/// SHA-256 of a CA's certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads one: 64 hexadecimal digits, with or without what stands between.
    pub(crate) fn parse(text: &str) -> Result<Fingerprint, String> {
        let text = text.trim();
        let text = text.strip_prefix("SHA256:").or(text.strip_prefix("sha256:")).unwrap_or(text);
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ' | '-')).collect();
        let wrong = || {
            "64 hexadecimal digits are expected, as the server prints them at its first start"
                .to_owned()
        };
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// Believes the one CA with a fingerprint, and remembers its certificate.
#[derive(Debug)]
pub(crate) struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl Pinned {
    /// Nothing has been seen yet.
    pub(crate) fn new(fingerprint: Fingerprint) -> Arc<Pinned> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Arc::new(Pinned { fingerprint, provider, seen: Mutex::default() })
    }

    /// How connections are made that believe it.
    pub(crate) fn tls(self: &Arc<Pinned>) -> Result<ClientConfig, Failure> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::usage(format!("TLS cannot be prepared: {error}.")))?;
        let verifier: Arc<dyn ServerCertVerifier> = self.clone();
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The CA's certificate as PEM, once a server showed it.
    pub(crate) fn pem(&self) -> Option<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().map(|der| pem(der))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let has_it = |der: &&CertificateDer<'_>| {
            let digest = self.provider.cipher_suites.iter().find_map(sha256);
            digest.is_some_and(|hash| hash.hash(der).as_ref() == self.fingerprint.0)
        };
        let ca = intermediates.iter().find(has_it);
        let ca = ca.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        let verified =
            verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(ca.clone().into_owned());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A SHA-256 of the provider that TLS has anyway.
fn sha256(suite: &rustls::SupportedCipherSuite) -> Option<&'static dyn rustls::crypto::hash::Hash> {
    let hash = match suite {
        rustls::SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        rustls::SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
    };
    (hash.algorithm() == rustls::crypto::hash::HashAlgorithm::SHA256).then_some(hash)
}

fn pem(der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            let letter = LETTERS.get(usize::try_from(index).unwrap_or_default()).copied();
            text.push(if place > three.len() { '=' } else { char::from(letter.unwrap_or(b'=')) });
        }
    }
    let mut lines = vec!["-----BEGIN CERTIFICATE-----".to_owned()];
    let letters: Vec<char> = text.chars().collect();
    lines.extend(letters.chunks(64).map(|line| line.iter().collect()));
    lines.push("-----END CERTIFICATE-----\n".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed() {
        let digits = "0F".repeat(32);
        let colons = vec!["0f"; 32].join(":");
        let expected = Fingerprint([15; 32]);
        for text in [digits.clone(), colons, format!("SHA256:{digits}"), format!(" {digits} ")] {
            assert_eq!(Fingerprint::parse(&text), Ok(expected), "{text}");
        }
        for wrong in ["", "0F", &"0G".repeat(32), &"0F".repeat(33), &"é".repeat(32)] {
            assert!(Fingerprint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_certificate_is_written_as_base64_in_lines() {
        for length in [0, 1, 2, 3, 48, 49, 100] {
            let der: Vec<u8> = (0..length).collect();
            let text = pem(&der);
            let read = rustls::pki_types::pem::PemObject::from_pem_slice(text.as_bytes());
            let read: CertificateDer<'static> = read.expect("a certificate");
            assert_eq!(&*read, der.as_slice(), "{text}");
        }
    }
}
