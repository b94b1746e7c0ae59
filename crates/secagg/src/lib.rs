//! Secure aggregation: quantisation, masks, secret sharing and unmasking, with roles as values.
