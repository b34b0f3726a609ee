//! The S3 API over the bucket: one file a group of operations, put together here.
//!
//! What is not implemented answers `NotImplemented`; nothing that was asked for is silently left out (see [`access`] for headers and
//! parameters).

pub(crate) mod access;
mod buckets;
mod checksums;
mod conditions;
mod copy;
pub(crate) mod errors;
mod list;
mod multipart;
mod read;
mod receive;
mod signed;
mod write;

use async_trait::async_trait;
use s3s::dto::{self, Initiator, Owner};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use time::OffsetDateTime;

use crate::index::objects::Which;
use crate::store::Bucket;

/// The one account there is.
pub(crate) const OWNER: &str = "cofferdam";

/// The S3 API of a bucket store.
pub(crate) struct Backend {
    pub(crate) bucket: Bucket,
    pub(crate) region: String,
}

fn owner() -> Owner {
    Owner {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}

fn initiator() -> Initiator {
    Initiator {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}

fn timestamp(at: cofferdam_schemas::Timestamp) -> dto::Timestamp {
    OffsetDateTime::from(at).into()
}

fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn which(version: Option<&str>) -> Which {
    match version {
        None | Some("") => Which::Latest,
        Some(version) => Which::Public(version.to_owned()),
    }
}

/// Keys are any text of 1 to 1,024 bytes without NUL.
pub(crate) fn checked_key(key: &str) -> S3Result<()> {
    match key.len() {
        0 => Err(s3_error!(InvalidArgument, "The key is empty.")),
        1025.. => Err(s3_error!(KeyTooLongError, "Your key is too long")),
        _ if key.contains('\0') => Err(s3_error!(InvalidURI, "A key cannot have a NUL.")),
        _ => Ok(()),
    }
}

/// Each operation of the trait is a method of the group it belongs to.
macro_rules! operations {
    ($($operation:ident($input:ident) -> $output:ident = $method:ident;)*) => {
        #[async_trait]
        impl S3 for Backend {
            $(async fn $operation(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.$method(request).await
            })*
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput = make_bucket;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = look_at_bucket;
    list_buckets(ListBucketsInput) -> ListBucketsOutput = all_buckets;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = remove_bucket;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = versioning;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = set_versioning;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput = notification;
    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput = set_notification;

    list_objects(ListObjectsInput) -> ListObjectsOutput = list_v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list_v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = list_versions;

    get_object(GetObjectInput) -> GetObjectOutput = read_object;
    head_object(HeadObjectInput) -> HeadObjectOutput = head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = attributes;
    put_object(PutObjectInput) -> PutObjectOutput = put;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete_many;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tagging;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = put_tagging;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = delete_tagging;

    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = create_upload;
    upload_part(UploadPartInput) -> UploadPartOutput = put_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = abort;
    list_parts(ListPartsInput) -> ListPartsOutput = list_parts_of;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = list_uploads;
}
