//! Certificates: the federation's own authority, the coordinator's certificate, and what a site trusts.
//!
//! TLS 1.3 and nothing older. The federation's own authority is the default: it vouches for one server and no public
//! authority can vouch for another. Where a coordinator stands behind a public name, the platform's roots do.

use crate::error::NetError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// How long the authority's and the server's certificates hold.
const YEARS: i64 = 5;

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The certificate; with intermediate ones behind it where there are any.
    pub certificate: String,
    /// The private key.
    pub key: Zeroizing<String>,
}

/// A new authority for a federation.
///
/// # Errors
/// [`NetError::Certificate`].
pub fn authority(federation: &str) -> Result<Credentials, NetError> {
    let key = KeyPair::generate()?;
    let certificate = authority_params(federation)?.self_signed(&key)?;
    Ok(Credentials { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// A server certificate for the given host names and addresses, by the federation's authority.
///
/// # Errors
/// [`NetError::Certificate`].
pub fn server_certificate(
    federation: &str,
    authority: &Credentials,
    hosts: Vec<String>,
) -> Result<Credentials, NetError> {
    let ca_key = KeyPair::from_pem(&authority.key)?;
    // The same name and key as in the authority's certificate, which is all that an issuer is.
    let issuer = Issuer::new(authority_params(federation)?, ca_key);
    let key = KeyPair::generate()?;
    let mut params = params(hosts, "Fovea coordinator")?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Credentials { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

fn authority_params(federation: &str) -> Result<CertificateParams, NetError> {
    let mut params = params(Vec::new(), &format!("Fovea federation {federation}"))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(hosts: Vec<String>, name: &str) -> Result<CertificateParams, NetError> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    // A site whose clock is a day behind still finds the certificate valid; its requests are refused by name.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365 * YEARS);
    Ok(params)
}

impl From<rcgen::Error> for NetError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// Ciphers of TLS 1.3 alone: whatever version is negotiated, an older one has none to offer.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.version() == &rustls::version::TLS13);
    Arc::new(provider)
}

/// What the coordinator's listener needs.
///
/// # Errors
/// [`NetError::Certificate`] when certificate and key cannot be read or do not belong together.
pub fn server_config(credentials: &Credentials) -> Result<Arc<rustls::ServerConfig>, NetError> {
    let unreadable = |e: rustls::pki_types::pem::Error| NetError::Certificate(e.to_string());
    let chain = CertificateDer::pem_slice_iter(credentials.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes()).map_err(unreadable)?;
    let fault = |e: rustls::Error| NetError::Certificate(e.to_string());
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(fault)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(fault)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The first certificate of a PEM text, as DER.
///
/// # Errors
/// [`NetError::Certificate`].
pub fn certificate_der(pem: &str) -> Result<Vec<u8>, NetError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes());
    Ok(der.map_err(|e| NetError::Certificate(e.to_string()))?.to_vec())
}
