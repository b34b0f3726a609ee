//! `cofferdam up`: everything in one process, with a supervised child nats-server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use cofferdam_bucket::{Bucket, BucketSettings, Credential, EndpointSettings, Grants};
use cofferdam_ingest as ingest;
use cofferdam_nats::accounts::Accounts;
use cofferdam_nats::server::{self, Preferred, ServerSettings, SyncMode};
use cofferdam_nats::worker::{self, WorkerSettings};
use cofferdam_nats::{Bus, topology, trim};
use cofferdam_processor::{Deps, Registration, Stores};
use cofferdam_schemas::{Lane, ProcessorName, SourceName};
use cofferdam_seams::{Clock, ObjectStore, Place, SystemClock, crash};
use cofferdam_sinks as sinks;
use cofferdam_sinks::Store;
use cofferdam_sinks::sqlite::SqliteStore;
use tokio_util::sync::CancellationToken;

use super::adapters::{Closing, StoreFinality, StoreFinals};
use super::buses::Broker;
use super::facts::{self, Facts};
use super::supervise::Services;
use super::{banner, stores};
use crate::args::{Global, Up};
use crate::config::{self, Plan, Sync};
use crate::http::{self, Check};
use crate::instance::{
    BucketNames, Lock, NatsAccess, OperatorLogin, RunFile, S3Access, S3Credentials, S3Pair, TenantLogin, private_dir,
};
use crate::output::{Exit, Failure};
use crate::people::keys::key_plan;
use crate::telemetry::Telemetry;

/// Everything must have ended so long after a signal.
pub(super) const DRAIN: Duration = Duration::from_millis(8_500);

/// Starts everything, waits for a signal, stops everything.
pub async fn up(global: &Global, args: &Up, processors: Vec<Registration>) -> Result<Exit, Failure> {
    let plan = config::load(global, &processors).map_err(|problems| Failure::new(Exit::Config, problems))?;
    crash::arm().map_err(|error| Failure::new(Exit::Config, error))?;
    for name in &args.without {
        if !processors.iter().any(|processor| processor.name.as_str() == name) {
            return Err(Failure::text(
                Exit::Config,
                format!("--without {name}: no such processor"),
            ));
        }
    }
    let lock = Lock::take(&plan.data_dir).map_err(|error| Failure::new(Exit::Temporary, error))?;
    let _ = std::fs::remove_file(RunFile::path(&plan.data_dir));
    let telemetry = Telemetry::start(&plan, "up")?;
    // From here on a signal ends the start as well.
    let stop = CancellationToken::new();
    let signals = tokio::spawn(signals(stop.clone()));
    let end = instance(&plan, args, processors, &telemetry, stop.clone()).await;
    signals.abort();
    let _ = std::fs::remove_file(RunFile::path(&plan.data_dir));
    tokio::task::spawn_blocking(move || telemetry.stop())
        .await
        .context("telemetry")?;
    drop(lock);
    end.map(|()| Exit::Ok)
        .map_err(|error| Failure::new(Exit::Failure, error))
}

/// The first signal drains, the second ends at once.
pub(super) async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    for round in 0.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round > 0 {
            std::process::exit(Exit::Interrupted as i32);
        }
        tracing::info!("stopping; work in hand is finished first");
        stop.cancel();
    }
}

