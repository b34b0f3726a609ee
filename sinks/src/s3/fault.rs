//! What an S3 error means for a caller.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use cofferdam_seams::{Locator, ObjectError};

/// What a store or the way to it said. The SDK's own error is not kept: its `Debug` shows requests and headers, and a request may be a signed one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct S3Failure(String);

/// The HTTP status of an answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether the store knows these credentials but does not let them do this.
pub(super) fn is_denied_but_known<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let unknown = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSecurity",
        "ExpiredToken",
        "RequestTimeTooSkewed",
    ];
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or_default();
    status(error) == Some(403) && !unknown.contains(&code)
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().take(400).collect()
}

/// What an error of a call means.
pub(super) fn fault<E>(at: &Locator, error: SdkError<E, HttpResponse>) -> ObjectError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = status(&error);
    let meta = error.as_service_error();
    let code = meta.and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    let said = match meta {
        Some(meta) => format!(
            "status {}, {code}: {}",
            status.unwrap_or_default(),
            meta.message().unwrap_or("no message")
        ),
        None => match status {
            Some(status) => format!("status {status}, answer cannot be read"),
            None => chain(&error),
        },
    };
    let failure = S3Failure(said.chars().take(400).collect());
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return ObjectError::InvalidRequest { reason: failure.0 };
    }
    classify(at, status, &code, failure)
}

/// The table: status, then the code where the status leaves a choice.
fn classify(at: &Locator, status: Option<u16>, code: &str, failure: S3Failure) -> ObjectError {
    let at = at.clone();
    match (status, code) {
        (_, "XMinioStorageFull" | "QuotaExceeded" | "InsufficientStorage") | (Some(507), _) => ObjectError::Full {
            source: Some(Box::new(failure)),
        },
        (Some(412), _) => ObjectError::PreconditionFailed { at },
        // A conditional write met another write in flight: it may pass.
        (Some(409), _) => ObjectError::Unavailable {
            source: Box::new(failure),
        },
        // 405 is the answer to reading a delete marker by its version.
        (Some(404 | 405), _) => ObjectError::NotFound { at },
        (Some(401 | 403), "RequestTimeTooSkewed") => ObjectError::Unavailable {
            source: Box::new(failure),
        },
        (Some(401 | 403), _) => ObjectError::AccessDenied { at },
        (Some(400), "RequestTimeout" | "SlowDown" | "IncompleteBody" | "BadDigest" | "ExpiredToken") => {
            ObjectError::Unavailable {
                source: Box::new(failure),
            }
        }
        (Some(400..=499), "EntityTooLarge") => ObjectError::TooLarge { limit: 5 << 40 },
        (Some(429 | 408), _) => ObjectError::Unavailable {
            source: Box::new(failure),
        },
        (Some(400..=499), _) => ObjectError::InvalidRequest { reason: failure.0 },
        (Some(_) | None, _) => ObjectError::Unavailable {
            source: Box::new(failure),
        },
    }
}

/// What an error within a body means: the SDK compares it with the checksum the store sent.
pub(super) fn of_body(at: &Locator, error: &(dyn Error + 'static)) -> ObjectError {
    let text = chain(error);
    if text.contains("checksum mismatch") {
        return ObjectError::Corrupt {
            at: at.clone(),
            reason: "bytes do not have the checksum that the store has for them",
        };
    }
    ObjectError::Unavailable {
        source: Box::new(S3Failure(text)),
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_schemas::{BucketName, ObjectKey};

    use super::*;

    #[test]
    fn statuses_and_codes() {
        let at = Locator::new(BucketName::new("inbox").unwrap(), ObjectKey::new("k").unwrap());
        let check = |status: Option<u16>, code: &str, expected: fn(&ObjectError) -> bool| {
            let error = classify(&at, status, code, S3Failure("said".into()));
            assert!(expected(&error), "{status:?} {code}: {error:?}");
        };
        check(Some(404), "NoSuchKey", |e| matches!(e, ObjectError::NotFound { .. }));
        check(Some(404), "", |e| matches!(e, ObjectError::NotFound { .. }));
        check(Some(405), "MethodNotAllowed", |e| {
            matches!(e, ObjectError::NotFound { .. })
        });
        check(Some(412), "", |e| matches!(e, ObjectError::PreconditionFailed { .. }));
        check(Some(409), "ConditionalRequestConflict", |e| {
            matches!(e, ObjectError::Unavailable { .. })
        });
        check(Some(403), "AccessDenied", |e| {
            matches!(e, ObjectError::AccessDenied { .. })
        });
        check(Some(403), "RequestTimeTooSkewed", |e| {
            matches!(e, ObjectError::Unavailable { .. })
        });
        check(Some(400), "EntityTooLarge", |e| {
            matches!(e, ObjectError::TooLarge { .. })
        });
        check(Some(400), "InvalidArgument", |e| {
            matches!(e, ObjectError::InvalidRequest { .. })
        });
        check(Some(400), "BadDigest", |e| matches!(e, ObjectError::Unavailable { .. }));
        check(Some(429), "", |e| matches!(e, ObjectError::Unavailable { .. }));
        check(Some(503), "SlowDown", |e| matches!(e, ObjectError::Unavailable { .. }));
        check(Some(507), "XMinioStorageFull", |e| {
            matches!(e, ObjectError::Full { .. })
        });
        check(Some(500), "InternalError", |e| {
            matches!(e, ObjectError::Unavailable { .. })
        });
        check(None, "", |e| matches!(e, ObjectError::Unavailable { .. }));
    }
}
