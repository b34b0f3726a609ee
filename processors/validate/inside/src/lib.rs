//! What is inside containers and binary documents ([`inside`]), and the child process in which one looks ([`sandbox`]).

pub mod inside;
pub mod sandbox;
