//! A configuration that is known to be valid.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cofferdam_nats::trim::STREAMS;
use cofferdam_processor::{ConfigProblem, Registration};
use cofferdam_schemas::{BucketName, ProcessorName, SourceName, TenantName};

use super::raw::{Raw, RetirePolicy, S3Store, Trim};

/// A foreign store, checked.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Its name.
    pub name: SourceName,
    /// The dialect's name; `ingest` has checked it.
    pub dialect: cofferdam_ingest::dialect::Dialect,
    /// How it writes keys, where that differs from its dialect.
    pub key_encoding: Option<cofferdam_ingest::dialect::KeyEncoding>,
    /// Where its objects are read.
    pub store: S3Store,
    /// Whether it needs a user on our NATS.
    pub publishes: bool,
}

/// The configuration after all checks; what it was written as stands in `raw`.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As written.
    pub raw: Raw,
    /// The data directory, absolute.
    pub data_dir: PathBuf,
    /// The directory for key files, absolute.
    pub config_dir: PathBuf,
    /// The tenants.
    pub tenants: Vec<TenantName>,
    /// Landing buckets in the embedded bucket.
    pub landing: Vec<BucketName>,
    /// The inbox folder.
    pub folder: Option<PathBuf>,
    /// The landing bucket for the folder's files and for `put`.
    pub inbox: BucketName,
    /// The SQLite file.
    pub database: PathBuf,
    /// What every document needs.
    pub required: Vec<ProcessorName>,
    /// The policy's name.
    pub policy: String,
    /// Foreign stores.
    pub sources: Vec<SourcePlan>,
}

impl Plan {
    /// Pure but for the current directory and `$HOME`. Reports every problem.
    pub fn check(raw: Raw, processors: &[Registration]) -> Result<Plan, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: String| {
            problems.push(ConfigProblem {
                key: key.to_owned(),
                message,
            })
        };

        let here = std::env::current_dir().unwrap_or_default();
        let data_dir = here.join(&raw.data_dir);
        let config_dir = match &raw.config_dir {
            Some(dir) => here.join(dir),
            None => super::default_config_dir().unwrap_or_else(|| {
                wrong(
                    "config_dir",
                    "neither HOME nor XDG_CONFIG_HOME is set; set config_dir to a directory outside the data directory"
                        .into(),
                );
                PathBuf::new()
            }),
        };

        let tenants: Vec<TenantName> = raw.tenants.iter().map(|tenant| tenant.name.clone()).collect();
        if tenants.is_empty() {
            wrong("tenants", "at least one tenant is needed".into());
        }
        let mut seen = BTreeSet::new();
        for tenant in tenants.iter().filter(|tenant| !seen.insert((*tenant).clone())) {
            wrong("tenants", format!("tenant {tenant} stands twice"));
        }

        let mut buckets: BTreeSet<&BucketName> = raw.buckets.all().into();
        if buckets.len() < raw.buckets.all().len() {
            wrong(
                "buckets",
                "vault, quarantine, results and outbox must be four different buckets".into(),
            );
        }
        for (n, landing) in raw.landing.iter().enumerate() {
            let key = format!("landing[{n}]");
            match (&landing.tenant, landing.tenant_from) {
                (Some(tenant), None) if !tenants.contains(tenant) => {
                    wrong(&key, format!("tenant {tenant} is not in `tenants`"))
                }
                (Some(_), None) | (None, Some(_)) => {}
                _ => wrong(&key, "set either `tenant` or `tenant_from`".into()),
            }
            if let Some(source) = &landing.source
                && !raw.sources.iter().any(|known| known.name == *source)
            {
                wrong(&key, format!("source {source} is not in `sources`"));
            }
            if landing.source.is_none() && !buckets.insert(&landing.bucket) {
                wrong(&key, format!("bucket {} is used twice", landing.bucket));
            }
        }
        let landing: Vec<BucketName> = raw
            .landing
            .iter()
            .filter(|l| l.source.is_none())
            .map(|l| l.bucket.clone())
            .collect();
        let inbox = raw.folder.bucket.clone().or_else(|| landing.first().cloned());
        let inbox = match inbox {
            Some(bucket) if landing.contains(&bucket) => bucket,
            Some(bucket) => {
                wrong(
                    "folder.bucket",
                    format!("{bucket} is not a landing bucket of the embedded store"),
                );
                bucket
            }
            None => {
                wrong(
                    "landing",
                    "at least one landing bucket without `source` is needed".into(),
                );
                raw.buckets.outbox.clone()
            }
        };
        match (raw.retire.policy, raw.retire.after_s) {
            (RetirePolicy::After, None) => wrong("retire.after_s", "needed with policy = \"after\"".into()),
            (RetirePolicy::UntilDone | RetirePolicy::Keep, Some(_)) => {
                wrong("retire.after_s", "only with policy = \"after\"".into())
            }
            (RetirePolicy::After, Some(_)) | (RetirePolicy::UntilDone | RetirePolicy::Keep, None) => {}
        }