async fn instance(
    plan: &Plan,
    args: &Up,
    processors: Vec<Registration>,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let facts = Facts::of(plan, &processors)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut notices = Vec::new();
    let mut moved = Vec::new();

    // Keys first: without them nothing can be sealed, and the first start must say where they are.
    let keys = key_plan(plan).map_err(|failure| failure.error)?;
    let (data_dir, config_dir, tenants, now) = (
        plan.data_dir.clone(),
        plan.config_dir.clone(),
        plan.tenants.clone(),
        clock.now(),
    );
    private_dir(&config_dir)?;
    let keyring = keys.keys.ring(&data_dir);
    let opened =
        tokio::task::spawn_blocking(move || keys.open_or_create(&data_dir, &config_dir, &tenants, now)).await?;
    if let Some(notice) = opened.context("the key ring cannot be opened")?.notice {
        notices.push(notice.to_string());
    }

    // The broker.
    let roles = facts.roles();
    let accounts = Accounts::load_or_create(&plan.data_dir.join("secrets.json"), &plan.tenants, &roles)?;
    let binary = server::find_binary(plan.raw.nats.server.as_deref())?;
    let mut settings = ServerSettings::new(binary, &plan.data_dir);
    settings.sync = match plan.raw.nats.sync {
        Sync::HundredMillis => SyncMode::default(),
        Sync::Always => SyncMode::Always,
        Sync::TwoMinutes => SyncMode::Interval(Duration::from_secs(120)),
    };
    let wish = |address: SocketAddr| (address.port() != 0).then_some(address.port());
    settings.preferred = Preferred {
        client: wish(plan.raw.nats.listen),
        websocket: wish(plan.raw.nats.websocket_listen),
        monitor: None,
    };
    let server = server::start(settings, &accounts).await?;
    moved.extend(
        server
            .moved_ports()
            .iter()
            .map(|(what, asked, got)| format!("port {asked} for NATS ({what}) is taken; {got} is used")),
    );
    let url = server.url();
    let broker = Broker {
        url: &url,
        accounts: &accounts,
        roles: &roles,
    };
    let provisioner = broker.unchecked("provisioner").await?;
    let topology = facts.topology_within(plan, topology::StreamLimits::within(server.max_store()));
    let report = cofferdam_nats::provision(&provisioner, &topology).await?;
    tracing::info!(
        created = report.created.len(),
        updated = report.updated.len(),
        "streams and consumers are as they should be"
    );
    for drift in &report.drift {
        tracing::warn!(%drift, "setting was repaired");
    }
    server.flush_definitions().await?;
    let connected = ["ingest", "gateway", "join", "sink", "query", "dlq", "trim"]
        .map(str::to_owned)
        .into_iter()
        .chain(facts.processors.iter().chain(&facts.verbs).map(ToString::to_string));

    // The stores, beside the connections.
    let normaliser = Arc::new(facts::normaliser(plan)?);
    let names = &plan.raw.buckets;
    let opened = async {
        let settings = BucketSettings {
            data_dir: plan.data_dir.clone(),
            region: plan.raw.s3.region.clone(),
            landing: facts::landing(plan, &normaliser),
            inline_limit: 64 * 1024,
            clock: clock.clone(),
        };
        let (bucket, store) = (Bucket::open(settings).await?, SqliteStore::open(&plan.database).await?);
        anyhow::Ok((bucket, store))
    };
    let (buses, (bucket, store)) = tokio::try_join!(broker.buses(connected), opened)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let bus = |role: &str| {
        buses
            .get(role)
            .cloned()
            .with_context(|| format!("no connection for role {role}"))
    };
    for name in plan.landing.iter().chain(names.all()) {
        bucket.create_bucket(name).await?;
    }
    let own: Arc<dyn ObjectStore> = Arc::new(bucket.clone());
    let place = |name: &cofferdam_schemas::BucketName| Place {
        store: own.clone(),
        bucket: name.clone(),
    };
    let embedded = facts::embedded()?;
    let mut landing: BTreeMap<SourceName, Arc<dyn ObjectStore>> = BTreeMap::from([(embedded.clone(), own.clone())]);
    let mut raw_sources = BTreeMap::new();
    for source in &plan.sources {
        let store: Arc<dyn ObjectStore> = Arc::new(stores::s3(source.name.as_str(), &source.store).await?);
        landing.insert(source.name.clone(), store.clone());
        raw_sources.insert(
            source.name.clone(),
            ingest::RawSource {
                dialect: source.dialect,
                key_encoding: source.key_encoding,
                store,
            },
        );
    }
    let stores = Stores {
        landing: landing.clone(),
        vault: place(&names.vault),
        quarantine: place(&names.quarantine),
        results: place(&names.results),
        outbox: place(&names.outbox),
    };

    // The endpoint, so that links can be signed before the first command.
    let credentials = S3Credentials::load_or_create(&plan.data_dir, &plan.tenants)?;
    let credential = |pair: &S3Pair, grants| Credential {
        access_key_id: pair.access_key_id.clone(),
        secret: pair.secret_access_key.clone().into(),
        grants,
    };
    let mut all = vec![credential(&credentials.operator, Grants::Operator)];
    for tenant in &plan.tenants {
        let pair = credentials
            .tenants
            .get(tenant.as_str())
            .context("credentials of a tenant")?;
        all.push(credential(pair, facts::grants(plan, tenant)));
    }
    let listener = http::bind(plan.raw.s3.listen).await?;
    let address = listener.local_addr()?;
    if plan.raw.s3.listen.port() != 0 && address.port() != plan.raw.s3.listen.port() {
        moved.push(format!(
            "port {} for S3 is taken; {} is used",
            plan.raw.s3.listen.port(),
            address.port()
        ));
    }
    let endpoint_url = format!("http://{address}");
    bucket.set_endpoint(
        endpoint_url.clone(),
        credential(&credentials.operator, Grants::Operator),
    );

    // Processors and their commands.
    let deps = Deps {
        stores: stores.clone(),
        catalog: Arc::new(sinks::StoreCatalog(store.clone())),
        clock: clock.clone(),
        tenants: plan.tenants.clone(),
        data_dir: plan.data_dir.clone(),
        config_dir: plan.config_dir.clone(),
        stop: stop.clone(),
    };
    let mut services = Services::new(stop.clone());
    let worker_settings = WorkerSettings {
        concurrency: plan.raw.limits.concurrency,
        grace: Duration::from_secs(plan.raw.limits.grace_s),
        stop: stop.clone(),
        ..WorkerSettings::default()
    };
    let mut handlers = BTreeMap::new();
    for registration in &processors {
        let name = registration.name.clone();
        let table = plan.raw.processors.get(name.as_str()).cloned().unwrap_or_default();
        let started = registration.start(table, deps.clone()).await;
        let processor = started.with_context(|| format!("processor {name} does not start"))?;
        let elsewhere = args.without.iter().any(|without| without == name.as_str());
        for handler in processor.commands() {
            handlers.insert(ProcessorName::new(handler.verb())?, handler.clone());
            if !elsewhere {
                let (bus, clock, settings) = (bus(handler.verb())?, clock.clone(), worker_settings.clone());
                services.start(format!("cmd-{}", handler.verb()), move |_| {
                    worker::run_command(bus.clone(), handler.clone(), clock.clone(), settings.clone())
                });
            }
        }
        if !elsewhere {
            // An event that comes again after its `done` was trimmed must not have a second result.
            let finality = Arc::new(StoreFinality(store.clone()));
            for lane in Lane::ALL {
                let (bus, processor, stores, clock, settings) = (
                    bus(name.as_str())?.with_finality(finality.clone()),
                    processor.clone(),
                    stores.clone(),
                    clock.clone(),
                    worker_settings.clone(),
                );
                services.start(format!("{name}-{lane}"), move |_| {
                    worker::run_processor(
                        bus.clone(),
                        processor.clone(),
                        stores.clone(),
                        clock.clone(),
                        lane,
                        settings.clone(),
                    )
                });
            }
        }
    }

    // Ingest.
    {
        let (bucket, days) = (bucket.clone(), u64::from(plan.raw.s3.uploads_expire_days));
        services.start("uploads", move |stop| {
            cofferdam_bucket::run_expiry(bucket.clone(), Duration::from_secs(days * 86_400), stop)
        });
    }
    let ledger = bucket.ledger();
    let publisher: Arc<dyn ingest::Publisher> = Arc::new(bus("ingest")?);
    let finaliser = Arc::new(ingest::Finaliser::new(
        Some(ledger.clone()),
        landing,
        embedded,
        facts::isolation(&stores),
        facts::retire(plan),
        clock.clone(),
    ));
    let folder = plan.folder.clone().map(|path| ingest::FolderSettings {
        settle: Duration::from_millis(plan.raw.folder.settle_ms),
        every: Duration::from_millis(plan.raw.folder.poll_ms),
        ..ingest::FolderSettings::new(path, plan.inbox.clone())
    });
    if let Some(folder) = &folder {
        ingest::recover_folder(folder, own.clone()).await?;
        let (folder, own) = (folder.clone(), own.clone());
        services.start("folder", move |stop| {
            ingest::run_folder(folder.clone(), own.clone(), stop)
        });
    }
    {
        let (ledger, publisher, normaliser) = (ledger.clone(), publisher.clone(), normaliser.clone());
        services.start("pump", move |stop| {
            ingest::run_pump(ledger.clone(), publisher.clone(), normaliser.clone(), stop)
        });
    }
    {
        let (ledger, publisher, normaliser, finaliser, clock) = (
            ledger.clone(),
            publisher.clone(),
            normaliser.clone(),
            finaliser.clone(),
            clock.clone(),
        );
        let finals = Arc::new(StoreFinals(store.clone()));
        services.start("redrive", move |stop| {
            let settings = ingest::RedriveSettings::default();
            ingest::run_redrive(
                ledger.clone(),
                publisher.clone(),
                normaliser.clone(),
                finals.clone(),
                finaliser.clone(),
                clock.clone(),
                settings,
                stop,
            )
        });
    }
    {
        let raw: Arc<dyn worker::Single> = Arc::new(ingest::RawNormaliser::new(
            raw_sources,
            normaliser.clone(),
            publisher.clone(),
            Some(ledger.clone()),
        ));
        let (bus, settings) = (bus("ingest")?, worker_settings.clone());
        services.start("normalise", move |_| {
            worker::run_single(
                bus.clone(),
                topology::RAW,
                topology::NORMALISE,
                raw.clone(),
                settings.clone(),
            )
        });
    }
    {
        let settings = ingest::GatewaySettings::default();
        let gateway = ingest::Gateway::new(
            handlers,
            plan.tenants.clone(),
            Some(ledger.clone()),
            publisher.clone(),
            clock.clone(),
            settings,
        );
        let (bus, gateway) = (bus("gateway")?, Arc::new(gateway));
        services.start("gateway", move |stop| {
            ingest::run_gateway(bus.clone(), gateway.clone(), stop)
        });
    }

    // Results.
    {
        let finality = Arc::new(StoreFinality(store.clone()));
        let (bus, clock) = (bus("join")?.with_finality(finality), clock.clone());
        services.start("join", move |stop| sinks::run_join(bus.clone(), clock.clone(), stop));
    }
    {
        let (bus, store) = (bus("sink")?, store.clone());
        let hooks: Vec<Arc<dyn sinks::FinalHook>> = vec![Arc::new(Closing(finaliser.clone()))];
        services.start("sink", move |stop| {
            sinks::run_sink(bus.clone(), store.clone(), hooks.clone(), "sqlite", stop)
        });
    }
    {
        let (bus, store, tenants) = (bus("query")?, store.clone(), plan.tenants.clone());
        services.start("query", move |stop| {
            sinks::run_query(bus.clone(), store.clone(), tenants.clone(), stop)
        });
    }
    {
        let bus = bus("dlq")?;
        services.start("dlq", move |stop| worker::run_dlq_writer(bus.clone(), stop));
    }
    {
        let finality = Arc::new(StoreFinality(store.clone()));
        let (bus, topology) = (bus("trim")?.with_finality(finality), topology.clone());
        let settings = facts::trim(plan);
        services.start("trim", move |stop| {
            trim::run_trim(bus.clone(), topology.clone(), settings.clone(), stop)
        });
    }
    {
        let (bus, topology) = (provisioner.clone(), topology);
        services.start("consumer-metrics", move |stop| {
            let poll =
                cofferdam_nats::metrics::poll_consumers(bus.clone(), topology.clone(), Duration::from_secs(5), stop);
            async move {
                poll.await;
                anyhow::Ok(())
            }
        });
    }

    // Doors last.
    let endpoint = cofferdam_bucket::serve_on(
        bucket.clone(),
        listener,
        EndpointSettings {
            credentials: all,
            region: plan.raw.s3.region.clone(),
            max_connections: plan.raw.s3.max_connections,
            ..EndpointSettings::default()
        },
        stop.clone(),
    )
    .await?;
    let listener = http::bind(plan.raw.http.listen).await?;
    let health = format!("http://{}", listener.local_addr()?);
    {
        let (registry, checks, stop) = (
            telemetry.registry.clone(),
            checks(&services, &buses, &own, &store),
            stop.clone(),
        );
        tokio::spawn(async move {
            if let Err(error) = http::serve(listener, registry, checks, stop).await {
                tracing::error!(error = format!("{error:#}"), "health endpoint failed");
            }
        });
    }

    let run = run_file(
        plan,
        &accounts,
        &credentials,
        &server,
        endpoint_url,
        health,
        &keyring,
        folder.map(|f| f.path),
    )?;
    if !stop.is_cancelled() {
        run.write(&plan.data_dir)?;
        tracing::info!(s3 = run.s3.endpoint, nats = run.nats.url, "ready");
        if args.quiet {
            notices
                .iter()
                .chain(&moved)
                .for_each(|notice| tracing::warn!("{notice}"));
        } else {
            print!("{}", banner::ready(&run, &plan.data_dir, &moved, &notices));
        }
    }
    stop.cancelled().await;

    let began = std::time::Instant::now();
    let drained = services.finish(DRAIN).await;
    endpoint.join().await;
    for bus in buses.values().chain([&provisioner]) {
        let _ = tokio::time::timeout(Duration::from_millis(500), bus.close()).await;
    }
    server.stop().await;
    bucket.close().await;
    tracing::info!(drained, took_ms = began.elapsed().as_millis() as u64, "stopped");
    if !drained {
        tracing::warn!("some work was not finished in time; it is delivered again after the next start");
    }
    Ok(())
}

