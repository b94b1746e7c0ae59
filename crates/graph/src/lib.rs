//! A model as data: a closed list of operations with inferred shapes, a printer, a memory planner and the executor trait.
