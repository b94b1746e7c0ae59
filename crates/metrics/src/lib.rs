//! Segmentation metrics inside the field of view.
