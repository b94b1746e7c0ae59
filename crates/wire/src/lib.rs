//! Versioned, length-limited messages: nothing from a peer can panic or over-allocate.
