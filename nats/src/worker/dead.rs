//! The result of work that was given up.

use std::collections::BTreeMap;

use cofferdam_schemas::{
    Command, CommandResult, ErrorCode, ObjectEvent, Outcome, ProcessorName, RequestId, ResultEvent, Timestamp,
    WireError,
};

/// What the joiner, the sinks and the user are told about a document a processor gave up.
pub(crate) fn dead_result(
    event: &ObjectEvent,
    processor: &ProcessorName,
    version: &str,
    code: ErrorCode,
    reason: &str,
    now: Timestamp,
) -> ResultEvent {
    ResultEvent {
        id: ResultEvent::result_id(&event.id, processor, version, Outcome::Dead),
        event: event.id.clone(),
        processor: processor.clone(),
        processor_version: version.to_owned(),
        outcome: Outcome::Dead,
        object: event.object.clone(),
        plan: event.plan.clone(),
        verdict: None,
        findings: Vec::new(),
        sealed: None,
        artefacts: Vec::new(),
        details: BTreeMap::new(),
        error: Some(wire_error(gave_up(processor, reason), code, now, event.id.as_str())),
        started_at: now,
        finished_at: now,
    }
}

/// What the user is told about a command that was given up.
pub(crate) fn dead_command(command: &Command, code: ErrorCode, reason: &str, now: Timestamp) -> CommandResult {
    CommandResult {
        id: command.id.clone(),
        tenant: command.tenant.clone(),
        verb: command.verb.clone(),
        outcome: Outcome::Dead,
        result: None,
        error: Some(wire_error(
            gave_up(&command.verb, reason),
            code,
            now,
            command.id.as_str(),
        )),
        finished_at: now,
    }
}

/// The answer to a command about something that is no longer there.
pub(crate) fn gone(command: &Command, code: ErrorCode, now: Timestamp) -> WireError {
    wire_error(
        "what the command is about is not there any more".to_owned(),
        code,
        now,
        command.id.as_str(),
    )
}

fn gave_up(name: &ProcessorName, reason: &str) -> String {
    let reason: String = reason.chars().take(300).collect();
    format!("{name} gave it up: {reason}; it is kept as a dead letter and can be replayed by an operator")
}

fn wire_error(message: String, code: ErrorCode, time: Timestamp, request: &str) -> WireError {
    // Unwrap safety: event and command ids are 1 to 64 characters of ASCII without control characters.
    #[allow(clippy::expect_used)]
    let request_id = RequestId::new(request).expect("an id is a request id");
    WireError {
        code,
        message,
        details: BTreeMap::new(),
        time,
        request_id,
    }
}
