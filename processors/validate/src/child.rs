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
use crate::yara::Yara;

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
    worker_main(move |compiled| {
        let engines = Arc::new(Engines::load_in_child(&packs, compiled).map_err(io::Error::other)?);
        Ok(
            move |request: Request, document: File, emitter: &mut cofferdam_inside::sandbox::Emitter<'_, Answer>| {
                let tell = &mut |answer: Answer| {
                    // What is too long to be sent is counted, and the parent hears of it.
                    emitter.emit(&answer);
                };
                // An error tells nothing, and the parent takes it so.
                let _ = answer(&engines, request, document, tell);
            },
        )
    })
}

/// One document for a child.
pub struct Task<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind of inside it has; none where it is not to be opened.
    pub kind: Option<Kind>,
    /// Bytes it has, of which the child may be handed only the first ones.
    pub size: u64,
    /// Bytes of a document that are looked at, as the policy says.
    pub bytes: u64,
    /// Findings listed.
    pub most: usize,
    /// What keys the hashes of values.
    pub hash_key: Option<&'a [u8]>,
    /// What it has to conform to.
    pub schemas: &'a Selected,
}

/// The children of one processor.
pub struct Children {
    pool: Pool,
    limits: Limits,
    /// Whether there are rules for every document, whatever its kind.
    for_all: bool,
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
    /// Starts none yet. They will load these packs, of which `engines` were made.
    ///
    /// # Errors
    /// When this program's own file cannot be told.
    pub fn new(packs: &Packs, engines: &Arc<Engines>, limits: Limits) -> io::Result<Self> {
        // The file this program was started from, even if another was put in its place since.
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { own } else { std::env::current_exe()? };
        let mut settings = Settings::of(program, CHILD);
        settings.args.push(OsString::from(serde_json::to_string(packs)?));
        settings.material = engines.yara().map(Yara::compiled).unwrap_or_default();
        Ok(Self {
            pool: Pool::new(settings),
            limits,
            for_all: engines.yara().is_some(),
            #[cfg(test)]
            engines: engines.clone(),
        })
    }

    /// Whether a document is of concern here, which is opened if it has a kind of inside.
    pub fn concerns(&self, kind: Option<Kind>) -> bool {
        self.for_all || kind.is_some()
    }

    /// Has a document looked at, and into if it has an inside. A child that breaks its bounds is a finding and a limit; what it had found until then is
    /// kept.
    pub async fn look(&self, task: Task<'_>, document: &File) -> Result<Outcome, ChildError> {
        let request = Request {
            name: task.name.to_owned(),
            kind: task.kind,
            size: task.size,
            bytes: task.bytes,
            limits: self.limits.clone(),
            most: task.most,
            hash_key: task.hash_key.map(hex::encode),
            table: task
                .schemas
                .table
                .as_ref()
                .map(|contract| RawTable::clone(&contract.raw)),
        };
        #[cfg(test)]
        if let Ok(document) = document.try_clone() {
            let engines = self.engines.clone();
            let work = tokio::task::spawn_blocking(move || {
                let mut taken = Taken::default();
                answer(&engines, request, document, &mut |answer| taken.take(answer))?;
                Ok::<_, io::Error>(taken.outcome)
            });
            return Ok(work.await.map_err(io::Error::other)??);
        }
        self.ask(request, document).await
    }

    async fn ask(&self, request: Request, document: &File) -> Result<Outcome, ChildError> {
        let mut taken = Taken::default();
        let what = if request.kind.is_some() { "contents" } else { "yara" };
        let ran = self.pool.run(&request, document, |one: Answer| taken.take(one)).await;
        let Taken { mut outcome, told, .. } = taken;
        match ran {
            Ok(report) => {
                if report.dropped > 0 || !told {
                    outcome
                        .limits
                        .insert("inside-results".to_owned(), report.dropped.max(1));
                    outcome.not_checked.insert(what.to_owned());
                }
            }
            Err(Failure::Breach(breach)) => {
                outcome.limits.insert("inside".to_owned(), 1);
                outcome.not_checked.insert(format!("{what}: {breach}"));
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

/// What the child has said so far.
#[derive(Default)]
struct Taken {
    outcome: Outcome,
    /// Findings of the whole, before the rest of it is there.
    listed: Vec<Finding>,
    /// Whether everything was said.
    told: bool,
}

impl Taken {
    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Part(findings) => self.outcome.findings.extend(findings),
            Answer::Listed(findings) => self.listed.extend(findings),
            Answer::Whole(whole) => {
                self.outcome = *whole;
                self.outcome.findings.append(&mut self.listed);
                self.told = true;
            }
        }
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
