//! The child process in which containers are opened: both its sides.
//!
//! Parsers of hostile files abort on memory and overflow the stack, which nothing inside a process can stop. A program that runs this processor calls
//! [`child_main`] first thing in its `main`: when it was started as a child, that is all it does.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cofferdam_inside::inside::{Kind, Limits};
use cofferdam_inside::sandbox::{Failure, Pool, Settings, Spool, worker_main};
use cofferdam_scan::structure::schema::{RawTable, Selected};
use cofferdam_schemas::{Finding, Severity};

use crate::look::{Answer, Engines, Outcome, Packs, Request, answer};

/// The argument by which a child knows what it is. The next argument holds the packs as JSON.
const CHILD: &str = "__validate-inside";
/// Documents larger than this are handed over in a file without a name instead of in memory.
const MEMORY: u64 = 64 << 20;

/// Runs the child when this process was started as one; `None` when it was not.
///
/// # Errors
/// When the child cannot do its work; its parent hears of it.
pub fn child_main() -> Option<io::Result<()>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != *CHILD {
        return None;
    }
    let packs = arguments.next().unwrap_or_default();
    Some(run(&packs.to_string_lossy()))
}

fn run(packs: &str) -> io::Result<()> {
    let packs: Packs = serde_json::from_str(packs)?;
    let engines = Arc::new(Engines::load(&packs).map_err(io::Error::other)?);
    worker_main(move || {
        move |request: Request, document: File, emitter: &mut cofferdam_inside::sandbox::Emitter<'_, Answer>| {
            let tell = &mut |answer: Answer| {
                // What is too long to be sent is counted, and the parent hears of it.
                emitter.emit(&answer);
            };
            // An error tells nothing, and the parent takes it so.
            let _ = answer(&engines, request, document, tell);
        }
    })
}

/// The children of one processor.
pub struct Children {
    pool: Pool,
    limits: Limits,
    /// The program of the unit tests is no child: there the child's side is called instead. Whole programs are tested end to end.
    #[cfg(test)]
    engines: Arc<Engines>,
}

/// The inside could not be looked at, through no fault of the document.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// No child is to be had.
    #[error("the child process that opens documents cannot be used")]
    Child(#[source] Failure),
    /// The document cannot be handed over.
    #[error("the document cannot be handed to the child process")]
    Spool(#[from] io::Error),
}

impl Children {
    /// Starts none yet. They will load these packs.
    ///
    /// # Errors
    /// When this program's own file cannot be told.
    pub fn new(packs: &Packs, limits: Limits) -> io::Result<Self> {
        // The file this program was started from, even if another was put in its place since.
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { own } else { std::env::current_exe()? };
        let mut settings = Settings::of(program, CHILD);
        settings.args.push(OsString::from(serde_json::to_string(packs)?));
        Ok(Self {
            pool: Pool::new(settings),
            limits,
            #[cfg(test)]
            engines: Arc::new(Engines::load(packs).map_err(io::Error::other)?),
        })
    }

    /// Has a document looked into. A child that breaks its bounds is a finding and a limit; what it had found until then is kept.
    pub async fn look(
        &self,
        name: &str,
        kind: Kind,
        most: usize,
        hash_key: Option<&[u8]>,
        schemas: &Selected,
        document: &File,
    ) -> Result<Outcome, ChildError> {
        let request = Request {
            name: name.to_owned(),
            kind: Some(kind),
            limits: self.limits.clone(),
            most,
            hash_key: hash_key.map(hex::encode),
            table: schemas.table.as_ref().map(|contract| RawTable::clone(&contract.raw)),
        };
        #[cfg(test)]
        if let Ok(document) = document.try_clone() {
            let engines = self.engines.clone();
            let work = tokio::task::spawn_blocking(move || {
                let mut outcome = Outcome::default();
                answer(&engines, request, document, &mut |answer| take(&mut outcome, answer))?;
                Ok::<_, io::Error>(outcome)
            });
            return Ok(work.await.map_err(io::Error::other)??);
        }
        self.ask(request, document).await
    }

    async fn ask(&self, request: Request, document: &File) -> Result<Outcome, ChildError> {
        let mut outcome = Outcome::default();
        let mut told = false;
        let ran = self
            .pool
            .run(&request, document, |one: Answer| {
                told |= matches!(one, Answer::Whole(_));
                take(&mut outcome, one);
            })
            .await;
        match ran {
            Ok(report) => {
                if report.dropped > 0 || !told {
                    outcome
                        .limits
                        .insert("inside-results".to_owned(), report.dropped.max(1));
                    outcome.not_checked.insert("contents".to_owned());
                }
            }
            Err(Failure::Breach(breach)) => {
                outcome.limits.insert("inside".to_owned(), 1);
                outcome.not_checked.insert(format!("contents: {breach}"));
                let message = format!("opening the document breaks the bounds it is opened in: {breach}");
                outcome.findings.push(Finding {
                    remediation: Some("ask the sender for another copy, and open this one nowhere".to_owned()),
                    citation: Some("CWE-400".to_owned()),
                    ..Finding::new("structure/breaks-bounds", Severity::Medium, 0.9, message)
                });
            }
            Err(failure) => return Err(ChildError::Child(failure)),
        }
        Ok(outcome)
    }
}

/// Takes an answer of the child.
fn take(outcome: &mut Outcome, answer: Answer) {
    match answer {
        Answer::Part(findings) => outcome.findings.extend(findings),
        Answer::Whole(whole) => *outcome = *whole,
    }
}

/// A place for a document of this size that a child can be handed.
///
/// # Errors
/// When there is no memory, or no room in the folder for temporary files.
pub fn spool(size: u64) -> io::Result<Spool> {
    if size <= MEMORY {
        Spool::in_memory()
    } else {
        Spool::in_folder(&std::env::temp_dir())
    }
}

/// What kind of inside the look into it should expect; `None` for what has none.
pub fn inside_of(name: &str, head: &[u8]) -> Option<Kind> {
    let kind = match name {
        "pdf" => Kind::Pdf,
        _ => Kind::sniff(&head[..head.len().min(cofferdam_inside::inside::kind::HEAD)]),
    };
    (kind.is_container() || kind.is_program()).then_some(kind)
}
