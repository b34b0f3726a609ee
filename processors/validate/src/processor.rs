//! The processor: a document from its store through the scanners.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cofferdam_inside::inside::Kind;
use cofferdam_processor::{Conclusion, ConfigErrors, Deps, Document, Job, ProcessError, Processor, StartError};
use cofferdam_scan::structure::schema::Selected;
use cofferdam_seams::read_all;
use futures::StreamExt;

use crate::cache::{self, Cache, Key};
use crate::child::{Task, spool};
use crate::config::{Config, Plan};
use crate::core::{About, Evidence, Inspected, Inspection, conclude};
use crate::kind::{Claim, Detected, Finder, PAGE, PAGES, Step};
use crate::look::Outcome;
use crate::rulebook::{Rulebook, Rulebooks};
use crate::scan::{Claims, End, Integrity, Scanner as _};
use crate::yara;

/// Documents up to this size are scanned where they are read; larger ones on a thread of their own, because a window of text takes milliseconds.
const AT_ONCE: u64 = 16 * 1024;
/// Chunks that wait for that thread.
const WAITING: usize = 4;

/// The file in the data directory that keys hashes of values found, unless another is configured.
const HASH_KEY: &str = "findings.key";

/// The processor. See the crate.
pub struct Validate {
    rulebooks: Rulebooks,
    hash_key: Vec<u8>,
    cache: Cache,
}

impl Processor for Validate {
    const NAME: &'static str = "validate";
    const VERSION: &'static str = "7";
    type Config = Config;
    type Plan = Plan;

    fn plan(config: Config) -> Result<Plan, ConfigErrors> {
        config.plan()
    }

    async fn start(plan: Plan, deps: &Deps) -> Result<Self, StartError> {
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| {
            StartError::Missing {
            what: "the rules of validate cannot be used: correct the files that processors.validate names (signatures, packs, schemas)".to_owned(),
            source: Some(source),
        }
        };
        let (cache, path) = (Cache::new(plan.cache_documents), plan.hash_key.clone());
        let data_dir = deps.data_dir.clone();
        let hash_key = tokio::task::spawn_blocking(move || read_key(path.as_deref(), &data_dir))
            .await
            .map_err(|error| unusable(Box::new(error)))?
            .map_err(|(path, source)| StartError::Missing {
                what: format!(
                    "{} cannot be used: it holds the key for hashes of values found",
                    path.display()
                ),
                source: Some(Box::new(source)),
            })?;
        let loaded = tokio::task::spawn_blocking(move || Rulebooks::load(plan))
            .await
            .map_err(|error| unusable(Box::new(error)))?;
        let rulebooks = loaded.map_err(|error| unusable(Box::new(error)))?;
        let strangers = rulebooks.strangers(&deps.tenants);
        if !strangers.is_empty() {
            return Err(StartError::Missing {
                what: format!(
                    "rules of validate are for tenants that are not in `tenants`: {}",
                    strangers.join(", ")
                ),
                source: None,
            });
        }
        Ok(Self {
            rulebooks,
            hash_key,
            cache,
        })
    }

    async fn process(&self, job: &Job, document: Document) -> Result<Conclusion, ProcessError> {
        let tenant = Some(&job.object.tenant);
        let work = Work {
            job,
            document: &document,
            rules: self.rulebooks.of(tenant),
            schemas: self.rulebooks.schemas(tenant, job.object.key.as_str()),
            claims: claims(job),
            hash_key: &self.hash_key,
        };
        let claimed = job.object.checksums.sha256.as_deref();
        let key = claimed.map(|sha256| work.key(sha256));
        if let Some(known) = key.as_ref().and_then(|key| self.cache.get(key)) {
            // The hash was claimed: what is remembered is about bytes that have it.
            if work.is_whole().await? {
                cache::looked("hit");
                return Ok(known);
            }
            cache::looked("changed");
        } else {
            cache::looked("miss");
        }
        let conclusion = work.validate().await?;
        let damaged = conclusion
            .findings
            .iter()
            .any(|finding| finding.category == "integrity");
        if let Some(sha256) = conclusion.details.get("sha256").and_then(|sha256| sha256.as_str())
            && !damaged
        {
            let key = key.filter(|_| claimed == Some(sha256));
            self.cache.put(key.unwrap_or_else(|| work.key(sha256)), &conclusion);
        }
        Ok(conclusion)
    }
}

