//! Listings: ListObjects, ListObjectsV2, ListObjectVersions, ListMultipartUploads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, MultipartUpload, Object, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{Backend, errors, owner};
use crate::digest::Algorithm;
use crate::index::list::{self, Entry, Query};
use crate::presign::encode_key;

/// The most entries of a page.
const MOST: i32 = 1000;

/// How names are written into an answer.
#[derive(Clone, Copy)]
struct Names {
    url: bool,
}

impl Names {
    fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { url: false }),
            Some("url") => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            )),
        }
    }

    fn write(self, name: impl Into<String>) -> String {
        let name = name.into();
        if self.url { encode_key(&name) } else { name }
    }

    fn encoding(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }

    fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        Some(
            prefixes
                .into_iter()
                .map(|prefix| CommonPrefix {
                    prefix: Some(self.write(prefix)),
                })
                .collect(),
        )
    }
}

/// The size of a page.
fn limit(asked: Option<i32>, name: &str) -> S3Result<(i32, usize)> {
    let limit = asked.unwrap_or(MOST);
    match usize::try_from(limit.min(MOST)) {
        Ok(size) => Ok((limit.min(MOST), size)),
        Err(_) => Err(s3_error!(
            InvalidArgument,
            "Argument {name} must be an integer between 0 and 2147483647"
        )),
    }
}

fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn object(entry: Entry, names: Names, with_owner: bool) -> Object {
    Object {
        checksum_algorithm: entry
            .algorithm
            .map(|algorithm| vec![ChecksumAlgorithm::from_static(algorithm.name())]),
        checksum_type: entry.algorithm.map(|_| kind(entry.composite)),
        e_tag: Some(ETag::Strong(entry.etag)),
        key: Some(names.write(entry.key)),
        last_modified: Some(super::timestamp(entry.modified)),
        owner: with_owner.then(owner),
        size: Some(super::length(entry.size)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

fn kind(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}

impl Backend {
    pub(super) async fn list_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let (max_keys, limit) = limit(input.max_keys, "max-keys")?;
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), some(input.delimiter.clone()));
        let from = match (&input.continuation_token, some(input.start_after.clone())) {
            (Some(token), _) => read_token(token)?,
            (None, Some(after)) => list::behind_marker(&after, &prefix, delimiter.as_deref()),
            (None, None) => Vec::new(),
        };
        let (bucket, query) = (
            input.bucket.clone(),
            Query {
                prefix,
                delimiter,
                from,
                limit,
            },
        );
        let page = self
            .bucket
            .look(move |connection| list::current(connection, &bucket, &query))
            .await
            .map_err(errors::refuse)?;
        let with_owner = input.fetch_owner.unwrap_or(false);
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(names.write(input.prefix.unwrap_or_default())),
            delimiter: some(input.delimiter).map(|text| names.write(text)),
            start_after: input.start_after.map(|text| names.write(text)),
            continuation_token: input.continuation_token,
            max_keys: Some(max_keys),
            encoding_type: names.encoding(),
            key_count: i32::try_from(page.entries.len() + page.prefixes.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_deref().map(write_token),
            contents: Some(
                page.entries
                    .into_iter()
                    .map(|entry| object(entry, names, with_owner))
                    .collect(),
            ),
            common_prefixes: names.prefixes(page.prefixes),
            ..ListObjectsV2Output::default()
        }))
    }

    pub(super) async fn list_v1(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let (max_keys, limit) = limit(input.max_keys, "max-keys")?;
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), some(input.delimiter.clone()));
        let marker = some(input.marker.clone());
        let from = marker
            .as_ref()
            .map(|marker| list::behind_marker(marker, &prefix, delimiter.as_deref()))
            .unwrap_or_default();
        let (bucket, query) = (
            input.bucket.clone(),
            Query {
                prefix,
                delimiter,
                from,
                limit,
            },
        );
        let page = self
            .bucket
            .look(move |connection| list::current(connection, &bucket, &query))
            .await
            .map_err(errors::refuse)?;
        // Clients that page without a delimiter take the last key; giving it always is simpler and does no harm.
        let last = page
            .entries
            .last()
            .map(|entry| entry.key.clone())
            .max(page.prefixes.last().cloned());
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(names.write(input.prefix.unwrap_or_default())),
            delimiter: some(input.delimiter).map(|text| names.write(text)),
            marker: Some(names.write(input.marker.unwrap_or_default())),
            next_marker: last.filter(|_| page.next.is_some()).map(|text| names.write(text)),
            max_keys: Some(max_keys),
            encoding_type: names.encoding(),
            is_truncated: Some(page.next.is_some()),
            contents: Some(
                page.entries
                    .into_iter()
                    .map(|entry| object(entry, names, true))
                    .collect(),
            ),
            common_prefixes: names.prefixes(page.prefixes),
            ..ListObjectsOutput::default()
        }))
    }

    pub(super) async fn list_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let (max_keys, limit) = limit(input.max_keys, "max-keys")?;
        let (key_marker, version_marker) = (some(input.key_marker.clone()), some(input.version_id_marker.clone()));
        if key_marker.is_none() && version_marker.is_some() {
            return Err(s3_error!(
                InvalidArgument,
                "A version-id marker cannot be specified without a key marker."
            ));
        }
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), some(input.delimiter.clone()));
        let (bucket, query) = (
            input.bucket.clone(),
            Query {
                prefix,
                delimiter,
                from: Vec::new(),
                limit,
            },
        );
        let page = self.bucket.look(move |connection| {
            let marker = key_marker.as_deref().map(|key| (key, version_marker.as_deref()));
            list::versions(connection, &bucket, &query, marker)
        });
        let page = page.await.map_err(errors::refuse)?;
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for entry in page.entries {
            // A bucket that never had versions shows each object as version `null`.
            let version_id = Some(entry.version.clone().unwrap_or_else(|| "null".to_owned()));
            let (is_latest, last_modified) = (Some(entry.latest), Some(super::timestamp(entry.modified)));
            let key = Some(names.write(entry.key));
            if entry.marker {
                markers.push(DeleteMarkerEntry {
                    is_latest,
                    key,
                    last_modified,
                    owner: Some(owner()),
                    version_id,
                });
            } else {
                versions.push(ObjectVersion {
                    checksum_algorithm: entry
                        .algorithm
                        .map(|algorithm| vec![ChecksumAlgorithm::from_static(algorithm.name())]),
                    checksum_type: entry.algorithm.map(|_| kind(entry.composite)),
                    e_tag: Some(ETag::Strong(entry.etag)),
                    is_latest,
                    key,
                    last_modified,
                    owner: Some(owner()),
                    size: Some(super::length(entry.size)),
                    storage_class: Some(ObjectVersionStorageClass::from_static(
                        ObjectVersionStorageClass::STANDARD,
                    )),
                    version_id,
                    ..ObjectVersion::default()
                });
            }
        }
        let (next_key, next_version) = page.next.clone().unzip();
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(names.write(input.prefix.unwrap_or_default())),
            delimiter: some(input.delimiter).map(|text| names.write(text)),
            key_marker: Some(names.write(input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            next_key_marker: next_key.map(|text| names.write(text)),
            next_version_id_marker: next_version.flatten(),
            max_keys: Some(max_keys),
            encoding_type: names.encoding(),
            is_truncated: Some(page.next.is_some()),
            versions: Some(versions),
            delete_markers: Some(markers),
            common_prefixes: names.prefixes(page.prefixes),
            ..ListObjectVersionsOutput::default()
        }))
    }

    pub(super) async fn list_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let (max_uploads, limit) = limit(input.max_uploads, "max-uploads")?;
        let (key_marker, upload_marker) = (some(input.key_marker.clone()), some(input.upload_id_marker.clone()));
        let (prefix, delimiter) = (input.prefix.clone().unwrap_or_default(), some(input.delimiter.clone()));
        let (bucket, query) = (
            input.bucket.clone(),
            Query {
                prefix,
                delimiter,
                from: Vec::new(),
                limit,
            },
        );
        let page = self.bucket.look(move |connection| {
            let marker = key_marker.as_deref().map(|key| (key, upload_marker.as_deref()));
            list::uploads(connection, &bucket, &query, marker)
        });
        let page = page.await.map_err(errors::refuse)?;
        let uploads = page.entries.into_iter().map(|entry| MultipartUpload {
            checksum_algorithm: entry
                .algorithm
                .map(|algorithm: Algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: entry.algorithm.map(|_| kind(entry.composite)),
            initiated: Some(super::timestamp(entry.created_at)),
            initiator: Some(super::initiator()),
            key: Some(names.write(entry.key)),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            upload_id: Some(entry.token),
        });
        let (next_key, next_upload) = page.next.clone().unzip();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix.map(|text| names.write(text)),
            delimiter: some(input.delimiter).map(|text| names.write(text)),
            key_marker: Some(names.write(input.key_marker.unwrap_or_default())),
            upload_id_marker: input.upload_id_marker,
            next_key_marker: next_key.map(|text| names.write(text)),
            next_upload_id_marker: next_upload.flatten(),
            max_uploads: Some(max_uploads),
            encoding_type: names.encoding(),
            is_truncated: Some(page.next.is_some()),
            uploads: Some(uploads.collect()),
            common_prefixes: names.prefixes(page.prefixes),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

/// Continuation tokens hold the first key of the next page.
fn write_token(from: &[u8]) -> String {
    format!("1{}", URL_SAFE_NO_PAD.encode(from))
}

fn read_token(token: &str) -> S3Result<Vec<u8>> {
    let bytes = token
        .strip_prefix('1')
        .and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    bytes.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
