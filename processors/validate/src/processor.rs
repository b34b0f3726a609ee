//! The processor: a document from its store through the scanners.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use cofferdam_inside::inside::Limits;
use cofferdam_processor::{Conclusion, ConfigErrors, Deps, Document, Job, ProcessError, Processor, StartError};
use cofferdam_seams::read_all;
use futures::StreamExt;

use crate::child::{Children, inside_of, spool};
use crate::config::{Config, Plan, Policy};
use crate::core::{About, Evidence, Inspected, Inspection, conclude};
use crate::kind::{Claim, Detected, Finder, PAGE, PAGES, Step};
use crate::look::{Engines, Outcome};
use crate::scan::{Claims, End};

/// Documents up to this size are scanned where they are read; larger ones on a thread of their own, because a window of text takes milliseconds.
const AT_ONCE: u64 = 16 * 1024;
/// Chunks that wait for that thread.
const WAITING: usize = 4;

/// The processor. See the crate.
pub struct Validate {
    policy: Policy,
    engines: Arc<Engines>,
    children: Children,
}

impl Processor for Validate {
    const NAME: &'static str = "validate";
    const VERSION: &'static str = "2";
    type Config = Config;
    type Plan = Plan;

    fn plan(config: Config) -> Result<Plan, ConfigErrors> {
        config.plan()
    }

    async fn start(plan: Plan, _: &Deps) -> Result<Self, StartError> {
        let Plan { packs, policy } = plan;
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| {
            StartError::Missing {
            what: "the rules of validate cannot be used: correct the files that processors.validate.signatures and processors.validate.packs name".to_owned(),
            source: Some(source),
        }
        };
        let own = packs.clone();
        let loaded = tokio::task::spawn_blocking(move || Engines::load(&own))
            .await
            .map_err(|error| unusable(Box::new(error)))?;
        Ok(Self {
            policy,
            engines: Arc::new(loaded.map_err(|error| unusable(Box::new(error)))?),
            children: Children::new(&packs, Limits::default()).map_err(|error| unusable(Box::new(error)))?,
        })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let (mut inspected, mut stored_size) = self.read(job, &document).await?;
        if inspected.is_damaged() {
            tracing::warn!("size or checksum differs, reading once more");
            (inspected, stored_size) = self.read(job, &document).await?;
        }
        let claims = claims(job);
        let size = match inspected.end {
            End::Whole => inspected.seen,
            End::Limit => stored_size.max(inspected.seen),
        };
        let (detected, reads_exhausted) = self.find_type(&document, &inspected, size, &claims).await?;
        let inside = self.inside(job, &document, &inspected, &detected).await?;
        let declared = job.object.content_type.clone();
        Ok(conclude(
            &self.policy,
            &self.engines,
            Evidence {
                inspected,
                inside,
                stored_size,
                detected,
                reads_exhausted,
                claims,
                declared,
            },
        ))
    }
}

fn claims(job: &Job) -> Vec<Claim> {
    let name = Claim::of_name(job.object.key.as_str());
    let declared = job.object.content_type.as_deref().and_then(Claim::of_declared);
    name.into_iter().chain(declared).collect()
}

impl Validate {
    /// The one streaming read. Gives the size the store claims besides.
    async fn read(&self, job: &Job, document: &Document) -> Result<(Inspected, u64), ProcessError> {
        let body = document.read().await.map_err(ProcessError::Document)?;
        let mut sums = Claims::default();
        sums.add(job.object.size, &job.object.checksums);
        sums.add(body.meta.size, &body.meta.checksums);
        let about = About {
            name: job.object.key.as_str(),
            claims: claims(job),
            sums: &sums,
            size: body.meta.size,
            hash_key: None,
        };
        let mut inspection = Inspection::new(&self.policy, &self.engines, about);
        let mut stream = body.stream;
        if body.meta.size <= AT_ONCE {
            while let Some(chunk) = stream.next().await {
                if !inspection.feed(&chunk.map_err(ProcessError::Document)?) {
                    break;
                }
            }
            return Ok((inspection.finish(), body.meta.size));
        }
        let (send, mut receive) = tokio::sync::mpsc::channel::<Bytes>(WAITING);
        let work = tokio::task::spawn_blocking(move || {
            while let Some(chunk) = receive.blocking_recv() {
                if !inspection.feed(&chunk) {
                    break;
                }
            }
            // Whoever still sends hears that it is enough.
            drop(receive);
            inspection.finish()
        });
        while let Some(chunk) = stream.next().await {
            if job.cancelled.is_cancelled() {
                return Err(ProcessError::Cancelled);
            }
            if send.send(chunk.map_err(ProcessError::Document)?).await.is_err() {
                break;
            }
        }
        drop(send);
        let inspected = work.await.map_err(|error| ProcessError::Internal {
            reason: format!("a scan ended unexpectedly: {error}"),
        })?;
        Ok((inspected, body.meta.size))
    }

    /// Tells the type, reading further pages as they are asked for.
    async fn find_type(
        &self,
        document: &Document,
        inspected: &Inspected,
        size: u64,
        claims: &[Claim],
    ) -> Result<(Detected, Option<u64>), ProcessError> {
        let mut finder = Finder::new(size, inspected.head.clone());
        loop {
            let range = match finder.step(claims) {
                Step::Is(detected, exhausted) => return Ok((detected, exhausted)),
                Step::Read(range) => range,
            };
            let from = range.start;
            let body = document.read_range(range).await.map_err(ProcessError::Document)?;
            let bytes = read_all(body.stream, PAGES as u64 * PAGE)
                .await
                .map_err(ProcessError::Document)?;
            finder.give(from, &bytes);
        }
    }

    /// Looks inside what has an inside, in a child process.
    async fn inside(
        &self,
        job: &Job,
        document: &Document,
        inspected: &Inspected,
        detected: &Detected,
    ) -> Result<Option<Outcome>, ProcessError> {
        let Some(kind) = inside_of(&detected.name, &inspected.head).filter(|_| !inspected.text) else {
            return Ok(None);
        };
        if inspected.end == End::Limit {
            return Ok(None);
        }
        let failed = |error: std::io::Error| ProcessError::Dependency {
            what: "the place for documents on their way to the child process",
            source: Box::new(error),
        };
        let mut spool = spool(inspected.seen).map_err(failed)?;
        let body = document.read().await.map_err(ProcessError::Document)?;
        let mut stream = body.stream;
        while let Some(chunk) = stream.next().await {
            if job.cancelled.is_cancelled() {
                return Err(ProcessError::Cancelled);
            }
            spool
                .write_all(&chunk.map_err(ProcessError::Document)?)
                .map_err(failed)?;
        }
        let file = spool.finish().map_err(failed)?;
        let look = self
            .children
            .look(job.object.key.as_str(), kind, self.policy.max_findings, None, &file);
        let outcome = tokio::select! {
            outcome = look => outcome,
            () = job.cancelled.cancelled() => return Err(ProcessError::Cancelled),
        };
        outcome.map(Some).map_err(|error| ProcessError::Dependency {
            what: "the child process that opens documents",
            source: Box::new(error),
        })
    }
}
