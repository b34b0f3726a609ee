//! Counts words. A whole processor, as small as one can be: copy this folder to begin another.
//!
//! | file | holds |
//! |---|---|
//! | `lib.rs` | the [`Processor`] implementation: reading, and nothing clever |
//! | `core.rs` | what is computed: bytes in, numbers out, no I/O |
//! | `config.rs` | what the operator may set, and its checks |
//! | `error.rs` | what can go wrong, and what the shell should do about it |
//! | `tests.rs` | the battery and this processor's own cases |
//!
//! To put it into the program: one dependency line in `processors/Cargo.toml` and one line in `processors/src/lib.rs`. This one stays out of
//! the product, so its own binary (`main.rs`) adds it to the list instead. Sub-command, consumers, subjects, metrics and plan follow from the name.

mod config;
mod core;
mod error;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use cofferdam_processor::{Conclusion, ConfigErrors, Deps, Document, Job, ProcessError, Processor, StartError};
use futures::StreamExt;

pub use config::{Config, Plan};
pub use error::WordCountError;

use crate::core::Counter;

/// The processor.
pub struct WordCount {
    plan: Plan,
}

impl Processor for WordCount {
    const NAME: &'static str = "word-count";
    const VERSION: &'static str = "1";
    type Config = Config;
    type Plan = Plan;

    fn plan(config: Config) -> Result<Plan, ConfigErrors> {
        config.plan()
    }

    async fn start(plan: Plan, _: &Deps) -> Result<Self, StartError> {
        Ok(Self { plan })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let body = document.read().await.map_err(ProcessError::Document)?;
        if body.meta.size > self.plan.max_bytes {
            return Err(WordCountError::TooLarge {
                size: body.meta.size,
                limit: self.plan.max_bytes,
            }
            .into());
        }
        let mut counter = Counter::default();
        let mut stream = body.stream;
        while let Some(chunk) = stream.next().await {
            if job.cancelled.is_cancelled() {
                return Err(ProcessError::Cancelled);
            }
            counter.feed(&chunk.map_err(ProcessError::Document)?);
        }
        let counts = counter.finish();
        let details = [
            ("words", counts.words),
            ("lines", counts.lines),
            ("bytes", counts.bytes),
        ];
        let details = details
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        Ok(Conclusion {
            details,
            ..Conclusion::default()
        })
    }
}
