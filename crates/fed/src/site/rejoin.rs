//! Coming back: where this site stands, and a state that a quorum of sites starts from.
//!
//! A site that waited for a sum follows its publication late, and checks the tags as ever. One that cannot takes
//! a later state as a whole: model, moments and clips, of which the context of an attempt holds the digests. The
//! keys that sites advertise are signed in that context, so a quorum of them proves that a quorum, and with it
//! an honest site, starts from exactly this state.

use fovea_secagg::commit::Cohort;
use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::message::{COORDINATOR, CatchUpClose, Chunk, Hello, Phase};
use fovea_secagg::secret::Entropy;
use fovea_secagg::vector::Spool;

use crate::error::{CatchUpError, MachineError};
use crate::site::{Active, SiteEffect, SiteMachine};
use crate::state::ServerState;

impl SiteMachine {
    /// The message that says where this site stands. To be sent after every connection, before what the site
    /// has said in the phase under way; the coordinator answers with what this site misses.
    ///
    /// # Errors
    /// [`MachineError::Layout`], [`MachineError::Wire`].
    pub fn hello(&self) -> Result<SiteEffect, MachineError> {
        let awaits = self.active.as_ref().filter(|active| active.can_follow());
        let hello = Hello {
            round: self.state.round,
            position: self.state.position(&self.plan)?,
            awaits: awaits.map(|active| active.terms.ctx()),
        };
        let header = Header { ctx: self.plan.hello_ctx(), phase: Phase::Hello, from: self.me };
        Ok(SiteEffect::Send(Phase::Hello, Envelope::seal(header, &hello, &self.identity)?))
    }

    /// To be called once the state after [`SiteEffect::Finished`] or [`SiteEffect::CaughtUp`] is on disk: only
    /// now may the journal forget what an earlier state would need.
    ///
    /// # Errors
    /// [`MachineError::Journal`].
    pub fn state_saved(&mut self, entropy: &mut dyn Entropy) -> Result<(), MachineError> {
        self.unsaved = false;
        self.settle(entropy)
    }

    /// After a change of the state: an attempt that opened too early for this site may still be joined.
    pub(super) fn moved(&mut self, effects: &mut Vec<SiteEffect>) -> Result<(), MachineError> {
        self.unsaved = true;
        if std::mem::take(&mut self.left_behind) {
            effects.push(self.hello()?);
        }
        Ok(())
    }

    /// A message of the coordinator outside attempts.
    pub(super) fn catch_up(
        &mut self,
        envelope: &Envelope,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        match envelope.header.phase {
            Phase::CatchUpChunk => self.offered_chunk(&envelope.body()?),
            Phase::CatchUpClose => self.offered_close(envelope.body()?, effects),
            phase => Err(MachineError::OutOfPhase { phase }),
        }
    }

    fn offered_chunk(&mut self, chunk: &Chunk) -> Result<(), MachineError> {
        // The first chunk begins anew: another state may be on its way than the last time.
        if chunk.index == 0 || self.offered.is_none() {
            self.offered = Some(Spool::new(ServerState::word_count(&self.plan)));
        }
        if let Some(spool) = &mut self.offered {
            spool.accept(COORDINATOR, chunk)?;
        }
        Ok(())
    }

    fn offered_close(
        &mut self,
        close: CatchUpClose,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let state = self.proven_state(close)?;
        let model = state.model_hash();
        let round = state.round;
        self.state = state;
        self.active = None;
        self.left_behind = true;
        effects.push(SiteEffect::CaughtUp { round, model });
        self.moved(effects)
    }

    /// The offered state, if it is later than this site's and a quorum advertised keys for an attempt on it.
    fn proven_state(&mut self, close: CatchUpClose) -> Result<ServerState, CatchUpError> {
        let CatchUpClose { root, open, proof } = close;
        let (own, offered) = (self.state.round, open.round);
        if offered <= own {
            return Err(CatchUpError::NotNewer { own, offered });
        }
        let spool = self.offered.take().ok_or(CatchUpError::Words { why: "nothing arrived" })?;
        let words = spool.finish(root).map_err(|(_, why)| CatchUpError::Words { why })?;
        let state = ServerState::from_words(&self.plan, offered, &words)?;
        let terms = state.terms(&self.plan, open.round, open.attempt, open.invited);
        let (terms, _) = terms.map_err(|error| CatchUpError::State(error.into()))?;
        let cohort = Cohort::new(&terms, &proof)?;
        terms.thresholds(cohort.sites.len())?;
        Ok(state)
    }
}

impl Active {
    /// A site that has uploaded, or dropped out once it could check sums, follows the publication.
    pub(super) fn can_follow(&self) -> bool {
        use crate::site::SitePhase::{Confirmed, Following, Uploaded};
        matches!(self.phase, Uploaded(..) | Confirmed(_) | Following(..))
    }
}
