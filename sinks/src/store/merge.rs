//! The state of an object, from the rows of its tables. Pure.

use cofferdam_schemas::query::{CommandAnswer, Decision, DecisionKind, ResultView};
use cofferdam_schemas::{FinalState, ObjectRef, ObjectState, Outcome, Plan, ProcessorSummary, TenantName, Verb};

use super::engine::{Record, Select, Value};
use super::rows::{EventRow, ObjectRow};
use crate::error::StoreError;
use crate::schema::TableId;

/// How many results of one version are read: a handful of processors, two rows each.
const MANY_RESULTS: usize = 256;

/// How many decisions of one version are read: one a kind.
const MANY_DECISIONS: usize = 16;
/// How many reads make a version.
pub(super) const SELECTS: usize = 5;

/// The reads whose answers [`merge`] takes, in its order.
pub(super) fn selects(partition: &[Value]) -> [Select; SELECTS] {
    [
        Select::new(TableId::Objects, partition.to_vec(), 1),
        Select::new(TableId::ObjectFinals, partition.to_vec(), 1),
        Select::new(TableId::ObjectDeletions, partition.to_vec(), 1),
        Select::new(TableId::ResultsByDoc, partition.to_vec(), MANY_RESULTS),
        Select::new(TableId::ObjectDecisions, partition.to_vec(), MANY_DECISIONS),
    ]
}

/// The read of all results of a version.
pub(super) fn results_select(partition: &[Value]) -> Select {
    Select::new(TableId::ResultsByDoc, partition.to_vec(), MANY_RESULTS)
}

/// Which of two results of one processor counts: the same rule as `Done::conclude`.
fn rank(result: &ResultView) -> (bool, &str, bool) {
    (
        result.outcome != Outcome::Dead,
        result.processor_version.as_str(),
        result.outcome == Outcome::Done,
    )
}

/// Results by processor, the one that counts first.
pub(super) fn results(rows: &[Record]) -> Result<Vec<ResultView>, StoreError> {
    let mut results = rows.iter().map(result).collect::<Result<Vec<_>, _>>()?;
    results.sort_by(|a, b| a.processor.cmp(&b.processor).then_with(|| rank(b).cmp(&rank(a))));
    Ok(results)
}

/// Whether each processor that a summary names has its row. Every `done` asks, so that nothing else of the rows is read.
pub(super) fn has(rows: &[Record], wanted: &[ProcessorSummary]) -> Result<bool, StoreError> {
    let mut there = Vec::with_capacity(rows.len());
    for row in rows {
        there.push((row.text("processor")?, row.text("processor_version")?));
    }
    let known = |one: &ProcessorSummary| there.contains(&(one.processor.as_str(), one.processor_version.as_str()));
    Ok(wanted.iter().all(known))
}

/// The results that count, one for each processor, of a list made by [`results`].
pub(super) fn counting(results: &[ResultView]) -> impl Iterator<Item = &ResultView> {
    results
        .iter()
        .enumerate()
        .filter(|(n, result)| *n == 0 || results[n - 1].processor != result.processor)
        .map(|(_, result)| result)
}

fn result(row: &Record) -> Result<ResultView, StoreError> {
    Ok(ResultView {
        processor: row.parsed("processor")?,
        processor_version: row.text("processor_version")?.to_owned(),
        outcome: row.word("outcome")?,
        verdict: row.maybe_word("verdict")?,
        findings: row.maybe_json("findings")?.unwrap_or_default(),
        findings_total: u32::try_from(row.int("findings_total")?).unwrap_or(u32::MAX),
        artefacts: row.maybe_json("artefacts")?.unwrap_or_default(),
        details: row.maybe_json("details")?.unwrap_or_default(),
        sealed: row.maybe_json("sealed")?,
        error: row.maybe_json("error")?,
        started_at: row.time("started_at")?,
        finished_at: row.time("finished_at")?,
    })
}

