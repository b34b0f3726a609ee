//! What is inside containers and binary documents ([`inside`]), and the child process in which one looks ([`sandbox`]); the rows of a Parquet
//! file as records, read in such a process ([`records`]).

pub mod inside;
pub mod records;
pub mod sandbox;
