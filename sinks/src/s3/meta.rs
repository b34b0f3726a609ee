//! What S3 says about objects, as [`ObjectMeta`].

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumType, Object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_schemas::{Checksums, ETag, ObjectKey, Timestamp, VersionId};
use cofferdam_seams::{Listed, Locator, ObjectError, ObjectMeta};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The condition of a locator, as the header takes it.
pub(super) fn quoted(at: &Locator) -> Option<String> {
    at.etag.as_ref().map(|etag| format!("\"{etag}\""))
}

fn off(what: &'static str) -> ObjectError {
    ObjectError::unavailable(format!("store's answer has no usable {what}"))
}

/// An entity tag, which some servers put into quotes twice and some into none.
fn etag(text: Option<&str>) -> Result<ETag, ObjectError> {
    ETag::new(text.unwrap_or_default().trim_matches('"')).map_err(|_| off("entity tag"))
}

fn time(at: Option<&DateTime>) -> Result<Timestamp, ObjectError> {
    at.and_then(|at| at.to_millis().ok())
        .map(Timestamp::from_unix_millis)
        .ok_or_else(|| off("time"))
}

/// `null` and nothing mean that the bucket has no versions.
fn version(text: Option<&str>) -> Option<VersionId> {
    text.and_then(|text| VersionId::new(text).ok())
}

fn user(metadata: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    metadata
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}

/// A checksum of the whole object, from base64 to hex. `…-N` is one of a multipart upload's parts.
fn checksum(kind: Option<&ChecksumType>, text: Option<&str>, length: usize) -> Option<String> {
    if kind == Some(&ChecksumType::Composite) {
        return None;
    }
    let bytes = STANDARD.decode(text?).ok()?;
    (bytes.len() == length).then(|| hex::encode(bytes))
}

macro_rules! meta {
    ($found:expr, $size:expr) => {{
        let found = $found;
        let kind = found.checksum_type();
        Ok(ObjectMeta {
            size: $size,
            etag: etag(found.e_tag())?,
            version: version(found.version_id()),
            last_modified: time(found.last_modified())?,
            content_type: found.content_type().map(str::to_owned),
            checksums: Checksums {
                md5: None,
                sha1: checksum(kind, found.checksum_sha1(), 20),
                sha256: checksum(kind, found.checksum_sha256(), 32),
                crc32: checksum(kind, found.checksum_crc32(), 4),
                crc32c: checksum(kind, found.checksum_crc32_c(), 4),
                crc64nvme: checksum(kind, found.checksum_crc64_nvme(), 8),
            },
            user: user(found.metadata()),
        })
    }};
}

fn size(length: Option<i64>) -> Result<u64, ObjectError> {
    length
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| off("length"))
}

/// The answer to HEAD.
pub(super) fn of_head(_at: &Locator, found: &HeadObjectOutput) -> Result<ObjectMeta, ObjectError> {
    meta!(found, size(found.content_length())?)
}

/// The answer to GET, and which bytes follow.
pub(super) fn of_get(_at: &Locator, found: &GetObjectOutput) -> Result<(ObjectMeta, Range<u64>), ObjectError> {
    let length = size(found.content_length())?;
    let (there, whole) = match found.content_range() {
        Some(text) => content_range(text).ok_or_else(|| off("range"))?,
        None => (0..length, length),
    };
    if there.end - there.start != length {
        return Err(off("range"));
    }
    let meta: Result<ObjectMeta, ObjectError> = meta!(found, whole);
    Ok((meta?, there))
}

/// `bytes 0-4/10`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, whole): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, whole.parse().ok()?);
    (first <= last && last < whole).then(|| (first..last + 1, whole))
}

/// A row of a listing.
pub(super) fn listed(_at: &Locator, row: &Object, encoded: bool) -> Result<Listed, ObjectError> {
    let text = row.key().unwrap_or_default();
    let key = if encoded {
        // As in a form: `+` is a space, and a plus sign is `%2B`.
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| off("key"))?
            .into_owned()
    } else {
        text.to_owned()
    };
    Ok(Listed {
        key: ObjectKey::new(key).map_err(|_| off("key"))?,
        size: size(row.size().or(Some(0)))?,
        etag: etag(row.e_tag())?,
        last_modified: time(row.last_modified())?,
    })
}

/// `Content-Disposition` that makes a browser save under a name, whatever it holds (RFC 6266).
pub(super) fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_answers() {
        assert_eq!(content_range("bytes 0-4/10"), Some((0..5, 10)));
        for wrong in [
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes */10",
            "bytes 0-4/*",
            "0-4/10",
            "",
        ] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_whole_object_checksums_count() {
        assert_eq!(checksum(None, Some("AAECAw=="), 4).as_deref(), Some("00010203"));
        assert_eq!(checksum(Some(&ChecksumType::Composite), Some("AAECAw=="), 4), None);
        assert_eq!(checksum(None, Some("AAECAw==-3"), 4), None);
        assert_eq!(checksum(Some(&ChecksumType::FullObject), Some("AAECAw=="), 8), None);
    }

    #[test]
    fn names_for_saving() {
        assert_eq!(
            disposition("a b.pdf"),
            "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b%2Epdf"
        );
        let odd = disposition("ä\"\r\nx: y");
        assert!(odd.is_ascii() && !odd.contains('\r') && !odd.contains('\n'), "{odd}");
        assert_eq!(odd.matches('"').count(), 2, "{odd}");
    }

    #[test]
    fn keys_in_listings() {
        let at = Locator::new(
            cofferdam_schemas::BucketName::new("inbox").unwrap(),
            ObjectKey::new("k").unwrap(),
        );
        let row = |key: &str| {
            Object::builder()
                .key(key)
                .size(1)
                .e_tag("\"x\"")
                .last_modified(DateTime::from_millis(5))
                .build()
        };
        assert_eq!(
            listed(&at, &row("a+b%2Bc%252F/%C3%A4"), true).unwrap().key.as_str(),
            "a b+c%2F/ä"
        );
        assert_eq!(listed(&at, &row("a+b%20"), false).unwrap().key.as_str(), "a+b%20");
        assert!(listed(&at, &row("%FF"), true).is_err());
    }
}
