//! What one dispatch consists of.

use crate::Words;
use crate::tile::Product;

/// Invocations of a workgroup, in every shader.
pub const INVOCATIONS: usize = 256;

/// Most workgroups along one axis of a dispatch (WebGPU's default limit).
pub const GROUPS_MAX: usize = 65_535;

/// A range of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First float, a multiple of [`ALIGN`](crate::layout::ALIGN).
    pub offset: usize,
    /// Length in floats.
    pub floats: usize,
}

/// One dispatch of one shader.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Which shader: its name in [`SHADERS`](crate::shader::SHADERS).
    pub shader: &'static str,
    /// Its `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Its `Params`, at binding 0.
    pub params: Words,
    /// What binding 1 and the following hold.
    pub bindings: Vec<Place>,
    /// Workgroups along x, y and z.
    pub groups: [u32; 3],
    /// The matrix product that it computes, where it is one.
    pub product: Option<Product>,
}

impl Launch {
    /// A dispatch with one invocation per element of a flat range of `count` elements. The shader finds its element with
    /// `linear` of `parts/grid.wgsl`.
    pub fn flat(shader: &'static str, count: usize, params: Words, bindings: Vec<Place>) -> Self {
        let groups = flat_groups(count.div_ceil(INVOCATIONS));
        Launch { shader, constants: Vec::new(), params, bindings, groups, product: None }
    }

    /// A dispatch with one workgroup per item, `group` of `parts/grid.wgsl`.
    pub fn grouped(shader: &'static str, items: usize, params: Words, bindings: Vec<Place>) -> Self {
        Launch { shader, constants: Vec::new(), params, bindings, groups: flat_groups(items), product: None }
    }

    /// Sets `override` constants.
    #[must_use]
    pub fn with(mut self, constants: &[(&'static str, f64)]) -> Self {
        self.constants.extend_from_slice(constants);
        self
    }

    /// Bytes of the arena that the dispatch is bound to, each operand counted once.
    pub fn bytes(&self) -> u64 {
        self.bindings.iter().map(|place| 4 * place.floats as u64).sum()
    }

    /// Multiplications and additions of its matrix product.
    pub fn flops(&self) -> u64 {
        self.product.as_ref().map_or(0, |p| 2 * (p.rows * p.columns * p.depth) as u64)
    }
}

/// Workgroups over x, and over y where x alone is too short.
pub fn flat_groups(groups: usize) -> [u32; 3] {
    let rows = groups.div_ceil(GROUPS_MAX).max(1);
    let columns = groups.div_ceil(rows).max(1);
    [columns as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_go_on_over_the_second_axis() {
        assert_eq!(flat_groups(0), [1, 1, 1]);
        assert_eq!(flat_groups(65_535), [65_535, 1, 1]);
        let [x, y, _] = flat_groups(65_536 * 3);
        assert!(x as usize <= GROUPS_MAX && (x * y) as usize >= 65_536 * 3);
    }
}
