//! Every format, made here: sound, cut short, lying about its size, mutated.
