//! `validate`, first form: what a document is, whether it is whole, and whether it holds a known danger.
//!
//! The document is read once, as a stream, with memory that does not depend on its size. Size and checksums are recomputed and compared
//! with what the store claims, byte signatures are looked for wherever chunks happen to be cut, and the type is told from the content
//! and compared with the name and the declared type. For containers a few pages more are read (at most [`PAGES`]).
//!
//! A limit that is reached is the verdict `incomplete`, with the limit and the number of bytes not looked at in the details. What was
//! checked and what was not stands there too: a `pass` says only what `checked` lists.

#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod config;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod core;
mod error;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod kind;
#[cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
mod scan;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use std::sync::Arc;

use cofferdam_processor::{Conclusion, ConfigErrors, Deps, Document, Job, ProcessError, Processor, StartError};
use cofferdam_seams::read_all;
use futures::StreamExt;

pub use config::{Config, Plan, Policy};
pub use error::ValidateError;

use crate::core::{Evidence, Inspected, Inspection, conclude};
use crate::kind::{Claim, Detected, PAGE, Pages, detect};
use crate::scan::{Claims, End, Signatures};

/// Pages of 64 KiB that are read for one document's type, its head included.
pub const PAGES: usize = 64;
/// Bytes fed to the scanners before other tasks get their turn: about a millisecond.
const TURN: usize = 256 * 1024;

/// The processor. See the crate.
pub struct Validate {
    policy: Policy,
    signatures: Arc<Signatures>,
}

impl Processor for Validate {
    const NAME: &'static str = "validate";
    const VERSION: &'static str = "1";
    type Config = Config;
    type Plan = Plan;

    fn plan(config: Config) -> Result<Plan, ConfigErrors> {
        config.plan()
    }

    async fn start(plan: Plan, _: &Deps) -> Result<Self, StartError> {
        let load = move || Signatures::load(plan.signatures.as_deref());
        let loaded = tokio::task::spawn_blocking(load)
            .await
            .map_err(|error| StartError::Missing {
                what: "the byte signatures of validate were not loaded".to_owned(),
                source: Some(Box::new(error)),
            })?;
        Ok(Self {
            policy: plan.policy,
            signatures: Arc::new(loaded?),
        })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let (mut inspected, mut stored_size) = self.read(job, &document).await?;
        if inspected.is_damaged() {
            tracing::warn!("size or checksum differs, reading once more");
            (inspected, stored_size) = self.read(job, &document).await?;
        }
        let name = Claim::of_name(job.object.key.as_str());
        let declared = job.object.content_type.as_deref().and_then(Claim::of_declared);
        let claims: Vec<Claim> = name.into_iter().chain(declared).collect();
        let size = match inspected.end {
            End::Whole => inspected.seen,
            End::Limit => stored_size.max(inspected.seen),
        };
        let (detected, reads_exhausted) = self.find_type(&document, &inspected, size, &claims).await?;
        let declared = job.object.content_type.clone();
        Ok(conclude(
            &self.policy,
            Evidence {
                inspected,
                stored_size,
                detected,
                reads_exhausted,
                claims,
                declared,
            },
        ))
    }
}

impl Validate {
    /// The one streaming read. Gives the size the store claims besides.
    async fn read(&self, job: &Job, document: &Document) -> Result<(Inspected, u64), ProcessError> {
        let body = document.read().await.map_err(ProcessError::Document)?;
        let mut claims = Claims::default();
        claims.add(job.object.size, &job.object.checksums);
        claims.add(body.meta.size, &body.meta.checksums);
        let mut inspection = Inspection::new(&self.policy, &claims, &self.signatures);
        let mut stream = body.stream;
        'reading: while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(ProcessError::Document)?;
            for part in chunk.chunks(TURN) {
                if job.cancelled.is_cancelled() {
                    return Err(ProcessError::Cancelled);
                }
                if !inspection.feed(part) {
                    break 'reading;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok((inspection.finish(), body.meta.size))
    }

    /// Tells the type, reading further pages as they are asked for.
    async fn find_type(
        &self,
        document: &Document,
        inspected: &Inspected,
        size: u64,
        claims: &[Claim],
    ) -> Result<(Detected, Option<u64>), ProcessError> {
        let mut pages = Pages::new(size, inspected.head.clone());
        let mut exhausted = None;
        loop {
            match detect(&pages, claims) {
                Ok(detected) => return Ok((detected, exhausted)),
                Err(missing) => {
                    let range = pages.wanted(missing, PAGES);
                    if range.is_empty() {
                        exhausted = Some(pages.close());
                        continue;
                    }
                    let from = range.start;
                    let body = document.read_range(range).await.map_err(ProcessError::Document)?;
                    let bytes = read_all(body.stream, PAGES as u64 * PAGE)
                        .await
                        .map_err(ProcessError::Document)?;
                    if bytes.is_empty() {
                        // Shorter than the store says: what is here has to do.
                        pages.close();
                        continue;
                    }
                    pages.add(from, &bytes);
                }
            }
        }
    }
}
