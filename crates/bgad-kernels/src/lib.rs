//! Numerical kernels of bgad: arrays in, arrays out. Knows shapes, not meaning.
