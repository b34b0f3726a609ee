//! What follows from configuration and the list of processors: topology, roles, tenants of buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use cofferdam_bucket::{Grants, Landing};
use cofferdam_ingest::{Isolation, Normaliser, PlanPolicy, RetirePolicy as Retire, Tenancy, TenantMap};
use cofferdam_nats::accounts::{RoleFacts, RoleNeeds, roles};
use cofferdam_nats::trim::TrimSettings;
use cofferdam_nats::{Topology, TopologySettings};
use cofferdam_processor::{Registration, Stores};
use cofferdam_schemas::{ProcessorName, SourceName, TenantName};

use crate::config::{Plan, RetirePolicy};

/// The name of the embedded store as a source.
pub fn embedded() -> anyhow::Result<SourceName> {
    Ok(SourceName::new("inbox")?)
}

/// The sinks there are.
pub fn sinks() -> Vec<String> {
    vec!["sqlite".to_owned()]
}

/// Names that topology and roles depend on.
pub struct Facts {
    /// All processors of this build: their consumers exist even where a plan does not require them.
    pub processors: Vec<ProcessorName>,
    /// All commands.
    pub verbs: Vec<ProcessorName>,
    /// Foreign stores that publish by themselves.
    pub sources: Vec<SourceName>,
}

impl Facts {
    /// From configuration and list.
    pub fn of(plan: &Plan, processors: &[Registration]) -> anyhow::Result<Facts> {
        let verbs = processors
            .iter()
            .flat_map(|processor| processor.verbs)
            .map(|verb| ProcessorName::new(*verb));
        Ok(Facts {
            processors: processors.iter().map(|processor| processor.name.clone()).collect(),
            verbs: verbs.collect::<Result<_, _>>().context("a verb is no token")?,
            sources: plan
                .sources
                .iter()
                .filter(|source| source.publishes)
                .map(|source| source.name.clone())
                .collect(),
        })
    }

    /// Streams and consumers.
    pub fn topology(&self, plan: &Plan) -> Topology {
        self.topology_within(plan, BTreeMap::new())
    }

    /// As [`Self::topology`], with size limits of streams that follow the server's.
    pub fn topology_within(&self, plan: &Plan, max_bytes: BTreeMap<String, i64>) -> Topology {
        let settings = TopologySettings {
            max_bytes,
            processors: self.processors.clone(),
            verbs: self.verbs.clone(),
            sinks: sinks(),
            replicas: plan.raw.nats.replicas,
            ..TopologySettings::default()
        };
        Topology::new(&settings)
    }

    /// Who may do what.
    pub fn roles(&self) -> Vec<RoleNeeds> {
        roles(RoleFacts {
            processors: &self.processors,
            verbs: &self.verbs,
            sinks: &sinks(),
            sources: &self.sources,
        })
    }
}

/// The normaliser with the tenants of every landing bucket.
pub fn normaliser(plan: &Plan) -> anyhow::Result<Normaliser> {
    let embedded = embedded()?;
    let mut map = TenantMap::new(plan.tenants.iter().cloned());
    for landing in &plan.raw.landing {
        let source = landing.source.clone().unwrap_or_else(|| embedded.clone());
        let tenancy = landing.tenant.clone().map_or(Tenancy::FirstSegment, Tenancy::Fixed);
        map = map
            .landing(source, landing.bucket.clone(), tenancy)
            .context("landing")?;
    }
    let buckets = &plan.raw.buckets;
    for bucket in buckets.all() {
        map = map.output(embedded.clone(), bucket.clone()).context("buckets")?;
    }
    let policy = PlanPolicy {
        required: plan.required.clone(),
        version: plan.policy.clone(),
    };
    Ok(Normaliser::new(map, policy, embedded))
}

/// The embedded store's landing buckets, and which keys they take.
pub fn landing(plan: &Plan, normaliser: &Normaliser) -> Vec<Landing> {
    let keys = |bucket| normaliser.tenants().keys(normaliser.embedded(), bucket);
    plan.landing
        .iter()
        .map(|bucket| Landing {
            bucket: bucket.clone(),
            keys: keys(bucket),
        })
        .collect()
}

/// What a tenant may do at the embedded store's endpoint.
pub fn grants(plan: &Plan, tenant: &TenantName) -> Grants {
    let embedded = || plan.raw.landing.iter().filter(|landing| landing.source.is_none());
    let own = embedded().filter(|landing| landing.tenant.as_ref() == Some(tenant));
    let shared = embedded().filter(|landing| landing.tenant.is_none());
    let buckets = &plan.raw.buckets;
    Grants::Tenant {
        tenant: tenant.clone(),
        landing: own.map(|landing| landing.bucket.clone()).collect(),
        shared: shared.map(|landing| landing.bucket.clone()).collect(),
        vault: buckets.vault.clone(),
        results: buckets.results.clone(),
        outbox: buckets.outbox.clone(),
    }
}

