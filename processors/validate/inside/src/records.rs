//! The rows of a Parquet file as records, read in a child process: what
//! `cofferdam scan data.parquet --records --field text` goes through, block by block, in memory that does not grow with the file.
//!
//! The host calls [`child_main`] first thing in its `main`, and opens a file with [`Records::open`]. Each answer of the child is a batch of
//! records that waits here until it is taken; the next is asked for when it is used up, so that neither time nor memory of the child adds up
//! over a file.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use crate::inside::records::{Broken, Fields, Record};

use crate::inside::records::{Ask, Part, named, read};
use crate::inside::{Column, Limits, Problem, Source};
use crate::sandbox::{Breach, Failure, Pool, Settings, worker_main};

/// The argument by which a child knows what it is.
const CHILD: &str = "__parquet-records";
/// Records and bytes of one answer.
const RECORDS: u64 = 20_000;
const BYTES: u64 = 8 << 20;
/// Bytes of the longest record that is read.
pub const RECORD_BYTES: u64 = 4 << 20;
/// Bytes of one of text, written as JSON, at most.
const ESCAPED: u64 = 6;

/// Runs the child when this process was started as one; `None` when it was not.
///
/// # Errors
/// When the child cannot do its work; its parent hears of it.
pub fn child_main() -> Option<io::Result<()>> {
    (std::env::args_os().nth(1)? == *CHILD).then(|| {
        worker_main(|_| {
            Ok(
                |ask: Ask, document: File, emitter: &mut crate::sandbox::Emitter<'_, Part>| {
                    let Ok(source) = Source::file(document) else { return };
                    read(&source, &ask, &mut |part| {
                        emitter.emit(&part);
                        !emitter.is_alone()
                    });
                },
            )
        })
    })
}

/// Children that read records: those of [`Settings::own`], with bounds that fit.
///
/// # Errors
/// When this program's own file cannot be told.
pub fn pool() -> io::Result<Pool> {
    Ok(Pool::new(fitted(Settings::own(CHILD)?)))
}

/// The same of another program, which calls [`child_main`].
pub fn pool_of(program: std::path::PathBuf) -> Pool {
    Pool::new(fitted(Settings::of(program, CHILD)))
}

fn fitted(settings: Settings) -> Settings {
    Settings {
        args: vec![OsString::from(CHILD)],
        wall: Duration::from_secs(60),
        // A record, or all columns.
        frame_bytes: (RECORD_BYTES * ESCAPED) as u32 + 4_096,
        frames: RECORDS + 2_000,
        result_bytes: (BYTES + RECORD_BYTES) * ESCAPED + (RECORDS << 8),
        ..settings
    }
}

/// Why there are no records, or no more.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file has no such column. The names are the file's own.
    #[error("there is no column {name:?}; there are {}", .known.join(", "))]
    NoColumn {
        /// What was asked for.
        name: String,
        /// Some of those there are.
        known: Vec<String>,
    },
    /// The file is no Parquet, or broken from some row on; the problems say how ([`Records::problems`]).
    #[error("the file cannot be read beyond row {row}")]
    Broken {
        /// The first row that was not read, from 0.
        row: u64,
    },
    /// Reading it breaks the bounds it is read in: the rest was not looked at.
    #[error("reading the file beyond row {row} breaks the bounds it is read in")]
    Breach {
        /// The first row that was not read, from 0.
        row: u64,
        /// Which bound.
        #[source]
        breach: Breach,
    },
    /// There is no child to be had: our fault, not the file's.
    #[error("the child process that reads Parquet cannot be used")]
    Child(#[source] Failure),
}

/// Most columns that an error names.
const KNOWN: usize = 20;

/// The records of one file.
pub struct Records {
    pool: Arc<Pool>,
    file: File,
    ask: Ask,
    columns: Vec<Column>,
    rows: u64,
    queue: VecDeque<Record>,
    problems: Vec<Problem>,
    /// No more are to be asked for.
    ended: bool,
    /// Told once what was read before it is taken.
    error: Option<RecordsError>,
}

