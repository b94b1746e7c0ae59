//! What a site said last: to be sent again after a connection broke.

use fovea_secagg::message::Phase;

use crate::site::SiteEffect;

/// The messages of a site's newest step. A site takes a step only when the coordinator has what it said before,
/// so nothing older can be missing there; what it has already, the coordinator ignores.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Vec<(Phase, Vec<u8>)>);

impl Outbox {
    /// Takes note of what one call of a site's machine gave out.
    pub fn record(&mut self, effects: &[SiteEffect]) {
        let step = effects.iter().filter_map(|effect| match effect {
            SiteEffect::Send(phase, bytes) if *phase != Phase::Hello => Some((*phase, bytes)),
            _ => None,
        });
        let mut step = step.peekable();
        if step.peek().is_some() {
            self.0 = step.map(|(phase, bytes)| (phase, bytes.clone())).collect();
        } else if effects.iter().any(is_end) {
            self.0.clear();
        }
    }

    /// The messages to send again, in order, after the site's hello.
    pub fn messages(&self) -> &[(Phase, Vec<u8>)] {
        &self.0
    }
}

fn is_end(effect: &SiteEffect) -> bool {
    matches!(effect, SiteEffect::Finished(_) | SiteEffect::CaughtUp { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_step_replaces_the_one_before() {
        let mut outbox = Outbox::default();
        let send = |phase, byte| SiteEffect::Send(phase, vec![byte]);
        outbox.record(&[send(Phase::Advertise, 1), SiteEffect::Train { round: 0 }]);
        outbox.record(&[send(Phase::Hello, 2)]);
        outbox.record(&[]);
        assert_eq!(outbox.messages(), [(Phase::Advertise, vec![1])]);
        outbox.record(&[send(Phase::MaskedChunk, 3), send(Phase::MaskedClose, 4)]);
        assert_eq!(outbox.messages(), [(Phase::MaskedChunk, vec![3]), (Phase::MaskedClose, vec![4])]);
        outbox.record(&[SiteEffect::CaughtUp { round: 1, model: fovea_secagg::hash::Hash([0; 32]) }]);
        assert_eq!(outbox.messages(), []);
    }
}
