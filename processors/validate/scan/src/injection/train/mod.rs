//! Trains the model. Deterministic: the same files give the same bytes.
//!
//! Texts come from `data/injection`: the shared development set, excerpts of crates (documents that are no attack) and
//! own examples made from templates. Attacks are repeated in disguise, and sentences are put into documents. Each
//! class weighs the same in all; within a class a source counts by the square root of its size. The learner is
//! logistic regression with an L2 penalty, solved in the dual by coordinate ascent (Shalev-Shwartz and Zhang, "SDCA",
//! JMLR 14, 2013). Of a document with several windows an attack gives its best one and a harmless document its worst
//! ones, chosen anew in each round (multiple-instance learning, mi-SVM: Andrews et al., NIPS 2002).

pub mod augment;
pub mod data;
pub mod examples;
mod fit;
mod prepare;
pub mod random;

pub use data::{Row, Set};
pub use fit::{Settings, fit};
pub use prepare::{Prepared, prepare};
