//! Whose an object is: by the landing bucket's configuration, never by anything a message says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cofferdam_bucket::LandingKeys;
use cofferdam_schemas::{BucketName, ObjectKey, SourceName, TenantName};

/// How a landing bucket tells the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenancy {
    /// Everything in it belongs to one tenant.
    Fixed(TenantName),
    /// The key's first segment (before the first `/`) is the tenant's name. The key stays whole.
    FirstSegment,
}

/// The landing buckets of every source, and the tenants there are.
#[derive(Debug, Clone, Default)]
pub struct TenantMap {
    tenants: BTreeSet<TenantName>,
    landing: BTreeMap<(SourceName, BucketName), Tenancy>,
    outputs: BTreeSet<(SourceName, BucketName)>,
}

/// A contradiction in the configuration of buckets and tenants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantMapError {
    /// A bucket belongs to a tenant nobody has declared.
    #[error("bucket {bucket} belongs to tenant {tenant}, which is not configured")]
    UnknownTenant {
        /// The bucket.
        bucket: BucketName,
        /// The tenant.
        tenant: TenantName,
    },
    /// A bucket is both where documents land and where we write: a loop.
    #[error("bucket {bucket} of source {origin} cannot be both a landing bucket and one of our own")]
    Loop {
        /// The source.
        origin: SourceName,
        /// The bucket.
        bucket: BucketName,
    },
    /// A bucket is named twice.
    #[error("bucket {bucket} of source {origin} is configured twice")]
    Twice {
        /// The source.
        origin: SourceName,
        /// The bucket.
        bucket: BucketName,
    },
}

/// Why an object is not taken in. Typed, so that each can be counted, and because some are silence on purpose and some are somebody's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is our own output: taking it in would be a loop.
    #[error("bucket {bucket} of source {origin} holds our own output")]
    OwnOutput {
        /// The source.
        origin: SourceName,
        /// The bucket.
        bucket: BucketName,
    },
    /// The bucket is no landing bucket.
    #[error("bucket {bucket} of source {origin} is not a landing bucket; add it to the source's configuration")]
    NotLanding {
        /// The source.
        origin: SourceName,
        /// The bucket.
        bucket: BucketName,
    },
    /// The key's first segment names no tenant there is.
    #[error("first segment {segment:?} of the key names no tenant; configure the tenant or move the object")]
    UnknownTenant {
        /// The segment, cut to 80 characters.
        segment: String,
    },
}

impl Refusal {
    /// The label in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::OwnOutput { .. } => "own-output",
            Refusal::NotLanding { .. } => "not-landing",
            Refusal::UnknownTenant { .. } => "unknown-tenant",
        }
    }
}

