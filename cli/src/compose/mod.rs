//! Composition: which parts an instance has and how they are wired. Decisions live in the parts.

mod adapters;
mod banner;
mod buses;
mod facts;
mod roles;
mod stores;
mod supervise;
mod up;

pub use roles::run;
pub use up::up;
