//! Curves, overlays and tables in one self-contained HTML page.
