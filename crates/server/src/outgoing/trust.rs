//! Whose certificates are believed when the server calls others: the system's, and the operator's own.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::OpenError;

/// Largest file of certificates that is read; a whole system's has 250 kB.
const CA_BYTES_MAX: u64 = 1 << 20;

/// How connections are secured: TLS 1.2 and 1.3 with aws-lc-rs, no certificate of our own.
pub(super) fn client(ca: Option<&Path>) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (_, unfit) = roots.add_parsable_certificates(system.certs);
    for error in &system.errors {
        tracing::warn!(%error, "certificates of the system cannot be read");
    }
    if unfit > 0 {
        tracing::debug!(unfit, "certificates of the system are none");
    }
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| unusable(path, &error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OpenError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The certificates of a PEM file; an error if there are none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| unusable(path, &error))?;
    file.take(CA_BYTES_MAX + 1).read_to_end(&mut pem).map_err(|error| unusable(path, &error))?;
    if pem.len() as u64 > CA_BYTES_MAX {
        return Err(unusable(path, &format!("it has more than {CA_BYTES_MAX} bytes")));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"it holds no certificate")) } else { Ok(found) }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> OpenError {
    OpenError::Ca(path.to_owned(), why.to_string())
}
