//! The checker: whether what an instance holds agrees with what its clients were told.
//!
//! It reads what any user or operator can read: the SQLite rows, the streams (as the operator of `run.json`), the buckets' listings, the dead letters, and what
//! `retrieve` gives back; besides, the ledger in `bucket.db`, which must be empty in the end. Each invariant of ARCHITECTURE.md is one function here; all violations are
//! reported, each with the invariant's id.

mod content;
mod rows;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

pub use rows::{CommandRow, FinalRow, ResultRow, Row, Rows};

use crate::clients::Tenant;
use crate::history::{Dropped, History};
use crate::instance::Instance;
use crate::streams::{Stored, Streams};

/// What this instance was told to do, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Landing copies are to be gone once their documents are done.
    pub retired: bool,
    /// `processors.validate.max_bytes`, if it was set: a larger document must be `incomplete`.
    pub max_bytes: Option<u64>,
    /// The power was cut: messages may be missing whose rows are there.
    pub power_cut: bool,
    /// Commands may be refused because their document was not there yet.
    pub refusals: bool,
    /// A command may have waited longer than the link it asked for was to live.
    pub day_passed: bool,
    /// Every how-manieth document is brought back and compared; of all others the sealed copy's size and SHA-256 are.
    pub every: usize,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            retired: true,
            max_bytes: None,
            power_cut: false,
            refusals: false,
            day_passed: false,
            every: 1,
        }
    }
}

/// What was found to be in order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Object versions by state.
    pub states: BTreeMap<String, usize>,
    /// Uploads that nobody was told about and that were taken all the same.
    pub unanswered: usize,
    /// Commands with a result.
    pub commands: usize,
    /// Results of processors in rows.
    pub results: usize,
    /// Messages that repeated one of these.
    pub repeated: usize,
    /// Dead letters.
    pub letters: usize,
    /// Documents that were brought back.
    pub opened: usize,
    /// Files that were searched for plaintext.
    pub searched: usize,
}

/// See the module.
pub struct Checker<'a> {
    /// A running instance.
    pub instance: &'a Instance,
    /// Its tenant.
    pub tenant: &'a Tenant,
    /// All that was asked of it.
    pub history: &'a History,
    /// See [`Expect`].
    pub expect: Expect,
}

/// What is not as it should be.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    pub(crate) fn add(&mut self, id: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{id}: {text}"));
    }

    fn end(self) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self.0.iter().take(20).map(String::as_str).collect();
        bail!("{} violations:\n{}", self.0.len(), shown.join("\n"))
    }
}

/// The states in which nothing more happens by itself.
fn is_final(state: &str) -> bool {
    matches!(state, "done" | "quarantined" | "superseded" | "deleted")
}

