//! The job document: everything that a hospital agrees to, as text that a person can read, and the consent to it.
//!
//! The manifest of [`fovea_fed`] covers what the protocol depends on. A document adds what is trained ([`Document::learning`],
//! which this crate does not read), and its digest is over the very bytes that were offered, so all sites consent to the
//! same training and not only to the same sums.

use crate::error::NetError;
use crate::limits::DOCUMENT_MAX;
use fovea_fed::job::{Job, Parameter, Plan, SiteConfig};
use fovea_fed::manifest::{Consent, SignedPlan};
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::{Identity, PublicKey, Roster, Signature};
use fovea_secagg::sets::SiteId;
use serde::{Deserialize, Serialize};

const LABEL: &str = "fovea/net/consent/v1";
const CONSENT_MAX: usize = 1024;

/// A job as it is offered to hospitals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Name of the federation.
    pub federation: String,
    /// The coordinator's key.
    pub coordinator: PublicKey,
    /// All sites; their places are their numbers.
    pub sites: Vec<Seat>,
    /// What the machines of the protocol need to know.
    pub job: Job,
    /// The parameter table.
    pub parameters: Vec<Parameter>,
    /// A seed for the fractions that rounding draws: for rehearsals that must end in the same bits again. Without one
    /// every site draws its own.
    pub rounding_seed: Option<u64>,
    /// What is trained, and how; opaque here.
    pub learning: serde_json::Value,
}

/// A site of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
}

/// A document with the plan that follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// The document.
    pub document: Document,
    /// The text, as it was offered.
    pub text: Vec<u8>,
    /// Digest of the text.
    pub digest: Hash,
    /// The plan.
    pub plan: Plan,
}

impl Document {
    /// As text.
    ///
    /// # Errors
    /// [`NetError::Document`] when it is too long.
    pub fn to_text(&self) -> Result<String, NetError> {
        let text = serde_json::to_string_pretty(self).map_err(|e| NetError::Document(e.to_string()))?;
        if text.len() > DOCUMENT_MAX {
            let (found, limit) = (text.len(), DOCUMENT_MAX);
            return Err(NetError::Document(format!("{found} bytes, more than the limit of {limit}")));
        }
        Ok(text)
    }

    fn plan(&self) -> Result<Plan, NetError> {
        // Consent to a document with two sites is consent to what two sites disclose: the page says so.
        let site = |seat: &Seat| SiteConfig { name: seat.name.clone(), ack_two_party_disclosure: true };
        let keys = self.sites.iter().map(|seat| seat.key).collect();
        let keys = Roster::new(self.coordinator, keys).map_err(fovea_fed::job::JobError::from)?;
        let sites = self.sites.iter().map(site).collect();
        Ok(Plan::new(self.job.clone(), sites, self.parameters.clone(), keys)?)
    }
}

impl Offered {
    /// Reads a document and checks its plan.
    ///
    /// # Errors
    /// [`NetError::Document`], [`NetError::Job`].
    pub fn read(text: &[u8]) -> Result<Self, NetError> {
        if text.len() > DOCUMENT_MAX {
            return Err(NetError::Document(format!("{} bytes, more than the limit", text.len())));
        }
        let document: Document =
            serde_json::from_slice(text).map_err(|e| NetError::Document(e.to_string()))?;
        let plan = document.plan()?;
        Ok(Self { document, text: text.to_owned(), digest: Hash::of("fovea/net/document/v1", &[text]), plan })
    }

    /// The site with this key.
    pub fn place_of(&self, key: &PublicKey) -> Option<SiteId> {
        let place = self.document.sites.iter().position(|seat| seat.key == *key)?;
        Some(SiteId(place as u16))
    }

    /// The plan with everybody's consent.
    ///
    /// # Errors
    /// [`NetError::Job`] names the first site whose consent is missing or does not hold.
    pub fn signed(&self, consents: &[SiteConsent]) -> Result<SignedPlan, NetError> {
        let valid: Vec<Consent> =
            consents.iter().filter(|consent| consent.holds(self)).map(|c| c.plan.clone()).collect();
        Ok(SignedPlan::new(self.plan.clone(), &valid)?)
    }
}

/// A site's consent to a document and to the plan in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteConsent {
    /// Consent to the plan.
    pub plan: Consent,
    /// Signature on the document's digest.
    pub document: Signature,
}

impl SiteConsent {
    /// Signs as `site`.
    pub fn sign(offered: &Offered, site: SiteId, identity: &Identity) -> Self {
        let document = identity.sign(LABEL, &[&offered.digest.0, &site.0.to_le_bytes()]);
        Self { plan: Consent::sign(&offered.plan, site, identity), document }
    }

    /// Whether the site of the plan signed this document.
    pub fn holds(&self, offered: &Offered) -> bool {
        let site = self.plan.site;
        let parts: [&[u8]; 2] = [&offered.digest.0, &site.0.to_le_bytes()];
        let seat = offered.document.sites.get(usize::from(site.0));
        seat.is_some_and(|seat| seat.key.verify(LABEL, &parts, &self.document))
    }

    /// As bytes.
    ///
    /// # Errors
    /// [`NetError::Wire`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetError> {
        Ok(fovea_wire::to_body(self, CONSENT_MAX)?)
    }

    /// From bytes; nothing is verified yet.
    ///
    /// # Errors
    /// [`NetError::Wire`].
    pub fn read(bytes: &[u8]) -> Result<Self, NetError> {
        Ok(fovea_wire::from_body(bytes, CONSENT_MAX)?)
    }
}