impl Records {
    /// Opens a file and checks that it has the columns. `name` is the file's, for the places of problems.
    ///
    /// # Errors
    /// When it is no Parquet, or has no such column.
    pub async fn open(pool: Arc<Pool>, file: File, name: &str, fields: Fields) -> Result<Self, RecordsError> {
        let limits = Limits {
            // Of one answer: the row groups it reads from, as long as the child lets them.
            total_bytes: 8 << 30,
            cells: u64::MAX,
            text_bytes: u64::MAX,
            ..Limits::default()
        };
        let ask = Ask {
            name: name.to_owned(),
            fields,
            from: 0,
            records: 0,
            bytes: BYTES,
            record_bytes: RECORD_BYTES,
            limits,
        };
        let mut records = Self {
            pool,
            file,
            ask,
            columns: Vec::new(),
            rows: 0,
            queue: VecDeque::new(),
            problems: Vec::new(),
            ended: false,
            error: None,
        };
        records.fetch().await;
        if let Some(error) = records.error.take() {
            return Err(error);
        }
        if records.columns.is_empty() && !records.problems.is_empty() {
            return Err(RecordsError::Broken { row: 0 });
        }
        for name in [&records.ask.fields.text, &records.ask.fields.label]
            .into_iter()
            .flatten()
        {
            if named(&records.columns, name).is_empty() {
                let known = records.columns.iter().take(KNOWN).map(|column| column.path.clone());
                return Err(RecordsError::NoColumn {
                    name: name.clone(),
                    known: known.collect(),
                });
            }
        }
        records.ended = records.rows == 0;
        records.ask.records = RECORDS;
        Ok(records)
    }

    /// All columns of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows, by the file's own account.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What is wrong with the file, as far as it was read. Each is given once.
    pub fn problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// The next records, at most `most`; none when there are no more.
    ///
    /// # Errors
    /// Once, after the records that were read before it.
    pub async fn block(&mut self, most: usize) -> Result<Vec<Record>, RecordsError> {
        while self.queue.is_empty() && !self.ended {
            self.fetch().await;
        }
        match self.error.take_if(|_| self.queue.is_empty()) {
            Some(error) => Err(error),
            None => Ok(self.queue.drain(..most.min(self.queue.len())).collect()),
        }
    }

    /// Has the child read on. What it says is checked like everything that comes from a hostile file.
    async fn fetch(&mut self) {
        let (from, most) = (self.ask.from, self.ask.records);
        let (mut next, mut sound, mut end) = (from, true, None);
        let (columns, rows) = (&mut self.columns, &mut self.rows);
        let (queue, problems) = (&mut self.queue, &mut self.problems);
        let take = |part: Part| match part {
            Part::Columns {
                columns: all,
                rows: count,
            } => (*columns, *rows) = (all, count),
            Part::Problem(problem) => problems.push(problem),
            Part::Record(record) => {
                let size = record.text.len() + record.label.as_ref().map_or(0, String::len);
                sound &= record.row == next && record.row < from.saturating_add(most) && size as u64 <= RECORD_BYTES;
                if sound {
                    next += 1;
                    queue.push_back(record);
                }
            }
            Part::End { next, done } => end = Some((next, done)),
        };
        let ran = self.pool.run(&self.ask, &self.file, take).await;
        self.ask.from = next;
        let breach = |breach| RecordsError::Breach { row: next, breach };
        let error = match (ran, end) {
            (Err(Failure::Breach(kind)), _) => Some(breach(kind)),
            (Err(failure), _) => Some(RecordsError::Child(failure)),
            (Ok(_), None) => Some(breach(Breach::Protocol)),
            (Ok(report), Some((said, done))) => {
                if !sound || said != next || report.dropped > 0 {
                    Some(breach(Breach::Protocol))
                } else if done {
                    self.ended = true;
                    None
                } else {
                    // Nothing came although something was asked for: the problems say why.
                    (most > 0 && next == from).then_some(RecordsError::Broken { row: next })
                }
            }
        };
        self.ended |= error.is_some();
        self.error = error;
    }
}
