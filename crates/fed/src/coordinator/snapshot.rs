//! What of a coordinator outlives its attempts, as bytes.

use std::sync::Arc;

use fovea_secagg::evidence::Equivocation;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use serde::{Deserialize, Serialize};

use crate::coordinator::CoordinatorMachine;
use crate::coordinator::rejoin::Publication;
use crate::error::StoreError;
use crate::manifest::SignedPlan;
use crate::state::ServerState;

/// Kind of a snapshot in `fovea_wire`.
const SNAPSHOT_KIND: u8 = 3;

#[derive(Serialize)]
struct Written<'a> {
    manifest: Hash,
    state: &'a ServerState,
    attempts: u16,
    evidence: &'a [Equivocation],
    publication: &'a Option<Publication>,
    previous: &'a Option<ServerState>,
}

#[derive(Deserialize)]
struct Read {
    manifest: Hash,
    state: ServerState,
    attempts: u16,
    evidence: Vec<Equivocation>,
    publication: Option<Publication>,
    previous: Option<ServerState>,
}

impl CoordinatorMachine {
    /// Everything but the attempt under way.
    pub(crate) fn to_snapshot(&self) -> Result<Vec<u8>, StoreError> {
        let written = Written {
            manifest: self.plan.digest(),
            state: &self.state,
            attempts: self.attempts,
            evidence: &self.evidence,
            publication: &self.publication,
            previous: &self.previous,
        };
        Ok(fovea_wire::encode(SNAPSHOT_KIND, &written, usize::MAX)?)
    }

    /// A coordinator between attempts.
    pub(crate) fn from_snapshot(
        plan: Arc<SignedPlan>,
        identity: Identity,
        bytes: &[u8],
    ) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::Damaged { what };
        let read: Read = fovea_wire::decode(SNAPSHOT_KIND, bytes, usize::MAX)
            .map_err(|_| damaged("a snapshot that cannot be read"))?;
        let Read { manifest, state, attempts, evidence, publication, previous } = read;
        if manifest != plan.digest() {
            return Err(StoreError::OtherManifest { expected: plan.digest(), found: manifest });
        }
        if evidence.iter().any(|evidence| evidence.check(plan.keys()).is_err()) {
            return Err(damaged("evidence that proves nothing"));
        }
        let fits = |state: ServerState| {
            state.checked(&plan).map_err(|_| damaged("a state that does not fit the manifest"))
        };
        let (state, previous) = (fits(state)?, previous.map(fits).transpose()?);
        let machine = Self::new(plan, identity, state);
        Ok(Self { attempts, evidence, publication, previous, ..machine })
    }
}
