//! The pure normaliser: what a source knows about an object, and the configuration, make one [`ObjectEvent`].

use cofferdam_bucket::BucketRecord;
use cofferdam_schemas::{
    BucketName, Checksums, ETag, Lane, ObjectEvent, ObjectKey, ObjectRef, Origin, Plan, ProcessorName, SourceName,
    TenantName, Timestamp, Verb,
};
use cofferdam_seams::ObjectMeta;

use crate::dialect::ObjectNotice;
use crate::tenants::{Refusal, TenantMap};

/// Which processors a document needs before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPolicy {
    /// Those whose result is required.
    pub required: Vec<ProcessorName>,
    /// The version of this policy; stands in every plan it makes.
    pub version: String,
}

/// Makes events. Holds no state: the same input gives the same event, ids included.
#[derive(Debug, Clone)]
pub struct Normaliser {
    tenants: TenantMap,
    plan: PlanPolicy,
    embedded: SourceName,
}

impl Normaliser {
    /// `embedded` is the source name of the embedded bucket, whose records come through [`Self::record`].
    pub fn new(tenants: TenantMap, plan: PlanPolicy, embedded: SourceName) -> Self {
        Self {
            tenants,
            plan,
            embedded,
        }
    }

    /// The tenants and landing buckets.
    pub fn tenants(&self) -> &TenantMap {
        &self.tenants
    }

    /// The embedded bucket's source name.
    pub fn embedded(&self) -> &SourceName {
        &self.embedded
    }

    /// The event of a ledger row of the embedded bucket, whose record is the truth.
    pub fn record(&self, record: &BucketRecord) -> Result<ObjectEvent, Refusal> {
        let tenant = self.tenants.tenant(&self.embedded, &record.bucket, &record.key)?;
        let meta = ObjectMeta {
            size: record.size,
            etag: record.etag.clone(),
            version: Some(record.version.clone()),
            last_modified: record.last_modified,
            content_type: record.content_type.clone(),
            checksums: record.checksums.clone(),
            user: record.user.clone(),
        };
        let place = (&self.embedded, &record.bucket, &record.key);
        Ok(self.event(record.verb, object(tenant, place, meta)))
    }

    /// The event of a notification about an object that is there; `meta` is what HEAD says, and it alone counts.
    pub fn present(
        &self,
        source: &SourceName,
        notice: &ObjectNotice,
        meta: ObjectMeta,
    ) -> Result<ObjectEvent, Refusal> {
        let tenant = self.tenants.tenant(source, &notice.bucket, &notice.key)?;
        Ok(self.event(notice.verb, object(tenant, (source, &notice.bucket, &notice.key), meta)))
    }

    /// The event of a removal. There is nothing to HEAD any more, so the notification's own words have to do; where it names no version its event time
    /// and sequencer stand for one (`seen`, the time the message was stored, only where it has no time either). It asks for no work.
    pub fn removed(&self, source: &SourceName, notice: &ObjectNotice, seen: Timestamp) -> Result<ObjectEvent, Refusal> {
        let tenant = self.tenants.tenant(source, &notice.bucket, &notice.key)?;
        let meta = ObjectMeta {
            size: notice.size.unwrap_or(0),
            etag: notice
                .etag
                .clone()
                .unwrap_or_else(|| unknown_etag(notice.sequencer.as_deref())),
            version: notice.version.clone(),
            last_modified: notice.event_time.unwrap_or(seen),
            content_type: None,
            checksums: Checksums::default(),
            user: Default::default(),
        };
        Ok(self.event(Verb::Del, object(tenant, (source, &notice.bucket, &notice.key), meta)))
    }

    fn event(&self, verb: Verb, object: ObjectRef) -> ObjectEvent {
        let required = if needs_work(verb) {
            self.plan.required.clone()
        } else {
            Vec::new()
        };
        let plan = Plan::new(required, self.plan.version.clone());
        ObjectEvent {
            id: object.event_id(verb),
            verb,
            lane: Lane::Hi,
            object,
            plan,
        }
    }
}

/// Whether an event asks processors for work. The others are published for the record and are final at once.
pub(crate) fn needs_work(verb: Verb) -> bool {
    match verb {
        Verb::Put | Verb::Restore => true,
        Verb::Del | Verb::Meta => false,
    }
}

fn object(
    tenant: TenantName,
    (source, bucket, key): (&SourceName, &BucketName, &ObjectKey),
    meta: ObjectMeta,
) -> ObjectRef {
    let origin = Origin {
        tenant,
        source: source.clone(),
        bucket: bucket.clone(),
        key: key.clone(),
        version: meta.version,
        etag: meta.etag,
        last_modified: meta.last_modified,
    };
    ObjectRef {
        id: origin.object_id(),
        tenant: origin.tenant,
        source: origin.source,
        bucket: origin.bucket,
        key: origin.key,
        version: origin.version,
        etag: origin.etag,
        size: meta.size,
        last_modified: origin.last_modified,
        content_type: meta.content_type,
        checksums: meta.checksums,
    }
}

/// An entity tag for what has none: `removed`, or `removed-<sequencer>`, so that two removals of one key at one time stay two.
fn unknown_etag(sequencer: Option<&str>) -> ETag {
    let with_order = sequencer.and_then(|order| ETag::new(format!("removed-{order}")).ok());
    // Unwrap safety: the literal is a valid entity tag.
    #[allow(clippy::expect_used)]
    with_order.unwrap_or_else(|| ETag::new("removed").expect("valid"))
}

#[cfg(test)]
mod tests;
