//! Who may do what, and what is refused for everybody because it would be ignored.
//!
//! Fail closed: an operation that is not listed here is for the operator only, a request without credentials is refused, and a header or
//! parameter that asks for something this store does not do is an error.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto;
use s3s::path::S3Path;
use s3s::{S3Request, S3Result, s3_error};
use secrecy::ExposeSecret as _;

use super::{OWNER, checked_key, copy, signed};
use crate::endpoint::LARGEST_XML;
use crate::grants::{Credential, Rules};
use crate::presign::LONGEST;

/// Where the endpoint finds out afterwards which operation a request was.
#[derive(Clone, Default)]
pub(crate) struct OperationName(Arc<OnceLock<&'static str>>);

impl OperationName {
    pub(crate) fn get(&self) -> &'static str {
        self.0.get().copied().unwrap_or("none")
    }
}

/// Credentials by access key id: authentication and authorisation.
#[derive(Clone)]
pub(crate) struct Keys(Arc<HashMap<String, (SecretKey, Arc<Rules>)>>);

impl Keys {
    pub(crate) fn new(credentials: Vec<Credential>) -> Self {
        let keys = credentials.into_iter().map(|credential| {
            let secret = SecretKey::from(credential.secret.expose_secret().to_owned());
            (credential.access_key_id, (secret, Arc::new(credential.grants.rules())))
        });
        Self(Arc::new(keys.collect()))
    }
}

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let known = self.0.get(access_key).map(|(secret, _)| secret.clone());
        known.ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )
        })
    }
}

/// Operations a tenant may use, by what they need.
enum Need {
    /// Nothing more than credentials; the answer is cut to what they may see.
    Nothing,
    /// Some grant in the bucket.
    SeeBucket,
    /// Some grant to write in the bucket; keys are looked at when the request is read.
    WriteInBucket,
    /// Read the key.
    Read,
    /// Write the key.
    Write,
    /// Whatever the prefix of the request says; looked at when the request is read.
    Listing,
    /// Not for tenants.
    Operator,
}

/// What an operation needs, and which names it is counted under.
fn need(operation: &str) -> (&'static str, Need) {
    match operation {
        "ListBuckets" => ("ListBuckets", Need::Nothing),
        "HeadBucket" => ("HeadBucket", Need::SeeBucket),
        "GetBucketLocation" => ("GetBucketLocation", Need::SeeBucket),
        "GetBucketVersioning" => ("GetBucketVersioning", Need::SeeBucket),
        "ListObjects" => ("ListObjects", Need::Listing),
        "ListObjectsV2" => ("ListObjectsV2", Need::Listing),
        "ListObjectVersions" => ("ListObjectVersions", Need::Listing),
        "ListMultipartUploads" => ("ListMultipartUploads", Need::Listing),
        "GetObject" => ("GetObject", Need::Read),
        "HeadObject" => ("HeadObject", Need::Read),
        "GetObjectAttributes" => ("GetObjectAttributes", Need::Read),
        "GetObjectTagging" => ("GetObjectTagging", Need::Read),
        "PutObject" => ("PutObject", Need::Write),
        "PostObject" => ("PostObject", Need::WriteInBucket),
        "CopyObject" => ("CopyObject", Need::Write),
        "DeleteObject" => ("DeleteObject", Need::Write),
        "DeleteObjects" => ("DeleteObjects", Need::WriteInBucket),
        "PutObjectTagging" => ("PutObjectTagging", Need::Write),
        "DeleteObjectTagging" => ("DeleteObjectTagging", Need::Write),
        "CreateMultipartUpload" => ("CreateMultipartUpload", Need::Write),
        "UploadPart" => ("UploadPart", Need::Write),
        "UploadPartCopy" => ("UploadPartCopy", Need::Write),
        "CompleteMultipartUpload" => ("CompleteMultipartUpload", Need::Write),
        "AbortMultipartUpload" => ("AbortMultipartUpload", Need::Write),
        "ListParts" => ("ListParts", Need::Write),
        "CreateBucket" => ("CreateBucket", Need::Operator),
        "DeleteBucket" => ("DeleteBucket", Need::Operator),
        "PutBucketVersioning" => ("PutBucketVersioning", Need::Operator),
        "GetBucketNotificationConfiguration" => ("GetBucketNotificationConfiguration", Need::Operator),
        "PutBucketNotificationConfiguration" => ("PutBucketNotificationConfiguration", Need::Operator),
        _ => ("other", Need::Operator),
    }
}

