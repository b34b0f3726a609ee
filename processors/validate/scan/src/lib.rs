//! The engines that read text, apart from each other: each takes a text and says what it finds where, keeps nothing of it but single
//! words, in memory, whose weights it need not add up again, and knows neither documents nor verdicts. `cofferdam-validate` puts them together.

mod eight;
pub mod hit;
pub mod injection;
pub mod mapped;
pub mod phi;
pub mod reading;
pub mod secrets;
pub mod structure;
mod weights;
