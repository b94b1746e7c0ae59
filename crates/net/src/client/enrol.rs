//! From an invitation to a member.

use super::{Client, Endpoint, Roots, agent, explain};
use crate::api::{Join, Joined};
use crate::error::NetError;
use crate::limits::TRANSPORT_VERSION;
use crate::tls;
use crate::token::Token;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use ureq::tls::RootCerts;

/// Longest certificate, bytes.
const CERTIFICATE_MAX: u64 = 16 << 10;

/// What a site knows after it has joined.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Name of the federation.
    pub federation: String,
    /// The coordinator.
    pub endpoint: Endpoint,
}

/// Accepts an invitation with a key that was made here.
///
/// # Errors
/// [`NetError`].
pub fn enrol(token: &Token, proxy: Option<String>, identity: &Arc<Identity>) -> Result<Enrolled, NetError> {
    let roots = match token.authority {
        Some(digest) => Roots::Federation(fetch_authority(&token.url, proxy.as_deref(), digest)?),
        None => Roots::Platform,
    };
    let (url, coordinator) = (token.url.clone(), token.coordinator);
    let endpoint = Endpoint { url, coordinator, roots, proxy };
    let client = Client::new(endpoint.clone(), Arc::clone(identity), Arc::new(AtomicBool::new(false)))?;
    let join = Join { name: token.site.clone(), proof: token.proof(&identity.public()) };
    let Joined { federation } = client.call(&join)?;
    Ok(Enrolled { federation, endpoint })
}

/// Gets the authority's certificate, PEM. The connection is not trusted and carries nothing secret: the invitation holds
/// the certificate's digest.
///
/// # Errors
/// [`NetError::ForeignCertificate`] when the certificate is not the one of the invitation, [`NetError::Connection`].
pub fn fetch_authority(url: &str, proxy: Option<&str>, digest: Hash) -> Result<String, NetError> {
    let agent = agent(url, proxy, RootCerts::Specific(Arc::default()), true)?;
    let response = agent.get(format!("{url}/v{TRANSPORT_VERSION}/authority")).call();
    let mut response = response.map_err(|error| explain(url, &error))?;
    let body = response.body_mut().with_config().limit(CERTIFICATE_MAX).read_to_string();
    let pem = body.map_err(|error| explain(url, &error))?;
    let der = tls::certificate_der(&pem).unwrap_or_default();
    if Sha256::digest(&der)[..] != digest.0 {
        let reason = "not the certificate of the invitation".to_owned();
        return Err(NetError::ForeignCertificate { url: url.to_owned(), reason });
    }
    Ok(pem)
}