#[cfg(test)]
impl Validate {
    /// How many conclusions are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.cache.len()
    }
}

/// The bytes that key hashes; made when there are none.
fn read_key(path: Option<&Path>, data_dir: &Path) -> Result<Vec<u8>, (PathBuf, std::io::Error)> {
    let own = data_dir.join(HASH_KEY);
    let at = path.unwrap_or(&own);
    let failed = |error| (at.to_owned(), error);
    if path.is_none() {
        let key: [u8; 32] = rand::random();
        let mut options = std::fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(at) {
            Ok(mut file) => {
                file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
                return Ok(key.to_vec());
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let key = std::fs::read(at).map_err(failed)?;
    if key.len() < 16 {
        let short = "it has fewer than 16 bytes; remove it for a new one, or restore it";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, short)));
    }
    Ok(key)
}

/// One document, and what applies to it.
struct Work<'a> {
    job: &'a Job,
    document: &'a Document,
    rules: &'a Rulebook,
    schemas: Selected,
    claims: Vec<Claim>,
    hash_key: &'a [u8],
}

fn claims(job: &Job) -> Vec<Claim> {
    let name = Claim::of_name(job.object.key.as_str());
    let declared = job.object.content_type.as_deref().and_then(Claim::of_declared);
    name.into_iter().chain(declared).collect()
}