fn denied() -> s3s::S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

fn allow(allowed: bool) -> S3Result<()> {
    if allowed { Ok(()) } else { Err(denied()) }
}

fn rules<T>(request: &S3Request<T>) -> S3Result<&Rules> {
    request
        .extensions
        .get::<Arc<Rules>>()
        .map(Arc::as_ref)
        .ok_or_else(denied)
}

#[async_trait]
impl S3Access for Keys {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let (name, need) = need(&operation);
        if let Some(slot) = context.extensions_mut().get::<OperationName>() {
            let _ = slot.0.set(name);
        }
        let key = context
            .credentials()
            .map(|credentials| credentials.access_key.clone())
            .ok_or_else(denied)?;
        let rules = self
            .0
            .get(&key)
            .map(|(_, rules)| Arc::clone(rules))
            .ok_or_else(denied)?;
        // A form is signed by its policy, which names its fields; headers mean nothing in it.
        if name != "PostObject" {
            signed::covers(context.headers(), context.uri().query().unwrap_or_default())?;
        }
        let (bucket, object) = match context.s3_path() {
            S3Path::Root => ("", ""),
            S3Path::Bucket { bucket } => (&**bucket, ""),
            S3Path::Object { bucket, key } => (&**bucket, &**key),
        };
        allow(match need {
            Need::Nothing => true,
            Need::SeeBucket | Need::Listing => rules.sees(bucket),
            Need::WriteInBucket => rules.writes_in(bucket),
            Need::Read => rules.may_read(bucket, object),
            Need::Write => rules.may_write(bucket, object),
            Need::Operator => matches!(*rules, Rules::All),
        })?;
        if let S3Path::Object { key, .. } = context.s3_path() {
            checked_key(key)?;
        }
        refuse_headers(context.headers())?;
        refuse_size(name, context.headers())?;
        refuse_parameters(&operation, context.uri().query().unwrap_or_default())?;
        context.extensions_mut().insert(rules);
        Ok(())
    }

    async fn list_objects(&self, request: &mut S3Request<dto::ListObjectsInput>) -> S3Result<()> {
        allow(rules(request)?.may_list(
            &request.input.bucket,
            request.input.prefix.as_deref().unwrap_or_default(),
        ))
    }

    async fn list_objects_v2(&self, request: &mut S3Request<dto::ListObjectsV2Input>) -> S3Result<()> {
        allow(rules(request)?.may_list(
            &request.input.bucket,
            request.input.prefix.as_deref().unwrap_or_default(),
        ))
    }

    async fn list_object_versions(&self, request: &mut S3Request<dto::ListObjectVersionsInput>) -> S3Result<()> {
        allow(rules(request)?.may_list(
            &request.input.bucket,
            request.input.prefix.as_deref().unwrap_or_default(),
        ))
    }

    async fn list_multipart_uploads(&self, request: &mut S3Request<dto::ListMultipartUploadsInput>) -> S3Result<()> {
        allow(rules(request)?.may_write(
            &request.input.bucket,
            request.input.prefix.as_deref().unwrap_or_default(),
        ))
    }

    async fn put_object(&self, request: &mut S3Request<dto::PutObjectInput>) -> S3Result<()> {
        // Also the way of a POST, whose key and fields stand in the form.
        let input = &request.input;
        allow(rules(request)?.may_write(&input.bucket, &input.key))?;
        let encrypted = input.server_side_encryption.is_some()
            || input.sse_customer_algorithm.is_some()
            || input.ssekms_key_id.is_some();
        if encrypted || input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "Server-side encryption and object lock are not implemented."
            ));
        }
        refuse_acl(input.acl.as_ref().map(dto::ObjectCannedACL::as_str))?;
        refuse_class(input.storage_class.as_ref().map(dto::StorageClass::as_str))
    }

    async fn post_object(&self, request: &mut S3Request<dto::PostObjectInput>) -> S3Result<()> {
        // `s3s` reads it only once the object is stored, and then says that the request failed.
        let redirect = request.input.success_action_redirect.as_deref();
        if redirect.is_some_and(|to| to.chars().any(char::is_control) || url::Url::parse(to).is_err()) {
            return Err(s3_error!(InvalidArgument, "success_action_redirect is not a URL."));
        }
        Ok(())
    }

    async fn delete_objects(&self, request: &mut S3Request<dto::DeleteObjectsInput>) -> S3Result<()> {
        let rules = rules(request)?;
        for object in &request.input.delete.objects {
            allow(rules.may_write(&request.input.bucket, &object.key))?;
            checked_key(&object.key)?;
        }
        Ok(())
    }

    async fn copy_object(&self, request: &mut S3Request<dto::CopyObjectInput>) -> S3Result<()> {
        let (bucket, key, _) = copy::source(&request.input.copy_source)?;
        allow(rules(request)?.may_read(&bucket, &key))
    }

    async fn upload_part_copy(&self, request: &mut S3Request<dto::UploadPartCopyInput>) -> S3Result<()> {
        let (bucket, key, _) = copy::source(&request.input.copy_source)?;
        allow(rules(request)?.may_read(&bucket, &key))
    }
}

