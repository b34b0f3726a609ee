//! Files on this machine through the same scanners, with no server: what `cofferdam scan` does.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cofferdam_processor::Conclusion;
use cofferdam_scan::structure::schema::Selected;

use crate::child::{ChildError, Task};
use crate::config::{Plan, Policy};
use crate::core::{About, Evidence, Inspected, Inspection, conclude};
use crate::kind::{Claim, Detected, Finder, PAGE, Pages, Step, detect};
use crate::look::{EngineError, Engines};
use crate::rulebook::{Rulebook, Rulebooks};
use crate::scan::Claims;

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// Scans files.
pub struct Files {
    rulebooks: Rulebooks,
    hash_key: Option<Vec<u8>>,
}

/// Why a file was not scanned.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its inside cannot be looked at.
    #[error(transparent)]
    Child(#[from] ChildError),
}

impl Files {
    /// Loads the rules. `hash_key` keys the hashes of values found.
    ///
    /// # Errors
    /// When a pack is refused; the error names it and the line or rule.
    pub fn new(plan: Plan, hash_key: Option<Vec<u8>>) -> Result<Self, EngineError> {
        Ok(Self {
            rulebooks: Rulebooks::load(plan)?,
            hash_key,
        })
    }

    /// With a JSON Schema (`.json`) or a table contract (`.toml`) for all documents of its kind.
    ///
    /// # Errors
    /// When it cannot be read or is not valid.
    pub fn conforming(mut self, schemas: &[PathBuf]) -> Result<Self, EngineError> {
        if !schemas.is_empty() {
            self.rulebooks.replace_schemas(schemas)?;
        }
        Ok(self)
    }

    fn rules(&self) -> &Rulebook {
        self.rulebooks.of(None)
    }

    /// The engines.
    pub fn engines(&self) -> &Engines {
        &self.rules().engines
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.rules().policy
    }

    /// Scans one file. `name` is what rules see of its path.
    ///
    /// # Errors
    /// When it cannot be read, or no child process is to be had.
    pub async fn scan(&self, path: &Path, name: &str) -> Result<Conclusion, FileError> {
        let failed = |source| FileError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let claims: Vec<Claim> = Claim::of_name(name).into_iter().collect();
        let mut sums = Claims::default();
        sums.add(size, &cofferdam_schemas::Checksums::default());
        let (rules, schemas) = (self.rules(), self.rulebooks.schemas(None, name));
        let about = About {
            name,
            claims: claims.clone(),
            sums: &sums,
            size,
            hash_key: self.hash_key.clone(),
            schemas: &schemas,
        };
        let inspection = Inspection::new(&rules.policy, &rules.engines, about);
        let mut reader = file.try_clone().map_err(failed)?;
        let inspected = tokio::task::spawn_blocking(move || stream(inspection, &mut reader))
            .await
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        let finder = Finder::new(inspected.seen.max(size), inspected.head.clone());
        let (detected, reads_exhausted) = find_type(&file, finder, &claims).map_err(failed)?;
        let kind = inspected.inside(&detected);
        let mut inside = None;
        if rules.children.concerns(kind) {
            let task = Task {
                name,
                kind,
                size: size.max(inspected.seen),
                bytes: rules.policy.max_bytes,
                most: rules.policy.max_findings,
                hash_key: self.hash_key.as_deref(),
                schemas: &schemas,
            };
            inside = Some(rules.children.look(task, &file).await?);
        }
        Ok(conclude(
            rules,
            Evidence {
                inspected,
                inside,
                opened: kind.is_some(),
                stored_size: size,
                detected,
                reads_exhausted,
                claims,
                declared: None,
                schemas,
            },
        ))
    }

    /// Scans a text that is no file: a record of a set.
    pub fn scan_text(&self, text: &str, name: &str) -> Conclusion {
        let mut sums = Claims::default();
        sums.add(text.len() as u64, &cofferdam_schemas::Checksums::default());
        let (rules, schemas) = (self.rules(), Selected::default());
        let about = About {
            name,
            claims: Vec::new(),
            sums: &sums,
            size: text.len() as u64,
            hash_key: self.hash_key.clone(),
            schemas: &schemas,
        };
        let mut inspection = Inspection::new(&rules.policy, &rules.engines, about);
        inspection.feed(text.as_bytes());
        let mut inspected = inspection.finish();
        let mut detected = inspected.detected.take().unwrap_or_else(|| {
            let mut pages = Pages::new(inspected.seen, inspected.head.clone());
            pages.close();
            detect(&pages, &[]).unwrap_or_else(|_| Detected::unknown())
        });
        if rules.engines.yara().is_some() {
            // They look at files, in a child process.
            detected.not_checked.push("yara");
        }
        conclude(
            rules,
            Evidence {
                inspected,
                inside: None,
                opened: false,
                stored_size: text.len() as u64,
                detected,
                reads_exhausted: None,
                claims: Vec::new(),
                declared: None,
                schemas,
            },
        )
    }
}

fn stream(mut inspection: Inspection, reader: &mut File) -> io::Result<Inspected> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(inspection.finish()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if !inspection.feed(&buffer[..count]) {
            return Ok(inspection.finish());
        }
    }
}

fn find_type(file: &File, mut finder: Finder, claims: &[Claim]) -> io::Result<(Detected, Option<u64>)> {
    loop {
        let range = match finder.step(claims) {
            Step::Is(detected, exhausted) => return Ok((detected, exhausted)),
            Step::Read(range) => range,
        };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(PAGE as usize)];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], range.start + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        finder.give(range.start, &Bytes::from(bytes));
    }
}
