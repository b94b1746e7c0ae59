//! Where values, workspaces and the executor's own words lie in the arena buffer.

use crate::launch::Place;
use fovea_graph::{Graph, Plan, ValueId};

/// Every place starts at a multiple of this many floats: WebGPU's alignment of a binding, 256 bytes.
pub const ALIGN: usize = 64;

/// Floats that belong to no value.
const RESERVED: usize = 4 * ALIGN;

/// The arena: the graph's plan, then the reserved words, then the workspace that the launches of one node share.
#[derive(Debug, Clone)]
pub struct Layout {
    plan: Plan,
    values: usize,
}

impl Layout {
    /// Plans a graph.
    pub fn new(graph: &Graph) -> Self {
        let plan = Plan::aligned(graph, ALIGN);
        let values = plan.floats().next_multiple_of(ALIGN);
        Layout { plan, values }
    }

    /// Where a value lies.
    pub fn place(&self, graph: &Graph, value: ValueId) -> Place {
        Place { offset: self.plan.offset(value), floats: graph.shape(value).count() }
    }

    /// Stands for operand number `which` (0 or 1) where an optional one is missing: shaders do not read it, but every binding
    /// needs a range, and no two writable bindings of a dispatch may overlap.
    pub fn absent(&self, which: usize) -> Place {
        self.reserved(which)
    }

    /// One word: 0, or where a value was not finite 1 + the number of its node. While it is not 0, updates do nothing.
    pub fn guard(&self) -> Place {
        self.reserved(2)
    }

    /// The step's random key (two words) and index, for dropout.
    pub fn step(&self) -> Place {
        self.reserved(3)
    }

    fn reserved(&self, which: usize) -> Place {
        Place { offset: self.values + which * ALIGN, floats: ALIGN }
    }

    /// An empty workspace.
    pub fn scratch(&self) -> Scratch {
        let base = self.values + RESERVED;
        Scratch { next: base }
    }

    /// Length of the arena in floats with a workspace up to `scratch_end`.
    pub fn floats(&self, scratch_end: usize) -> usize {
        scratch_end.max(self.values + RESERVED)
    }
}

/// Hands out the workspace of one node.
#[derive(Debug, Clone, Copy)]
pub struct Scratch {
    next: usize,
}

impl Scratch {
    /// The next `floats` floats.
    pub fn take(&mut self, floats: usize) -> Place {
        let place = Place { offset: self.next, floats };
        self.next = (self.next + floats).next_multiple_of(ALIGN);
        place
    }

    /// Where the workspace ends, in floats from the arena's start.
    pub fn end(&self) -> usize {
        self.next
    }
}
