//! The writer's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::CommitError;

/// Tells one caller how its group ended.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// One operation that waits for its turn.
pub(crate) trait Job: Send {
    /// Runs it; the answer is to be given after the commit.
    fn run(self: Box<Self>, tx: &Transaction<'_>) -> Ran;
    /// Answers without running it.
    fn refuse(self: Box<Self>, error: CommitError);
}

/// An operation that has run.
pub(crate) struct Ran {
    pub(crate) answer: Answer,
    /// What SQLite said, if it failed there.
    pub(crate) failure: Option<rusqlite::ffi::Error>,
}

/// After this long without work the write-ahead log is emptied.
const IDLE: Duration = Duration::from_millis(500);
/// Under steady work it is emptied about this often.
const AT_LATEST: Duration = Duration::from_secs(30);

pub(crate) struct Writer {
    connection: Connection,
    jobs: Receiver<Box<dyn Job>>,
    name: &'static str,
    max_batch: usize,
    max_delay: Duration,
    /// How many operations the last group had: how much company the next can expect.
    expected: usize,
    /// Since when there has been something in the write-ahead log.
    logged_since: Option<Instant>,
    group_size: Histogram<u64>,
    duration: Histogram<f64>,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        jobs: Receiver<Box<dyn Job>>,
        name: &'static str,
        max_batch: usize,
        max_delay: Duration,
    ) -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        let sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
        Self {
            connection,
            jobs,
            name,
            max_batch,
            max_delay,
            expected: 1,
            logged_since: None,
            group_size: meter
                .u64_histogram("cofferdam_commit_group_size")
                .with_description("Operations in one transaction of the group commit.")
                .with_boundaries(sizes.to_vec())
                .build(),
            duration: meter
                .f64_histogram("cofferdam_commit_duration")
                .with_unit("s")
                .with_description("Time from the first operation of a group to its durable commit.")
                .build(),
        }
    }

    /// Ends when all senders are gone and everything they sent is answered.
    pub(crate) fn run(mut self) {
        loop {
            let first = match self.logged_since {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => self.jobs.recv_timeout(IDLE),
            };
            match first {
                Ok(job) => self.group(job),
                Err(RecvTimeoutError::Timeout) => self.empty_log(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.logged_since.is_some_and(|since| since.elapsed() > AT_LATEST) {
                self.empty_log();
            }
        }
        self.empty_log();
    }

    /// Collects a group and commits it.
    fn group(&mut self, first: Box<dyn Job>) {
        let begun = Instant::now();
        let mut group = vec![first];
        while group.len() < self.max_batch {
            if let Ok(job) = self.jobs.try_recv() {
                group.push(job);
                continue;
            }
            // Wait only for company that can be expected: a lone writer would pay the delay on every operation.
            let left = self.max_delay.saturating_sub(begun.elapsed());
            if group.len() >= self.expected || left.is_zero() {
                break;
            }
            match self.jobs.recv_timeout(left) {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        self.expected = group.len();
        self.logged_since.get_or_insert(begun);
        let size = group.len() as u64;
        let mut group = group.into_iter();
        // More than one turn only if an error of one operation made SQLite give up the whole transaction.
        while group.len() > 0 {
            self.transaction(&mut group);
        }
        let labels = [KeyValue::new("database", self.name)];
        self.group_size.record(size, &labels);
        self.duration.record(begun.elapsed().as_secs_f64(), &labels);
    }

    /// Runs jobs in one transaction and answers them; leaves those that came after SQLite gave the transaction up.
    fn transaction(&mut self, jobs: &mut std::vec::IntoIter<Box<dyn Job>>) {
        let tx = match self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
        {
            Ok(tx) => tx,
            Err(error) => {
                tracing::error!(database = self.name, operations = jobs.len(), %error, "cannot begin transaction");
                let error = Arc::new(error);
                return jobs.for_each(|job| job.refuse(CommitError::of_group(&error)));
            }
        };
        let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
        let mut given_up = None;
        for job in jobs {
            let ran = job.run(&tx);
            answers.push(ran.answer);
            if tx.is_autocommit() {
                // Disk full or an I/O error: SQLite has rolled back everything, not only this operation.
                let cause = ran
                    .failure
                    .unwrap_or_else(|| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT));
                given_up = Some(rusqlite::Error::SqliteFailure(
                    cause,
                    Some("transaction was given up".to_owned()),
                ));
                break;
            }
        }
        let result = match given_up {
            Some(error) => Err(error),
            None => tx.commit(),
        };
        match result {
            Ok(()) => answers.into_iter().for_each(|answer| answer(Ok(()))),
            Err(error) => {
                tracing::error!(database = self.name, operations = answers.len(), %error, "commit failed");
                let error = Arc::new(error);
                answers
                    .into_iter()
                    .for_each(|answer| answer(Err(CommitError::of_group(&error))));
            }
        }
    }

    /// Moves the write-ahead log into the database and cuts it to nothing. When a reader holds an old view this is tried again later.
    fn empty_log(&mut self) {
        let checkpoint = || -> rusqlite::Result<bool> {
            // Readers are short; do not let one hold up the next write.
            self.connection.busy_timeout(Duration::from_millis(50))?;
            let busy = self
                .connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            self.connection.busy_timeout(Duration::from_secs(10))?;
            Ok(busy? == 0)
        };
        match checkpoint() {
            Ok(true) => self.logged_since = None,
            Ok(false) => self.logged_since = Some(Instant::now()),
            Err(error) => {
                self.logged_since = Some(Instant::now());
                tracing::warn!(database = self.name, %error, "checkpoint failed, will be tried again");
            }
        }
    }
}

/// Runs `op` so that its error, or its panic, undoes exactly what it did.
fn in_savepoint<T>(
    tx: &Transaction<'_>,
    op: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> (Result<T, CommitError>, Option<rusqlite::ffi::Error>) {
    let step = |sql: &str| {
        tx.prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
    };
    if let Err(error) = step("SAVEPOINT op") {
        return failed(error);
    }
    let result = catch_unwind(AssertUnwindSafe(|| op(tx)));
    if let Ok(Ok(value)) = result {
        return match step("RELEASE op") {
            Ok(()) => (Ok(value), None),
            Err(error) => failed(error),
        };
    }
    // These fail only when SQLite has given up the whole transaction already, which the caller notices.
    let _ = step("ROLLBACK TO op");
    let _ = step("RELEASE op");
    match result {
        Ok(Err(error)) => failed(error),
        _ => (Err(CommitError::Panicked), None),
    }
}

fn failed<T>(error: rusqlite::Error) -> (Result<T, CommitError>, Option<rusqlite::ffi::Error>) {
    let failure = error.sqlite_error().copied();
    (Err(CommitError::of_operation(error)), failure)
}

/// What [`crate::Database::write`] hands over.
pub(crate) struct Operation<T, F> {
    pub(crate) op: F,
    pub(crate) tell: oneshot::Sender<Result<T, CommitError>>,
    /// Given back with the answer.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(self: Box<Self>, tx: &Transaction<'_>) -> Ran {
        let Self { op, tell, permit } = *self;
        let (outcome, failure) = in_savepoint(tx, op);
        let answer = Box::new(move |group: Result<(), CommitError>| {
            // An operation's own error says more than its group's. Who no longer waits gets no answer.
            let _ = tell.send(outcome.and_then(|value| group.map(|()| value)));
            drop(permit);
        });
        Ran { answer, failure }
    }

    fn refuse(self: Box<Self>, error: CommitError) {
        let _ = self.tell.send(Err(error));
    }
}
