//! GetObject, HeadObject, GetObjectAttributes.

use std::ops::Range;

use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    LAST_MODIFIED,
};
use hyper::http::{HeaderName, StatusCode};
use rusqlite::Connection;
use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectAttributes, ObjectPart, StorageClass, StreamingBlob,
    TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use time::OffsetDateTime;

use super::checksums::{self, Shown, show};
use super::conditions::{ReadConditions, Verdict};
use super::{Backend, errors, which};
use crate::digest::Algorithm;
use crate::error::Stop;
use crate::index::buckets::BucketRow;
use crate::index::objects::{self, VersionRow};

/// What a read wants of a version.
#[derive(Debug, Clone)]
struct Wanted {
    conditions: ReadConditions,
    range: Option<s3s::dto::Range>,
    part: Option<i32>,
}

/// What it gets.
#[derive(Debug, Clone)]
enum Answer {
    Whole,
    Range,
    /// A part, with its checksum.
    Part(Option<cofferdam_schemas::Checksums>),
    NotModified,
    Failed(&'static str),
    NoRange,
    NoPart,
}

impl Wanted {
    fn choose(&self, connection: &Connection, row: &VersionRow) -> Result<(Range<u64>, Answer), Stop> {
        match self.conditions.judge(&row.etag, row.modified) {
            Verdict::Go => {}
            Verdict::NotModified => return Ok((0..0, Answer::NotModified)),
            Verdict::Failed(condition) => return Ok((0..0, Answer::Failed(condition))),
        }
        if let Some(number) = self.part {
            let Some(number) = u32::try_from(number).ok().filter(|number| *number > 0) else {
                return Ok((0..0, Answer::NoPart));
            };
            if row.parts.is_none() {
                // An object from one request is its own first part.
                return Ok(if number == 1 {
                    (0..row.size, Answer::Part(None))
                } else {
                    (0..0, Answer::NoPart)
                });
            }
            let found = objects::segments(connection, row.id, number - 1, 1)?
                .pop()
                .filter(|segment| segment.number == number);
            return Ok(match found {
                Some(segment) => (
                    segment.start..segment.start + segment.size,
                    Answer::Part(Some(segment.sums)),
                ),
                None => (0..0, Answer::NoPart),
            });
        }
        let Some(range) = &self.range else {
            return Ok((0..row.size, Answer::Whole));
        };
        // A suffix of an empty object is nothing, which no Content-Range can say.
        match range.check(row.size).ok().filter(|range| !range.is_empty()) {
            Some(range) => Ok((range, Answer::Range)),
            None => Ok((0..0, Answer::NoRange)),
        }
    }
}

/// Turns the answers that are errors into such.
fn refuse(answer: &Answer, bucket: &BucketRow, row: &VersionRow) -> S3Result<()> {
    match answer {
        Answer::Whole | Answer::Range | Answer::Part(_) => Ok(()),
        Answer::NotModified => Err(not_modified(bucket, row)),
        Answer::Failed(condition) => Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold: {condition}"
        )),
        Answer::NoRange => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            let mut headers = HeaderMap::new();
            if let Ok(size) = HeaderValue::try_from(format!("bytes */{}", row.size)) {
                headers.insert(hyper::header::CONTENT_RANGE, size);
            }
            error.set_headers(headers);
            Err(error)
        }
        Answer::NoPart => Err(errors::custom(
            "InvalidPartNumber",
            StatusCode::RANGE_NOT_SATISFIABLE,
            "The requested partnumber is not satisfiable",
        )),
    }
}

/// 304 has no body, but the headers a cache needs.
fn not_modified(bucket: &BucketRow, row: &VersionRow) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_status_code(StatusCode::NOT_MODIFIED);
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    };
    add(ETAG, Some(format!("\"{}\"", row.etag)));
    add(LAST_MODIFIED, http_date(&super::timestamp(row.modified)));
    add(CACHE_CONTROL, row.attached.headers.cache_control.clone());
    add(
        HeaderName::from_static("x-amz-version-id"),
        bucket.versioning.public(row.id, row.plain),
    );
    error.set_headers(headers);
    error
}