impl Work<'_> {
    /// What is remembered about bytes with this hash is under this key: everything that bears on the conclusion is in it.
    fn key(&self, sha256: &str) -> Key {
        let object = &self.job.object;
        // Which checksums are claimed decides which are compared, and the result says so.
        let sums = serde_json::to_value(&object.checksums).ok();
        let sums: Vec<String> = sums
            .and_then(|sums| {
                Some(
                    sums.as_object()?
                        .iter()
                        .filter(|(_, sum)| !sum.is_null())
                        .map(|(n, _)| n.clone())
                        .collect(),
                )
            })
            .unwrap_or_default();
        Key::of(&[
            sha256.as_bytes(),
            &object.size.to_le_bytes(),
            object.tenant.as_str().as_bytes(),
            object.content_type.as_deref().unwrap_or_default().as_bytes(),
            format!("{:?}", self.claims).as_bytes(),
            &self.rules.engines.profile(object.key.as_str()),
            format!("{:?}", self.rules.versions).as_bytes(),
            self.schemas.version.as_deref().unwrap_or_default().as_bytes(),
            sums.join(" ").as_bytes(),
        ])
    }

    /// Reads the document and tells whether it is what is claimed: size and every checksum.
    async fn is_whole(&self) -> Result<bool, ProcessError> {
        let body = self.document.read().await.map_err(ProcessError::Document)?;
        let mut sums = Claims::default();
        sums.add(self.job.object.size, &self.job.object.checksums);
        sums.add(body.meta.size, &body.meta.checksums);
        let mut integrity = Box::new(Integrity::new(&sums));
        let mut stream = body.stream;
        while let Some(chunk) = stream.next().await {
            if self.job.cancelled.is_cancelled() {
                return Err(ProcessError::Cancelled);
            }
            integrity.feed(&chunk.map_err(ProcessError::Document)?);
        }
        Ok(integrity.finish(End::Whole).findings.is_empty())
    }

    async fn validate(&self) -> Result<Conclusion, ProcessError> {
        let (mut inspected, mut stored_size) = self.read().await?;
        if inspected.is_damaged() {
            tracing::warn!("size or checksum differs, reading once more");
            (inspected, stored_size) = self.read().await?;
        }
        let size = match inspected.end {
            End::Whole => inspected.seen,
            End::Limit => stored_size.max(inspected.seen),
        };
        let (detected, reads_exhausted) = self.find_type(&inspected, size).await?;
        let kind = inspected.inside(&detected);
        let inside = match self.rules.children.concerns(kind) {
            true => Some(self.inside(kind, size).await?),
            false => None,
        };
        Ok(conclude(
            self.rules,
            Evidence {
                inspected,
                inside,
                opened: kind.is_some(),
                stored_size,
                detected,
                reads_exhausted,
                claims: self.claims.clone(),
                declared: self.job.object.content_type.clone(),
                schemas: self.schemas.clone(),
            },
        ))
    }

    /// The one streaming read. Gives the size the store claims besides.
    async fn read(&self) -> Result<(Inspected, u64), ProcessError> {
        let job = self.job;
        let body = self.document.read().await.map_err(ProcessError::Document)?;
        let mut sums = Claims::default();
        sums.add(job.object.size, &job.object.checksums);
        sums.add(body.meta.size, &body.meta.checksums);
        let about = About {
            name: job.object.key.as_str(),
            claims: self.claims.clone(),
            sums: &sums,
            size: body.meta.size,
            hash_key: Some(self.hash_key.to_vec()),
            schemas: &self.schemas,
        };
        let mut inspection = Inspection::new(&self.rules.policy, &self.rules.engines, about);
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
    async fn find_type(&self, inspected: &Inspected, size: u64) -> Result<(Detected, Option<u64>), ProcessError> {
        let mut finder = Finder::new(size, inspected.head.clone());
        loop {
            let range = match finder.step(&self.claims) {
                Step::Is(detected, exhausted) => return Ok((detected, exhausted)),
                Step::Read(range) => range,
            };
            let from = range.start;
            let body = self.document.read_range(range).await.map_err(ProcessError::Document)?;
            let bytes = read_all(body.stream, PAGES as u64 * PAGE)
                .await
                .map_err(ProcessError::Document)?;
            finder.give(from, &bytes);
        }
    }

    /// Has a child process look at it, and into it if it has an inside.
    async fn inside(&self, kind: Option<Kind>, size: u64) -> Result<Outcome, ProcessError> {
        let (job, rules) = (self.job, self.rules);
        // What is not opened is only looked at by rules that have a limit of their own.
        let most = if kind.is_some() {
            u64::MAX
        } else {
            yara::MOST.min(rules.policy.max_bytes)
        };
        let failed = |error: std::io::Error| ProcessError::Dependency {
            what: "the place for documents on their way to the child process",
            source: Box::new(error),
        };
        let mut spool = spool(size.min(most)).map_err(failed)?;
        let body = self.document.read().await.map_err(ProcessError::Document)?;
        let mut stream = body.stream;
        let mut spooled = 0;
        while spooled < most
            && let Some(chunk) = stream.next().await
        {
            if job.cancelled.is_cancelled() {
                return Err(ProcessError::Cancelled);
            }
            let chunk = chunk.map_err(ProcessError::Document)?;
            spool.write_all(&chunk).map_err(failed)?;
            spooled += chunk.len() as u64;
        }
        drop(stream);
        let file = spool.finish().map_err(failed)?;
        let task = Task {
            name: job.object.key.as_str(),
            kind,
            size,
            bytes: rules.policy.max_bytes,
            most: rules.policy.max_findings,
            hash_key: Some(self.hash_key),
            schemas: &self.schemas,
        };
        let look = rules.children.look(task, &file);
        let outcome = tokio::select! {
            outcome = look => outcome,
            () = job.cancelled.cancelled() => return Err(ProcessError::Cancelled),
        };
        outcome.map_err(|error| ProcessError::Dependency {
            what: "the child process that opens documents",
            source: Box::new(error),
        })
    }
}
