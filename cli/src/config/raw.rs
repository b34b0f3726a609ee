//! The configuration as it is written. Every field has a default, so that no file is needed on a laptop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use cofferdam_nats::trim::TrimSettings;
use cofferdam_schemas::{BucketName, ProcessorName, SourceName, TenantName};
use serde::{Deserialize, Serialize};

/// `cofferdam.toml`. Precedence: flag, then environment (`COFFERDAM__SECTION__KEY`), then file, then default. An unknown key is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    /// Where everything that must last is kept, except key files.
    pub data_dir: PathBuf,
    /// Where key files are kept: outside the data directory, so that one lost disk or copied backup does not hold both.
    pub config_dir: Option<PathBuf>,
    /// Who uses this installation. Each gets an account on NATS, credentials for S3 and keys of its own.
    pub tenants: Vec<Tenant>,
    /// The buckets files are dropped into, and whose they are.
    pub landing: Vec<Landing>,
    /// The other buckets.
    pub buckets: Buckets,
    /// The folder that files can be copied into.
    pub folder: Folder,
    /// What happens to the landing copy once a document is done.
    pub retire: Retire,
    /// What every document needs.
    pub plan: PlanSection,
    /// The embedded S3 endpoint.
    pub s3: S3,
    /// The broker.
    pub nats: Nats,
    /// Where rows go.
    pub store: Store,
    /// Foreign object stores whose notifications arrive on `raw.s3.<name>`.
    pub sources: Vec<Source>,
    /// With `cofferdam run`: the S3 store that holds all buckets. Not used by `cofferdam up`.
    pub objects: Option<S3Store>,
    /// Health and metrics over HTTP.
    pub http: Http,
    /// Logs.
    pub log: Log,
    /// Traces and metrics to a collector.
    pub telemetry: Telemetry,
    /// How much at once.
    pub limits: Limits,
    /// Each processor's own settings, by name.
    pub processors: BTreeMap<String, toml::Table>,
}

impl Default for Raw {
    fn default() -> Self {
        #[allow(clippy::expect_used)] // Unwrap safety: literals that the types' tests accept.
        let (tenant, inbox) = (
            TenantName::new("default").expect("valid"),
            BucketName::new("inbox").expect("valid"),
        );
        Self {
            data_dir: PathBuf::from("./cofferdam-data"),
            config_dir: None,
            tenants: vec![Tenant { name: tenant.clone() }],
            landing: vec![Landing {
                bucket: inbox,
                tenant: Some(tenant),
                tenant_from: None,
                source: None,
            }],
            buckets: Buckets::default(),
            folder: Folder::default(),
            retire: Retire::default(),
            plan: PlanSection::default(),
            s3: S3::default(),
            nats: Nats::default(),
            store: Store::default(),
            sources: Vec::new(),
            objects: None,
            http: Http::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            limits: Limits::default(),
            processors: BTreeMap::new(),
        }
    }
}

/// A tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// 1 to 32 of `a-z0-9-`.
    pub name: TenantName,
}

/// A landing bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landing {
    /// The bucket.
    pub bucket: BucketName,
    /// Everything in it belongs to this tenant.
    pub tenant: Option<TenantName>,
    /// Or: the key's first segment names the tenant.
    pub tenant_from: Option<TenantFrom>,
    /// The foreign source it belongs to; absent for the embedded bucket.
    pub source: Option<SourceName>,
}

/// How a key names its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantFrom {
    /// The text before the first `/`.
    FirstSegment,
}

/// The buckets Cofferdam writes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Buckets {
    /// Sealed objects.
    pub vault: BucketName,
    /// Sealed objects that are quarantined; tenants' credentials do not reach it.
    pub quarantine: BucketName,
    /// Artefacts.
    pub results: BucketName,
    /// Retrieved copies, for their short time.
    pub outbox: BucketName,
}

impl Buckets {
    /// All of them.
    pub fn all(&self) -> [&BucketName; 4] {
        [&self.vault, &self.quarantine, &self.results, &self.outbox]
    }
}