impl TenantMap {
    /// The tenants there are, and no bucket yet.
    pub fn new(tenants: impl IntoIterator<Item = TenantName>) -> Self {
        Self {
            tenants: tenants.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds a landing bucket.
    pub fn landing(mut self, source: SourceName, bucket: BucketName, tenancy: Tenancy) -> Result<Self, TenantMapError> {
        if let Tenancy::Fixed(tenant) = &tenancy
            && !self.tenants.contains(tenant)
        {
            return Err(TenantMapError::UnknownTenant {
                bucket,
                tenant: tenant.clone(),
            });
        }
        let place = (source, bucket);
        if self.outputs.contains(&place) {
            return Err(TenantMapError::Loop {
                origin: place.0,
                bucket: place.1,
            });
        }
        if self.landing.contains_key(&place) {
            return Err(TenantMapError::Twice {
                origin: place.0,
                bucket: place.1,
            });
        }
        self.landing.insert(place, tenancy);
        Ok(self)
    }

    /// Adds a bucket we write to ourselves: vault, results, outbox.
    pub fn output(mut self, source: SourceName, bucket: BucketName) -> Result<Self, TenantMapError> {
        let place = (source, bucket);
        if self.landing.contains_key(&place) {
            return Err(TenantMapError::Loop {
                origin: place.0,
                bucket: place.1,
            });
        }
        self.outputs.insert(place);
        Ok(self)
    }

    /// Whose an object is.
    pub fn tenant(&self, source: &SourceName, bucket: &BucketName, key: &ObjectKey) -> Result<TenantName, Refusal> {
        let place = (source.clone(), bucket.clone());
        match self.landing.get(&place) {
            Some(Tenancy::Fixed(tenant)) => Ok(tenant.clone()),
            Some(Tenancy::FirstSegment) => {
                let segment = key.as_str().split_once('/').map_or("", |(first, _)| first);
                let unknown = || Refusal::UnknownTenant {
                    segment: segment.chars().take(80).collect(),
                };
                let tenant = TenantName::new(segment).map_err(|_| unknown())?;
                if self.tenants.contains(&tenant) {
                    Ok(tenant)
                } else {
                    Err(unknown())
                }
            }
            None if self.outputs.contains(&place) => Err(Refusal::OwnOutput {
                origin: place.0,
                bucket: place.1,
            }),
            None => Err(Refusal::NotLanding {
                origin: place.0,
                bucket: place.1,
            }),
        }
    }

    /// Which keys a landing bucket takes, for the store it is in; `None` where all of them belong to somebody.
    pub fn keys(&self, source: &SourceName, bucket: &BucketName) -> Option<Arc<dyn LandingKeys>> {
        match self.landing.get(&(source.clone(), bucket.clone()))? {
            Tenancy::Fixed(_) => None,
            Tenancy::FirstSegment => Some(Arc::new(OfTenants {
                map: self.clone(),
                source: source.clone(),
                bucket: bucket.clone(),
            })),
        }
    }

    /// Whether there is such a tenant.
    pub fn has(&self, tenant: &TenantName) -> bool {
        self.tenants.contains(tenant)
    }
}

/// The keys of a bucket that tenants share.
struct OfTenants {
    map: TenantMap,
    source: SourceName,
    bucket: BucketName,
}

impl LandingKeys for OfTenants {
    fn check(&self, key: &str) -> Result<(), String> {
        let Self { map, source, bucket } = self;
        let key = ObjectKey::new(key).map_err(|error| error.to_string())?;
        map.tenant(source, bucket, &key).map(drop).map_err(|refusal| match refusal {
            Refusal::UnknownTenant { segment } if segment.is_empty() => format!(
                "bucket {bucket} takes keys of the form <tenant>/<name>, and this key names no tenant: put the object below a tenant's name"
            ),
            Refusal::UnknownTenant { segment } => format!(
                "bucket {bucket} takes keys of the form <tenant>/<name>, and there is no tenant {segment:?}: put the object below the name of a tenant there is, or add the tenant to the configuration"
            ),
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceName {
        SourceName::new("inbox").unwrap()
    }
    fn bucket(name: &str) -> BucketName {
        BucketName::new(name).unwrap()
    }
    fn tenant(name: &str) -> TenantName {
        TenantName::new(name).unwrap()
    }
    fn map() -> TenantMap {
        TenantMap::new([tenant("a"), tenant("b")])
            .landing(source(), bucket("fixed"), Tenancy::Fixed(tenant("a")))
            .and_then(|map| map.landing(source(), bucket("shared"), Tenancy::FirstSegment))
            .and_then(|map| map.output(source(), bucket("vault")))
            .unwrap()
    }
    #[track_caller]
    fn check(place: &str, key: &str, expected: Result<&str, &str>) {
        let found = map().tenant(&source(), &bucket(place), &ObjectKey::new(key).unwrap());
        assert_eq!(found.as_ref().map(|t| t.as_str()).map_err(|r| r.kind()), expected);
    }

    #[test]
    fn the_bucket_decides() {
        check("fixed", "b/x.txt", Ok("a"));
        check("shared", "b/x.txt", Ok("b"));
        check("shared", "b//x.txt", Ok("b"));
        check("shared", "c/x.txt", Err("unknown-tenant"));
        check("shared", "B/x.txt", Err("unknown-tenant"));
        check("shared", "/b/x.txt", Err("unknown-tenant"));
        // A key without a slash has no first segment, even if it spells a tenant.
        check("shared", "b", Err("unknown-tenant"));
        check("vault", "a/x.sealed", Err("own-output"));
        check("other", "a/x", Err("not-landing"));
    }

    #[test]
    fn a_shared_bucket_says_which_keys_it_takes() {
        assert!(map().keys(&source(), &bucket("fixed")).is_none());
        assert!(map().keys(&source(), &bucket("other")).is_none());
        let keys = map().keys(&source(), &bucket("shared")).unwrap();
        let check = |key: &str, expected: Option<&str>| {
            let refused = keys.check(key).err();
            assert_eq!(refused.is_some(), expected.is_some(), "{key}: {refused:?}");
            let (refused, expected) = (refused.unwrap_or_default(), expected.unwrap_or_default());
            assert!(refused.contains(expected), "{key}: {refused}");
        };
        check("a/x", None);
        check("b//x", None);
        check(
            "a",
            Some("bucket shared takes keys of the form <tenant>/<name>, and this key names no tenant"),
        );
        check("/a/x", Some("this key names no tenant"));
        check("c/x", Some("there is no tenant \"c\": put the object below"));
        check("A/x", Some("there is no tenant \"A\""));
        check("\u{1b}[2J/x", Some("there is no tenant \"\\u{1b}[2J\""));
        check(
            &format!("{}/x", "z".repeat(900)),
            Some("or add the tenant to the configuration"),
        );
        check("", Some("empty"));
    }

    #[test]
    fn another_source_is_another_bucket() {
        let foreign = SourceName::new("minio").unwrap();
        let key = ObjectKey::new("x").unwrap();
        assert_eq!(
            map().tenant(&foreign, &bucket("fixed"), &key).unwrap_err().kind(),
            "not-landing"
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let unknown = map().landing(source(), bucket("more"), Tenancy::Fixed(tenant("z")));
        assert!(matches!(unknown, Err(TenantMapError::UnknownTenant { .. })));
        assert!(matches!(
            map().landing(source(), bucket("vault"), Tenancy::FirstSegment),
            Err(TenantMapError::Loop { .. })
        ));
        assert!(matches!(
            map().output(source(), bucket("fixed")),
            Err(TenantMapError::Loop { .. })
        ));
        assert!(matches!(
            map().landing(source(), bucket("fixed"), Tenancy::FirstSegment),
            Err(TenantMapError::Twice { .. })
        ));
    }
}
