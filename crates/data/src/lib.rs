//! Decoding, data sets, field-of-view masks, augmentation, splits and synthetic fundus images.
