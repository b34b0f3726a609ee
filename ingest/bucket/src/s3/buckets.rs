//! Operations on buckets.

use std::sync::Arc;

use s3s::dto::{
    Bucket, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, EventBridgeConfiguration, GetBucketLocationInput, GetBucketLocationOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
    NotificationConfiguration, PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::xml::{Deserialize as _, Serialize as _};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{Backend, errors, owner};
use crate::error::Refusal;
use crate::grants::Rules;
use crate::index::Versioning;
use crate::index::buckets::{self, BucketRow};

impl Backend {
    async fn bucket_row(&self, name: &str) -> S3Result<BucketRow> {
        let name = name.to_owned();
        let found = self
            .bucket
            .look(move |connection| Ok(buckets::find(connection, &name)?.ok_or(Refusal::NoSuchBucket)?));
        found.await.map_err(errors::refuse)
    }

    pub(super) async fn make_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = request.input;
        if input.object_lock_enabled_for_bucket == Some(true) {
            return Err(s3_error!(NotImplemented, "Object lock is not implemented."));
        }
        let name = input.bucket;
        let location = Some(format!("/{name}"));
        self.bucket
            .commit(None, move |change| buckets::create(change, &name))
            .await
            .map_err(errors::refuse)?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    pub(super) async fn remove_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let name = request.input.bucket;
        self.bucket
            .commit(None, move |change| buckets::delete(change, &name))
            .await
            .map_err(errors::refuse)?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    pub(super) async fn look_at_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket_row(&request.input.bucket).await?;
        let output = HeadBucketOutput {
            bucket_region: Some(self.region.clone()),
            ..HeadBucketOutput::default()
        };
        Ok(S3Response::new(output))
    }

    pub(super) async fn location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket_row(&request.input.bucket).await?;
        // The first region of all has no name here.
        let region = Some(self.region.clone()).filter(|region| region != "us-east-1");
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: region.map(BucketLocationConstraint::from),
        }))
    }

    pub(super) async fn all_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let rules = request.extensions.get::<Arc<Rules>>().cloned();
        let rules = rules.ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))?;
        let input = request.input;
        let most = usize::try_from(input.max_buckets.unwrap_or(10_000))
            .ok()
            .filter(|most| *most > 0);
        let most = most.ok_or_else(|| s3_error!(InvalidArgument, "max-buckets is not positive"))?;
        let rows = self
            .bucket
            .look(|connection| Ok(buckets::all(connection)?))
            .await
            .map_err(errors::refuse)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let mut shown: Vec<BucketRow> = rows
            .into_iter()
            .filter(|row| rules.sees(&row.name) && row.name.starts_with(&prefix) && row.name > after)
            .collect();
        let more = shown.len() > most;
        shown.truncate(most);
        let token = shown.last().map(|row| row.name.clone()).filter(|_| more);
        let buckets = shown.into_iter().map(|row| Bucket {
            creation_date: Some(super::timestamp(row.created_at)),
            name: Some(row.name),
            bucket_region: Some(self.region.clone()),
        });
        let buckets = Some(buckets.collect());
        Ok(S3Response::new(ListBucketsOutput {
            buckets,
            owner: Some(owner()),
            continuation_token: token,
            prefix: input.prefix,
        }))
    }

    pub(super) async fn versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let status = match self.bucket_row(&request.input.bucket).await?.versioning {
            Versioning::Unversioned => None,
            Versioning::Enabled => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED)),
            Versioning::Suspended => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED)),
        };
        Ok(S3Response::new(GetBucketVersioningOutput {
            status,
            mfa_delete: None,
        }))
    }

    pub(super) async fn set_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let input = request.input;
        let configuration = input.versioning_configuration;
        if configuration.mfa_delete.is_some_and(|mfa| mfa.as_str() != "Disabled") {
            return Err(s3_error!(NotImplemented, "MFA delete is not implemented."));
        }
        let versioning = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => {
                return Err(s3_error!(
                    MalformedXML,
                    "The versioning status is Enabled or Suspended."
                ));
            }
        };
        let done = self.bucket.commit(None, move |change| {
            buckets::set_versioning(change, &input.bucket, versioning)
        });
        done.await.map_err(errors::refuse)?;
        Ok(S3Response::new(PutBucketVersioningOutput {}))
    }

    /// Stored and given back as it was: what goes out is decided by the topology, not by buckets.
    pub(super) async fn set_notification(
        &self,
        request: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
        let input = request.input;
        let mut text = Vec::new();
        let written = input
            .notification_configuration
            .serialize(&mut s3s::xml::Serializer::new(&mut text));
        let text = written.ok().and_then(|()| String::from_utf8(text).ok());
        let text = text.ok_or_else(|| s3_error!(InternalError, "The configuration cannot be written."))?;
        let done = self.bucket.commit(None, move |change| {
            buckets::set_notification(change, &input.bucket, &text)
        });
        done.await.map_err(errors::refuse)?;
        Ok(S3Response::new(PutBucketNotificationConfigurationOutput {}))
    }

    pub(super) async fn notification(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        let name = request.input.bucket;
        let found = self
            .bucket
            .look(move |connection| Ok(buckets::notification(connection, &name)?.ok_or(Refusal::NoSuchBucket)?));
        let Some(text) = found.await.map_err(errors::refuse)? else {
            return Ok(S3Response::new(GetBucketNotificationConfigurationOutput::default()));
        };
        let stored = NotificationConfiguration::deserialize(&mut s3s::xml::Deserializer::new(text.as_bytes()));
        let stored = stored.map_err(|_| s3_error!(InternalError, "The stored configuration cannot be read."))?;
        Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
            event_bridge_configuration: stored.event_bridge_configuration.map(|_| EventBridgeConfiguration {}),
            lambda_function_configurations: stored.lambda_function_configurations,
            queue_configurations: stored.queue_configurations,
            topic_configurations: stored.topic_configurations,
        }))
    }
}