/// Where what is quarantined comes from and goes.
pub fn isolation(stores: &Stores) -> Isolation {
    Isolation {
        vault: stores.vault.clone(),
        quarantine: stores.quarantine.clone(),
    }
}

/// What happens to landing copies.
pub fn retire(plan: &Plan) -> Retire {
    match (plan.raw.retire.policy, plan.raw.retire.after_s) {
        (RetirePolicy::UntilDone, _) => Retire::UntilDone,
        (RetirePolicy::Keep, _) => Retire::Keep,
        (RetirePolicy::After, seconds) => Retire::After(Duration::from_secs(seconds.unwrap_or(0))),
    }
}

/// When streams are cut, and down to what.
pub fn trim(plan: &Plan) -> TrimSettings {
    let trim = &plan.raw.nats.trim;
    TrimSettings {
        every: Duration::from_secs(trim.every_s),
        start: trim.start,
        pressure: trim.pressure,
        replay: Duration::from_secs(trim.replay_s),
        settle: Duration::from_millis(trim.settle_ms),
        most: trim.most.clone(),
        // That a second `done` cannot be rests on how long the first stays: nothing to choose.
        ..TrimSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;

    /// Two tenants: one with a bucket of its own, both in a shared one; another is in a foreign store.
    const SHARED: &str = r#"
        tenants = [{ name = "acme" }, { name = "zeta" }]
        landing = [
            { bucket = "acme-in", tenant = "acme" },
            { bucket = "shared", tenant_from = "first-segment" },
            { bucket = "uploads", tenant_from = "first-segment", source = "gateway" },
        ]
        [[sources]]
        name = "gateway"
        dialect = "versitygw"
        [sources.store]
        endpoint = "http://127.0.0.1:7070"
    "#;

    fn plan() -> Plan {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, SHARED).unwrap();
        let global = Global {
            config: Some(file),
            data: None,
            json: false,
        };
        crate::config::load(&global, &cofferdam_processors::list().unwrap()).unwrap()
    }

    #[test]
    fn a_tenant_gets_its_own_buckets_and_its_part_of_shared_ones() {
        let plan = plan();
        let check = |tenant: &str, own: &[&str]| {
            let Grants::Tenant { landing, shared, .. } = grants(&plan, &TenantName::new(tenant).unwrap()) else {
                panic!("a tenant's grants")
            };
            let names =
                |list: &[cofferdam_schemas::BucketName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&landing), own, "{tenant}");
            assert_eq!(names(&shared), ["shared"], "{tenant}");
        };
        check("acme", &["acme-in"]);
        check("zeta", &[]);
    }

    #[test]
    fn streams_are_trimmed_as_configured() {
        let mut plan = plan();
        let without = format!("{:?}", trim(&plan));
        assert_eq!(without, format!("{:?}", TrimSettings::default()));
        let raw = &mut plan.raw.nats.trim;
        (raw.every_s, raw.start, raw.pressure, raw.replay_s, raw.settle_ms) = (7, 0.25, 0.75, 60, 1_500);
        raw.most = BTreeMap::from([("RES".to_owned(), 5)]);
        let settings = trim(&plan);
        assert_eq!(
            (settings.every, settings.replay, settings.settle),
            (
                Duration::from_secs(7),
                Duration::from_secs(60),
                Duration::from_millis(1_500)
            )
        );
        assert_eq!((settings.start, settings.pressure), (0.25, 0.75));
        assert_eq!(settings.most, plan.raw.nats.trim.most);
        assert_eq!(settings.done_kept, TrimSettings::default().done_kept);
    }

    #[test]
    fn only_shared_buckets_choose_their_keys() {
        let plan = plan();
        let landing = landing(&plan, &normaliser(&plan).unwrap());
        let takes = |bucket: &str, key: &str| {
            let place = landing
                .iter()
                .find(|landing| landing.bucket.as_str() == bucket)
                .unwrap();
            place.keys.as_ref().is_none_or(|keys| keys.check(key).is_ok())
        };
        assert_eq!(landing.len(), 2, "that of the foreign store is not ours");
        assert!(takes("acme-in", "anything") && takes("shared", "zeta/x"));
        assert!(!takes("shared", "anything") && !takes("shared", "nobody/x"));
    }
}
