//! Who takes part in a federation in one process, and what they signed.

use std::sync::Arc;

use fovea_secagg::identity::{Identity, Roster};

use crate::job::{Job, JobError, Parameter, Plan, SiteConfig};
use crate::local::{FederationError, OsEntropy};
use crate::manifest::{Consent, SignedPlan};

/// All identities of a federation in one process, drawn afresh for each run, and the plan they signed.
pub(super) struct Parties {
    pub plan: Arc<SignedPlan>,
    pub coordinator: Identity,
    pub sites: Vec<Identity>,
}

impl Parties {
    pub(super) fn enrol(
        job: Job,
        sites: Vec<SiteConfig>,
        parameters: Vec<Parameter>,
    ) -> Result<Self, FederationError> {
        let identity = || Identity::draw(&mut OsEntropy);
        let coordinator = identity()?;
        let identities = sites.iter().map(|_| identity()).collect::<Result<Vec<_>, _>>()?;
        let keys = identities.iter().map(Identity::public).collect();
        let keys = Roster::new(coordinator.public(), keys).map_err(JobError::from)?;
        let plan = Plan::new(job, sites, parameters, keys)?;
        let consents: Vec<Consent> = plan
            .roster()
            .iter()
            .zip(&identities)
            .map(|(site, identity)| Consent::sign(&plan, site, identity))
            .collect();
        let plan = Arc::new(SignedPlan::new(plan, &consents)?);
        Ok(Self { plan, coordinator, sites: identities })
    }
}
