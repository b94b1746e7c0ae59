//! Parametric UNet: its graphs, its parameter table and its checkpoint files.
