//! `cofferdam run <service>`: one role over a NATS server and an S3 store that are already there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use cofferdam_ingest as ingest;
use cofferdam_nats::accounts::Accounts;
use cofferdam_nats::worker::{self, WorkerSettings};
use cofferdam_nats::{Bus, topology, trim};
use cofferdam_processor::{Deps, Registration, Stores};
use cofferdam_schemas::{Lane, ProcessorName};
use cofferdam_seams::{Clock, ObjectStore, Place, SystemClock, crash};
use cofferdam_sinks as sinks;
use cofferdam_sinks::Store;
use cofferdam_sinks::sqlite::SqliteStore;
use tokio_util::sync::CancellationToken;

use super::adapters::{Closing, StoreFinality};
use super::buses::Broker;
use super::facts::{self, Facts};
use super::stores;
use super::supervise::Services;
use crate::args::{Global, Run};
use crate::config::{self, Plan};
use crate::http::{self, Check};
use crate::output::{Exit, Failure};
use crate::telemetry::Telemetry;

const SERVICES: [&str; 8] = [
    "provision",
    "normalise",
    "gateway",
    "join",
    "sink",
    "query",
    "dlq",
    "trim",
];

/// Runs one service until a signal.
pub async fn run(global: &Global, args: &Run, processors: Vec<Registration>) -> Result<Exit, Failure> {
    let name = args.service.as_str();
    let processor = processors.iter().find(|processor| processor.name.as_str() == name);
    if processor.is_none() && !SERVICES.contains(&name) {
        let all: Vec<_> = processors
            .iter()
            .map(|processor| processor.name.as_str())
            .chain(SERVICES)
            .collect();
        return Err(Failure::text(
            Exit::Config,
            format!("no service {name}; there are: {}", all.join(", ")),
        ));
    }
    let plan = config::load(global, &processors).map_err(|problems| Failure::new(Exit::Config, problems))?;
    crash::arm().map_err(|error| Failure::new(Exit::Config, error))?;
    let telemetry = Telemetry::start(&plan, name)?;
    let stop = CancellationToken::new();
    let signals = tokio::spawn(super::up::signals(stop.clone()));
    let end = service(&plan, name, &processors, &telemetry, stop).await;
    signals.abort();
    tokio::task::spawn_blocking(move || telemetry.stop())
        .await
        .context("telemetry")?;
    end.map(|()| Exit::Ok)
        .map_err(|error| Failure::new(Exit::Failure, error))
}

/// Everything a role may need.
struct Role<'a> {
    plan: &'a Plan,
    facts: Facts,
    accounts: Accounts,
    url: String,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl Role<'_> {
    async fn bus(&self, role: &str) -> anyhow::Result<Bus> {
        let broker = Broker {
            url: &self.url,
            accounts: &self.accounts,
            roles: &self.facts.roles(),
        };
        broker.bus(role).await
    }

    async fn stores(&self) -> anyhow::Result<Stores> {
        let objects = self
            .plan
            .raw
            .objects
            .as_ref()
            .context("set [objects]: the S3 store that holds the buckets")?;
        let own: Arc<dyn ObjectStore> = Arc::new(stores::s3("objects", objects).await?);
        let mut landing: BTreeMap<_, Arc<dyn ObjectStore>> = BTreeMap::from([(facts::embedded()?, own.clone())]);
        for source in &self.plan.sources {
            landing.insert(
                source.name.clone(),
                Arc::new(stores::s3(source.name.as_str(), &source.store).await?),
            );
        }
        let names = &self.plan.raw.buckets;
        let place = |bucket: &cofferdam_schemas::BucketName| Place {
            store: own.clone(),
            bucket: bucket.clone(),
        };
        Ok(Stores {
            landing,
            vault: place(&names.vault),
            quarantine: place(&names.quarantine),
            results: place(&names.results),
            outbox: place(&names.outbox),
        })
    }

    async fn store(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(SqliteStore::open(&self.plan.database).await?))
    }

    fn deps(&self, stores: Stores, store: Arc<dyn Store>) -> Deps {
        Deps {
            stores,
            catalog: Arc::new(sinks::StoreCatalog(store)),
            clock: self.clock.clone(),
            tenants: self.plan.tenants.clone(),
            data_dir: self.plan.data_dir.clone(),
            config_dir: self.plan.config_dir.clone(),
            stop: self.stop.clone(),
        }
    }

    fn worker(&self) -> WorkerSettings {
        WorkerSettings {
            concurrency: self.plan.raw.limits.concurrency,
            grace: Duration::from_secs(self.plan.raw.limits.grace_s),
            stop: self.stop.clone(),
            ..WorkerSettings::default()
        }
    }
}

