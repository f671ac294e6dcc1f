//! What callers of the kernels may rely on whatever they pass: no memory outside the slices is touched, and NaN is never
//! turned into a number.

mod bounds;
mod nan;
mod refusals;
