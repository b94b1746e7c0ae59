//! Federation without I/O: coordinator and site state machines, strategies and ledger.