async fn service(
    plan: &Plan,
    name: &str,
    processors: &[Registration],
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let facts = Facts::of(plan, processors)?;
    let url = plan
        .raw
        .nats
        .url
        .clone()
        .context("set nats.url: the servers to connect to")?;
    let secrets = plan
        .raw
        .nats
        .secrets_file
        .clone()
        .context("set nats.secrets_file: each role's user and password")?;
    let accounts = Accounts::load(&secrets, &plan.tenants, &facts.roles())?;
    let role = Role {
        plan,
        facts,
        accounts,
        url,
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    };

    if name == "provision" {
        let bus = role.bus("provisioner").await?;
        let report = cofferdam_nats::provision(&bus, &role.facts.topology(plan)).await?;
        println!(
            "created {}, updated {}, repaired {}",
            report.created.len(),
            report.updated.len(),
            report.drift.len()
        );
        bus.close().await;
        return Ok(());
    }

    let mut services = Services::new(stop.clone());
    let mut buses = Vec::new();
    match name {
        "normalise" => {
            let bus = role.bus("ingest").await?;
            let publisher: Arc<dyn ingest::Publisher> = Arc::new(bus.clone());
            let stores = role.stores().await?;
            let sources = plan.sources.iter().filter_map(|source| {
                let store = stores.landing.get(&source.name)?.clone();
                Some((
                    source.name.clone(),
                    ingest::RawSource {
                        dialect: source.dialect,
                        key_encoding: source.key_encoding,
                        store,
                    },
                ))
            });
            let normaliser = Arc::new(facts::normaliser(plan)?);
            let raw: Arc<dyn worker::Single> = Arc::new(ingest::RawNormaliser::new(
                sources.collect(),
                normaliser,
                publisher,
                None,
            ));
            let (own, settings) = (bus.clone(), role.worker());
            services.start(name, move |_| {
                worker::run_single(
                    own.clone(),
                    topology::RAW,
                    topology::NORMALISE,
                    raw.clone(),
                    settings.clone(),
                )
            });
            buses.push(bus);
        }
        "gateway" => {
            // The handlers only check bodies here; their work is done where their processor runs.
            let bus = role.bus("gateway").await?;
            let deps = role.deps(role.stores().await?, role.store().await?);
            let mut handlers = BTreeMap::new();
            for registration in processors.iter().filter(|registration| !registration.verbs.is_empty()) {
                let table = plan
                    .raw
                    .processors
                    .get(registration.name.as_str())
                    .cloned()
                    .unwrap_or_default();
                for handler in registration.start(table, deps.clone()).await?.commands() {
                    handlers.insert(ProcessorName::new(handler.verb())?, handler);
                }
            }
            let publisher: Arc<dyn ingest::Publisher> = Arc::new(bus.clone());
            let settings = ingest::GatewaySettings::default();
            let gateway = Arc::new(ingest::Gateway::new(
                handlers,
                plan.tenants.clone(),
                None,
                publisher,
                role.clock.clone(),
                settings,
            ));
            let own = bus.clone();
            services.start(name, move |stop| {
                ingest::run_gateway(own.clone(), gateway.clone(), stop)
            });
            buses.push(bus);
        }
        "join" => {
            let (bus, clock) = (role.bus("join").await?, role.clock.clone());
            let own = bus.with_finality(Arc::new(StoreFinality(role.store().await?)));
            services.start(name, move |stop| sinks::run_join(own.clone(), clock.clone(), stop));
            buses.push(bus);
        }
        "sink" => {
            let (bus, store) = (role.bus("sink").await?, role.store().await?);
            let stores = role.stores().await?;
            let isolation = facts::isolation(&stores);
            let finaliser = ingest::Finaliser::new(
                None,
                stores.landing,
                facts::embedded()?,
                isolation,
                facts::retire(plan),
                role.clock.clone(),
            );
            let hooks: Vec<Arc<dyn sinks::FinalHook>> = vec![Arc::new(Closing(Arc::new(finaliser)))];
            let own = bus.clone();
            services.start(name, move |stop| {
                sinks::run_sink(own.clone(), store.clone(), hooks.clone(), "sqlite", stop)
            });
            buses.push(bus);
        }
        "query" => {
            let (bus, store, tenants) = (role.bus("query").await?, role.store().await?, plan.tenants.clone());
            let own = bus.clone();
            services.start(name, move |stop| {
                sinks::run_query(own.clone(), store.clone(), tenants.clone(), stop)
            });
            buses.push(bus);
        }
        "dlq" => {
            let bus = role.bus("dlq").await?;
            let own = bus.clone();
            services.start(name, move |stop| worker::run_dlq_writer(own.clone(), stop));
            buses.push(bus);
        }
        "trim" => {
            let (bus, topology) = (role.bus("trim").await?, role.facts.topology(plan));
            let own = bus.with_finality(Arc::new(StoreFinality(role.store().await?)));
            let settings = facts::trim(plan);
            services.start(name, move |stop| {
                trim::run_trim(own.clone(), topology.clone(), settings.clone(), stop)
            });
            buses.push(bus);
        }
        _ => {
            let Some(registration) = processors
                .iter()
                .find(|registration| registration.name.as_str() == name)
            else {
                bail!("no service {name}")
            };
            let stores = role.stores().await?;
            let deps = role.deps(stores.clone(), role.store().await?);
            let table = plan.raw.processors.get(name).cloned().unwrap_or_default();
            let processor = registration
                .start(table, deps)
                .await
                .with_context(|| format!("processor {name} does not start"))?;
            for handler in processor.commands() {
                let (bus, clock, settings) = (role.bus(handler.verb()).await?, role.clock.clone(), role.worker());
                let own = bus.clone();
                services.start(format!("cmd-{}", handler.verb()), move |_| {
                    worker::run_command(own.clone(), handler.clone(), clock.clone(), settings.clone())
                });
                buses.push(bus);
            }
            let bus = role.bus(name).await?;
            let finality = Arc::new(StoreFinality(role.store().await?));
            for lane in Lane::ALL {
                let (own, processor, stores, clock, settings) = (
                    bus.with_finality(finality.clone()),
                    processor.clone(),
                    stores.clone(),
                    role.clock.clone(),
                    role.worker(),
                );
                services.start(format!("{name}-{lane}"), move |_| {
                    worker::run_processor(
                        own.clone(),
                        processor.clone(),
                        stores.clone(),
                        clock.clone(),
                        lane,
                        settings.clone(),
                    )
                });
            }
            buses.push(bus);
        }
    }

    let listener = http::bind(plan.raw.http.listen).await?;
    tracing::info!(service = name, health = %listener.local_addr()?, "ready");
    let connected = buses.clone();
    let check = Check {
        name: "nats",
        probe: Box::new(move || {
            let all = connected.iter().all(Bus::is_connected);
            Box::pin(async move { if all { Ok(()) } else { Err("not connected".to_owned()) } })
        }),
    };
    let (registry, until) = (telemetry.registry.clone(), stop.clone());
    let health = tokio::spawn(http::serve(listener, registry, vec![check], until));
    stop.cancelled().await;
    let drained = services.finish(super::up::DRAIN).await;
    for bus in &buses {
        let _ = tokio::time::timeout(Duration::from_millis(500), bus.close()).await;
    }
    let _ = health.await;
    tracing::info!(drained, "stopped");
    Ok(())
}
