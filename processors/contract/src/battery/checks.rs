//! The tests themselves. Each returns what is broken, as a sentence.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_schemas::{ErrorCode, ProcessorName, Timestamp, Verdict};
use futures::future::join_all;
use tracing::instrument::WithSubscriber;

use super::fault::Fault;
use super::rig::{CANARY, Rig};
use super::watch::{Metrics, Seen};
use super::{Case, Configure, Ending, Sample, Test};
use crate::document::Document;
use crate::erased::AnyProcessor;
use crate::error::{ErrorClass, ProcessError};
use crate::job::{Conclusion, Job};
use crate::telemetry;

type Checked = Result<(), String>;
type Outcome = Result<Conclusion, ProcessError>;

/// Longer than anything here may take, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A processor with more steps than this is tried at this many of them, evenly spread.
const STEPS: u64 = 64;

/// Runs one test in its own task, so that a panic is a result.
pub(super) async fn run(test: Test, case: &Case) -> Ending {
    let case = case.clone();
    let task = tokio::spawn(async move {
        match test {
            Test::Name => name(&case),
            Test::Config => config(&case),
            Test::Success => success(&case).await,
            Test::Duplicate => duplicate(&case).await,
            Test::Concurrent => concurrent(&case).await,
            Test::Poison => poison(&case).await,
            Test::Superseded => superseded(&case).await,
            Test::Transient => transient(&case).await,
            Test::Cancellation => cancellation(&case).await,
            Test::Oversize => oversize(&case).await,
            Test::Telemetry => seen_from_outside(&case).await,
        }
    });
    let stop = task.abort_handle();
    match tokio::time::timeout(PATIENCE, task).await {
        Ok(Ok(Ok(()))) => Ending::Passed,
        Ok(Ok(Err(reason))) => Ending::Failed(reason),
        Ok(Err(panic)) => Ending::Failed(format!("panicked: {}", panic_text(panic))),
        Err(_) => {
            stop.abort();
            Ending::Failed(format!("not finished after {PATIENCE:?}"))
        }
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "stopped".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}

fn ensure(kept: bool, broken: impl FnOnce() -> String) -> Checked {
    if kept { Ok(()) } else { Err(broken()) }
}

/// A started processor with its rig.
struct Started {
    rig: Rig,
    processor: Arc<dyn AnyProcessor>,
}

impl Started {
    async fn new(case: &Case) -> Result<Self, String> {
        Self::with(case, &case.configure).await
    }

    async fn with(case: &Case, configure: &Configure) -> Result<Self, String> {
        let rig = Rig::new();
        let table = configure(&rig.deps);
        let started = case.registration.start(table, rig.deps.clone()).await;
        let processor = started.map_err(|error| format!("does not start: {}", chain(&error)))?;
        Ok(Self { rig, processor })
    }

    fn name(&self) -> &ProcessorName {
        self.processor.name()
    }

    async fn land(&self, sample: &Sample) -> (Job, Document) {
        self.rig.job(self.name(), sample).await
    }

    async fn process(&self, job: &Job, document: &Document) -> Outcome {
        self.processor.process(job, document.clone()).await
    }

    async fn must(&self, job: &Job, document: &Document, what: &str) -> Result<Conclusion, String> {
        self.process(job, document)
            .await
            .map_err(|error| format!("{what} fails: {}", chain(&error)))
    }

    /// Processes a job twice and demands the same answer and no second effect.
    async fn settled(&self, job: &Job, document: &Document, what: &str) -> Checked {
        let first = self.must(job, document, what).await?;
        let effects = self.rig.effects().await;
        let mut again = job.clone();
        again.attempt += 1;
        let second = self.must(&again, document, &format!("{what}, repeated,")).await?;
        same(&first, &second, what)?;
        ensure(self.rig.effects().await == effects, || {
            format!("{what}: the repeated job changed what is stored")
        })
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

/// The moment a sealed copy was opened again may differ between two calls; nothing else may.
fn same(one: &Conclusion, other: &Conclusion, what: &str) -> Checked {
    let timeless = |conclusion: &Conclusion| {
        let mut conclusion = conclusion.clone();
        if let Some(sealed) = &mut conclusion.sealed {
            sealed.opened_at = Timestamp::from_unix_millis(0);
        }
        conclusion
    };
    ensure(timeless(one) == timeless(other), || {
        format!("{what}: two calls conclude differently: {one:?} and {other:?}")
    })
}

fn name(case: &Case) -> Checked {
    let version = case.registration.version;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    ensure((1..=32).contains(&version.len()) && version.bytes().all(fits), || {
        format!("version {version:?} is not 1 to 32 of A-Z, a-z, 0-9, . and -")
    })?;
    for verb in case.registration.verbs {
        ProcessorName::new(*verb).map_err(|error| format!("verb: {error}"))?;
    }
    Ok(())
}

fn config(case: &Case) -> Checked {
    let rig = Rig::new();
    let mut table = (case.configure)(&rig.deps);
    case.registration
        .check(table.clone())
        .map_err(|error| format!("its configuration is refused: {error}"))?;
    table.insert("no_such_key_exists".to_owned(), toml::Value::Integer(1));
    ensure(case.registration.check(table).is_err(), || {
        "an unknown key in its configuration is accepted".to_owned()
    })
}

async fn success(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let (job, document) = started.land(&case.document).await;
    let before = started.rig.landed().await;
    started.must(&job, &document, "a good document").await?;
    ensure(started.rig.landed().await == before, || {
        "the landing bucket was changed".to_owned()
    })
}

async fn duplicate(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let (job, document) = started.land(&case.document).await;
    let first = started.must(&job, &document, "a good document").await?;
    let effects = started.rig.effects().await;
    started.rig.clock.advance_millis(3_600_000);
    let mut again = job.clone();
    again.attempt = 5;
    let second = started.must(&again, &document, "the same job, an hour later,").await?;
    same(&first, &second, "the same job")?;
    ensure(started.rig.effects().await == effects, || {
        "the repeated job changed what is stored".to_owned()
    })
}

async fn concurrent(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let mut jobs = Vec::new();
    for number in 0..8 {
        let mut sample = case.document.clone();
        sample.key = format!("battery/{number}/{}", sample.name);
        jobs.push(started.land(&sample).await);
    }
    let twice = || jobs.iter().chain(&jobs);
    let calls = twice().map(|(job, document)| {
        let (job, document, processor) = (job.clone(), document.clone(), started.processor.clone());
        async move { tokio::spawn(async move { processor.process(&job, document).await }).await }
    });
    let mut answers = Vec::new();
    for answer in join_all(calls).await {
        let answer = answer.map_err(|panic| format!("a concurrent call panicked: {}", panic_text(panic)))?;
        answers.push(answer.map_err(|error| format!("a concurrent call fails: {}", chain(&error)))?);
    }
    let (first, second) = answers.split_at(jobs.len());
    let effects = started.rig.effects().await;
    for ((one, other), (job, document)) in first.iter().zip(second).zip(&jobs) {
        same(one, other, "two calls at once for one document")?;
        let alone = started.must(job, document, "a document after the rush").await?;
        same(one, &alone, "one document, in a rush and alone")?;
    }
    ensure(started.rig.effects().await == effects, || {
        "calls after the rush changed what is stored".to_owned()
    })
}

/// Documents nobody likes.
fn garbage() -> Vec<Sample> {
    // A linear congruential generator is random enough to be garbage and the same every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let with_canary = |mut bytes: Vec<u8>| {
        bytes.extend_from_slice(CANARY.as_bytes());
        bytes
    };
    let behind = |magic: &[u8], mut rest: Vec<u8>| {
        rest.splice(..0, magic.iter().copied());
        rest
    };
    let end_of_zip = {
        // An end-of-central-directory record that points far outside, with 65,535 entries.
        let mut record = b"PK\x05\x06\0\0\0\0".to_vec();
        record.extend([0xff; 12]);
        record.extend([0, 0]);
        record
    };
    vec![
        Sample::new("empty", Vec::new()),
        Sample::new("one-byte", vec![0]),
        Sample::new("noise", with_canary(noise(70_000))),
        Sample::new("not-utf-8", with_canary(vec![0xff; 4096])),
        Sample::new("only-line-feeds", vec![b'\n'; 200_000]),
        Sample::new("only-quotes.csv", vec![b'"'; 100_001]),
        Sample::new("deep.json", vec![b'['; 200_000]),
        Sample::new("half-a.png", behind(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", noise(40))),
        Sample::new("half-a.pdf", behind(b"%PDF-1.7\n", noise(5_000))),
        Sample::new("half-a.zip", behind(b"PK\x03\x04", noise(5_000))),
        Sample::new("lying.zip", behind(b"PK\x03\x04", [noise(500), end_of_zip].concat())),
        Sample::new("half-an.ole", behind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", noise(600))),
        Sample::new("half-an.exe", behind(b"MZ", noise(100))),
        Sample::new("half-a.mp4", behind(b"\0\0\0\x18ftypmp42", noise(100))),
        Sample::new("utf-16-cut", behind(b"\xff\xfe", vec![b'a'; 333])),
        Sample::new("nul", vec![0; 100_000]),
    ]
}

async fn poison(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    for sample in garbage().iter().chain(&case.poison) {
        let (job, document) = started.land(sample).await;
        let (processor, name) = (started.processor.clone(), &sample.name);
        let call = tokio::spawn({
            let (job, document) = (job.clone(), document.clone());
            async move { processor.process(&job, document).await }
        });
        let answer = tokio::time::timeout(PATIENCE / 4, call).await;
        let answer = answer.map_err(|_| format!("{name}: hangs"))?;
        let answer = answer.map_err(|panic| format!("{name}: panicked: {}", panic_text(panic)))?;
        if let Err(error) = &answer {
            let class = error.class();
            ensure(class == ErrorClass::Reject, || {
                format!("{name}: {class:?} instead of a rejection: {}", chain(error))
            })?;
            discreet(error, name)?;
        }
        // The answer must be repeatable, and other documents must not suffer.
        let again = started.process(&job, &document).await;
        match (&answer, &again) {
            (Ok(one), Ok(other)) => same(one, other, name)?,
            (Err(one), Err(other)) if one.code() == other.code() => {}
            _ => return Err(format!("{name}: two calls end differently")),
        }
    }
    let (job, document) = started.land(&case.document).await;
    started
        .must(&job, &document, "a good document after all the garbage")
        .await
        .map(drop)
}

fn discreet(error: &ProcessError, what: &str) -> Checked {
    let told = format!("{} {error:?}", chain(error));
    ensure(!told.contains(CANARY), || {
        format!("{what}: the error repeats the document's content")
    })
}

async fn superseded(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let gone = |answer: Outcome, what: &str| match answer {
        Err(error) if error.class() == ErrorClass::Superseded => Ok(()),
        Err(error) => Err(format!(
            "{what}: {:?}, not superseded: {}",
            error.class(),
            chain(&error)
        )),
        Ok(_) => Err(format!("{what}: it concludes all the same")),
    };
    let (old, document) = started.land(&case.document).await;
    let mut newer = case.document.clone();
    newer.body.extend_from_slice(b"changed\n");
    started.land(&newer).await;
    gone(started.process(&old, &document).await, "a document that was replaced")?;
    let (job, document) = started.land(&case.document).await;
    started.rig.remove(&job).await;
    gone(started.process(&job, &document).await, "a document that is gone")
}

/// The steps to try, given how many an undisturbed job takes.
fn places(steps: u64) -> Vec<u64> {
    if steps <= STEPS {
        (0..steps).collect()
    } else {
        (0..STEPS).map(|n| n * (steps - 1) / (STEPS - 1)).collect()
    }
}

/// Lands the good document under a key of its own.
async fn fresh(started: &Started, case: &Case, label: &str, number: u64) -> (Job, Document) {
    let mut sample = case.document.clone();
    sample.key = format!("battery/{label}-{number}/{}", sample.name);
    started.land(&sample).await
}

async fn steps(started: &Started, case: &Case) -> Result<(u64, Conclusion), String> {
    let (job, document) = fresh(started, case, "undisturbed", 0).await;
    started.rig.plan.arm(Fault::None);
    let conclusion = started.must(&job, &document, "a good document").await?;
    let steps = started.rig.plan.steps();
    ensure(steps > 0, || "the document was never read".to_owned())?;
    Ok((steps, conclusion))
}

async fn transient(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let (steps, reference) = steps(&started, case).await?;
    for at in places(steps) {
        let what = format!("store call {at} of {steps} failed once, then");
        let (job, document) = fresh(&started, case, "transient", at).await;
        started.rig.plan.arm(Fault::Fail(at));
        let answer = started.process(&job, &document).await;
        started.rig.plan.arm(Fault::None);
        if let Err(error) = answer {
            let class = error.class();
            ensure(class == ErrorClass::Retry, || {
                format!("store call {at} fails: {class:?}, not retry: {}", chain(&error))
            })?;
            discreet(&error, "a store that fails")?;
        }
        started.settled(&job, &document, &what).await?;
        let end = started.must(&job, &document, &what).await?;
        let alike = (end.verdict, &end.findings) == (reference.verdict, &reference.findings);
        ensure(alike, || {
            format!("{what} the verdict or the findings differ from an undisturbed run")
        })?;
    }
    Ok(())
}

async fn cancellation(case: &Case) -> Checked {
    let started = Started::new(case).await?;
    let (steps, _) = steps(&started, case).await?;
    for at in places(steps) {
        let what = format!("a call dropped at store call {at} of {steps}, then");
        let (job, document) = fresh(&started, case, "dropped", at).await;
        started.rig.plan.arm(Fault::Hang(at));
        tokio::select! {
            biased;
            () = started.rig.plan.met.notified() => {}
            answer = started.process(&job, &document) => {
                // It may take another way than the undisturbed run did, but it may not fail.
                answer.map_err(|error| format!("undisturbed up to call {at}: {}", chain(&error)))?;
            }
        }
        started.rig.plan.arm(Fault::None);
        started.settled(&job, &document, &what).await?;
    }
    let (job, document) = fresh(&started, case, "cancelled", 0).await;
    job.cancelled.cancel();
    match started.process(&job, &document).await {
        Ok(_) | Err(ProcessError::Cancelled) => {}
        Err(error) => {
            return Err(format!(
                "a cancelled job fails otherwise than as cancelled: {}",
                chain(&error)
            ));
        }
    }
    let (again, document) = (
        Job {
            cancelled: Default::default(),
            ..job
        },
        document,
    );
    started.settled(&again, &document, "a job cancelled, then").await
}

async fn oversize(case: &Case) -> Checked {
    let Some((configure, sample)) = &case.oversize else {
        return Err("no document above the limit was given: use Case::oversize, or skip with a reason".to_owned());
    };
    let started = Started::with(case, configure).await?;
    let (job, document) = started.land(sample).await;
    match started.process(&job, &document).await {
        Ok(conclusion) => {
            ensure(
                conclusion.verdict.is_some_and(|verdict| verdict >= Verdict::Incomplete),
                || format!("the verdict is {:?} though a limit was reached", conclusion.verdict),
            )?;
            let names = |name: &&String| name.contains("limit") || name.contains("not_looked_at");
            ensure(conclusion.details.keys().filter(names).count() >= 2, || {
                "the details name neither the limit nor the bytes not looked at".to_owned()
            })
        }
        Err(error) => ensure(
            error.class() == ErrorClass::Reject && error.code() == ErrorCode::LimitExceeded,
            || format!("not rejected as limit-exceeded: {}", chain(&error)),
        ),
    }
}

async fn seen_from_outside(case: &Case) -> Checked {
    let metrics = Metrics::install();
    let seen = Seen::default();
    let started = Started::new(case).with_subscriber(seen.dispatch()).await?;
    let (job, document) = started.land(&case.document).await;
    let conclusion = started
        .must(&job, &document, "a good document")
        .with_subscriber(seen.dispatch())
        .await?;
    started.rig.plan.arm(Fault::Fail(0));
    let failed = started.process(&job, &document).with_subscriber(seen.dispatch()).await;
    started.rig.plan.arm(Fault::None);

    let spans = seen.spans(telemetry::SPAN);
    let done = spans
        .iter()
        .find(|fields| fields.get("outcome").is_some_and(|outcome| outcome == "done"));
    let done = done.ok_or_else(|| format!("no span {} with outcome done", telemetry::SPAN))?;
    for field in telemetry::SPAN_FIELDS {
        ensure(done.contains_key(field), || format!("the span has no field {field}"))?;
    }
    ensure(
        done.get("processor")
            .is_some_and(|name| name == started.name().as_str()),
        || "the span names another processor".to_owned(),
    )?;
    let label = format!("processor={}", started.name());
    for instrument in [telemetry::DURATION, telemetry::BYTES] {
        let labels = metrics.labels(instrument).await;
        ensure(labels.contains(&label), || {
            format!("{instrument} has no series with {label}")
        })?;
    }

    let places = seen.places_of(CANARY);
    ensure(places.is_empty(), || {
        format!("the document's content is in {}", places.join(" and "))
    })?;
    if let Err(error) = failed {
        discreet(&error, "a store that fails")?;
    }
    ensure(!format!("{conclusion:?}").contains(CANARY), || {
        "the conclusion repeats the document's content".to_owned()
    })
}
