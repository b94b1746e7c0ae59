//! The manifest: a plan that every site has signed. Machines take nothing less.

use std::ops::Deref;

use fovea_secagg::identity::{Identity, Signature};
use fovea_secagg::sets::SiteId;
use fovea_secagg::site::pair::{Acknowledgement, TwoPartyAcknowledged};
use serde::{Deserialize, Serialize};

use crate::job::{JobError, Plan};

/// Domain of a signature on a manifest.
const LABEL: &str = "fovea/manifest-signature/v1";

/// One site's consent to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The site.
    pub site: SiteId,
    /// Its signature on the plan's digest.
    pub signature: Signature,
    /// With two sites in all: its signed acceptance of what they disclose to one another.
    pub two_party: Option<Acknowledgement>,
}

impl Consent {
    /// Signs the plan as `site`; with two sites also the acknowledgement, if the site's configuration accepts
    /// the disclosure.
    pub fn sign(plan: &Plan, site: SiteId, identity: &Identity) -> Self {
        let accepts = plan.sites().get(usize::from(site.0)).is_some_and(|s| s.ack_two_party_disclosure);
        let two_party = (plan.sites().len() == 2 && accepts)
            .then(|| Acknowledgement::sign(plan.digest(), site, identity));
        let signature = identity.sign(LABEL, &[&plan.digest().0, &site.0.to_le_bytes()]);
        Self { site, signature, two_party }
    }

    fn holds(&self, plan: &Plan) -> bool {
        let parts: [&[u8]; 2] = [&plan.digest().0, &self.site.0.to_le_bytes()];
        let key = plan.keys().key_of(self.site);
        key.is_some_and(|key| key.verify(LABEL, &parts, &self.signature))
    }
}

/// A plan with the consent of every site.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedPlan {
    plan: Plan,
    two_party: Option<TwoPartyAcknowledged>,
}

impl SignedPlan {
    /// Checks that every site of the plan has signed it, and with two sites that both accept the disclosure.
    ///
    /// # Errors
    /// [`JobError::ManifestNotSigned`] and [`JobError::TwoPartyNotAcknowledged`] name the first site without.
    pub fn new(plan: Plan, consents: &[Consent]) -> Result<Self, JobError> {
        let signed = |site| consents.iter().any(|consent| consent.site == site && consent.holds(&plan));
        let name = |site: SiteId| plan.sites()[usize::from(site.0)].name.clone();
        if let Some(site) = plan.roster().iter().find(|&site| !signed(site)) {
            return Err(JobError::ManifestNotSigned { name: name(site) });
        }
        let two_party = match plan.sites().len() {
            2 => {
                let signed: Vec<_> = consents.iter().filter_map(|consent| consent.two_party).collect();
                let proof = TwoPartyAcknowledged::by_both(plan.digest(), plan.keys(), &signed);
                let missing = plan.roster().iter().find(|&site| !signed.iter().any(|ack| ack.site == site));
                let name = name(missing.unwrap_or(SiteId(0)));
                Some(proof.map_err(|_| JobError::TwoPartyNotAcknowledged { name })?)
            }
            _ => None,
        };
        Ok(Self { plan, two_party })
    }

    /// With two sites: proof that both accept the disclosure.
    pub fn two_party(&self) -> Option<&TwoPartyAcknowledged> {
        self.two_party.as_ref()
    }
}

impl Deref for SignedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}
