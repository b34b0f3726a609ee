//! I4: what is gone in the landing bucket is in the vault and opens to the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use cofferdam_seams::quarantine::MARKER;
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Checker, Report, Row, Rows, Violations};
use crate::clients::s3_client;
use crate::history::{Dropped, hex, is_dangerous};

/// How the ids of the checker's own commands begin.
pub(super) const OWN: &str = "checker-";

/// Documents brought back at a time.
const AT_ONCE: usize = 16;

/// A result, or a sealed copy, without what differs when the same work is done twice.
pub(super) fn without_times(value: &Value) -> Value {
    let mut value = value.clone();
    let mut drop = |pointer: &str, name: &str| {
        if let Some(fields) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
            fields.remove(name);
        }
    };
    for (pointer, name) in [
        ("", "started_at"),
        ("", "finished_at"),
        ("", "opened_at"),
        ("/sealed", "opened_at"),
    ] {
        drop(pointer, name);
    }
    value
}

async fn keys(s3: &aws_sdk_s3::Client, bucket: &str, prefix: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let list = s3.list_objects_v2().bucket(bucket).prefix(prefix);
    let mut pages = list.into_paginator().send();
    let mut keys = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for object in page?.contents() {
            let size = object.size().and_then(|size| size.try_into().ok()).unwrap_or(0);
            keys.insert(object.key().unwrap_or_default().to_owned(), size);
        }
    }
    Ok(keys)
}

impl Checker<'_> {
    /// The keys of a bucket, with sizes.
    pub(super) async fn keys(&self, bucket: &str, prefix: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        keys(&self.tenant.s3, bucket, prefix).await
    }

    /// What is in quarantine, seen with the operator's key; the tenant's must not see it.
    async fn held(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let run = &self.instance.run;
        let bucket = &run.buckets.quarantine;
        ensure!(
            self.keys(bucket, &format!("{}/", run.nats.tenant.name)).await.is_err(),
            "I6: the tenant sees the quarantine"
        );
        let pairs: Value = serde_json::from_slice(&std::fs::read(self.instance.data().join("s3.json"))?)?;
        let text = |name: &str| pairs["operator"][name].as_str().unwrap_or_default();
        let operator = s3_client(
            &run.s3.endpoint,
            &run.s3.region,
            text("access_key_id"),
            text("secret_access_key"),
        );
        keys(&operator, bucket, "").await
    }

    /// I4: for each document that is not in the landing bucket any more there is a sealed copy in the vault, of the same plaintext, and (every n-th) it opens. In the
    /// vault there is nothing else. What is dangerous is quarantined, nothing else is, and its sealed copy is not in the vault but where the tenant does not reach it.
    pub(super) async fn proven(
        &self,
        rows: &Rows,
        of: &BTreeMap<String, &Dropped>,
        found: &mut Violations,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let landing = self.keys(&self.tenant.inbox, "").await?;
        let run = &self.instance.run;
        let mut vault = self
            .keys(&run.buckets.vault, &format!("{}/", run.nats.tenant.name))
            .await?;
        let mut held = self.held().await?;
        for row in &rows.documents {
            let Some(drop) = of.get(&row.object) else { continue };
            let quarantined = row.state == "quarantined";
            if quarantined != is_dangerous(&drop.key) {
                found.add(
                    "I1",
                    format!("{} is {} with verdict {:?}", row.key, row.state, row.verdict),
                );
            }
            let mut sealed = row.sealed_key.as_ref().and_then(|key| vault.remove(key));
            if quarantined {
                if sealed != Some(MARKER.len() as u64) {
                    found.add(
                        "I4",
                        format!("{} is quarantined, and in the vault stands {sealed:?}", row.key),
                    );
                }
                sealed = row.sealed_key.as_ref().and_then(|key| held.remove(key));
            }
            if self.expect.retired && landing.contains_key(&row.key) {
                found.add("I4", format!("landing copy of {} is still there", row.key));
            }
            if sealed.is_none() || sealed != row.sealed_size {
                let gone = !landing.contains_key(&row.key);
                found.add(
                    "I4",
                    format!(
                        "{} (landing copy gone: {gone}) has a sealed copy of {sealed:?} bytes, its row says {:?}",
                        row.key, row.sealed_size
                    ),
                );
            }
            if row.sha256.as_ref() != Some(&drop.sha256) {
                found.add(
                    "I4",
                    format!(
                        "sealed copy of {} is of {:?}, {} was uploaded",
                        row.key, row.sha256, drop.sha256
                    ),
                );
            }
        }
        // The key of a version that is not final yet would be here as well.
        for key in vault.keys() {
            found.add("I4", format!("{key} in the vault belongs to no document"));
        }
        for key in held.keys() {
            found.add("I4", format!("{key} in quarantine belongs to no quarantined document"));
        }
        let sample: Vec<(&Row, &Dropped)> = rows
            .documents
            .iter()
            .filter(|row| row.state == "done")
            .filter_map(|row| Some((row, *of.get(&row.object)?)))
            .step_by(self.expect.every.max(1))
            .collect();
        report.opened = sample.len();
        self.open_all(&sample, found).await
    }

    /// Brings documents back through the command and compares them.
    async fn open_all(&self, sample: &[(&Row, &Dropped)], found: &mut Violations) -> anyhow::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let http = reqwest::Client::new();
        for part in sample.chunks(AT_ONCE) {
            let mut results = self.tenant.nats.subscribe("live.retrieve.>").await?;
            self.tenant.nats.flush().await?;
            let mut asked = HashMap::new();
            for (row, drop) in part {
                let id = format!("{OWN}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let body = json!({"id": id, "select": {"object": row.object}});
                let answer = self.tenant.ask("cmd.retrieve", &body).await?;
                ensure!(
                    answer["accepted"] == true,
                    "retrieve of {} is not accepted: {answer}",
                    row.key
                );
                asked.insert(id, (*row, *drop));
            }
            while !asked.is_empty() {
                let message = tokio::time::timeout(Duration::from_secs(60), results.next()).await;
                let message = message.context("no result of a retrieve")?.context("feed ended")?;
                let event: Value = serde_json::from_slice(&message.payload)?;
                let Some((row, drop)) = event["id"].as_str().and_then(|id| asked.remove(id)) else {
                    continue;
                };
                let Some(url) = event["result"]["values"]["url"].as_str() else {
                    found.add("I4", format!("{} does not come back: {}", row.key, event["error"]));
                    continue;
                };
                let body = http.get(url).send().await?.error_for_status()?.bytes().await?;
                if body.len() as u64 != drop.size || hex(&Sha256::digest(&body)) != drop.sha256 {
                    found.add(
                        "I4",
                        format!(
                            "{} comes back different ({} of {} bytes)",
                            row.key,
                            body.len(),
                            drop.size
                        ),
                    );
                }
            }
        }
        Ok(())
    }
}