fn checks(
    services: &Services,
    buses: &BTreeMap<String, Bus>,
    own: &Arc<dyn ObjectStore>,
    store: &Arc<dyn Store>,
) -> Vec<Check> {
    let faults = services.faults();
    let buses: Vec<_> = buses.values().cloned().collect();
    let (own, store) = (own.clone(), store.clone());
    vec![
        Check {
            name: "nats",
            probe: Box::new(move || {
                let down: Vec<_> = buses
                    .iter()
                    .filter(|bus| !bus.is_connected())
                    .map(|bus| bus.role().to_owned())
                    .collect();
                Box::pin(async move {
                    if down.is_empty() {
                        Ok(())
                    } else {
                        Err(format!("not connected: {}", down.join(", ")))
                    }
                })
            }),
        },
        Check {
            name: "bucket",
            probe: Box::new(move || {
                let own = own.clone();
                Box::pin(async move { own.ready().await.map_err(|error| error.to_string()) })
            }),
        },
        Check {
            name: "store",
            probe: Box::new(move || {
                let store = store.clone();
                Box::pin(async move { store.ready().await.map_err(|error| error.to_string()) })
            }),
        },
        Check {
            name: "services",
            probe: Box::new(move || {
                let down: Vec<_> = faults
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .keys()
                    .cloned()
                    .collect();
                Box::pin(async move {
                    if down.is_empty() {
                        Ok(())
                    } else {
                        Err(format!("failed, being started again: {}", down.join(", ")))
                    }
                })
            }),
        },
    ]
}

