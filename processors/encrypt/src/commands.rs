//! What the command handlers share: reading bodies, finding the object, refusing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_processor::{Catalog, CatalogError, CommandJob, ObjectRecord, ObjectState, ProcessError};
use cofferdam_schemas::{CommandOutcome, ErrorCode, RequestId, Selector, WireError};
use cofferdam_seams::Clock;
use serde::de::DeserializeOwned;

/// What a handler answers: the inner error is told to the caller, the outer one is the shell's business.
pub(crate) type Answer = Result<Result<CommandOutcome, WireError>, ProcessError>;

/// Why a command is refused, before it has a time and a request id.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: ErrorCode,
    message: String,
    details: BTreeMap<String, String>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: BTreeMap::new(),
        }
    }
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Why a handler stops: what the caller is told, or what the shell decides about.
#[derive(Debug)]
pub(crate) enum Stop {
    Refuse(Refusal),
    Fail(ProcessError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refuse(refusal)
    }
}

impl From<ProcessError> for Stop {
    fn from(error: ProcessError) -> Self {
        Stop::Fail(error)
    }
}

impl From<CatalogError> for Stop {
    fn from(error: CatalogError) -> Self {
        Stop::Fail(error.into())
    }
}

/// Does a handler's work, unless the service stops before it ends, and turns its end into the answer.
pub(crate) async fn answer(
    work: impl Future<Output = Result<CommandOutcome, Stop>>,
    job: &CommandJob,
    clock: &dyn Clock,
) -> Answer {
    let result = tokio::select! {
        result = work => result,
        () = job.cancelled.cancelled() => return Err(ProcessError::Cancelled),
    };
    let Refusal { code, message, details } = match result {
        Ok(outcome) => return Ok(Ok(outcome)),
        Err(Stop::Fail(error)) => return Err(error),
        Err(Stop::Refuse(refusal)) => refusal,
    };
    // A command id is a valid request id: it is shorter and takes fewer characters.
    let request_id = RequestId::new(job.command.id.as_str()).map_err(|error| ProcessError::Internal {
        reason: format!("command id is no request id: {error}"),
    })?;
    Ok(Err(WireError {
        code,
        message,
        details,
        time: clock.now(),
        request_id,
    }))
}

/// Reads a body. The text of an error is for the caller.
pub(crate) fn read<T: DeserializeOwned>(body: &serde_json::Value) -> Result<T, String> {
    T::deserialize(body).map_err(|error| error.to_string())
}

/// A selector names one object: by id, or by key with or without a bucket.
pub(crate) fn check_selector(select: &Selector) -> Result<(), String> {
    match (&select.object, &select.key, &select.bucket) {
        (Some(_), Some(_), _) => Err("select has both object and key: give one of them".into()),
        (None, None, _) => Err("select has neither object nor key: give one of them".into()),
        (Some(_), None, Some(_)) => Err("select has a bucket beside object: a bucket goes with key only".into()),
        _ => Ok(()),
    }
}

/// How long an object that is still open may take to become final while a command waits for it. Subscribers hear `done` a moment before
/// the store has the row, and who asks for the document then must not be told that it is not ready.
const SETTLE: Duration = Duration::from_secs(2);

/// Finds the object a command is about; of one that is still open, waits a little for its end.
pub(crate) async fn find(
    catalog: &Arc<dyn Catalog>,
    job: &CommandJob,
    select: &Selector,
) -> Result<ObjectRecord, Stop> {
    let until = tokio::time::Instant::now() + SETTLE;
    let mut pause = Duration::from_millis(10);
    loop {
        let record = look(catalog, job, select).await?;
        if record.state != ObjectState::Open || tokio::time::Instant::now() + pause > until {
            return Ok(record);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

async fn look(catalog: &Arc<dyn Catalog>, job: &CommandJob, select: &Selector) -> Result<ObjectRecord, Stop> {
    let found = catalog.find(&job.command.tenant, select).await?;
    // The catalog answers for one tenant only; should it ever not, nothing of another tenant leaves here.
    let found = found.filter(|record| record.object.tenant == job.command.tenant);
    found.ok_or_else(|| {
        let what = match (&select.object, &select.key) {
            (Some(id), _) => format!("there is no object {id}"),
            (None, Some(key)) => format!("there is no object with key {:?}", key.as_str()),
            (None, None) => "there is no such object".to_owned(),
        };
        Refusal::new(
            ErrorCode::NotFound,
            format!("{what}; `cofferdam ls` shows what there is"),
        )
        .into()
    })
}

/// The refusal for an object that is still on its way.
pub(crate) fn not_ready(record: &ObjectRecord) -> Refusal {
    let id = record.object.id;
    let message = match record.state {
        ObjectState::Dead => format!(
            "object {id} is held up: a processor gave up on it; `cofferdam dlq ls` shows why, `cofferdam dlq replay` tries again"
        ),
        _ => format!("object {id} is still being processed; `cofferdam status {id}` shows how far it is"),
    };
    Refusal::new(ErrorCode::NotReady, message)
        .with("object", id)
        .with("state", record.state.as_str())
}
