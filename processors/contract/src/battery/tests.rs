//! The battery is only worth something if it finds what it is there to find: processors with one flaw each.

use std::collections::BTreeSet;
use std::sync::Mutex;

use cofferdam_schemas::{ErrorCode, Finding, ObjectId, ObjectKey, Severity, Verdict};
use cofferdam_seams::{ObjectError, PutOptions, read_all};
use futures::StreamExt;
use serde::Deserialize;

use super::{CANARY, Case, Ending, Sample, Test};
use crate::{Conclusion, ConfigErrors, Deps, Document, Job, ProcessError, Processor, Registration, StartError};

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Flaw {
    #[default]
    None,
    Panics,
    Leaks,
    WritesAgain,
    IgnoresLoss,
    HaltsOnFailure,
    RemembersHalves,
    Retries,
    Truncates,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    flaw: Flaw,
    #[serde(default)]
    limit: Option<u64>,
}

/// Counts bytes and keeps the number in the results bucket.
struct Probe {
    config: Config,
    deps: Deps,
    begun: Mutex<BTreeSet<ObjectId>>,
}

impl Processor for Probe {
    const NAME: &'static str = "probe";
    const VERSION: &'static str = "1";
    type Config = Config;
    type Plan = Config;

    fn plan(config: Config) -> Result<Config, ConfigErrors> {
        Ok(config)
    }

    async fn start(config: Config, deps: &Deps) -> Result<Self, StartError> {
        Ok(Self {
            config,
            deps: deps.clone(),
            begun: Mutex::default(),
        })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let flaw = self.config.flaw;
        if flaw == Flaw::RemembersHalves && !self.begun.lock().unwrap().insert(job.object.id) {
            return Err(ProcessError::Internal {
                reason: "already begun".to_owned(),
            });
        }
        let body = match document.read().await {
            Err(ObjectError::Unavailable { .. }) if flaw == Flaw::HaltsOnFailure => {
                return Err(ProcessError::Internal {
                    reason: "the store is broken".to_owned(),
                });
            }
            Err(_) if flaw == Flaw::IgnoresLoss => return Ok(Conclusion::default()),
            body => body.map_err(ProcessError::Document)?,
        };
        let limit = self.config.limit.unwrap_or(u64::MAX);
        if body.meta.size > limit && flaw != Flaw::Truncates {
            return Err(ProcessError::reject(ErrorCode::LimitExceeded, "too large"));
        }
        let mut stream = body.stream;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.map_err(ProcessError::Document)?);
        }
        let text = match (flaw, std::str::from_utf8(&bytes)) {
            (Flaw::Panics, text) => text.unwrap(),
            (Flaw::Retries, Err(error)) => {
                return Err(ProcessError::Dependency {
                    what: "decoder",
                    source: Box::new(error),
                });
            }
            (_, text) => text.unwrap_or_default(),
        };
        let mut conclusion = Conclusion {
            verdict: Some(Verdict::Pass),
            ..Conclusion::default()
        };
        if flaw == Flaw::Leaks {
            let message: String = text.chars().take(100).collect();
            conclusion
                .findings
                .push(Finding::new("probe/text", Severity::Info, 1.0, message));
        }
        let count = if flaw == Flaw::WritesAgain {
            format!("{} in try {}", bytes.len(), job.attempt)
        } else {
            bytes.len().to_string()
        };
        let key = ObjectKey::new(format!("{}/{}/probe/count", job.object.tenant, job.object.id)).unwrap();
        let results = &self.deps.stores.results;
        let put = results.put(key, count.into_bytes().into(), PutOptions::default()).await;
        put.map_err(|source| ProcessError::Store {
            place: "results",
            source,
        })?;
        Ok(conclusion)
    }
}

fn case(config: &str) -> Case {
    let table: toml::Table = config.parse().unwrap();
    let tight = {
        let mut tight = table.clone();
        tight.insert("limit".to_owned(), toml::Value::Integer(10));
        tight
    };
    Case::new(Registration::of::<Probe>(&[]).unwrap())
        .configure(move |_| table.clone())
        .oversize(move |_| tight.clone(), Sample::new("large", vec![b'x'; 100]))
}

#[track_caller]
fn check(flaw: &str, found_by: Test) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(case(&format!("flaw = {flaw:?}")).run());
    assert!(
        matches!(report.ending(found_by), Some(Ending::Failed(_))),
        "{flaw} was not found:\n{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_processor_passes() {
    case("").run().await.assert_passed();
}

#[test]
fn each_flaw_is_found() {
    check("panics", Test::Poison);
    check("retries", Test::Poison);
    check("leaks", Test::Telemetry);
    check("writes-again", Test::Duplicate);
    check("ignores-loss", Test::Superseded);
    check("halts-on-failure", Test::Transient);
    check("remembers-halves", Test::Cancellation);
    check("truncates", Test::Oversize);
}

#[tokio::test]
async fn a_skip_stands_in_the_report_with_its_reason() {
    let report = case("").skip(Test::Poison, "takes anything").run().await;
    assert_eq!(
        report.ending(Test::Poison),
        Some(&Ending::Skipped("takes anything".to_owned()))
    );
    assert!(report.to_string().contains("skipped: takes anything"), "{report}");
}

#[tokio::test]
#[should_panic(expected = "tests of the battery failed")]
async fn a_failure_is_not_silent() {
    case("flaw = \"leaks\"").run().await.assert_passed();
}

/// A configuration that takes any key.
struct Lax;

impl Processor for Lax {
    const NAME: &'static str = "lax";
    const VERSION: &'static str = "1:0";
    type Config = toml::Table;
    type Plan = ();
    fn plan(_: toml::Table) -> Result<(), ConfigErrors> {
        Ok(())
    }
    async fn start((): (), _: &Deps) -> Result<Self, StartError> {
        Ok(Self)
    }
    async fn process(&self, _: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let body = document.read().await.map_err(ProcessError::Document)?;
        read_all(body.stream, u64::MAX).await.map_err(ProcessError::Document)?;
        Ok(Conclusion::default())
    }
}

#[tokio::test]
async fn names_and_configurations_are_checked() {
    let report = Case::new(Registration::of::<Lax>(&[]).unwrap()).run().await;
    for test in [Test::Name, Test::Config, Test::Oversize] {
        assert!(matches!(report.ending(test), Some(Ending::Failed(_))), "{report}");
    }
    assert_eq!(report.ending(Test::Success), Some(&Ending::Passed), "{report}");
}

#[test]
fn the_default_document_holds_the_canary_and_is_read_in_parts() {
    let sample = super::default_document();
    assert!(sample.body.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()));
    assert!(sample.body.len() > 2 * 64 * 1024);
}
