//! Multipart uploads.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput, Part, StorageClass, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::checksums::{self, Claims, show, stated};
use super::receive::{Incoming, headers, metadata, receive, tags};
use super::{Backend, checked_key, conditions, errors, owner};
use crate::blobs::NewBlob;
use crate::digest::Algorithm;
use crate::index::multipart::{self, MOST_PARTS, NamedPart, Shown, Stated, UploadRow};
use crate::index::{Attached, Headers};

/// Reads the name of a checksum algorithm.
pub(super) fn algorithm(name: &str) -> S3Result<Algorithm> {
    Algorithm::parse(name).ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
}

pub(super) fn part_number(number: i32) -> S3Result<u32> {
    let number = u32::try_from(number)
        .ok()
        .filter(|number| (1..=MOST_PARTS).contains(number));
    number.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        )
    })
}

/// What is computed for each part: what its object will show, and what gives a checksum over all bytes.
pub(super) fn computed(upload: &UploadRow) -> Vec<Algorithm> {
    upload
        .shown
        .algorithm
        .into_iter()
        .chain([Algorithm::Crc64Nvme])
        .collect()
}

/// Which checksum an upload asks for. Without any, the object shows a CRC-64/NVME over its bytes.
fn shown(algorithm_name: Option<&str>, kind: Option<&str>) -> S3Result<Shown> {
    let algorithm = algorithm_name.map(algorithm).transpose()?;
    let composite = match (algorithm, kind) {
        (None, None) => {
            return Ok(Shown {
                algorithm: Some(Algorithm::Crc64Nvme),
                composite: false,
            });
        }
        (None, Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            ));
        }
        (Some(_), Some(kind)) if kind == ChecksumType::COMPOSITE => true,
        (Some(_), Some(kind)) if kind == ChecksumType::FULL_OBJECT => false,
        (Some(_), Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "Value for x-amz-checksum-type header is invalid."
            ));
        }
        (Some(algorithm), None) => algorithm != Algorithm::Crc64Nvme,
    };
    let possible = match algorithm {
        Some(Algorithm::Crc64Nvme) => !composite,
        Some(algorithm) => composite || algorithm.can_combine(),
        None => true,
    };
    if !possible {
        return Err(s3_error!(
            InvalidRequest,
            "The checksum type cannot be used with the checksum algorithm."
        ));
    }
    Ok(Shown { algorithm, composite })
}

fn kind(shown: Shown) -> Option<ChecksumType> {
    shown.algorithm.map(|_| {
        ChecksumType::from_static(if shown.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        })
    })
}

impl Backend {
    pub(super) async fn create_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut input = request.input;
        checked_key(&input.key)?;
        let algorithm = input.checksum_algorithm.take();
        let shown = shown(
            algorithm.as_ref().map(ChecksumAlgorithm::as_str),
            input.checksum_type.as_ref().map(ChecksumType::as_str),
        )?;
        let attached = Attached {
            headers: headers!(input),
            user: metadata(input.metadata.take())?,
            tags: tags(input.tagging.as_deref())?,
        };
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let created = self.bucket.commit(Some(&input.bucket), move |change| {
            multipart::create(change, &bucket, &key, shown, &attached)
        });
        let token = created.await.map_err(errors::refuse)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(token),
            checksum_type: algorithm.as_ref().and_then(|_| kind(shown)),
            checksum_algorithm: algorithm,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    /// The upload a request speaks of.
    pub(super) async fn upload(&self, bucket: &str, key: &str, token: &str) -> S3Result<UploadRow> {
        let (bucket, key, token) = (bucket.to_owned(), key.to_owned(), token.to_owned());
        self.bucket
            .look(move |connection| multipart::find(connection, &bucket, &key, &token))
            .await
            .map_err(errors::refuse)
    }

    pub(super) async fn keep_part(
        &self,
        bucket: &str,
        upload: UploadRow,
        number: u32,
        blob: NewBlob,
        sums: cofferdam_schemas::Checksums,
    ) -> S3Result<cofferdam_schemas::Timestamp> {
        let kept = self.bucket.commit(Some(bucket), move |change| {
            multipart::put_part(change, &upload, number, blob, &sums)?;
            Ok(change.now)
        });
        kept.await.map_err(errors::refuse)
    }

