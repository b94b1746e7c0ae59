//! Sites that lie to the coordinator and, through it, to one another.

use std::collections::BTreeMap;

use fovea_fed::site::SiteEffect;
use fovea_fed::state::ServerState;
use fovea_secagg::commit::{self, Cohort};
use fovea_secagg::envelope::Envelope;
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use fovea_secagg::message::{Chunk, MaskedClose, Phase, Share, Unmask};
use fovea_secagg::sets::SiteId;

use crate::byzantine::{change, change_word, other_statement};
use crate::random::Stream;
use crate::scenario::Scenario;
use crate::site::Attempt;

/// How a site lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SiteTrick {
    /// Reveals shares that are not those it was dealt.
    WrongShares,
    /// Deals shares that do not open.
    BadDealing,
    /// Says old things again, its own and the coordinator's.
    Replays,
    /// Says two things where one is due.
    Equivocates,
    /// Sends bytes that mean nothing.
    Garbage,
    /// Uploads another vector than the one its tags are for.
    WrongSum,
    /// Brings an update far larger than the clips.
    Inflates,
}

impl SiteTrick {
    /// All tricks.
    pub const ALL: [Self; 7] = [
        Self::WrongShares,
        Self::BadDealing,
        Self::Replays,
        Self::Equivocates,
        Self::Garbage,
        Self::WrongSum,
        Self::Inflates,
    ];
}

/// A site that lies in one way.
#[derive(Debug)]
pub struct Liar {
    trick: SiteTrick,
    heard: Vec<Vec<u8>>,
}

impl Liar {
    /// A liar that has heard nothing yet.
    pub fn new(trick: SiteTrick) -> Self {
        Self { trick, heard: Vec::new() }
    }

    /// Keeps what it hears, to say it again.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.trick == SiteTrick::Replays && self.heard.len() < 200 {
            self.heard.push(bytes.to_vec());
        }
    }

    /// What it says instead of what its machine says.
    pub fn twist(
        &mut self,
        effects: Vec<SiteEffect>,
        me: SiteId,
        state: &ServerState,
        scenario: &Scenario,
        attempts: &BTreeMap<Hash, Attempt>,
        stream: &mut Stream,
    ) -> Vec<SiteEffect> {
        if !stream.chance(scenario.faults.lie) {
            return effects;
        }
        let identity = scenario.identity(me);
        let mut out = Vec::new();
        for effect in effects {
            let SiteEffect::Send(phase, bytes) = effect else {
                out.push(effect);
                continue;
            };
            if phase == Phase::Hello {
                out.push(SiteEffect::Send(phase, bytes));
                continue;
            }
            self.hear(&bytes);
            let changed = match (self.trick, phase) {
                (SiteTrick::WrongShares, Phase::Unmask) => change(&bytes, &identity, |body: &mut Unmask| {
                    let place = stream.place(body.reveals.len());
                    body.reveals[place].share[stream.place(32)] ^= 1;
                }),
                (SiteTrick::BadDealing, Phase::Share) => {
                    bad_dealing(&bytes, me, (scenario, state), attempts, stream)
                }
                _ => None,
            };
            out.push(SiteEffect::Send(phase, changed.unwrap_or_else(|| bytes.clone())));
            let more = match self.trick {
                SiteTrick::Equivocates if Equivocation::is_once(phase) => other_statement(&bytes, &identity),
                SiteTrick::Garbage => Some(garbage(&bytes, stream)),
                SiteTrick::Replays if !self.heard.is_empty() => {
                    Some(self.heard[stream.place(self.heard.len())].clone())
                }
                _ => None,
            };
            out.extend(more.map(|bytes| SiteEffect::Send(phase, bytes)));
        }
        if self.trick == SiteTrick::WrongSum {
            wrong_sum(&mut out, &identity, stream);
        }
        out
    }
}

/// Seals that do not open, under a root that is right for them.
fn bad_dealing(
    bytes: &[u8],
    me: SiteId,
    (scenario, state): (&Scenario, &ServerState),
    attempts: &BTreeMap<Hash, Attempt>,
    stream: &mut Stream,
) -> Option<Vec<u8>> {
    let ctx = Envelope::open(bytes).ok()?.header.ctx;
    let attempt = attempts.get(&ctx)?;
    let (open, keys) = (attempt.open.as_ref()?, attempt.keys.as_ref()?);
    let identity = scenario.identity(me);
    let (terms, _) = state.terms(&scenario.plan, open.round, open.attempt, open.invited.clone()).ok()?;
    let cohort = Cohort::new(&terms, keys).ok()?;
    change(bytes, &identity, |body: &mut Share| {
        let place = stream.place(body.leaves.len());
        if let Some(byte) = body.leaves[place].sealed.0.first_mut() {
            *byte ^= 1;
        }
        body.root = commit::share_root(&cohort, me, &body.head, &body.leaves);
        body.signature = commit::sign_root(ctx, me, body.root, &identity);
    })
}

/// Another vector in one piece, with its root; the tags are still those of the true one.
fn wrong_sum(effects: &mut [SiteEffect], identity: &Identity, stream: &mut Stream) {
    let mut root = None;
    for effect in effects {
        let SiteEffect::Send(phase, bytes) = effect else { continue };
        let changed = match phase {
            Phase::MaskedChunk => change(bytes, identity, |chunk: &mut Chunk| {
                root = Some(change_word(chunk, stream));
            }),
            Phase::MaskedClose => change(bytes, identity, |close: &mut MaskedClose| {
                close.root = root.unwrap_or(close.root);
            }),
            _ => None,
        };
        *bytes = changed.unwrap_or_else(|| std::mem::take(bytes));
    }
}

/// Noise, or a message cut or changed on the way.
fn garbage(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    match stream.below(3) {
        0 => {
            let len = stream.place(400);
            stream.bytes(len)
        }
        1 => bytes[..stream.place(bytes.len())].to_vec(),
        _ => {
            let mut changed = bytes.to_vec();
            let place = stream.place(changed.len());
            changed[place] ^= 1 << stream.below(8);
            changed
        }
    }
}
