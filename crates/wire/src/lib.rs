//! Versioned, length-limited messages: nothing from a peer can panic or over-allocate.
//!
//! A message is a ten-byte header and a [`postcard`] body:
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | magic `FOVA` |
//! | 4 | format version, [`VERSION`] |
//! | 5 | kind: which type the body holds |
//! | 6..10 | body length, u32 little-endian |
//! | 10.. | body |
//!
//! The caller states the largest message it is ready to hold; a longer one is refused before any of it is
//! read. Declared lengths inside the body reserve no memory beyond the bytes that are really there, and
//! bytes left over after the body are refused, so one value has one encoding length.
//!
//! The road not taken: a self-describing format (CBOR, JSON) would let old readers skip new fields, at the
//! price of two valid encodings of one value, which signatures and hashes over messages do not forgive.

mod bytes;

pub use bytes::Bytes;

use serde::{Serialize, de::DeserializeOwned};

/// Format version written into every message.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEADER_LEN: usize = 10;

const MAGIC: [u8; 4] = *b"FOVA";

/// Why bytes were not accepted, or a value not encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// More bytes than the receiver agreed to hold.
    #[error("message of {found} bytes is above the limit of {limit}")]
    TooLong {
        /// Largest accepted message, in bytes, header included.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Fewer bytes than a header, or than the header announced.
    #[error("message ends after {found} bytes, {expected} expected")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The first four bytes are not the magic number.
    #[error("not a Fovea message")]
    Magic,
    /// Written by another version of the format.
    #[error("format version {found}, this program reads {expected}")]
    Version {
        /// The version this program reads.
        expected: u8,
        /// The version found.
        found: u8,
    },
    /// A message of another kind.
    #[error("message of kind {found} where kind {expected} was expected")]
    Kind {
        /// Kind asked for.
        expected: u8,
        /// Kind found.
        found: u8,
    },
    /// Bytes after the end of the value.
    #[error("{count} bytes after the end of the message")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// The body is not an encoding of the expected type.
    #[error("malformed message body")]
    Body,
}

/// Encodes `value` as a message of `kind`.
///
/// # Errors
/// [`WireError::TooLong`] when the message would exceed `limit` bytes, [`WireError::Body`] when the type
/// cannot be written (a sequence of unknown length).
pub fn encode<T: Serialize + ?Sized>(kind: u8, value: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind, 0, 0, 0, 0]);
    let mut out = postcard::to_extend(value, out).map_err(|_| WireError::Body)?;
    let body_len = out.len() - HEADER_LEN;
    let declared = u32::try_from(body_len).map_err(|_| WireError::TooLong { limit, found: out.len() })?;
    if out.len() > limit {
        return Err(WireError::TooLong { limit, found: out.len() });
    }
    out[6..HEADER_LEN].copy_from_slice(&declared.to_le_bytes());
    Ok(out)
}

/// Decodes a message of `kind` that has at most `limit` bytes.
///
/// # Errors
/// Every [`WireError`]; the checks run in the order length, magic, version, kind, declared length, body.
pub fn decode<T: DeserializeOwned>(kind: u8, bytes: &[u8], limit: usize) -> Result<T, WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong { limit, found: bytes.len() });
    }
    let (header, body) = bytes
        .split_at_checked(HEADER_LEN)
        .ok_or(WireError::Truncated { expected: HEADER_LEN, found: bytes.len() })?;
    if header[..4] != MAGIC {
        return Err(WireError::Magic);
    }
    if header[4] != VERSION {
        return Err(WireError::Version { expected: VERSION, found: header[4] });
    }
    if header[5] != kind {
        return Err(WireError::Kind { expected: kind, found: header[5] });
    }
    let declared = u32::from_le_bytes([header[6], header[7], header[8], header[9]]) as usize;
    if body.len() < declared {
        return Err(WireError::Truncated { expected: HEADER_LEN + declared, found: bytes.len() });
    }
    if body.len() > declared {
        return Err(WireError::Trailing { count: body.len() - declared });
    }
    from_body(body, declared)
}

