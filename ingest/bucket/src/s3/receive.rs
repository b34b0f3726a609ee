//! Taking the bytes of a request: hashed on the way, compared before anything is durable or visible.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use hyper::header::{HeaderName, HeaderValue};
use s3s::dto::StreamingBlob;
use s3s::{S3Result, TrailingHeaders, s3_error};

use super::checksums::Claims;
use super::errors;
use crate::blobs::NewBlob;
use crate::digest::{Algorithm, Digests, Sums};
use crate::error::{BucketError, Refusal};
use crate::index::{Headers, Tags};
use crate::store::Bucket;

/// The largest object or part in one request: 5 GiB.
pub(crate) const LARGEST: u64 = 5 * 1024 * 1024 * 1024;
/// User metadata, names and values together: 2 KiB.
const MOST_METADATA: usize = 2048;

/// A request's body and what is said about it.
pub(crate) struct Incoming {
    pub(crate) body: Option<StreamingBlob>,
    /// The declared number of bytes (without chunk framing).
    pub(crate) length: Option<i64>,
    pub(crate) claims: Claims,
    pub(crate) trailing: Option<TrailingHeaders>,
    /// Algorithms to compute besides those of the claims.
    pub(crate) also: Vec<Algorithm>,
}

/// Bytes that are durable but in no row yet.
pub(crate) struct Received {
    pub(crate) blob: NewBlob,
    pub(crate) sums: Sums,
    pub(crate) chosen: Option<Algorithm>,
}

/// Takes a body. On any error nothing is left of it.
pub(crate) async fn receive(bucket: &Bucket, mut incoming: Incoming) -> S3Result<Received> {
    let declared = incoming
        .length
        .map(|length| u64::try_from(length).map_err(|_| s3_error!(InvalidArgument, "Content-Length is negative")));
    let declared = declared.transpose()?;
    let too_large = || errors::refused(Refusal::TooLarge { limit: LARGEST });
    if declared.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let mut algorithms = incoming.claims.needed();
    algorithms.extend(&incoming.also);
    let mut writer = bucket.writer(0, declared, Digests::new(&algorithms).with_md5());
    let files = |error| errors::refuse(BucketError::files("write blob", error));
    if let Some(mut body) = incoming.body.take() {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| errors::body(&*error))?;
            writer.write(chunk).await.map_err(files)?;
            if writer.written() > declared.unwrap_or(LARGEST) {
                return Err(if declared.is_some() {
                    s3_error!(InvalidRequest, "More bytes came than declared.")
                } else {
                    too_large()
                });
            }
        }
    }
    let mut written = writer.finish().await.map_err(files)?;
    if declared.is_some_and(|declared| declared != written.size) {
        return Err(s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        ));
    }
    let chosen = incoming.claims.chosen();
    let trailing = incoming.trailing.and_then(|trailing| trailing.take());
    incoming.claims.take_trailers(trailing.as_ref())?;
    incoming
        .claims
        .expected
        .verify(&written.sums)
        .map_err(errors::refused)?;
    let sums = std::mem::take(&mut written.sums);
    let blob = written.store(bytes::Bytes::new()).await.map_err(files)?;
    Ok(Received { blob, sums, chosen })
}

/// The standard headers of a request that is to be stored.
macro_rules! headers {
    ($input:expr) => {
        crate::s3::receive::stored_headers(Headers {
            content_type: $input.content_type.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            expires: $input
                .expires
                .take()
                .map(|at| time::OffsetDateTime::from(at).unix_timestamp()),
        })?
    };
}
pub(crate) use headers;

/// `aws-chunked` describes the request, not the object. A form can bring text that no header can hold: the object could never be read again.
pub(crate) fn stored_headers(mut headers: Headers) -> S3Result<Headers> {
    let texts = [
        ("Content-Type", &headers.content_type),
        ("Content-Encoding", &headers.content_encoding),
        ("Content-Language", &headers.content_language),
        ("Content-Disposition", &headers.content_disposition),
        ("Cache-Control", &headers.cache_control),
    ];
    for (name, text) in texts {
        if text.as_deref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            return Err(s3_error!(
                InvalidArgument,
                "{name} has characters that a header cannot have."
            ));
        }
    }
    headers.content_encoding = headers.content_encoding.and_then(|encoding| {
        let rest: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|e| !e.is_empty() && !e.eq_ignore_ascii_case("aws-chunked"))
            .collect();
        (!rest.is_empty()).then(|| rest.join(","))
    });
    Ok(headers)
}

/// User metadata with names in lower case, within its limit.
pub(crate) fn metadata(given: Option<s3s::dto::Metadata>) -> S3Result<BTreeMap<String, String>> {
    let user: BTreeMap<String, String> = given
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    // The names become those of headers again.
    let odd = |name: &&String| HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes()).is_err();
    if let Some(name) = user.keys().find(odd) {
        return Err(s3_error!(
            InvalidArgument,
            "The metadata name {name:?} cannot be that of a header."
        ));
    }
    let size: usize = user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MOST_METADATA {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size of 2 KB."
        ));
    }
    Ok(user)
}

/// Tags from a header: form-encoded pairs.
pub(crate) fn tags(header: Option<&str>) -> S3Result<Tags> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_encoding::percent_decode_str(&text).decode_utf8();
        text.map(|text| text.into_owned())
            .map_err(|_| s3_error!(InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8."))
    };
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let tags = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    check_tags(tags.collect::<S3Result<_>>()?)
}

/// The rules for tags: at most ten, names unique.
pub(crate) fn check_tags(tags: Tags) -> S3Result<Tags> {
    if tags.len() > 10 {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than 10"));
    }
    let mut seen = std::collections::HashSet::new();
    for (name, value) in &tags {
        if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
            return Err(s3_error!(
                InvalidTag,
                "A tag's key takes 1 to 128 characters, its value at most 256."
            ));
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Err(s3_error!(InvalidTag, "A tag cannot have control characters."));
        }
        if !seen.insert(name) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple tags with the same key"));
        }
    }
    Ok(tags)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_forms() {
        assert_eq!(
            tags(Some("a=1&b+c=%2B%C3%A9&d")).unwrap(),
            [
                ("a".into(), "1".into()),
                ("b c".into(), "+é".into()),
                ("d".into(), String::new())
            ]
        );
        assert!(tags(None).unwrap().is_empty());
        assert!(tags(Some("a=1&a=2")).is_err());
        assert!(tags(Some("=1")).is_err());
        assert!(tags(Some("a=%00")).is_err());
    }

    #[test]
    fn the_transfer_encoding_is_not_the_objects() {
        let stored = |encoding: &str| {
            stored_headers(Headers {
                content_encoding: Some(encoding.into()),
                ..Headers::default()
            })
            .unwrap()
            .content_encoding
        };
        assert_eq!(stored("aws-chunked"), None);
        assert_eq!(stored("gzip, aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(stored("br,gzip").as_deref(), Some("br,gzip"));
    }
}
