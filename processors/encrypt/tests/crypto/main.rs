//! The cryptography, from outside: vectors by others, our own sealed vectors, and what must never happen to a sealed object.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod differential;
mod fuzzed;
mod generate;
mod opening;
mod properties;
mod sealed_vectors;
mod support;
mod vectors_kem;
mod vectors_payload;
mod vectors_primitives;
mod vectors_signatures;
