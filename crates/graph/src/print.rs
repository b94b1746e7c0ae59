//! The text form of a graph: one line per declared value and per node, for reviews and for golden tests.

use crate::{Graph, Storage, ValueId};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.value_ids() {
            let value = self.value(id);
            let kind = match value.storage {
                Storage::Input => "input",
                Storage::Persistent => "persistent",
                Storage::Temporary => continue,
            };
            writeln!(f, "%{} = {kind} {} {}", id.index(), value.name, value.shape)?;
        }
        for node in self.nodes() {
            if let Some(out) = node.output {
                write!(f, "%{} = ", out.index())?;
            }
            write!(f, "{:?}", node.op)?;
            let list = |ids: &[ValueId]| {
                ids.iter().map(|i| format!("%{}", i.index())).collect::<Vec<_>>().join(", ")
            };
            write!(f, " [{}]", list(&node.inputs))?;
            if let Some(out) = node.output {
                write!(f, " -> {}", self.shape(out))?;
            }
            writeln!(f, "{}{}", if node.label.is_empty() { "" } else { "  # " }, node.label)?;
        }
        for id in self.outputs() {
            writeln!(f, "output %{}", id.index())?;
        }
        Ok(())
    }
}
