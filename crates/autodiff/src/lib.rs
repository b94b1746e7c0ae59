//! Reverse-mode differentiation as a function from graph to graph.
//!
//! [`differentiate`] takes a forward graph and returns it with the backward pass appended: a readable list of
//! the same [`Op`](fovea_graph::Op)s that every executor already runs. Each op has one adjoint rule in `rules`; the
//! `match` over ops has no wildcard, so an op without a decision about its adjoint does not compile. The
//! road not taken is a tape recorded at run time: the order of every sum would then depend on the run.

mod error;
mod reverse;
mod rules;

pub use error::AutodiffError;

use fovea_graph::{Graph, ValueId};

/// Appends to `graph` the nodes that compute the gradient of `loss` in each value of `wrt`, and returns the new
/// graph with one gradient value per entry of `wrt`, in order; each has the shape of its `wrt` value. Ids
/// of `graph` stay valid in the result. Only values on a path from `wrt` to `loss` get gradients; a value read
/// more than once gets its contributions summed by [`Op::Add`](fovea_graph::Op::Add), last reader first.
///
/// # Errors
/// When `loss` is not a scalar `(1)`, does not depend on an entry of `wrt`, an op on the path has no adjoint in
/// that input, or a value on the path is overwritten by an update.
pub fn differentiate(
    graph: &Graph,
    loss: ValueId,
    wrt: &[ValueId],
) -> Result<(Graph, Vec<ValueId>), AutodiffError> {
    reverse::Reverse::new(graph, loss, wrt)?.run(wrt)
}