impl Default for Buckets {
    fn default() -> Self {
        #[allow(clippy::expect_used)] // Unwrap safety: literals that the type's tests accept.
        let name = |text: &str| BucketName::new(text).expect("valid");
        Self {
            vault: name("vault"),
            quarantine: name("quarantine"),
            results: name("results"),
            outbox: name("outbox"),
        }
    }
}

/// The inbox folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Folder {
    /// Whether there is one.
    pub enabled: bool,
    /// Where; `<data_dir>/inbox` unless set.
    pub path: Option<PathBuf>,
    /// A file is taken once its size and time have not changed for so many milliseconds.
    pub settle_ms: u64,
    /// How often to look, in milliseconds.
    pub poll_ms: u64,
    /// The landing bucket its files go to; the first one unless set.
    pub bucket: Option<BucketName>,
}

impl Default for Folder {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            settle_ms: 1_000,
            poll_ms: 500,
            bucket: None,
        }
    }
}

/// What happens to the landing copy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retire {
    /// `until-done`: deleted once the sealed copy was read back and opened and the document is done. `keep`: never. `after`: so many seconds later.
    pub policy: RetirePolicy,
    /// Seconds, with `after`.
    pub after_s: Option<u64>,
}

/// See [`Retire`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetirePolicy {
    /// Until it is done.
    #[default]
    UntilDone,
    /// For ever.
    Keep,
    /// For a time after it is done.
    After,
}

/// What every document needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanSection {
    /// The processors whose result is required; all that this build has unless set.
    pub required: Option<Vec<ProcessorName>>,
    /// Names this policy in plans. Change it when you change `required`.
    pub policy: Option<String>,
}

/// The embedded S3 endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// The address; another port is picked when this one is taken.
    pub listen: SocketAddr,
    /// The region clients sign for.
    pub region: String,
    /// Connections at once.
    pub max_connections: usize,
    /// A multipart upload that nobody went on with for so many days is removed, with its parts; 1 to 3,650.
    pub uploads_expire_days: u32,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
            region: "us-east-1".to_owned(),
            max_connections: 1024,
            uploads_expire_days: 7,
        }
    }
}

/// The broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// The nats-server program; `COFFERDAM_NATS_SERVER` or the one on `PATH` unless set.
    pub server: Option<PathBuf>,
    /// The embedded server's address; another port is picked when this one is taken.
    pub listen: SocketAddr,
    /// Its WebSocket address.
    pub websocket_listen: SocketAddr,
    /// When the server flushes to disk: `100ms` with the ledger covering the window, or `always` (one flush a message). `2m` is nats-server's own default and
    /// unsafe: a power cut takes two minutes of messages. It is there to show what that costs.
    pub sync: Sync,
    /// With `cofferdam run`: the servers to connect to.
    pub url: Option<String>,
    /// With `cofferdam run`: the file with each role's user and password, as `cofferdam up` writes it (`secrets.json`).
    pub secrets_file: Option<PathBuf>,
    /// Replicas of streams and consumers: 1 embedded, 3 on a cluster.
    pub replicas: usize,
    /// When streams are cut, and down to what.
    pub trim: Trim,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            server: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 4222)),
            websocket_listen: SocketAddr::from(([127, 0, 0, 1], 9222)),
            sync: Sync::HundredMillis,
            url: None,
            secrets_file: None,
            replicas: 1,
            trim: Trim::default(),
        }
    }
}

/// How the streams are kept short. Nothing that somebody still needs is removed, whatever stands here; a stream that is full of such things refuses more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trim {
    /// How often to look, in seconds, 1 to 3,600; ten times as often while a stream is above `start`.
    pub every_s: u64,
    /// From this share of a stream's limit on, what nobody needs is removed.
    pub start: f64,
    /// From this share on, `replay_s` and messages with a dead letter yield. Above `start`, at most 1.
    pub pressure: f64,
    /// How many seconds messages stay for people who want to read them again. More of them costs disk, up to the stream's limit.
    pub replay_s: u64,
    /// How many milliseconds what consumers acknowledged must have stood before it counts, 1,000 to 60,000.
    pub settle_ms: u64,
    /// Numbers of messages that count as full, by stream, besides the limits in bytes. 100,000 of `JOIN` cost the server about 50 MB of memory.
    pub most: BTreeMap<String, u64>,
}