    pub(super) async fn put_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let mut input = request.input;
        let number = part_number(input.part_number)?;
        let claims = Claims::read(stated!(input), input.content_md5.as_deref(), &request.headers)?;
        let upload = self.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let incoming = Incoming {
            body: input.body.take(),
            length: input.content_length,
            claims,
            trailing: request.trailing_headers,
            also: computed(&upload),
        };
        let received = receive(&self.bucket, incoming).await?;
        let sums = received.sums.claims();
        let algorithm = received.chosen.or(upload.shown.algorithm);
        self.keep_part(&input.bucket, upload, number, received.blob, sums.clone())
            .await?;
        let mut output = UploadPartOutput {
            e_tag: sums.md5.clone().map(ETag::Strong),
            ..UploadPartOutput::default()
        };
        show!(
            output,
            algorithm.and_then(|algorithm| checksums::of_sums(&sums, algorithm))
        );
        Ok(S3Response::new(output))
    }

    pub(super) async fn complete(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let mut input = request.input;
        let named = input
            .multipart_upload
            .take()
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let parts = named.into_iter().map(|mut part| {
            let number = part
                .part_number
                .ok_or_else(|| s3_error!(MalformedXML, "A part has no number."))?;
            let checksums = stated!(part).into_iter().map(|(algorithm, text)| {
                let value = algorithm.decode(&text);
                Ok((
                    algorithm,
                    value.ok_or_else(|| s3_error!(InvalidRequest, "A part's {} is invalid.", algorithm.name()))?,
                ))
            });
            Ok(NamedPart {
                number: part_number(number)?,
                checksums: checksums.collect::<S3Result<_>>()?,
                etag: part.e_tag.map(ETag::into_value),
            })
        });
        let size = input.mpu_object_size.map(|size| {
            u64::try_from(size).map_err(|_| s3_error!(InvalidArgument, "x-amz-mp-object-size is negative"))
        });
        let stated = Stated {
            parts: parts.collect::<S3Result<_>>()?,
            size: size.transpose()?,
            checksums: stated!(input),
            conditions: conditions::of_write(input.if_match.take(), input.if_none_match.take())?,
        };
        if stated.parts.is_empty() {
            return Err(s3_error!(MalformedXML, "You must specify at least one part"));
        }
        let (bucket, key, token) = (input.bucket.clone(), input.key.clone(), input.upload_id);
        let done = self.bucket.commit(Some(&input.bucket), move |change| {
            multipart::complete(change, &bucket, &key, &token, stated)
        });
        let done = done.await.map_err(errors::refuse)?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, crate::presign::encode_key(&input.key))),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(done.etag)),
            version_id: done.put.public,
            checksum_type: kind(done.shown),
            ..CompleteMultipartUploadOutput::default()
        };
        let text = match (done.shown.algorithm, done.composite) {
            (Some(algorithm), Some(composite)) => Some((algorithm, composite)),
            (Some(algorithm), None) => checksums::of_sums(&done.sums, algorithm),
            (None, _) => None,
        };
        show!(output, text);
        Ok(S3Response::new(output))
    }

    pub(super) async fn abort(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let bucket = input.bucket.clone();
        let done = self.bucket.commit(Some(&bucket), move |change| {
            multipart::abort(change, &input.bucket, &input.key, &input.upload_id)
        });
        done.await.map_err(errors::refuse)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn list_parts_of(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let most = u32::try_from(input.max_parts.unwrap_or(1000))
            .map_err(|_| s3_error!(InvalidArgument, "max-parts is negative"))?
            .min(1000);
        let after = u32::try_from(input.part_number_marker.unwrap_or(0))
            .map_err(|_| s3_error!(InvalidArgument, "part-number-marker is negative"))?;
        let upload = self.upload(&input.bucket, &input.key, &input.upload_id).await?;
        let id = upload.id;
        let listed = self
            .bucket
            .look(move |connection| Ok(multipart::parts(connection, id, after, most + 1)?));
        let mut rows = listed.await.map_err(errors::refuse)?;
        let more = rows.len() > most as usize;
        rows.truncate(most as usize);
        let number = |number: u32| i32::try_from(number).ok();
        let last = rows.last().map(|row| row.number);
        let parts = rows.iter().map(|row| {
            let mut part = Part {
                part_number: number(row.number),
                size: Some(super::length(row.size)),
                e_tag: Some(ETag::Strong(row.etag().to_owned())),
                last_modified: Some(super::timestamp(row.modified)),
                ..Part::default()
            };
            show!(
                part,
                upload
                    .shown
                    .algorithm
                    .and_then(|algorithm| checksums::of_sums(&row.sums, algorithm))
            );
            part
        });
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            checksum_algorithm: upload
                .shown
                .algorithm
                .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: kind(upload.shown),
            initiator: Some(super::initiator()),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            part_number_marker: number(after),
            next_part_number_marker: last.or(Some(after)).filter(|_| more).and_then(number),
            max_parts: number(most),
            is_truncated: Some(more),
            parts: Some(parts.collect()),
            ..ListPartsOutput::default()
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn checksum_types_are_those_of_s3() {
        let check = |name, kind, expected: Option<(Algorithm, bool)>| {
            let shown = shown(name, kind)
                .ok()
                .map(|shown| (shown.algorithm.unwrap(), shown.composite));
            assert_eq!(shown, expected, "{name:?} {kind:?}");
        };
        check(None, None, Some((Algorithm::Crc64Nvme, false)));
        check(Some("CRC32"), None, Some((Algorithm::Crc32, true)));
        check(Some("CRC32"), Some("FULL_OBJECT"), Some((Algorithm::Crc32, false)));
        check(Some("CRC64NVME"), None, Some((Algorithm::Crc64Nvme, false)));
        check(Some("CRC64NVME"), Some("COMPOSITE"), None);
        check(Some("SHA256"), None, Some((Algorithm::Sha256, true)));
        check(Some("SHA256"), Some("FULL_OBJECT"), None);
        check(None, Some("COMPOSITE"), None);
        check(Some("MD4"), None, None);
    }
}
