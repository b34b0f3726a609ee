//! Messages as rows. Pure, and deterministic: a redelivered message gives the same bytes (no "now", no attempt number).

use cofferdam_schemas::query::Decision;
use cofferdam_schemas::{
    CommandResult, Done, EventId, Finding, ObjectEvent, ObjectId, ObjectRef, Outcome, Plan, ResultEvent, TenantName,
    Timestamp, Verb, WireError,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::Stamped;
use super::cursor::Cursor;
use super::engine::{Change, Mutation, Record};
use crate::schema::TableId;

/// Limit of the JSON columns that a processor fills freely, in bytes.
pub(super) const JSON_LIMIT: usize = 64 * 1024;
/// Limit of an error in a row, in bytes.
const ERROR_LIMIT: usize = 16 * 1024;

fn micros(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

fn put(record: Record, written_at: u64) -> Mutation {
    Mutation {
        change: Change::Put(record),
        written_at: micros(written_at),
    }
}

/// JSON of values that always have one (string keys, no non-finite numbers become errors: serde_json writes those as null).
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// The rows that make a version known: by id, by key, in the listing. Events and final states write the same values.
fn facts(
    object: &ObjectRef,
    event: &EventId,
    plan: &Plan,
    shards: i64,
    stamp: (u64, Option<&String>),
    out: &mut Vec<Mutation>,
) {
    let (written_at, trace_id) = stamp;
    let tenant = object.tenant.as_str();
    let day = Cursor::day(object.last_modified);
    let records = [
        Record::new(TableId::Objects)
            .with("tenant", tenant)
            .with("object_id", object.id)
            .with("source", object.source.as_str())
            .with("bucket", object.bucket.as_str())
            .with("object_key", object.key.as_str())
            .with("version", object.version.as_ref().map(|version| version.as_str()))
            .with("etag", object.etag.as_str())
            .with("size", i64::try_from(object.size).unwrap_or(i64::MAX))
            .with("last_modified", object.last_modified)
            .with("declared_type", object.content_type.as_deref())
            .with("checksums", json(&object.checksums))
            .with("event_id", event.as_str())
            .with("plan", json(plan))
            .with("trace_id", trace_id.map(String::as_str)),
        Record::new(TableId::ObjectsByKey)
            .with("tenant", tenant)
            .with("bucket", object.bucket.as_str())
            .with("object_key", object.key.as_str())
            .with("last_modified", object.last_modified)
            .with("object_id", object.id),
        Record::new(TableId::ObjectsByDay)
            .with("tenant", tenant)
            .with("day", day)
            .with("shard", shard(&object.id, shards))
            .with("last_modified", object.last_modified)
            .with("object_id", object.id)
            .with("bucket", object.bucket.as_str())
            .with("object_key", object.key.as_str()),
        Record::new(TableId::KeysByBucket)
            .with("tenant", tenant)
            .with("bucket", object.bucket.as_str())
            .with("shard", shard(&object.id, shards))
            .with("object_key", object.key.as_str())
            .with("last_modified", object.last_modified)
            .with("object_id", object.id),
        Record::new(TableId::DaysByTenant)
            .with("tenant", tenant)
            .with("day", day),
        Record::new(TableId::BucketsByTenant)
            .with("tenant", tenant)
            .with("bucket", object.bucket.as_str()),
    ];
    out.extend(records.into_iter().map(|record| put(record, written_at)));
}

/// The shard of an object: from the random end of its id.
fn shard(object: &ObjectId, shards: i64) -> i64 {
    i64::from(object.0.as_bytes()[15]) % shards.max(1)
}

/// An event: the log of events always; what makes the version known only if it is going to be processed. (The sole trace of a removal or a
/// change of tags must not be an object that stays open for ever.)
pub(super) fn event(event: &Stamped<ObjectEvent>, shards: i64, out: &mut Vec<Mutation>) {
    let Stamped {
        value,
        written_at,
        trace_id,
    } = event;
    let log = Record::new(TableId::ObjectEvents)
        .with("tenant", value.object.tenant.as_str())
        .with("object_id", value.object.id)
        .with("stored_at", micros(*written_at))
        .with("verb", value.verb.as_str())
        .with("event_id", value.id.as_str())
        .with("trace_id", trace_id.as_deref());
    out.push(put(log, *written_at));
    match value.verb {
        Verb::Put | Verb::Restore => facts(
            &value.object,
            &value.id,
            &value.plan,
            shards,
            (*written_at, trace_id.as_ref()),
            out,
        ),
        Verb::Del | Verb::Meta => {}
    }
}

/// A result, and the index of failures if it is one.
pub(super) fn result(result: &Stamped<ResultEvent>, out: &mut Vec<Mutation>) {
    let Stamped {
        value,
        written_at,
        trace_id,
    } = result;
    let (tenant, object) = (value.object.tenant.as_str(), value.object.id);
    let code = value.error.as_ref().map(code);
    let record = Record::new(TableId::ResultsByDoc)
        .with("tenant", tenant)
        .with("object_id", object)
        .with("processor", value.processor.as_str())
        .with("outcome", value.outcome.as_str())
        .with("processor_version", value.processor_version.as_str())
        .with("event_id", value.event.as_str())
        .with("verdict", value.verdict.map(|verdict| verdict.as_str()))
        .with("findings", findings(&value.findings))
        .with(
            "findings_total",
            i64::try_from(value.findings.len()).unwrap_or(i64::MAX),
        )
        .with(
            "details",
            bounded_map(
                value
                    .details
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ),
        )
        .with("artefacts", json(&value.artefacts))
        .with("sealed", value.sealed.as_ref().map(json))
        .with("error_code", code.clone())
        .with("error", value.error.as_ref().map(bounded_error))
        .with("started_at", value.started_at)
        .with("finished_at", value.finished_at)
        .with("trace_id", trace_id.as_deref());
    out.push(put(record, *written_at));
    if value.outcome == Outcome::Dead {
        let record = Record::new(TableId::DeadLetters)
            .with("tenant", tenant)
            .with("object_id", object)
            .with("processor", value.processor.as_str())
            .with("bucket", value.object.bucket.as_str())
            .with("object_key", value.object.key.as_str())
            .with("error_code", code)
            .with("failed_at", value.finished_at);
        out.push(put(record, *written_at));
    }
}

/// A final state, and what makes the version known: whoever hears of the `done` event may ask for the object at once, and the
/// consumer of events may be behind.
pub(super) fn done(done: &Stamped<Done>, shards: i64, out: &mut Vec<Mutation>) {
    let Stamped {
        value,
        written_at,
        trace_id,
    } = done;
    facts(
        &value.object,
        &value.event,
        &value.plan,
        shards,
        (*written_at, trace_id.as_ref()),
        out,
    );
    let record = Record::new(TableId::ObjectFinals)
        .with("tenant", value.object.tenant.as_str())
        .with("object_id", value.object.id)
        .with("event_id", value.event.as_str())
        .with("state", value.state.as_str())
        .with("verdict", value.verdict.as_str())
        .with("sealed", value.sealed.as_ref().map(json))
        .with("results", json(&value.results))
        .with("finished_at", Timestamp::from_unix_millis(micros(*written_at) / 1000))
        .with("trace_id", trace_id.as_deref());
    out.push(put(record, *written_at));
}

/// A command's result, without its links.
pub(super) fn command(result: &Stamped<CommandResult>, out: &mut Vec<Mutation>) {
    let Stamped {
        value,
        written_at,
        trace_id,
    } = result;
    let given = value.result.as_ref();
    let returned = given.map(|given| {
        let mut values: Map<String, Json> = given
            .values
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        without_links(&mut values);
        bounded_map(values)
    });
    let record = Record::new(TableId::Commands)
        .with("tenant", value.tenant.as_str())
        .with("command_id", value.id.as_str())
        .with("verb", value.verb.as_str())
        .with("outcome", value.outcome.as_str())
        .with("object_id", given.and_then(|given| given.object))
        .with("returned", returned)
        .with("error_code", value.error.as_ref().map(code))
        .with("error", value.error.as_ref().map(bounded_error))
        .with("finished_at", value.finished_at)
        .with("trace_id", trace_id.as_deref());
    out.push(put(record, *written_at));
}

/// A deletion, under its own time.
pub(super) fn deletion(tenant: &TenantName, object: &ObjectId, at: Timestamp) -> Mutation {
    let record = Record::new(TableId::ObjectDeletions)
        .with("tenant", tenant.as_str())
        .with("object_id", *object)
        .with("deleted_at", at);
    Mutation {
        change: Change::Put(record),
        written_at: at.unix_millis().saturating_mul(1000),
    }
}

/// What was decided about a quarantined version, under its own time.
pub(super) fn decision(tenant: &TenantName, object: &ObjectId, decision: &Decision) -> Mutation {
    let record = Record::new(TableId::ObjectDecisions)
        .with("tenant", tenant.as_str())
        .with("object_id", *object)
        .with("kind", decision.kind.as_str())
        .with("decided_at", decision.at)
        .with("command_id", decision.command.as_str())
        .with("reason", decision.reason.as_str());
    Mutation {
        change: Change::Put(record),
        written_at: decision.at.unix_millis().saturating_mul(1000),
    }
}

/// The end of a failure that a later result has overcome, under that result's time so that it never hides a later failure.
pub(super) fn overcome(tenant: &TenantName, object: &ObjectId, processor: &str, at: Timestamp) -> Mutation {
    let record = Record::new(TableId::DeadLetters)
        .with("tenant", tenant.as_str())
        .with("object_id", *object)
        .with("processor", processor);
    Mutation {
        change: Change::Delete(record),
        written_at: at.unix_millis().saturating_mul(1000),
    }
}

fn code(error: &WireError) -> String {
    match serde_json::to_value(error.code) {
        Ok(Json::String(word)) => word,
        Ok(_) | Err(_) => "internal".to_owned(),
    }
}

/// As many findings, from the first, as fit.
fn findings(all: &[Finding]) -> String {
    let mut text = String::from("[");
    for finding in all {
        let one = json(finding);
        if text.len() + one.len() + 2 > JSON_LIMIT {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&one);
    }
    text.push(']');
    text
}

fn bounded_map(values: Map<String, Json>) -> String {
    let text = json(&values);
    if text.len() <= JSON_LIMIT {
        text
    } else {
        format!("{{\"left_out\":{}}}", text.len())
    }
}

fn bounded_error(error: &WireError) -> String {
    let text = json(error);
    if text.len() <= ERROR_LIMIT {
        return text;
    }
    let message = error.message.chars().take(1000).collect();
    json(&WireError {
        message,
        details: std::collections::BTreeMap::new(),
        ..error.clone()
    })
}

/// Takes out what would give access: values named `url`, and any text that is a link with parameters.
pub(super) fn without_links(values: &mut Map<String, Json>) {
    values.retain(|name, value| name != "url" && !is_link(value));
    for value in values.values_mut() {
        strip(value);
    }
}

fn strip(value: &mut Json) {
    match value {
        Json::Object(inner) => without_links(inner),
        Json::Array(items) => {
            items.retain(|item| !is_link(item));
            items.iter_mut().for_each(strip);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn is_link(value: &Json) -> bool {
    value.as_str().is_some_and(|text| {
        (text.contains("://") && text.contains('?')) || text.to_ascii_lowercase().contains("x-amz-signature")
    })
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