fn object(tenant: &TenantName, row: &Record) -> Result<ObjectRef, StoreError> {
    Ok(ObjectRef {
        id: row.object("object_id")?,
        tenant: tenant.clone(),
        source: row.parsed("source")?,
        bucket: row.parsed("bucket")?,
        key: row.parsed("object_key")?,
        version: row.maybe_parsed("version")?,
        etag: row.parsed("etag")?,
        size: u64::try_from(row.int("size")?).unwrap_or_default(),
        last_modified: row.time("last_modified")?,
        content_type: row.maybe_text("declared_type")?.map(str::to_owned),
        checksums: row.json("checksums")?,
    })
}

/// One version from the answers to [`selects`]; `None` if it is not known.
pub(super) fn merge(tenant: &TenantName, answers: &[Vec<Record>]) -> Result<Option<ObjectRow>, StoreError> {
    let [objects, finals, deletions, result_rows, decision_rows] = answers else {
        return Ok(None);
    };
    let Some(row) = objects.first() else { return Ok(None) };
    let (last, deletion) = (finals.first(), deletions.first());
    let plan: Plan = row.json("plan")?;
    let results = results(result_rows)?;
    let gave_up = |result: &ResultView| result.outcome == Outcome::Dead && plan.required.contains(&result.processor);
    let mut decisions = decision_rows.iter().map(decision).collect::<Result<Vec<_>, _>>()?;
    decisions.sort_by_key(|decision| decision.at);
    let released = decisions.iter().any(|decision| decision.kind == DecisionKind::Release);
    let state = match (deletion, last.map(final_state).transpose()?) {
        (Some(_), _) => ObjectState::Deleted,
        (None, Some(ObjectState::Quarantined)) if released => ObjectState::Released,
        (None, Some(state)) => state,
        (None, None) if counting(&results).any(gave_up) => ObjectState::Dead,
        (None, None) => ObjectState::Open,
    };
    let sealed = match last {
        Some(last) => last.maybe_json("sealed")?,
        None => counting(&results).find_map(|result| result.sealed.clone()),
    };
    let detected = counting(&results).find_map(|result| result.details.get("detected_type")?.as_str());
    Ok(Some(ObjectRow {
        object: object(tenant, row)?,
        event: row.parsed("event_id")?,
        plan,
        state,
        verdict: last.map(|last| last.word("verdict")).transpose()?,
        sealed,
        detected_type: detected.map(str::to_owned),
        finished_at: last.map(|last| last.time("finished_at")).transpose()?,
        deleted_at: deletion.map(|deletion| deletion.time("deleted_at")).transpose()?,
        decisions,
        trace_id: row.maybe_text("trace_id")?.map(str::to_owned),
    }))
}

fn decision(row: &Record) -> Result<Decision, StoreError> {
    Ok(Decision {
        at: row.time("decided_at")?,
        kind: row.word("kind")?,
        command: row.parsed("command_id")?,
        reason: row.text("reason")?.to_owned(),
    })
}

/// The state in a row of final states.
pub(super) fn final_state(row: &Record) -> Result<ObjectState, StoreError> {
    Ok(match row.word("state")? {
        FinalState::Done => ObjectState::Done,
        FinalState::Quarantined => ObjectState::Quarantined,
        FinalState::Superseded => ObjectState::Superseded,
    })
}

/// One line of the log of events.
pub(super) fn event(row: &Record) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        stored_at: cofferdam_schemas::Timestamp::from_unix_millis(row.int("stored_at")? / 1000),
        verb: row.word::<Verb>("verb")?,
        event: row.parsed("event_id")?,
    })
}

/// A command's result.
pub(super) fn command(row: &Record) -> Result<CommandAnswer, StoreError> {
    Ok(CommandAnswer {
        id: row.parsed("command_id")?,
        verb: row.parsed("verb")?,
        outcome: row.word("outcome")?,
        object: row.maybe_object("object_id")?,
        values: row.maybe_json("returned")?.unwrap_or_default(),
        error: row.maybe_json("error")?,
        finished_at: row.time("finished_at")?,
    })
}