fn http_date(at: &s3s::dto::Timestamp) -> Option<String> {
    let mut text = Vec::new();
    at.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The checksum to show: only on request, and only one that is about exactly the bytes sent.
fn shown(mode: bool, answer: &Answer, row: &VersionRow) -> (Shown, Option<s3s::dto::ChecksumType>) {
    match answer {
        _ if !mode => (None, None),
        Answer::Whole | Answer::Part(None) => checksums::of_version(row),
        Answer::Part(Some(sums)) => {
            let (_, kind) = checksums::of_version(row);
            (
                row.algorithm.and_then(|algorithm| checksums::of_sums(sums, algorithm)),
                kind,
            )
        }
        _ => (None, None),
    }
}

/// Fields that GetObject and HeadObject have in common.
macro_rules! describe {
    ($output:ident, $bucket:expr, $row:expr, $range:expr, $answer:expr, $mode:expr) => {{
        let headers = $row.attached.headers.clone();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = headers.cache_control;
        $output.content_disposition = headers.content_disposition;
        $output.content_encoding = headers.content_encoding;
        $output.content_language = headers.content_language;
        $output.content_type = Some(headers.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.expires = headers
            .expires
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
            .map(Into::into);
        $output.content_length = Some(super::length($range.end - $range.start));
        if !matches!($answer, Answer::Whole) && !$range.is_empty() {
            $output.content_range = Some(format!("bytes {}-{}/{}", $range.start, $range.end - 1, $row.size));
        }
        $output.e_tag = Some(s3s::dto::ETag::Strong($row.etag.clone()));
        $output.last_modified = Some(super::timestamp($row.modified));
        $output.metadata = Some($row.attached.user.clone().into_iter().collect());
        $output.version_id = $bucket.versioning.public($row.id, $row.plain);
        if matches!($answer, Answer::Part(_)) {
            $output.parts_count = $row.parts.and_then(|parts| i32::try_from(parts).ok());
        }
        let (shown, kind) = shown($mode, &$answer, &$row);
        $output.checksum_type = kind;
        show!($output, shown);
    }};
}

/// Conditions, range and part of a request.
macro_rules! wanted {
    ($input:expr) => {{
        if $input.range.is_some() && $input.part_number.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            ));
        }
        Wanted {
            conditions: ReadConditions {
                matches: $input.if_match.take(),
                none_match: $input.if_none_match.take(),
                modified_since: $input.if_modified_since.take(),
                unmodified_since: $input.if_unmodified_since.take(),
            },
            range: $input.range.take(),
            part: $input.part_number.take(),
        }
    }};
}