        let names: Vec<&ProcessorName> = processors.iter().map(|processor| &processor.name).collect();
        let known = || names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let required = raw
            .plan
            .required
            .clone()
            .unwrap_or_else(|| names.iter().map(|name| (*name).clone()).collect());
        for name in required.iter().filter(|name| !names.contains(name)) {
            wrong(
                "plan.required",
                format!("no processor {name}; this build has {}", known()),
            );
        }
        if required.is_empty() {
            wrong("plan.required", "at least one processor is needed".into());
        }
        if !required.iter().any(|name| name.as_str() == "encrypt") && raw.retire.policy != RetirePolicy::Keep {
            wrong(
                "retire.policy",
                "must be \"keep\" when no plan requires `encrypt`: nothing would be sealed".into(),
            );
        }
        for (name, table) in &raw.processors {
            match processors.iter().find(|processor| processor.name.as_str() == name) {
                None => wrong(
                    &format!("processors.{name}"),
                    format!("no such processor; this build has {}", known()),
                ),
                Some(processor) => {
                    if let Err(errors) = processor.check(table.clone()) {
                        errors
                            .0
                            .into_iter()
                            .for_each(|problem| wrong(&problem.key, problem.message));
                    }
                }
            }
        }

        let mut sources = Vec::new();
        let mut seen = BTreeSet::new();
        for (n, source) in raw.sources.iter().enumerate() {
            let key = format!("sources[{n}]");
            if !seen.insert(source.name.clone()) || source.name.as_str() == "inbox" {
                wrong(
                    &format!("{key}.name"),
                    format!("{} stands twice or is taken", source.name),
                );
            }
            if source.store.access_key_id.is_some() != source.store.secret_access_key_file.is_some() {
                wrong(
                    &format!("{key}.store"),
                    "access_key_id and secret_access_key_file go together".into(),
                );
            }
            match source.dialect.parse() {
                Ok(dialect) => sources.push(SourcePlan {
                    name: source.name.clone(),
                    dialect,
                    key_encoding: source.key_encoding.map(Into::into),
                    store: source.store.clone(),
                    publishes: source.publishes,
                }),
                Err(_) => wrong(
                    &format!("{key}.dialect"),
                    format!(
                        "no dialect {:?}; known: auto, aws, sns, eventbridge, minio, versitygw, ceph",
                        source.dialect
                    ),
                ),
            }
        }
        if !(1..=3_650).contains(&raw.s3.uploads_expire_days) {
            wrong("s3.uploads_expire_days", "is 1 to 3650".into());
        }
        if !(0.0..=1.0).contains(&raw.telemetry.sample_ratio) {
            wrong("telemetry.sample_ratio", "is 0 to 1".into());
        }
        if !(1..=1024).contains(&raw.limits.concurrency) {
            wrong("limits.concurrency", "is 1 to 1024".into());
        }
        if raw.limits.grace_s > 9 {
            wrong("limits.grace_s", "is at most 9".into());
        }
        check_trim(&raw.nats.trim, &mut wrong);
        if !problems.is_empty() {
            return Err(problems);
        }
        let policy = raw.plan.policy.clone().unwrap_or_else(|| "default-1".to_owned());
        Ok(Plan {
            database: raw
                .store
                .path
                .as_ref()
                .map_or_else(|| data_dir.join("cofferdam.db"), |path| here.join(path)),
            folder: raw.folder.enabled.then(|| {
                raw.folder
                    .path
                    .as_ref()
                    .map_or_else(|| data_dir.join("inbox"), |path| here.join(path))
            }),
            data_dir,
            config_dir,
            tenants,
            landing,
            inbox,
            required,
            policy,
            sources,
            raw,
        })
    }
}

fn check_trim(trim: &Trim, wrong: &mut impl FnMut(&str, String)) {
    if !(1..=3_600).contains(&trim.every_s) {
        wrong("nats.trim.every_s", "is 1 to 3600".into());
    }
    if !(trim.start > 0.0 && trim.start < 1.0) {
        wrong("nats.trim.start", "is more than 0 and less than 1".into());
    }
    if !(trim.pressure > trim.start && trim.pressure <= 1.0) {
        wrong("nats.trim.pressure", "is more than `start`, and at most 1".into());
    }
    if !(1_000..=60_000).contains(&trim.settle_ms) {
        wrong("nats.trim.settle_ms", "is 1000 to 60000".into());
    }
    for (stream, most) in &trim.most {
        let key = format!("nats.trim.most.{stream}");
        if !STREAMS.contains(&stream.as_str()) {
            wrong(
                &key,
                format!("no stream that is trimmed; there are {}", STREAMS.join(", ")),
            );
        }
        if *most == 0 {
            wrong(&key, "is at least 1".into());
        }
    }
}