#[allow(clippy::too_many_arguments)] // Every piece of the file comes from another part.
fn run_file(
    plan: &Plan,
    accounts: &Accounts,
    credentials: &S3Credentials,
    server: &server::Server,
    endpoint: String,
    http: String,
    keyring: &Path,
    folder: Option<std::path::PathBuf>,
) -> anyhow::Result<RunFile> {
    use secrecy::ExposeSecret;
    let Some(tenant) = plan.tenants.first() else {
        bail!("no tenant")
    };
    let login = accounts.tenant_login(tenant).context("login of the tenant")?;
    let operator = accounts.operator_login().context("login of the operator")?;
    let pair = credentials
        .tenants
        .get(tenant.as_str())
        .context("credentials of the tenant")?;
    let names = &plan.raw.buckets;
    Ok(RunFile {
        pid: std::process::id(),
        s3: S3Access {
            endpoint,
            region: plan.raw.s3.region.clone(),
            access_key_id: pair.access_key_id.clone(),
            secret_access_key: pair.secret_access_key.clone(),
        },
        buckets: BucketNames {
            inbox: plan.inbox.to_string(),
            vault: names.vault.to_string(),
            quarantine: names.quarantine.to_string(),
            results: names.results.to_string(),
            outbox: names.outbox.to_string(),
        },
        inbox_folder: folder.map(|path| path.display().to_string()).unwrap_or_default(),
        nats: NatsAccess {
            url: server.url(),
            websocket: server.websocket_url(),
            tenant: TenantLogin {
                name: tenant.to_string(),
                user: login.user,
                password: login.password.expose_secret().to_owned(),
            },
            operator: OperatorLogin {
                user: operator.user,
                password: operator.password.expose_secret().to_owned(),
            },
        },
        http,
        database: plan.database.display().to_string(),
        keyring: keyring.display().to_string(),
    })
}