impl Backend {
    pub(super) async fn read_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let mut input = request.input;
        let wanted = wanted!(input);
        let choose = move |connection: &Connection, _: &BucketRow, row: &VersionRow| wanted.choose(connection, row);
        let found = self
            .bucket
            .read(&input.bucket, &input.key, which(input.version_id.as_deref()), choose)
            .await;
        let (bucket, row, range, answer, stream) = found.map_err(errors::refuse)?;
        refuse(&answer, &bucket, &row)?;
        let mut output = GetObjectOutput::default();
        let mode = input
            .checksum_mode
            .is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED"));
        describe!(output, bucket, row, range, answer, mode);
        output.tag_count = i32::try_from(row.attached.tags.len()).ok().filter(|count| *count > 0);
        output.body = Some(StreamingBlob::wrap(stream));
        Ok(S3Response::new(output))
    }

    pub(super) async fn head(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut input = request.input;
        let wanted = wanted!(input);
        let (name, key, version) = (
            input.bucket.clone(),
            input.key.clone(),
            which(input.version_id.as_deref()),
        );
        let found = self.bucket.look(move |connection| {
            let (bucket, row) = objects::find(connection, &name, &key, &version)?;
            let (range, answer) = wanted.choose(connection, &row)?;
            Ok((bucket, row, range, answer))
        });
        let (bucket, row, range, answer) = found.await.map_err(errors::refuse)?;
        refuse(&answer, &bucket, &row)?;
        let mut output = HeadObjectOutput::default();
        let mode = input
            .checksum_mode
            .as_ref()
            .is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED"));
        describe!(output, bucket, row, range, answer, mode);
        let mut response = S3Response::new(output);
        response.headers = overrides(&input);
        Ok(response)
    }

    pub(super) async fn attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = request.input;
        let wants = |name: &str| {
            input
                .object_attributes
                .iter()
                .any(|attribute| attribute.as_str().split(',').any(|a| a.trim() == name))
        };
        let most = input.max_parts.unwrap_or(1000).clamp(0, 1000);
        let after = input.part_number_marker.unwrap_or(0).max(0);
        let (most, after) = (u32::try_from(most).unwrap_or(0), u32::try_from(after).unwrap_or(0));
        let (name, key, version) = (
            input.bucket.clone(),
            input.key.clone(),
            which(input.version_id.as_deref()),
        );
        let found = self.bucket.look(move |connection| {
            let (bucket, row) = objects::find(connection, &name, &key, &version)?;
            let segments = objects::segments(connection, row.id, after, most + 1)?;
            Ok((bucket, row, segments))
        });
        let (bucket, row, mut segments) = found.await.map_err(errors::refuse)?;
        let (shown, kind) = checksums::of_version(&row);
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(super::timestamp(row.modified)),
            version_id: bucket.versioning.public(row.id, row.plain),
            ..GetObjectAttributesOutput::default()
        };
        output.e_tag = wants(ObjectAttributes::ETAG).then(|| s3s::dto::ETag::Strong(row.etag.clone()));
        output.object_size = wants(ObjectAttributes::OBJECT_SIZE).then(|| super::length(row.size));
        output.storage_class =
            wants(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from_static(StorageClass::STANDARD));
        if wants(ObjectAttributes::CHECKSUM) && shown.is_some() {
            let mut checksum = Checksum {
                checksum_type: kind,
                ..Checksum::default()
            };
            show!(checksum, shown);
            output.checksum = Some(checksum);
        }
        if wants(ObjectAttributes::OBJECT_PARTS)
            && let Some(parts) = row.parts
        {
            let more = segments.len() > most as usize;
            segments.truncate(most as usize);
            let number = |number: u32| i32::try_from(number).ok();
            // Parts are listed one by one only where each has a checksum of its own to show.
            let listed = segments.iter().map(|segment| {
                let mut part = ObjectPart {
                    part_number: number(segment.number),
                    size: Some(super::length(segment.size)),
                    ..ObjectPart::default()
                };
                show!(
                    part,
                    row.algorithm
                        .and_then(|algorithm| checksums::of_sums(&segment.sums, algorithm))
                );
                part
            });
            output.object_parts = Some(GetObjectAttributesParts {
                is_truncated: Some(more),
                max_parts: number(most),
                next_part_number_marker: segments.last().and_then(|last| number(last.number)),
                part_number_marker: number(after),
                parts: Some(listed.collect()),
                total_parts_count: number(parts),
            });
        }
        Ok(S3Response::new(output))
    }
}

/// The `response-*` parameters of a HEAD; `s3s` does those of a GET itself.
fn overrides(input: &HeadObjectInput) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let expires = input.response_expires.as_ref().and_then(http_date);
    let given = [
        (CONTENT_TYPE, input.response_content_type.as_ref()),
        (CONTENT_LANGUAGE, input.response_content_language.as_ref()),
        (CACHE_CONTROL, input.response_cache_control.as_ref()),
        (CONTENT_DISPOSITION, input.response_content_disposition.as_ref()),
        (CONTENT_ENCODING, input.response_content_encoding.as_ref()),
        (hyper::header::EXPIRES, expires.as_ref()),
    ];
    for (name, value) in given {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value.as_str()).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}
