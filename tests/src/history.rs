//! What was asked of an instance, as its client saw it: every upload and every command, and whether it was answered.
//!
//! Every body is unique and holds a marker that no other history has, so that it can be told where it went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clients::Tenant;

/// One upload.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its key. More than one upload may have it.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// The entity tag it was answered with; `None` when no answer came, so that it may or may not have been taken.
    pub answered: Option<String>,
    /// The version id in that answer, if there was one.
    pub version: Option<String>,
    number: u64,
}

/// One command `retrieve`.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its id.
    pub id: String,
    /// The key it asks for.
    pub key: String,
    /// Whether it was accepted.
    pub answered: bool,
}

/// Everything that was asked.
#[derive(Debug)]
pub struct History {
    marker: String,
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    drops: Vec<Dropped>,
    commands: Vec<Issued>,
}

impl History {
    /// An empty one. Histories with another name or seed have other bodies.
    pub fn new(name: &str, seed: u64) -> Self {
        let own = hex(&Sha256::digest(format!("{name}/{seed}")));
        Self {
            marker: format!("marker-{}", &own[..24]),
            seed,
            inner: Mutex::default(),
        }
    }

    /// What stands in every body (but the empty ones) and may stand nowhere else.
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// The uploads so far.
    pub fn drops(&self) -> Vec<Dropped> {
        self.inner().drops.clone()
    }

    /// The commands so far.
    pub fn commands(&self) -> Vec<Issued> {
        self.inner().commands.clone()
    }

    /// How many uploads were answered.
    pub fn answered(&self) -> usize {
        self.inner().drops.iter().filter(|drop| drop.answered.is_some()).count()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of an upload.
    pub fn body(&self, drop: &Dropped) -> Vec<u8> {
        self.make(&drop.key, drop.number, drop.size as usize)
    }

    /// Text at both ends, so that a body cut anywhere is another; bytes that do not compress between. A dangerous one has malware in its text.
    fn make(&self, key: &str, number: u64, size: usize) -> Vec<u8> {
        let malware = if is_dangerous(key) { eicar() } else { String::new() };
        let line = format!("{}-{number:06}{malware}\n", self.marker).into_bytes();
        if size < 2 * line.len() {
            return line.into_iter().cycle().take(size).collect();
        }
        let mut body = line.clone();
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(number);
        body.extend(noise(seed, size - 2 * line.len()));
        body.extend(line);
        body
    }

    /// Uploads a body of this size under a key, once: the client does not try again by itself. Tells whether it was answered.
    pub async fn put(&self, tenant: &Tenant, key: &str, size: usize) -> bool {
        let number = {
            let mut inner = self.inner();
            inner.next += 1;
            inner.next
        };
        let body = self.make(key, number, size);
        // Noted before it is sent: whatever becomes of this call, the upload was tried.
        self.inner().drops.push(Dropped {
            key: key.to_owned(),
            size: size as u64,
            sha256: hex(&Sha256::digest(&body)),
            answered: None,
            version: None,
            number,
        });
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = tenant.s3.put_object().bucket(&tenant.inbox).key(key).body(body.into());
        let answer = request.customize().config_override(once).send().await.ok();
        let Some(answer) = answer else { return false };
        let mut inner = self.inner();
        if let Some(drop) = inner.drops.iter_mut().find(|drop| drop.number == number) {
            drop.answered = Some(answer.e_tag().unwrap_or_default().trim_matches('"').to_owned());
            drop.version = answer.version_id;
        }
        true
    }

    /// Uploads many, 16 at a time; gives those that were not answered.
    pub async fn put_all(&self, tenant: &Tenant, all: Vec<(String, usize)>) -> Vec<(String, usize)> {
        let puts = all
            .into_iter()
            .map(|(key, size)| async move { (!self.put(tenant, &key, size).await).then_some((key, size)) });
        let failed: Vec<_> = futures::stream::iter(puts).buffer_unordered(16).collect().await;
        failed.into_iter().flatten().collect()
    }

    /// Asks for a document under an id of its own. Tells whether the command was accepted.
    pub async fn retrieve(&self, tenant: &Tenant, key: &str) -> bool {
        let id = {
            let mut inner = self.inner();
            inner.next += 1;
            format!("{}-{:06}", &self.marker[7..19], inner.next)
        };
        self.inner().commands.push(Issued {
            id: id.clone(),
            key: key.to_owned(),
            answered: false,
        });
        let body = json!({"id": id, "select": {"key": key}}).to_string();
        let request = tenant.nats.request("cmd.retrieve", body.into());
        let answer = tokio::time::timeout(Duration::from_secs(3), request).await;
        let answer = answer.ok().and_then(Result::ok);
        let answer: Option<Value> = answer.and_then(|message| serde_json::from_slice(&message.payload).ok());
        let answered = answer.as_ref().is_some_and(|answer| answer["accepted"] == true);
        if let Some(command) = self.inner().commands.iter_mut().find(|command| command.id == id) {
            command.answered = answered;
        }
        answered
    }
}

/// What an upload under such a key holds is quarantined.
pub fn is_dangerous(key: &str) -> bool {
    key.ends_with(DANGEROUS)
}

/// How the keys of uploads that hold malware end. They need room for it: 200 bytes.
pub const DANGEROUS: &str = "dangerous";

/// The test file of the European Institute for Computer Anti-Virus Research: harmless, and found by every scanner, so it is not in this file in one piece.
pub fn eicar() -> String {
    [
        r"X5O!P%@AP[4\PZX54(P^)7CC)7}$",
        "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
    ]
    .concat()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that no other seed has, and that do not compress.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A small generator (xorshift*): the same numbers from the same seed on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)] // Endless, and no iterator.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        (self.next() >> 11) % below.max(1)
    }
}