/// Encodes `value` without a header, for a body that travels inside another message.
///
/// # Errors
/// As [`encode`].
pub fn to_body<T: Serialize + ?Sized>(value: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    to_body_in(value, Vec::new(), limit)
}

/// As [`to_body`], behind what `out` already holds and within the memory it has reserved: a caller who wipes
/// the result reserves enough, so that growing leaves no copy behind.
///
/// # Errors
/// As [`encode`].
pub fn to_body_in<T: Serialize + ?Sized>(
    value: &T,
    out: Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, WireError> {
    let out = postcard::to_extend(value, out).map_err(|_| WireError::Body)?;
    if out.len() > limit {
        return Err(WireError::TooLong { limit, found: out.len() });
    }
    Ok(out)
}

/// Decodes what [`to_body`] wrote.
///
/// # Errors
/// [`WireError::TooLong`], [`WireError::Trailing`] or [`WireError::Body`].
pub fn from_body<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooLong { limit, found: bytes.len() });
    }
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| WireError::Body)?;
    if !rest.is_empty() {
        return Err(WireError::Trailing { count: rest.len() });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Sample {
        id: u16,
        hash: [u8; 32],
        names: Vec<String>,
        nested: Vec<Vec<u64>>,
        raw: Bytes,
        flag: Option<bool>,
    }

    fn sample() -> Sample {
        Sample {
            id: 7,
            hash: [3; 32],
            names: vec!["alpha".into(), "beta".into()],
            nested: vec![vec![1, 2, u64::MAX], vec![]],
            raw: Bytes(vec![0, 1, 2, 255]),
            flag: Some(true),
        }
    }

    #[test]
    fn a_message_comes_back_whole() {
        let bytes = encode(9, &sample(), 1 << 12).unwrap();
        assert_eq!(decode::<Sample>(9, &bytes, 1 << 12).unwrap(), sample());
    }

    #[test]
    fn every_field_of_the_header_is_checked() {
        let bytes = encode(9, &sample(), 1 << 12).unwrap();
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut copy = bytes.clone();
            change(&mut copy);
            decode::<Sample>(9, &copy, 1 << 12).unwrap_err()
        };
        assert_eq!(refused(&|b| b[0] ^= 1), WireError::Magic);
        assert_eq!(refused(&|b| b[4] = 2), WireError::Version { expected: 1, found: 2 });
        assert_eq!(refused(&|b| b[5] = 8), WireError::Kind { expected: 9, found: 8 });
        assert_eq!(refused(&|b| b.push(0)), WireError::Trailing { count: 1 });
        assert_eq!(
            refused(&|b| {
                b.pop();
            }),
            WireError::Truncated { expected: bytes.len(), found: bytes.len() - 1 }
        );
        assert_eq!(refused(&|b| b.truncate(3)), WireError::Truncated { expected: 10, found: 3 });
        let limit = bytes.len() - 1;
        assert_eq!(
            decode::<Sample>(9, &bytes, limit).unwrap_err(),
            WireError::TooLong { limit, found: bytes.len() }
        );
        assert!(matches!(encode(9, &sample(), limit), Err(WireError::TooLong { .. })));
    }

    #[test]
    fn a_body_that_leaves_bytes_over_is_refused() {
        let mut body = to_body(&5u32, 16).unwrap();
        body.push(1);
        assert_eq!(from_body::<u32>(&body, 16).unwrap_err(), WireError::Trailing { count: 1 });
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Sample>(9, &bytes, 256);
            let _ = from_body::<Sample>(&bytes, 300);
        }

        #[test]
        fn a_damaged_message_never_panics(at in 0usize..200, with in any::<u8>()) {
            let mut bytes = encode(9, &sample(), 1 << 12).unwrap();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = decode::<Sample>(9, &bytes, 1 << 12);
        }

        #[test]
        fn any_value_comes_back(
            id in any::<u16>(),
            raw in proptest::collection::vec(any::<u8>(), 0..100),
            nested in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..5), 0..5),
        ) {
            let value = Sample { id, raw: Bytes(raw), nested, ..sample() };
            let bytes = encode(1, &value, 1 << 14).unwrap();
            prop_assert_eq!(decode::<Sample>(1, &bytes, 1 << 14).unwrap(), value);
        }
    }
}
