//! Numerical kernels of bgad: arrays in, arrays out. Knows shapes, not meaning.
//!
//! Every kernel is written once against a small vector trait and compiled for AVX-512, AVX2 with FMA, NEON and plain
//! Rust; an [`Isa`] picks at run time. This is the only crate of the project with `unsafe`.

pub mod activation;
pub mod adam;
pub mod coupling;
pub mod depthwise;
pub mod gemm;
mod isa;
pub mod peak;
mod simd;
pub mod squeeze_excite;
pub mod stem;

pub use isa::Isa;
