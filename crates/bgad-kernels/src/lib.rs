//! Numerical kernels of bgad: arrays in, arrays out. Knows shapes, not meaning.
//!
//! Every kernel is written once against a small vector trait and compiled for AVX-512, AVX2 with FMA, NEON and plain
//! Rust; an [`Isa`] picks at run time. Matrices come as [`MatRef`] and [`MatMut`], checked once when they are made: no
//! argument of a function here makes it touch memory outside its slices. This is the only crate of the project with
//! `unsafe`, and all of it is about memory.

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

pub mod activation;
pub mod adam;
pub mod convolution;
pub mod coupling;
pub mod depthwise;
pub mod gemm;
mod isa;
mod matrix;
pub mod peak;
pub mod pool;
mod simd;
pub mod squeeze_excite;
pub mod stem;

pub use isa::Isa;
pub use matrix::{MatMut, MatRef, ShapeError};