impl Checker<'_> {
    /// Waits until all that was accepted has ended, then checks.
    pub async fn settled(&self, patience: Duration) -> anyhow::Result<Report> {
        let until = Instant::now() + patience;
        loop {
            let open = self.open().await?;
            if open.is_empty() {
                return self.check().await;
            }
            if Instant::now() > until {
                let shown: Vec<_> = open.iter().take(20).map(String::as_str).collect();
                bail!(
                    "I1: {} things are open after {} s:\n{}\nlog:\n{}",
                    open.len(),
                    patience.as_secs(),
                    shown.join("\n"),
                    self.instance.tail(30)
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What has not ended yet: accepted uploads and commands, rows of the ledger, landing copies.
    pub async fn open(&self) -> anyhow::Result<Vec<String>> {
        let rows = Rows::read(&self.instance.run)?;
        let mut open = self.lost_in(&rows);
        open.extend(
            rows.documents
                .iter()
                .filter(|row| row.state == "open")
                .map(|row| format!("document {} ({}) is open", row.key, row.object)),
        );
        open.extend(rows.ledger.iter().map(|row| format!("ledger row {row}")));
        if open.is_empty() && self.expect.retired {
            let landing = self.keys(&self.tenant.inbox, "").await?;
            open.extend(landing.into_keys().map(|key| format!("landing copy {key}")));
        }
        Ok(open)
    }

    /// Accepted uploads that have no final state, and accepted commands that have no result: what would be lost if nothing more happened.
    pub fn lost(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.lost_in(&Rows::read(&self.instance.run)?))
    }

    fn lost_in(&self, rows: &Rows) -> Vec<String> {
        let mut finals = BTreeMap::<(&str, &str), usize>::new();
        for row in rows.documents.iter().filter(|row| is_final(&row.state)) {
            *finals.entry((&row.key, &row.etag)).or_default() += 1;
        }
        let drops = self.history.drops();
        let mut lost = Vec::new();
        for drop in &drops {
            let Some(etag) = &drop.answered else { continue };
            match finals.get_mut(&(drop.key.as_str(), etag.as_str())) {
                Some(left) if *left > 0 => *left -= 1,
                _ => lost.push(format!(
                    "upload {} ({etag}, {} bytes) has no final state",
                    drop.key, drop.size
                )),
            }
        }
        let done: BTreeSet<&str> = rows.commands.iter().map(|row| row.id.as_str()).collect();
        let commands = self.history.commands();
        lost.extend(
            commands
                .iter()
                .filter(|command| command.answered && !done.contains(command.id.as_str()))
                .map(|command| format!("command {} ({}) has no result", command.id, command.key)),
        );
        lost
    }

    /// Checks everything now. Nothing may be under way.
    pub async fn check(&self) -> anyhow::Result<Report> {
        let (mut found, mut report) = (Violations::default(), Report::default());
        let rows = Rows::read(&self.instance.run)?;
        let streams = Streams::connect(&self.instance.run).await?;
        let (res, join, dlq) = (
            streams.all("RES").await?,
            streams.all("JOIN").await?,
            streams.all("DLQ").await?,
        );
        let drops = self.history.drops();
        let of = self.finals(&rows, &drops, &dlq, &mut found, &mut report);
        self.commands(&rows, &mut found, &mut report);
        self.done_once(&rows, &join, &mut found);
        self.results_agree(&rows, &res, &mut found, &mut report);
        self.proven(&rows, &of, &mut found, &mut report).await?;
        self.nothing_cut(&rows, &of, &mut found);
        let everything = [
            streams.all("RAW").await?,
            streams.all("EVT").await?,
            streams.all("CMD").await?,
            res,
            join,
            dlq,
        ];
        for message in everything.iter().flatten() {
            self.no_plaintext(message, &mut found);
        }
        report.searched = self.search_files(&mut found)?;
        found
            .end()
            .with_context(|| format!("log:\n{}", self.instance.tail(30)))?;
        Ok(report)
    }

    /// I1: every answered upload is in exactly one final state; what was not answered at most once; nothing else is there. Gives the upload of each row.
    fn finals<'d>(
        &self,
        rows: &Rows,
        drops: &'d [Dropped],
        dlq: &[Stored],
        found: &mut Violations,
        report: &mut Report,
    ) -> BTreeMap<String, &'d Dropped> {
        for lost in self.lost_in(rows) {
            found.add("I1", lost);
        }
        let mut free: Vec<&Dropped> = drops.iter().collect();
        let mut of = BTreeMap::new();
        for row in &rows.documents {
            *report.states.entry(row.state.clone()).or_default() += 1;
            let buried = dlq
                .iter()
                .any(|letter| letter.json()["object"]["id"] == row.object.as_str());
            let ended = is_final(&row.state) || (row.state == "dead" && buried);
            if !ended {
                found.add("I1", format!("{} ({}) is {}", row.key, row.object, row.state));
            }
            // An answered upload is known by its entity tag, another by what was sealed.
            let answered = |drop: &&Dropped| drop.answered.as_deref() == Some(&row.etag);
            let silent =
                |drop: &&Dropped| drop.answered.is_none() && row.sha256.as_ref().is_none_or(|sha| *sha == drop.sha256);
            let own = free.iter().position(|drop| drop.key == row.key && answered(drop));
            let own = own.or_else(|| free.iter().position(|drop| drop.key == row.key && silent(drop)));
            match own {
                Some(at) => {
                    let drop = free.swap_remove(at);
                    report.unanswered += usize::from(drop.answered.is_none());
                    of.insert(row.object.clone(), drop);
                }
                None => found.add(
                    "I1",
                    format!(
                        "{} ({}, {}) is one version more than was uploaded",
                        row.key, row.object, row.etag
                    ),
                ),
            }
        }
        for row in &rows.ledger {
            found.add("I1", format!("ledger row {row} is left"));
        }
        of
    }

    /// I1 for commands: every accepted one has its result; no other has one.
    fn commands(&self, rows: &Rows, found: &mut Violations, report: &mut Report) {
        let issued = self.history.commands();
        report.commands = rows.commands.len();
        for row in &rows.commands {
            let early = ["not-ready", "not-found"].iter().any(|code| row.error.contains(code));
            let late = row.error.contains("limit-exceeded");
            let allowed = (self.expect.refusals && early) || (self.expect.day_passed && late);
            if row.outcome != "done" && !allowed {
                found.add(
                    "I1",
                    format!("command {} ended as {}: {}", row.id, row.outcome, row.error),
                );
            }
            // The checker's own, when it is called a second time, begin with its word.
            if !row.id.starts_with(content::OWN) && !issued.iter().any(|command| command.id == row.id) {
                found.add("I1", format!("command {} was never sent", row.id));
            }
        }
    }

    /// I2: one `done` for each version, made as the first message on its subject, and its row says the same.
    fn done_once(&self, rows: &Rows, join: &[Stored], found: &mut Violations) {
        let mut dones = BTreeMap::<&str, Vec<&Stored>>::new();
        for message in join
            .iter()
            .filter(|message| message.subject.starts_with("join.v1.done."))
        {
            dones.entry(message.last_token()).or_default().push(message);
        }
        for row in &rows.finals {
            let messages = dones.remove(row.object.as_str()).unwrap_or_default();
            let [message] = messages[..] else {
                if !(messages.is_empty() && self.expect.power_cut) {
                    found.add("I2", format!("{} has {} done messages", row.object, messages.len()));
                }
                continue;
            };
            if message
                .headers
                .get("Nats-Expected-Last-Subject-Sequence")
                .map(String::as_str)
                != Some("0")
            {
                found.add(
                    "I2",
                    format!(
                        "done of {} was not made as the first: {:?}",
                        row.object, message.headers
                    ),
                );
            }
            let body = message.json();
            for (field, wanted) in [("event", &row.event), ("state", &row.state), ("verdict", &row.verdict)] {
                if body[field] != wanted.as_str() {
                    found.add(
                        "I2",
                        format!("done of {} says {field} {}, its row {wanted}", row.object, body[field]),
                    );
                }
            }
            if content::without_times(&body["sealed"]) != content::without_times(&row.sealed) {
                found.add(
                    "I2",
                    format!("done of {} names another sealed copy than its row", row.object),
                );
            }
        }
        for object in dones.keys() {
            found.add("I2", format!("done of {object} has no row"));
        }
    }

    /// I3: one result for each (version, processor, processor version), with the same content however often it was published.
    fn results_agree(&self, rows: &Rows, res: &[Stored], found: &mut Violations, report: &mut Report) {
        let mut published = BTreeMap::<String, Vec<Value>>::new();
        for message in res {
            let body = message.json();
            if message.headers.get("ce-type").map(String::as_str) == Some("cofferdam.result.v1") {
                let of = format!(
                    "{} {} {}",
                    body["object"]["id"], body["processor"], body["processor_version"]
                );
                published.entry(of).or_default().push(body);
            }
        }
        for (of, bodies) in &published {
            report.repeated += bodies.len() - 1;
            let first = content::without_times(&bodies[0]);
            if let Some(other) = bodies.iter().find(|body| content::without_times(body) != first) {
                found.add("I3", format!("results of {of} differ: {} and {other}", bodies[0]));
            }
        }
        report.results = rows.results.len();
        let mut seen = BTreeMap::<String, usize>::new();
        for row in &rows.results {
            let of = format!("\"{}\" \"{}\" \"{}\"", row.object, row.processor, row.processor_version);
            *seen.entry(of.clone()).or_default() += 1;
            match published.get(&of) {
                None if !self.expect.power_cut => found.add("I3", format!("row of {of} has no message")),
                None => {}
                Some(bodies) => {
                    let same = |body: &&Value| {
                        body["outcome"] == row.outcome.as_str() && row.verdict.as_deref() == body["verdict"].as_str()
                    };
                    if !bodies.iter().any(|body| same(&body)) {
                        found.add(
                            "I3",
                            format!("row of {of} says {} {:?}, no message does", row.outcome, row.verdict),
                        );
                    }
                }
            }
        }
        for (of, count) in &seen {
            if *count > 1 {
                found.add("I3", format!("{of} has {count} rows"));
            }
        }
        for of in published.keys().filter(|of| !seen.contains_key(*of)) {
            found.add("I3", format!("result of {of} has no row"));
        }
        for row in rows
            .documents
            .iter()
            .filter(|row| matches!(&*row.state, "done" | "quarantined"))
        {
            let of = rows
                .results
                .iter()
                .filter(|result| result.object == row.object && result.outcome == "done");
            let processors: BTreeSet<_> = of.map(|result| result.processor.as_str()).collect();
            if processors != BTreeSet::from(["encrypt", "validate"]) {
                found.add("I3", format!("{} is done with results of {processors:?}", row.key));
            }
        }
    }

    /// I8: nothing is shorter than it was, and a limit that was reached is a verdict.
    fn nothing_cut(&self, rows: &Rows, of: &BTreeMap<String, &Dropped>, found: &mut Violations) {
        for row in &rows.documents {
            let Some(drop) = of.get(&row.object) else { continue };
            if row.size != drop.size {
                found.add(
                    "I8",
                    format!("{} has {} bytes, {} were uploaded", row.key, row.size, drop.size),
                );
            }
            let limited = self.expect.max_bytes.is_some_and(|most| drop.size > most);
            if limited && !matches!(row.verdict.as_deref(), Some("incomplete" | "quarantine")) {
                found.add(
                    "I8",
                    format!("{} is larger than what is looked at, and {:?}", row.key, row.verdict),
                );
            }
        }
        for row in &rows.results {
            let limits = ["limit", "bytes_not_looked_at", "findings_not_listed"];
            let limited = limits.iter().any(|name| !row.details[*name].is_null());
            if limited && !matches!(row.verdict.as_deref(), Some("incomplete" | "quarantine")) {
                found.add(
                    "I8",
                    format!(
                        "{} reached a limit of {} and is {:?}",
                        row.object, row.processor, row.verdict
                    ),
                );
            }
        }
    }
}
