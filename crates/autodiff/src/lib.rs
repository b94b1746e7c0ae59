//! Reverse-mode differentiation as a function from graph to graph.
