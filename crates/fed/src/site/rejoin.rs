//! Coming back: where this site stands, and a state that a quorum of sites starts from.
//!
//! A site that waited for a sum follows its publication late, and checks the tags as ever. One that cannot takes
//! a later state as a whole: model, moments and clips. Every hello is signed and holds the digest of exactly that,
//! so the hellos of a quorum prove that a quorum, and with it an honest site, stands there.

use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::message::{COORDINATOR, CatchUpClose, Chunk, Hello, Phase};
use fovea_secagg::secret::Entropy;
use fovea_secagg::vector::Spool;

use crate::error::{CatchUpError, MachineError};
use crate::site::{Active, SiteEffect, SiteMachine};
use crate::state::ServerState;

impl SiteMachine {
    /// The message that says where this site stands. To be sent after every connection, before what the site
    /// has said in the phase under way; the coordinator answers with what this site misses. After a change of
    /// its state, or at an opening that it cannot follow, the machine sends it by itself.
    ///
    /// # Errors
    /// [`MachineError::Layout`], [`MachineError::Wire`].
    pub fn hello(&self) -> Result<SiteEffect, MachineError> {
        let awaits = self.active.as_ref().filter(|active| active.can_follow());
        let hello = Hello {
            round: self.state.round,
            position: self.state.position(&self.plan)?,
            awaits: awaits.map(|active| active.terms.ctx()),
            refused: self.refused,
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

    /// After a change of the state.
    pub(super) fn moved(&mut self, effects: &mut Vec<SiteEffect>) -> Result<(), MachineError> {
        self.unsaved = true;
        effects.push(self.hello()?);
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
        effects.push(SiteEffect::CaughtUp { round, model });
        self.moved(effects)
    }

    /// The offered state, if it is later than this site's and a quorum stands there.
    fn proven_state(&mut self, close: CatchUpClose) -> Result<ServerState, CatchUpError> {
        let CatchUpClose { root, round, proof } = close;
        let own = self.state.round;
        if round <= own {
            return Err(CatchUpError::NotNewer { own, offered: round });
        }
        let spool = self.offered.take().ok_or(CatchUpError::Words { why: "nothing arrived" })?;
        let words = spool.finish(root).map_err(|(_, why)| CatchUpError::Words { why })?;
        let state = ServerState::from_words(&self.plan, round, &words)?;
        let position = state.position(&self.plan).map_err(|error| CatchUpError::State(error.into()))?;
        let unproven = |why| Err(CatchUpError::Unproven { why });
        if !proof.is_sorted_by(|(a, _), (b, _)| a < b) {
            return unproven("its sites are not strictly ascending");
        }
        if proof.len() < self.plan.quorum_min() {
            return unproven("too few sites");
        }
        for (site, hello) in &proof {
            if (hello.body.round, hello.body.position) != (round, position) {
                return unproven("a site stands elsewhere");
            }
            let header = Header { ctx: self.plan.hello_ctx(), phase: Phase::Hello, from: *site };
            if *site == COORDINATOR || hello.verify(header, self.plan.keys()).is_err() {
                return unproven("a hello that its site has not signed");
            }
        }
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
