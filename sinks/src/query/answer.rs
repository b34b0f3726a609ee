//! Questions to answers: bytes in, bytes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use cofferdam_nats::subject::Query;
use cofferdam_schemas::query::{
    CommandQuery, DecisionKind, ObjectAnswer, ObjectView, ObjectsAnswer, ObjectsQuery, ResultsAnswer, Step, StepKind,
};
use cofferdam_schemas::{ErrorCode, RequestId, Selector, TenantName, Verb, WireError};
use cofferdam_seams::Clock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::select;
use crate::error::StoreError;
use crate::store::{Filter, ObjectRow, Store};

/// The most objects one answer lists.
const MOST: u32 = 1000;
/// The usual number.
const USUAL: u32 = 100;
/// The longest question.
const LONGEST: usize = 16 * 1024;

/// Answers questions from a store.
pub struct Answerer {
    store: Arc<dyn Store>,
    tenants: Vec<TenantName>,
    clock: Arc<dyn Clock>,
    /// The longest answer, in bytes.
    longest: usize,
}

/// Why there is no answer: code, text, values.
type Refusal = (ErrorCode, String, Vec<(&'static str, String)>);

fn refusal(code: ErrorCode, message: impl Into<String>) -> Refusal {
    (code, message.into(), Vec::new())
}

/// The code's word on the wire.
pub(super) fn code_word(error: &WireError) -> String {
    serde_json::to_value(error.code)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

impl Answerer {
    /// Answers for these tenants, in at most so many bytes.
    pub fn new(store: Arc<dyn Store>, tenants: Vec<TenantName>, clock: Arc<dyn Clock>, longest: usize) -> Self {
        Self {
            store,
            tenants,
            clock,
            longest,
        }
    }

    /// The answer to a question on a subject `q.v1.<tenant>.<query>`.
    pub async fn answer(&self, subject: &str, body: &[u8]) -> Result<Vec<u8>, WireError> {
        let request_id = uuid::Uuid::now_v7().to_string();
        let refused = match self.ask(subject, body).await {
            Ok(answer) if answer.len() <= self.longest => return Ok(answer),
            Ok(answer) => {
                let limit = vec![("bytes", answer.len().to_string()), ("limit", self.longest.to_string())];
                (
                    ErrorCode::LimitExceeded,
                    "the answer is longer than a message may be".to_owned(),
                    limit,
                )
            }
            Err(refused) => refused,
        };
        let (code, message, details) = refused;
        tracing::debug!(subject, %request_id, ?code, message, "question refused");
        let details: BTreeMap<String, String> = details
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Err(WireError {
            code,
            message,
            details,
            time: self.clock.now(),
            request_id: id(&request_id),
        })
    }

    async fn ask(&self, subject: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let asked: Query = subject
            .parse()
            .map_err(|_| refusal(ErrorCode::UnknownCommand, "ask on q.<query>"))?;
        let tenant = &asked.tenant;
        if !self.tenants.contains(tenant) {
            return Err(refusal(ErrorCode::Forbidden, "this tenant is not known here"));
        }
        if body.len() > LONGEST {
            return Err((
                ErrorCode::LimitExceeded,
                "the question is too long".to_owned(),
                vec![("limit", LONGEST.to_string())],
            ));
        }
        match asked.name.as_str() {
            "objects" => self.objects(tenant, parse(body)?).await,
            "object" => self.object(tenant, &parse(body)?).await,
            "results" => self.results(tenant, &parse(body)?).await,
            "command" => self.command(tenant, &parse(body)?).await,
            other => {
                let name: String = other.chars().take(64).collect();
                let known = vec![
                    ("query", name),
                    ("queries", "objects, object, results, command".to_owned()),
                ];
                Err((ErrorCode::UnknownCommand, "there is no such query".to_owned(), known))
            }
        }
    }

    async fn objects(&self, tenant: &TenantName, query: ObjectsQuery) -> Result<Vec<u8>, Refusal> {
        let limit = query.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(refusal(ErrorCode::InvalidRequest, format!("limit is 1 to {MOST}")));
        }
        let after = query.cursor.as_deref().map(str::parse).transpose().map_err(of_store)?;
        let filter = Filter {
            state: query.state,
            prefix: query.prefix,
            bucket: query.bucket,
        };
        let page = self
            .store
            .list_objects(tenant, &filter, after, limit as usize)
            .await
            .map_err(of_store)?;
        let (mut rows, mut next) = (page.rows, page.next);
        loop {
            let objects = rows.iter().cloned().map(ObjectView::from).collect();
            let answer = json(&ObjectsAnswer {
                objects,
                next: next.map(|next| next.to_string()),
            })?;
            if answer.len() <= self.longest || rows.len() <= 1 {
                return Ok(answer);
            }
            // Half as many, and on from there.
            rows.truncate(rows.len() / 2);
            next = rows.last().map(ObjectRow::cursor);
        }
    }

    async fn find(&self, tenant: &TenantName, selector: &Selector) -> Result<ObjectRow, Refusal> {
        if selector.object.is_none() && selector.key.is_none() {
            return Err(refusal(ErrorCode::InvalidRequest, "name an object or a key"));
        }
        let found = select(&*self.store, tenant, selector).await.map_err(of_store)?;
        found.ok_or_else(|| refusal(ErrorCode::NotFound, "there is no such object"))
    }

    async fn object(&self, tenant: &TenantName, selector: &Selector) -> Result<Vec<u8>, Refusal> {
        let row = self.find(tenant, selector).await?;
        let timeline = self.timeline(tenant, &row).await.map_err(of_store)?;
        json(&ObjectAnswer {
            object: row.into(),
            timeline,
        })
    }

    async fn results(&self, tenant: &TenantName, selector: &Selector) -> Result<Vec<u8>, Refusal> {
        let object = self.find(tenant, selector).await?.object.id;
        let results = self.store.results_of(tenant, &object).await.map_err(of_store)?;
        json(&ResultsAnswer { object, results })
    }

    async fn command(&self, tenant: &TenantName, query: &CommandQuery) -> Result<Vec<u8>, Refusal> {
        let found = self.store.command(tenant, &query.id).await.map_err(of_store)?;
        json(&found.ok_or_else(|| refusal(ErrorCode::NotFound, "there is no result of such a command yet"))?)
    }

    /// Everything that is on record about a version, oldest first.
    async fn timeline(&self, tenant: &TenantName, row: &ObjectRow) -> Result<Vec<Step>, StoreError> {
        let step = |at, kind| Step {
            at,
            kind,
            processor: None,
            outcome: None,
            verdict: None,
            findings: None,
            state: None,
            error: None,
            reason: None,
        };
        let mut steps = Vec::new();
        for event in self.store.events_of(tenant, &row.object.id).await? {
            let kind = match event.verb {
                Verb::Put => StepKind::Accepted,
                Verb::Del => StepKind::Removed,
                Verb::Meta | Verb::Restore => StepKind::Changed,
            };
            steps.push(step(event.stored_at, kind));
        }
        for result in self.store.results_of(tenant, &row.object.id).await? {
            steps.push(Step {
                processor: Some(result.processor.clone()),
                ..step(result.started_at, StepKind::Started)
            });
            steps.push(Step {
                processor: Some(result.processor),
                outcome: Some(result.outcome),
                verdict: result.verdict,
                findings: Some(result.findings_total),
                error: result.error,
                ..step(result.finished_at, StepKind::Finished)
            });
        }
        if let Some(at) = row.finished_at {
            // The state that was final, also of what has been deleted since.
            let state = self.store.final_state(tenant, &row.object.id).await?;
            steps.push(Step {
                verdict: row.verdict,
                state,
                ..step(at, StepKind::Final)
            });
        }
        let decided = |kind| row.decisions.iter().find(move |decision| decision.kind == kind);
        if let Some(release) = decided(DecisionKind::Release) {
            steps.push(Step {
                reason: Some(release.reason.clone()),
                ..step(release.at, StepKind::Released)
            });
        }
        if let Some(at) = row.deleted_at {
            steps.push(Step {
                reason: decided(DecisionKind::Destroy).map(|destroy| destroy.reason.clone()),
                ..step(at, StepKind::Deleted)
            });
        }
        // Clocks of different machines: what happens in one order is shown in it where times are equal.
        steps.sort_by_key(|step| (step.at, step.kind as u8));
        Ok(steps)
    }
}

fn id(text: &str) -> RequestId {
    // A UUID is a request id.
    #[allow(clippy::expect_used)]
    RequestId::new(text).expect("36 printable characters")
}

/// An empty body asks for what has no conditions.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        body
    };
    serde_json::from_slice(body).map_err(|error| {
        let place = vec![
            ("line", error.line().to_string()),
            ("column", error.column().to_string()),
        ];
        (
            ErrorCode::InvalidRequest,
            format!("the question cannot be read: {error}"),
            place,
        )
    })
}

fn json<T: Serialize>(answer: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(answer).map_err(|_| refusal(ErrorCode::Internal, "the answer cannot be written"))
}

fn of_store(error: StoreError) -> Refusal {
    match error {
        StoreError::InvalidCursor => refusal(
            ErrorCode::InvalidRequest,
            "the cursor is not one of ours: begin without one",
        ),
        StoreError::Unavailable { .. } | StoreError::Full { .. } | StoreError::Open { .. } => {
            tracing::warn!(%error, "store does not answer a question");
            refusal(ErrorCode::Unavailable, "the store does not answer: try again")
        }
        StoreError::Damaged { .. } => {
            tracing::error!(%error, "a row cannot be read");
            refusal(ErrorCode::Internal, "a stored row cannot be read")
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