/// Operations whose request is a document, which `s3s` holds in memory; those that are not implemented read it too.
pub(crate) fn takes_xml(operation: &str) -> bool {
    operation.starts_with("PutBucket")
        || matches!(
            operation,
            "CreateBucket"
                | "DeleteObjects"
                | "CompleteMultipartUpload"
                | "PutObjectTagging"
                | "PutObjectAcl"
                | "PutObjectLegalHold"
                | "PutObjectLockConfiguration"
                | "PutObjectRetention"
                | "PutPublicAccessBlock"
                | "RestoreObject"
                | "SelectObjectContent"
        )
}

/// Too much XML. (`s3s` has the same limit, but calls it an internal error.)
fn refuse_size(operation: &str, headers: &HeaderMap) -> S3Result<()> {
    let length = headers
        .get(hyper::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if takes_xml(operation) && length.is_some_and(|length| length > LARGEST_XML as u64) {
        return Err(s3_error!(MaxMessageLengthExceeded, "Your request was too large."));
    }
    Ok(())
}

/// Headers that ask for something we do not do.
fn refuse_headers(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let name = name.as_str();
        let text = value.to_str().unwrap_or_default();
        match name {
            "x-amz-acl" => refuse_acl(Some(text))?,
            "x-amz-storage-class" => refuse_class(Some(text))?,
            "x-amz-expected-bucket-owner" | "x-amz-source-expected-bucket-owner" => allow(text == OWNER)?,
            "x-amz-object-ownership" if text == "BucketOwnerEnforced" => {}
            "x-amz-bucket-object-lock-enabled" if text.eq_ignore_ascii_case("false") => {}
            "x-amz-object-ownership"
            | "x-amz-bucket-object-lock-enabled"
            | "x-amz-website-redirect-location"
            | "x-amz-write-offset-bytes" => {
                return Err(s3_error!(NotImplemented, "The header {name} is not implemented."));
            }
            _ if name.starts_with("x-amz-grant-") => refuse_acl(Some(name))?,
            _ if name.starts_with("x-amz-server-side-encryption")
                || name.starts_with("x-amz-copy-source-server-side-encryption")
                || name.starts_with("x-amz-object-lock-") =>
            {
                return Err(s3_error!(NotImplemented, "The header {name} is not implemented."));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Only the owner has access; the two canned lists that say no more than that are taken.
fn refuse_acl(acl: Option<&str>) -> S3Result<()> {
    match acl {
        None | Some("" | "private" | "bucket-owner-full-control") => Ok(()),
        Some(_) => Err(s3_error!(
            AccessControlListNotSupported,
            "The bucket does not allow ACLs"
        )),
    }
}

fn refuse_class(class: Option<&str>) -> S3Result<()> {
    match class {
        None | Some("" | "STANDARD") => Ok(()),
        Some(_) => Err(s3_error!(
            InvalidStorageClass,
            "The storage class you specified is not valid"
        )),
    }
}

/// `s3s` takes a request with an unknown sub-resource for the plain operation: `DELETE /bucket/key?legal-hold` would delete the object. So the plain
/// operations name the parameters they know.
fn refuse_parameters(operation: &str, query: &str) -> S3Result<()> {
    let known: &[&str] = match operation {
        "GetObject" | "HeadObject" => &["versionId", "partNumber", "response-"],
        "PutObject" | "CopyObject" | "CreateBucket" | "DeleteBucket" | "HeadBucket" => &[],
        "DeleteObject" => &["versionId"],
        "ListObjects" => &["prefix", "delimiter", "marker", "max-keys", "encoding-type"],
        "ListBuckets" => &["max-buckets", "continuation-token", "prefix", "bucket-region"],
        _ => &[""],
    };
    for (name, value) in signed::parameters(query) {
        let name = name.as_ref();
        let signature = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
        let old_signature = matches!(name, "AWSAccessKeyId" | "Signature" | "Expires");
        if name.eq_ignore_ascii_case("x-amz-expires")
            && value.parse::<u64>().is_ok_and(|seconds| seconds > LONGEST.as_secs())
        {
            return Err(s3_error!(
                AuthorizationQueryParametersError,
                "X-Amz-Expires must be less than a week (in seconds)"
            ));
        }
        // The older signature names the end instead of the duration.
        let end = time::OffsetDateTime::now_utc()
            .unix_timestamp()
            .saturating_add_unsigned(LONGEST.as_secs());
        if name == "Expires" && value.parse::<i64>().is_ok_and(|at| at > end) {
            return Err(s3_error!(
                AuthorizationQueryParametersError,
                "Expires must be less than a week ahead"
            ));
        }
        if name.starts_with("response-") && HeaderValue::from_str(&value).is_err() {
            return Err(s3_error!(
                InvalidArgument,
                "{name} has characters that a header cannot have."
            ));
        }
        let takes =
            |known: &&str| name == *known || (known.ends_with('-') || known.is_empty()) && name.starts_with(known);
        if !signature && !old_signature && name != "x-id" && !known.iter().any(takes) {
            return Err(s3_error!(NotImplemented, "The parameter {name} is not implemented."));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sub_resources_never_fall_through_to_plain_operations() {
        for (operation, query) in [
            ("DeleteObject", "legal-hold"),
            ("DeleteBucket", "notification="),
            ("PutObject", "partNumber=1"),
            ("GetObject", "encryption"),
            ("ListObjects", "replicationMetrics"),
            ("DeleteObject", "%6cegal-hold"),
            ("GetObject", "X-Amz-Expires=%39999999"),
            ("GetObject", "response-content-type=a%0d%0ab"),
            ("ListObjectsV2", "%45xpires=99999999999"),
            ("ListObjectsV2", "X-Amz-E%78pires=9999999"),
        ] {
            assert!(refuse_parameters(operation, query).is_err(), "{operation} {query}");
        }
        for (operation, query) in [
            ("GetObject", "response-content-type=a&X-Amz-Signature=b&x-id=GetObject"),
            ("DeleteObject", "versionId=1"),
            ("ListObjectsV2", "list-type=2&anything"),
            ("PutObject", "x-id=PutObject"),
        ] {
            assert!(refuse_parameters(operation, query).is_ok(), "{operation} {query}");
        }
    }

    #[test]
    fn what_we_do_not_do_is_not_ignored() {
        let refused = |name: &'static str, value: &'static str| {
            let headers: HeaderMap = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            refuse_headers(&headers).is_err()
        };
        assert!(refused("x-amz-server-side-encryption", "AES256"));
        assert!(refused("x-amz-server-side-encryption-customer-key", "k"));
        assert!(refused("x-amz-copy-source-server-side-encryption-customer-key", "k"));
        assert!(refused("x-amz-object-lock-mode", "COMPLIANCE"));
        assert!(refused("x-amz-storage-class", "GLACIER"));
        assert!(refused("x-amz-acl", "public-read"));
        assert!(refused("x-amz-grant-read", "id=1"));
        assert!(refused("x-amz-expected-bucket-owner", "somebody"));
        assert!(!refused("x-amz-acl", "private"));
        assert!(!refused("x-amz-storage-class", "STANDARD"));
        assert!(!refused("x-amz-meta-x", "y"));
    }
}
