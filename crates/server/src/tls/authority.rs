//! The certificate authority of an installation: made at first start, and able to vouch for its own
//! server's names alone.
//!
//! Whoever steals its key cannot stand between those who trust it and anybody else.

use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

use hourgate_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::TlsError;
use crate::{data_dir, data_dir::DataDir, mint};

/// How long the authority's certificate holds. Clients have been given it by hand.
const AUTHORITY_LIFE: Duration = Duration::from_hours(24 * 3650);
/// How long a server's certificate holds.
const LEAF_LIFE: Duration = Duration::from_hours(24 * 90);
/// It is renewed when so much is left: a third.
pub(super) const LEAF_RENEWED_BEFORE: Duration = Duration::from_hours(24 * 30);
/// Certificates hold from a little before they are made: clients' clocks lag.
const BACKDATED: Duration = Duration::from_hours(1);

/// Names and addresses that a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) dns: BTreeSet<String>,
    pub(super) ips: BTreeSet<IpAddr>,
}

impl Names {
    /// Adds a host as it stands in a URL.
    pub(super) fn add(&mut self, host: &str) {
        match host.parse::<IpAddr>() {
            Ok(address) => self.ips.insert(address),
            Err(_) => self.dns.insert(host.to_owned()),
        };
    }

    fn with(&self, other: &Names) -> Names {
        Names {
            dns: self.dns.union(&other.dns).cloned().collect(),
            ips: self.ips.union(&other.ips).copied().collect(),
        }
    }

    pub(super) fn within(&self, other: &Names) -> Names {
        Names {
            dns: self.dns.intersection(&other.dns).cloned().collect(),
            ips: self.ips.intersection(&other.ips).copied().collect(),
        }
    }
}

/// The authority, ready to sign.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// What it may vouch for.
    pub(super) permitted: Names,
    /// Whether it was made or widened just now: people must be told its fingerprint.
    pub(super) fresh: bool,
}

impl Authority {
    /// Loads the authority, or makes one. `needed` was configured: an authority that may not vouch for
    /// it is widened, with the same key. `found` (this machine's addresses) is added when it is made;
    /// what appears later is left out, since widening would take the trust from every copy of the old
    /// certificate.
    pub(super) fn open(
        dir: &DataDir,
        needed: &Names,
        found: &Names,
        now: Timestamp,
    ) -> Result<Authority, TlsError> {
        let key = match read(&dir.ca_key())? {
            Some(pem) => KeyPair::from_pem(&pem)?,
            None => {
                let key = KeyPair::generate()?;
                let written = data_dir::write_new(&dir.ca_key(), key.serialize_pem().as_bytes());
                written.map_err(|error| TlsError::File(dir.ca_key(), error))?;
                key
            }
        };
        let stored = match read(&dir.ca())? {
            Some(pem) => {
                let unread = |_| TlsError::Unreadable(dir.ca());
                Some(CertificateDer::from_pem_slice(pem.as_bytes()).map_err(unread)?)
            }
            None => None,
        };
        let permitted = match &stored {
            Some(der) => permitted(der, &key).ok_or_else(|| TlsError::Unreadable(dir.ca()))?,
            None => Names::default(),
        };
        if let Some(certificate) = stored
            && needed.within(&permitted) == *needed
        {
            let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
            return Ok(Authority { issuer, certificate, permitted, fresh: false });
        }
        let permitted = permitted.with(needed).with(found);
        let params = authority_params(&permitted, now)?;
        let certificate = params.self_signed(&key)?;
        data_dir::replace(&dir.ca(), certificate.pem().as_bytes())
            .map_err(|error| TlsError::File(dir.ca(), error))?;
        let certificate = certificate.der().clone();
        Ok(Authority { issuer: Issuer::new(params, key), certificate, permitted, fresh: true })
    }

    /// A new certificate for a server of these names, with a new key, and until when it holds.
    pub(super) fn issue(
        &self,
        names: &Names,
        now: Timestamp,
    ) -> Result<(CertifiedKey, Timestamp), TlsError> {
        let mut params = CertificateParams::default();
        // No name: what looks like one in the subject is held against the constraints by some clients.
        params.distinguished_name = subject("Hourgate server");
        params.subject_alt_names = sans(names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let until = lasting(&mut params, now, LEAF_LIFE)?;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = aws_lc_rs::sign::any_ecdsa_type(&der)?;
        // With the authority's own behind it: a client that knows its fingerprint finds it there.
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok((CertifiedKey::new(chain, key), until))
    }

    /// SHA-256 of the certificate, as people compare it.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.certificate);
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

fn authority_params(permitted: &Names, now: Timestamp) -> Result<CertificateParams, TlsError> {
    let dns = permitted.dns.iter().map(|name| GeneralSubtree::DnsName(name.clone()));
    let ips = permitted.ips.iter().map(|address| {
        let length = if address.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, length))
    });
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("Hourgate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: dns.chain(ips).collect(),
        excluded_subtrees: Vec::new(),
    });
    lasting(&mut params, now, AUTHORITY_LIFE)?;
    Ok(params)
}

fn lasting(
    params: &mut CertificateParams,
    now: Timestamp,
    life: Duration,
) -> Result<Timestamp, TlsError> {
    // Seconds since 1970 of a clock that is believed; one before 1970 makes certificates of 1970.
    let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATED);
    params.not_after = epoch + since_epoch + life;
    params.serial_number =
        Some(SerialNumber::from_slice(mint::uuid().map_err(TlsError::NoRandomness)?.as_bytes()));
    Ok(hourgate_core::time::later(now, life))
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject
}

fn sans(names: &Names) -> Result<Vec<SanType>, TlsError> {
    let mut sans = Vec::new();
    for name in &names.dns {
        sans.push(SanType::DnsName(name.as_str().try_into()?));
    }
    sans.extend(names.ips.iter().map(|address| SanType::IpAddress(*address)));
    Ok(sans)
}

/// What a stored certificate may vouch for; none if it is not the key's, or not of our making.
fn permitted(der: &CertificateDer<'_>, key: &KeyPair) -> Option<Names> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    if certificate.public_key().subject_public_key.data != key.public_key_raw() {
        return None;
    }
    let constraints = certificate.name_constraints().ok()??;
    let mut names = Names::default();
    for subtree in constraints.value.permitted_subtrees.as_ref()? {
        // Ours has none of another kind.
        if let GeneralName::DNSName(name) = &subtree.base {
            names.dns.insert((*name).to_owned());
        } else if let GeneralName::IPAddress(bytes) = &subtree.base {
            names.ips.insert(address(bytes)?);
        } else {
            return None;
        }
    }
    Some(names)
}

/// The address of a constraint: address and mask, one behind the other (RFC 5280, 4.2.1.10).
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        8 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?)),
        32 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?)),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    data_dir::read(path).map_err(|error| TlsError::File(path.to_owned(), error))
}
