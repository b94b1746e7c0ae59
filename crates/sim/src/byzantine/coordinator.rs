//! A coordinator that lies to sites.

use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::state::ServerState;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{
    AdvertiseSet, Announce, COORDINATOR, CatchUpClose, Chunk, Phase, PublishClose, ShareSet,
};
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::byzantine::split::Split;
use crate::byzantine::{change, change_word};
use crate::random::Stream;
use crate::scenario::Scenario;

/// How a coordinator lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorTrick {
    /// Announces different sets to different sites, and asks for the shares of both.
    TwoSets,
    /// Says old things again.
    Replays,
    /// Leaves sites out of what it relays.
    DropsSites,
    /// Publishes other sums and states than the true ones.
    Forges,
    /// Sends publications to some sites only.
    Withholds,
    /// Goes back to an earlier state and opens old rounds again.
    RollsBack,
}

impl CoordinatorTrick {
    /// All tricks.
    pub const ALL: [Self; 6] =
        [Self::TwoSets, Self::Replays, Self::DropsSites, Self::Forges, Self::Withholds, Self::RollsBack];
}

/// A coordinator that lies in one way.
#[derive(Debug)]
pub struct Cheat {
    trick: CoordinatorTrick,
    old: Vec<(SiteId, Vec<u8>)>,
    split: Split,
}

impl Cheat {
    /// A cheat that has said nothing yet.
    pub fn new(trick: CoordinatorTrick) -> Self {
        Self { trick, old: Vec::new(), split: Split::default() }
    }

    /// Whether it goes back to earlier states.
    pub fn rolls_back(&self) -> bool {
        self.trick == CoordinatorTrick::RollsBack
    }

    /// What it sends instead of what its machine sends.
    pub fn twist(
        &mut self,
        effects: &[CoordinatorEffect],
        state: &ServerState,
        scenario: &Scenario,
        stream: &mut Stream,
    ) -> Vec<(SiteId, Vec<u8>)> {
        let mut out = Vec::new();
        let lies = stream.chance(scenario.faults.lie);
        // One lie per batch, so that pieces and their root fit together.
        let mut forged = None;
        let spared: SiteSet = scenario.plan.roster().iter().filter(|_| stream.chance(0.5)).collect();
        for effect in effects {
            let CoordinatorEffect::Send(to, phase, bytes) = effect else { continue };
            if self.trick == CoordinatorTrick::TwoSets {
                self.split.relay(to, *phase, bytes, (scenario, state), stream, &mut out);
                continue;
            }
            let changed = match self.trick {
                CoordinatorTrick::DropsSites if lies => drop_site(*phase, bytes, scenario, stream),
                CoordinatorTrick::Forges if lies => forge(*phase, bytes, scenario, &mut forged, stream),
                _ => None,
            };
            let publishes = matches!(phase, Phase::PublishChunk | Phase::PublishClose);
            let withholds = self.trick == CoordinatorTrick::Withholds && lies && publishes;
            for site in to.iter() {
                match &changed {
                    Some(changed) if !spared.contains(site) => out.push((site, changed.clone())),
                    _ if withholds && !spared.contains(site) => {}
                    _ => out.push((site, bytes.clone())),
                }
            }
        }
        if self.trick == CoordinatorTrick::Replays {
            self.replay(&mut out, lies, stream);
        }
        out
    }

    /// What it says to a message that it was not to hear.
    pub fn overhear(&mut self, bytes: &[u8], scenario: &Scenario) -> Vec<(SiteId, Vec<u8>)> {
        if self.trick == CoordinatorTrick::TwoSets {
            self.split.overhear(bytes, scenario)
        } else {
            Vec::new()
        }
    }

    fn replay(&mut self, out: &mut Vec<(SiteId, Vec<u8>)>, lies: bool, stream: &mut Stream) {
        if self.old.len() < 400 {
            self.old.extend(out.iter().cloned());
        }
        if lies && !self.old.is_empty() {
            for _ in 0..3 {
                let (site, bytes) = self.old[stream.place(self.old.len())].clone();
                // To whom it was said, or to another.
                let other = self.old[stream.place(self.old.len())].0;
                out.push((if stream.chance(0.7) { site } else { other }, bytes));
            }
        }
    }
}

/// The message without one of the sites it is about.
fn drop_site(phase: Phase, bytes: &[u8], scenario: &Scenario, stream: &mut Stream) -> Option<Vec<u8>> {
    let identity = scenario.identity(COORDINATOR);
    match phase {
        Phase::AdvertiseSet => change(bytes, &identity, |body: &mut AdvertiseSet| {
            body.sites.remove(stream.place(body.sites.len()));
        }),
        Phase::ShareSet => change(bytes, &identity, |body: &mut ShareSet| {
            body.dealers.remove(stream.place(body.dealers.len()));
        }),
        Phase::Announce => change(bytes, &identity, |body: &mut Announce| {
            let place = stream.place(body.complete.len());
            let sites = body.complete.iter().enumerate().filter(|(at, _)| *at != place);
            body.complete = sites.map(|(_, site)| site).collect();
        }),
        _ => None,
    }
}

/// Another sum or state, whole in itself and signed.
fn forge(
    phase: Phase,
    bytes: &[u8],
    scenario: &Scenario,
    root: &mut Option<Hash>,
    stream: &mut Stream,
) -> Option<Vec<u8>> {
    let identity = scenario.identity(COORDINATOR);
    match phase {
        Phase::PublishChunk | Phase::CatchUpChunk => change(bytes, &identity, |chunk: &mut Chunk| {
            *root = Some(change_word(chunk, stream));
        }),
        Phase::PublishClose => change(bytes, &identity, |close: &mut PublishClose| {
            close.root = root.take().unwrap_or(close.root);
            if stream.chance(0.3) && !close.side.0.is_empty() {
                let place = stream.place(close.side.0.len());
                close.side.0[place] ^= 1 << stream.below(8);
            }
        }),
        Phase::CatchUpClose => change(bytes, &identity, |close: &mut CatchUpClose| {
            close.root = root.take().unwrap_or(close.root);
        }),
        _ => None,
    }
}
