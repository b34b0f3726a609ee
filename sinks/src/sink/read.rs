//! Messages of a batch as values.

use cofferdam_nats::worker::{Acks, Delivery, Failure};
use cofferdam_schemas::{ErrorCode, TenantName};
use serde::de::DeserializeOwned;

use crate::store::Stamped;

/// What a message says, with what a row needs of the message. One whose tenant is not that of its subject is refused: subjects are what the broker's
/// permissions are about.
pub(crate) fn read<T: DeserializeOwned>(
    delivery: &Delivery,
    types: &[&str],
    tenant: fn(&T) -> &TenantName,
) -> Result<Stamped<T>, Failure> {
    let value: T = delivery.decode_as(types)?;
    if delivery.tenant().as_ref() != Some(tenant(&value)) {
        return Err(Failure::Reject {
            class: "tenant".into(),
            code: ErrorCode::Forbidden,
            reason: "tenant in the body is not the tenant in the subject".into(),
        });
    }
    Ok(Stamped {
        value,
        written_at: u64::try_from(delivery.stored_at_micros).unwrap_or(0),
        trace_id: trace_id(delivery),
    })
}

/// The trace id of a W3C `traceparent`.
fn trace_id(delivery: &Delivery) -> Option<String> {
    let mut parts = delivery.header("traceparent")?.split('-');
    let (_version, id) = (parts.next()?, parts.next()?);
    let valid = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0');
    valid.then(|| id.to_ascii_lowercase())
}

/// Dead-letters a message that cannot be used.
pub(crate) async fn refuse(acks: &Acks, delivery: &Delivery, failure: Failure) {
    match failure {
        Failure::Reject { class, code, reason } => acks.reject(delivery, &class, code, &reason).await,
        // Reading gives nothing else; what is not acknowledged comes again.
        Failure::Retry { .. } | Failure::Halt { .. } => acks.retry(delivery).await,
    }
}
