//! The replicated state as bytes, for files.

use crate::error::NetError;
use fovea_fed::job::Plan;
use fovea_fed::state::ServerState;

const KIND: u8 = 30;

/// As bytes.
///
/// # Errors
/// [`NetError::Wire`] above 4 GiB.
pub fn to_bytes(state: &ServerState) -> Result<Vec<u8>, NetError> {
    Ok(fovea_wire::encode(KIND, state, usize::MAX)?)
}

/// From bytes, if it fits the plan.
///
/// # Errors
/// [`NetError::Wire`], [`NetError::Job`].
pub fn from_bytes(bytes: &[u8], plan: &Plan) -> Result<ServerState, NetError> {
    // Model and two moments of four bytes per coordinate, five bytes per clip, and lengths.
    let bytes_max = 12 * plan.coordinates() + 5 * plan.parameters().len() + 256;
    let state: ServerState = fovea_wire::decode(KIND, bytes, bytes_max)?;
    Ok(state.checked(plan)?)
}
