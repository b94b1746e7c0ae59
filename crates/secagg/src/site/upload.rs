//! From an encoded update to what leaves the site: tags, then masks.

use crate::encode::Encoded;
use crate::error::Abort;
use crate::message::{Chunk, MaskedClose};
use crate::prg::{Label, Mask, Sign, add_masks};
use crate::sets::SiteId;
use crate::site::Seat;
use crate::site::verify::Verifier;
use crate::vector::{chunks, side_to_bytes};

/// A masked vector and sidecar: uniform words to everyone who does not hold the masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Words of the vector.
    pub words: Vec<u32>,
    /// Words of the sidecar, tags included.
    pub side: Vec<u64>,
}

impl Upload {
    /// The messages of phase M. Two uploads are the same bytes if their closing messages are equal.
    pub fn messages(&self) -> (Vec<Chunk>, MaskedClose) {
        let (chunks, root) = chunks(&self.words);
        (chunks, MaskedClose { root, side: side_to_bytes(&self.side) })
    }
}

/// The masks of one attempt. Kept until the set of uploads is fixed, so that an interrupted upload can be
/// repeated byte for byte.
#[derive(Debug)]
pub(super) struct UploadKey {
    pub masks: Vec<Mask>,
}

impl UploadKey {
    pub(super) fn apply(
        &self,
        seat: &Seat,
        verifier: &Verifier,
        mut encoded: Encoded,
        mut side: Vec<u64>,
    ) -> Result<Upload, Abort> {
        let terms = &seat.terms;
        let lengths =
            [("vector", terms.words, encoded.words.len()), ("sidecar", terms.side_values(), side.len())];
        for (what, expected, found) in lengths {
            if expected != found {
                return Err(Abort::Length { what, expected, found });
            }
        }
        side.extend(verifier.group.tags(seat.me, &encoded.words));
        let mut upload = Upload { words: std::mem::take(&mut encoded.words), side };
        add_masks(&mut upload.words, &self.masks, Label::Vector);
        add_masks(&mut upload.side, &self.masks, Label::Side);
        Ok(upload)
    }
}

/// The sign with which `me` adds the mask it shares with `peer`: the lower number adds, the higher subtracts.
pub(crate) fn pair_sign(me: SiteId, peer: SiteId) -> Sign {
    if me < peer { Sign::Plus } else { Sign::Minus }
}
