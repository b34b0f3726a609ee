//! Our errors as S3's.

use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::http::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::error::{BucketError, Refusal};

/// What a client is told. Causes that are ours are logged, not told.
pub(crate) fn refuse(error: BucketError) -> S3Error {
    match error {
        BucketError::Refused(refusal) => refused(refusal),
        BucketError::Full(source) => {
            tracing::error!(error = %source, "no room for object");
            custom(
                "StorageFull",
                StatusCode::INSUFFICIENT_STORAGE,
                "The store has no room left.",
            )
        }
        BucketError::Index(cofferdam_commit::CommitError::Closed) => {
            s3_error!(ServiceUnavailable, "The store is shutting down.")
        }
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "request failed");
            s3_error!(InternalError, "We encountered an internal error. Please try again.")
        }
    }
}

/// A code that `s3s` does not know.
pub(crate) fn custom(code: &'static str, status: StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

pub(crate) fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::NoSuchBucket => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        Refusal::BucketExists => s3_error!(
            BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
        ),
        Refusal::BucketNotEmpty => s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"),
        Refusal::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        Refusal::NoSuchVersion => s3_error!(NoSuchVersion, "The specified version does not exist."),
        Refusal::DeleteMarker { version, named } => delete_marker(version, named),
        Refusal::Precondition { condition } => {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold: {condition}"
            )
        }
        Refusal::NoSuchUpload => {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
            )
        }
        Refusal::InvalidPart { number } => s3_error!(
            InvalidPart,
            "Part {number} could not be found, or its entity tag or checksum is another."
        ),
        Refusal::InvalidPartOrder => s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."),
        Refusal::PartTooSmall { number, size } => {
            s3_error!(
                EntityTooSmall,
                "Part {number} has {size} bytes; all parts but the last need at least 5242880."
            )
        }
        Refusal::TooLarge { limit } => s3_error!(EntityTooLarge, "Your proposed upload exceeds {limit} bytes."),
        Refusal::BadDigest { checksum } => s3_error!(
            BadDigest,
            "The {checksum} you specified did not match what we received."
        ),
        Refusal::WrongSize { size } => s3_error!(
            InvalidRequest,
            "The parts have {size} bytes in all, not the size you specified."
        ),
        Refusal::NotTaken { reason } => s3_error!(InvalidRequest, "{reason}"),
        Refusal::Invalid { reason } => s3_error!(InvalidArgument, "{reason}"),
    }
}

fn delete_marker(version: Option<String>, named: bool) -> S3Error {
    let mut error = if named {
        s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against a delete marker."
        )
    } else {
        s3_error!(NoSuchKey, "The specified key does not exist.")
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Some(version) = version.and_then(|version| HeaderValue::try_from(version).ok()) {
        headers.insert("x-amz-version-id", version);
    }
    if named {
        headers.insert(ALLOW, HeaderValue::from_static("DELETE"));
    }
    error.set_headers(headers);
    error
}

/// Marks a body that stopped coming; the text survives the wrappers of `s3s`, which hide the type.
pub(crate) const STALLED: &str = "no bytes came for too long";
/// Marks a signed chunk larger than is taken.
pub(crate) const CHUNK_TOO_LARGE: &str = "signed chunk is too large";

/// Why the bytes of a request ended early. The error types of `s3s`'s streams are private, so their text has to do;
/// the crate is pinned and a test goes through every case.
pub(crate) fn body(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    if has(STALLED) {
        s3_error!(
            RequestTimeout,
            "Your socket connection to the server was not read from or written to within the timeout period."
        )
    } else if has(CHUNK_TOO_LARGE) {
        s3_error!(InvalidRequest, "A signed chunk may have at most 16 MiB.")
    } else if has("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        custom("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, message)
    } else if has("SignatureMismatch") {
        s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk does not match its bytes."
        )
    } else if has("FormatError") || has("TooLarge") || has("TooManyTrailerHeaders") {
        s3_error!(InvalidRequest, "The chunked encoding of the body is not valid.")
    } else {
        s3_error!(IncompleteBody, "The request body terminated unexpectedly.")
    }
}