impl Default for Trim {
    fn default() -> Self {
        // What is in force without a file is said in one place.
        let settings = TrimSettings::default();
        Self {
            every_s: settings.every.as_secs(),
            start: settings.start,
            pressure: settings.pressure,
            replay_s: settings.replay.as_secs(),
            settle_ms: u64::try_from(settings.settle.as_millis()).unwrap_or(u64::MAX),
            most: settings.most,
        }
    }
}

/// When the embedded server flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// Every 100 ms.
    #[serde(rename = "100ms")]
    HundredMillis,
    /// With every message.
    #[serde(rename = "always")]
    Always,
    /// Every two minutes, as nats-server does by itself. Unsafe.
    #[serde(rename = "2m")]
    TwoMinutes,
}

/// Where rows go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The SQLite file; `<data_dir>/cofferdam.db` unless set.
    pub path: Option<PathBuf>,
}

/// A foreign object store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name: notifications arrive on `raw.s3.<name>`.
    pub name: SourceName,
    /// The shape of its notifications: auto, aws, sns, eventbridge, minio, versitygw, ceph.
    pub dialect: String,
    /// How it writes keys, where it differs from others of its dialect: `form` (`+` is a space, `%2F` a slash) or `raw` (as they are). A wrong
    /// word here changes keys: what is looked up is then not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_encoding: Option<KeyEncoding>,
    /// Where its objects are read.
    pub store: S3Store,
    /// Whether it publishes to our NATS itself; then it gets a user of its own, shown by `cofferdam up`.
    #[serde(default)]
    pub publishes: bool,
}

/// How a source writes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// As in forms.
    Form,
    /// As they are.
    Raw,
}

impl From<KeyEncoding> for cofferdam_ingest::dialect::KeyEncoding {
    fn from(encoding: KeyEncoding) -> Self {
        match encoding {
            KeyEncoding::Form => Self::Form,
            KeyEncoding::Raw => Self::Plain,
        }
    }
}

/// An S3 store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Store {
    /// Its URL; AWS when absent.
    pub endpoint: Option<String>,
    /// Its region.
    #[serde(default = "region")]
    pub region: String,
    /// The access key id; the default chain of the AWS SDK when absent.
    pub access_key_id: Option<String>,
    /// The file that holds the secret.
    pub secret_access_key_file: Option<PathBuf>,
    /// Bucket in the path instead of the host name.
    #[serde(default = "yes")]
    pub path_style: bool,
}

fn region() -> String {
    "us-east-1".to_owned()
}

fn yes() -> bool {
    true
}

/// Health and metrics over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The address; another port is picked when this one is taken.
    pub listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8484)),
        }
    }
}

/// Logs, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `human` or `json`.
    pub format: LogFormat,
    /// A filter such as `info` or `warn,cofferdam_nats=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            filter: "info".to_owned(),
        }
    }
}

/// See [`Log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line, with trace and span ids.
    Json,
}

/// Traces and metrics to a collector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The base URL of an OTLP/HTTP collector, for example `http://127.0.0.1:4318`. Nothing is exported unless set.
    pub otlp_endpoint: Option<String>,
    /// The share of new traces that are recorded, 0 to 1.
    pub sample_ratio: f64,
    /// The service name.
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sample_ratio: 1.0,
            service_name: "cofferdam".to_owned(),
        }
    }
}

/// How much at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Documents each processor works on at once, per lane. Each costs up to a few MiB.
    pub concurrency: usize,
    /// Seconds a stopping service waits for work in hand; at most 9, so that Ctrl-C ends within 10.
    pub grace_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 32,
            grace_s: 6,
        }
    }
}
