//! The battery every processor passes.
//!
//! One call in a processor's tests runs it over an object store, a catalog and a clock in memory:
//!
//! ```no_run
//! # async fn example(registration: cofferdam_processor::Registration) {
//! use cofferdam_processor::battery::Case;
//! Case::new(registration).run().await.assert_passed();
//! # }
//! ```
//!
//! Each [`Test`] is one promise of [`crate::Processor`]. A test that makes no sense for a processor is skipped with a reason
//! ([`Case::skip`]); the skip is part of the [`Report`] and is printed. JetStream and databases are not here: what the shell and the
//! sinks promise is tested where they live.

#![allow(clippy::expect_used, reason = "test code: a broken rig should stop the test at once")]

mod checks;
mod fault;
mod rig;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::sync::Arc;

use crate::deps::Deps;
use crate::erased::Registration;

pub use rig::{CANARY, Rig, default_document};

/// One promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// Name, version and verbs are valid tokens.
    Name,
    /// The configuration is accepted, and an unknown key is refused.
    Config,
    /// A good document gives a conclusion, and the document is still there, unchanged.
    Success,
    /// The same job again, an hour later, gives the same conclusion and no second effect.
    Duplicate,
    /// Many calls at once, some of them for the same document, give what they give one by one.
    Concurrent,
    /// Garbage gives a conclusion or is rejected; never a panic, a hang, an endless retry or a stopped worker.
    Poison,
    /// A document that is gone or replaced is superseded.
    Superseded,
    /// Whichever single call of a store fails once (before or after its effect), the job can be retried and then succeeds.
    Transient,
    /// Wherever the call is dropped, the job can be done again; and a job that is cancelled ends.
    Cancellation,
    /// A document above the processor's limit is a verdict or a rejection that names the limit, not silence.
    Oversize,
    /// The span and the instruments are there, and nothing of the document is in them, in errors or in the conclusion.
    Telemetry,
}

impl Test {
    /// All of them, in the order they run.
    pub const ALL: [Test; 11] = [
        Test::Name,
        Test::Config,
        Test::Success,
        Test::Duplicate,
        Test::Concurrent,
        Test::Poison,
        Test::Superseded,
        Test::Transient,
        Test::Cancellation,
        Test::Oversize,
        Test::Telemetry,
    ];
}

/// A document to try.
#[derive(Clone)]
pub struct Sample {
    /// What it is, for reports.
    pub name: String,
    /// Its key.
    pub key: String,
    /// The declared media type.
    pub content_type: Option<String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Sample {
    /// A document without a declared type, with a key made from its name.
    pub fn new(name: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            key: format!("battery/{name}"),
            content_type: None,
            body: body.into(),
        }
    }
}

type Configure = Arc<dyn Fn(&Deps) -> toml::Table + Send + Sync>;

/// A processor under test, and what the battery has to know of it.
#[derive(Clone)]
pub struct Case {
    registration: Registration,
    configure: Configure,
    document: Sample,
    poison: Vec<Sample>,
    oversize: Option<(Configure, Sample)>,
    skips: Vec<(Test, String)>,
}

impl Case {
    /// A processor with an empty configuration table and an ordinary text document.
    pub fn new(registration: Registration) -> Self {
        Self {
            registration,
            configure: Arc::new(|_| toml::Table::new()),
            document: default_document(),
            poison: Vec::new(),
            oversize: None,
            skips: Vec::new(),
        }
    }

    /// Its configuration, which may name paths below the rig's directories.
    pub fn configure(mut self, configure: impl Fn(&Deps) -> toml::Table + Send + Sync + 'static) -> Self {
        self.configure = Arc::new(configure);
        self
    }

    /// The good document. It should hold [`CANARY`], which [`Test::Telemetry`] looks for where it must not be.
    pub fn document(mut self, document: Sample) -> Self {
        self.document = document;
        self
    }

    /// Another document that is garbage to this processor.
    pub fn poison(mut self, document: Sample) -> Self {
        self.poison.push(document);
        self
    }

    /// A document above the limit that this configuration sets.
    pub fn oversize(
        mut self,
        configure: impl Fn(&Deps) -> toml::Table + Send + Sync + 'static,
        document: Sample,
    ) -> Self {
        self.oversize = Some((Arc::new(configure), document));
        self
    }

    /// Leaves a test out, and says why.
    pub fn skip(mut self, test: Test, reason: &str) -> Self {
        self.skips.push((test, reason.to_owned()));
        self
    }

    /// Runs every test that is not skipped. A panic inside the processor is that test's failure.
    pub async fn run(self) -> Report {
        let mut rows = Vec::new();
        for test in Test::ALL {
            let skip = self.skips.iter().find(|(skipped, _)| *skipped == test);
            let ending = match skip {
                Some((_, reason)) => Ending::Skipped(reason.clone()),
                None => checks::run(test, &self).await,
            };
            rows.push((test, ending));
        }
        Report {
            processor: self.registration.name.to_string(),
            rows,
        }
    }
}

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The promise is kept.
    Passed,
    /// Left out, for this reason.
    Skipped(String),
    /// Broken, in this way.
    Failed(String),
}

/// What the battery found.
#[derive(Debug, Clone)]
pub struct Report {
    processor: String,
    rows: Vec<(Test, Ending)>,
}

impl Report {
    /// How a test ended.
    pub fn ending(&self, test: Test) -> Option<&Ending> {
        self.rows.iter().find(|(row, _)| *row == test).map(|(_, ending)| ending)
    }

    /// Prints the report, and panics unless every test passed or was skipped with a reason.
    #[track_caller]
    pub fn assert_passed(&self) {
        println!("{self}");
        let failed = self
            .rows
            .iter()
            .filter(|(_, ending)| matches!(ending, Ending::Failed(_)))
            .count();
        assert!(
            failed == 0,
            "{failed} of {} tests of the battery failed:\n{self}",
            self.rows.len()
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self
            .rows
            .iter()
            .filter(|(_, ending)| matches!(ending, Ending::Skipped(_)))
            .count();
        writeln!(
            f,
            "battery of {}: {} tests, {skipped} skipped",
            self.processor,
            self.rows.len()
        )?;
        for (test, ending) in &self.rows {
            let name = format!("{test:?}").to_lowercase();
            match ending {
                Ending::Passed => writeln!(f, "  {name:<14} passed")?,
                Ending::Skipped(reason) => writeln!(f, "  {name:<14} skipped: {reason}")?,
                Ending::Failed(reason) => writeln!(f, "  {name:<14} FAILED: {reason}")?,
            }
        }
        Ok(())
    }
}
