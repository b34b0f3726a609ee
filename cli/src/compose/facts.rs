//! What follows from configuration and the list of processors: topology, roles, tenants of buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use cofferdam_ingest::{Normaliser, PlanPolicy, RetirePolicy as Retire, Tenancy, TenantMap};
use cofferdam_nats::accounts::{RoleFacts, RoleNeeds, roles};
use cofferdam_nats::{Topology, TopologySettings};
use cofferdam_processor::Registration;
use cofferdam_schemas::{ProcessorName, SourceName};

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
    for bucket in [&buckets.vault, &buckets.results, &buckets.outbox] {
        map = map.output(embedded.clone(), bucket.clone()).context("buckets")?;
    }
    let policy = PlanPolicy {
        required: plan.required.clone(),
        version: plan.policy.clone(),
    };
    Ok(Normaliser::new(map, policy, embedded))
}

/// What happens to landing copies.
pub fn retire(plan: &Plan) -> Retire {
    match (plan.raw.retire.policy, plan.raw.retire.after_s) {
        (RetirePolicy::UntilDone, _) => Retire::UntilDone,
        (RetirePolicy::Keep, _) => Retire::Keep,
        (RetirePolicy::After, seconds) => Retire::After(Duration::from_secs(seconds.unwrap_or(0))),
    }
}
