//! Who may do what at the endpoint.

use cofferdam_schemas::{BucketName, TenantName};
use secrecy::SecretString;

/// A key pair and what it may do.
#[derive(Clone)]
pub struct Credential {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret: SecretString,
    /// What it may do.
    pub grants: Grants,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("access_key_id", &self.access_key_id)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// What a credential may do.
#[derive(Debug, Clone)]
pub enum Grants {
    /// Everything the endpoint knows.
    Operator,
    /// A tenant: reads and writes its landing buckets, and its part of those it shares; reads what begins with `<tenant>/` in the others.
    Tenant {
        /// The tenant.
        tenant: TenantName,
        /// Its landing buckets, whole.
        landing: Vec<BucketName>,
        /// Landing buckets that it shares with other tenants: there it reads and writes what begins with `<tenant>/`.
        shared: Vec<BucketName>,
        /// Where sealed objects are.
        vault: BucketName,
        /// Where artefacts are.
        results: BucketName,
        /// Where retrieved objects are.
        outbox: BucketName,
    },
    /// Exactly these.
    Only(Vec<Grant>),
}

/// One thing a credential may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// In this bucket.
    pub bucket: BucketName,
    /// With keys that begin with this; empty for all.
    pub prefix: String,
    /// Write and delete too, not only read and list.
    pub write: bool,
}

/// Grants worked out: everything, or a list.
#[derive(Debug, Clone)]
pub(crate) enum Rules {
    All,
    List(Vec<Grant>),
}

impl Grants {
    pub(crate) fn rules(&self) -> Rules {
        match self {
            Self::Operator => Rules::All,
            Self::Only(list) => Rules::List(list.clone()),
            Self::Tenant {
                tenant,
                landing,
                shared,
                vault,
                results,
                outbox,
            } => {
                let own = format!("{tenant}/");
                let grant = |bucket: &BucketName, prefix: &str, write| Grant {
                    bucket: bucket.clone(),
                    prefix: prefix.to_owned(),
                    write,
                };
                let whole = landing.iter().map(|bucket| grant(bucket, "", true));
                let shared = shared.iter().map(|bucket| grant(bucket, &own, true));
                let read = [vault, results, outbox].map(|bucket| grant(bucket, &own, false));
                Rules::List(whole.chain(shared).chain(read).collect())
            }
        }
    }
}

impl Rules {
    fn any(&self, fits: impl Fn(&Grant) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::List(grants) => grants.iter().any(fits),
        }
    }

    pub(crate) fn may_read(&self, bucket: &str, key: &str) -> bool {
        self.any(|grant| grant.bucket.as_str() == bucket && key.starts_with(&grant.prefix))
    }

    pub(crate) fn may_write(&self, bucket: &str, key: &str) -> bool {
        self.any(|grant| grant.write && grant.bucket.as_str() == bucket && key.starts_with(&grant.prefix))
    }

    /// Whether all keys that begin with `prefix` may be seen.
    pub(crate) fn may_list(&self, bucket: &str, prefix: &str) -> bool {
        self.may_read(bucket, prefix)
    }

    /// Whether the bucket's existence may be known.
    pub(crate) fn sees(&self, bucket: &str) -> bool {
        self.any(|grant| grant.bucket.as_str() == bucket)
    }

    pub(crate) fn writes_in(&self, bucket: &str) -> bool {
        self.any(|grant| grant.write && grant.bucket.as_str() == bucket)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tenant() -> Rules {
        let bucket = |name: &str| BucketName::new(name).unwrap();
        let grants = Grants::Tenant {
            tenant: TenantName::new("acme").unwrap(),
            landing: vec![bucket("inbox")],
            shared: vec![bucket("shared")],
            vault: bucket("vault"),
            results: bucket("results"),
            outbox: bucket("outbox"),
        };
        grants.rules()
    }

    #[test]
    fn a_tenant_reads_its_own_and_writes_its_landing() {
        let rules = tenant();
        assert!(rules.may_write("inbox", "anything"));
        assert!(rules.may_read("vault", "acme/x") && !rules.may_write("vault", "acme/x"));
        assert!(!rules.may_read("vault", "acme-2/x") && !rules.may_read("vault", "acme"));
        assert!(!rules.may_read("other", "acme/x") && !rules.sees("other"));
    }

    #[test]
    fn a_tenant_shares_a_landing_bucket_below_its_name() {
        let rules = tenant();
        assert!(rules.sees("shared") && rules.writes_in("shared"));
        for key in ["acme/x", "acme/"] {
            assert!(rules.may_write("shared", key) && rules.may_read("shared", key));
        }
        for key in ["acme", "acme-2/x", "other/x", "x", "/acme/x", ""] {
            assert!(
                !rules.may_write("shared", key) && !rules.may_read("shared", key),
                "{key}"
            );
        }
        assert!(rules.may_list("shared", "acme/a") && !rules.may_list("shared", ""));
    }

    #[test]
    fn a_tenant_lists_only_below_its_prefix() {
        let rules = tenant();
        assert!(rules.may_list("outbox", "acme/") && rules.may_list("outbox", "acme/2026"));
        assert!(!rules.may_list("outbox", "") && !rules.may_list("outbox", "acme"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let credential = Credential {
            access_key_id: "id".into(),
            secret: "hunter2".to_owned().into(),
            grants: Grants::Operator,
        };
        assert!(!format!("{credential:?}").contains("hunter2"));
    }
}
