//! Small helpers of the end-to-end tests.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use cofferdam_tests::{Instance, Settings, Tenant};
use serde_json::Value;

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test's future on this thread with helpers beside it.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)
}

/// An instance with its tenant's clients.
pub async fn start(home: &Path, settings: Settings) -> anyhow::Result<(Instance, Tenant)> {
    let instance = Instance::start(home, settings)?;
    let tenant = Tenant::connect(&instance.run).await?;
    Ok((instance, tenant))
}

/// Waits for a condition.
pub async fn until<F: Future<Output = anyhow::Result<bool>>>(
    what: &str,
    patience: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<()> {
    let end = Instant::now() + patience;
    loop {
        if probe().await? {
            return Ok(());
        }
        ensure!(Instant::now() < end, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Bytes that no other seed has, and that do not compress.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// The keys in a bucket.
pub async fn keys(tenant: &Tenant, bucket: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
    let mut pages = tenant
        .s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(
            page?
                .contents()
                .iter()
                .filter_map(|object| object.key().map(str::to_owned)),
        );
    }
    Ok(keys)
}

/// The text of a field, or an error that shows what there is.
pub fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value[name]
        .as_str()
        .ok_or_else(|| anyhow::anyhow!("no text {name} in {value}"))
}

/// Standard output of a command that must succeed.
pub fn output(run: std::process::Output) -> anyhow::Result<String> {
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout).into_owned(),
        String::from_utf8_lossy(&run.stderr).into_owned(),
    );
    ensure!(
        run.status.success(),
        "ended with {}\nstdout: {out}\nstderr: {err}",
        run.status
    );
    Ok(out)
}
