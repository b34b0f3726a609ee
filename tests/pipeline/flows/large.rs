//! Large objects in bounded memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use cofferdam_tests::{Feed, Settings, Tenant};
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{block_on, noise, start};

const SIZE: u64 = 5 << 30;
const PIECE: u64 = 64 << 20;
const LIMIT: u64 = 300_000_000;
/// Bytes on the disk at once: the object twice, and some.
const NEEDED: u64 = 2 * SIZE + (2 << 30);

/// The piece at an index: cheap to make again, different for each index.
fn piece(base: &[u8], index: u64) -> Vec<u8> {
    let mut piece = base.to_vec();
    for (n, page) in piece.chunks_mut(4096).enumerate() {
        page[..8].copy_from_slice(&(index << 32 | n as u64).to_be_bytes());
    }
    piece
}

/// One multipart upload and one single PUT of 5 GiB each go in and come back; the process stays below 300 MB.
///
/// Each has an instance of its own, and what it leaves is removed before the next one starts: twice the size is on the disk at once.
pub fn five_gibibytes(home: &Path) -> anyhow::Result<()> {
    let room = rustix::fs::statvfs(home)?;
    let free = room.f_bavail * room.f_frsize;
    ensure!(
        free > NEEDED,
        "{} has {} GB left, and this test needs {}: free some, or set TMPDIR to a place that has as much",
        home.display(),
        free / 1_000_000_000,
        NEEDED / 1_000_000_000
    );
    let base = noise(99, PIECE as usize);
    let mut hash = Sha256::new();
    (0..SIZE / PIECE).for_each(|index| hash.update(piece(&base, index)));
    let expected = hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
    for key in ["multipart.bin", "single.bin"] {
        let home = home.join(key);
        std::fs::create_dir(&home)?;
        block_on(async {
            let (instance, tenant) = start(&home, Settings::default()).await?;
            let feed = Feed::start(&tenant).await?;
            let etag = match key {
                "single.bin" => put(&tenant, &home, key, &base).await?,
                _ => put_in_parts(&tenant, key, &base).await?,
            };
            come_back(&instance, &tenant, &feed, key, &etag, &expected).await
        })?;
        std::fs::remove_dir_all(&home)?;
    }
    Ok(())
}

/// Puts the pieces as a multipart upload; its ETag.
async fn put_in_parts(tenant: &Tenant, key: &str, base: &[u8]) -> anyhow::Result<String> {
    let upload = tenant
        .s3
        .create_multipart_upload()
        .bucket("inbox")
        .key(key)
        .send()
        .await?;
    let id = upload.upload_id().context("upload id")?;
    let mut parts = CompletedMultipartUpload::builder();
    for index in 0..SIZE / PIECE {
        let number = index as i32 + 1;
        let part = tenant
            .s3
            .upload_part()
            .bucket("inbox")
            .key(key)
            .upload_id(id)
            .part_number(number)
            .body(piece(base, index).into())
            .send()
            .await?;
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(part.e_tag().unwrap_or_default())
                .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
                .build(),
        );
    }
    let done = tenant
        .s3
        .complete_multipart_upload()
        .bucket("inbox")
        .key(key)
        .upload_id(id)
        .multipart_upload(parts.build())
        .send()
        .await?;
    Ok(done.e_tag().context("etag")?.trim_matches('"').to_owned())
}

/// Puts the pieces in one PUT from a file, as `aws s3api put-object` does it; its ETag.
async fn put(tenant: &Tenant, home: &Path, key: &str, base: &[u8]) -> anyhow::Result<String> {
    let path = home.join("upload");
    let mut file = std::fs::File::create(&path)?;
    for index in 0..SIZE / PIECE {
        std::io::Write::write_all(&mut file, &piece(base, index))?;
    }
    drop(file);
    let body = ByteStream::from_path(&path).await?;
    let done = tenant
        .s3
        .put_object()
        .bucket("inbox")
        .key(key)
        .body(body)
        .send()
        .await?;
    std::fs::remove_file(&path)?;
    Ok(done.e_tag().context("etag")?.trim_matches('"').to_owned())
}

async fn come_back(
    instance: &cofferdam_tests::Instance,
    tenant: &Tenant,
    feed: &Feed,
    key: &str,
    etag: &str,
    expected: &str,
) -> anyhow::Result<()> {
    let patience = Duration::from_secs(600);
    let heard = feed.done(key, etag, patience).await?;
    ensure!(heard.done[0]["state"] == "done", "{}", heard.done[0]);
    let mut results = tenant.nats.subscribe("live.retrieve.>").await?;
    tenant.nats.flush().await?;
    tenant.ask("cmd.retrieve", &json!({"select": {"key": key}})).await?;
    let message = tokio::time::timeout(patience, results.next())
        .await?
        .context("no result")?;
    let event: serde_json::Value = serde_json::from_slice(&message.payload)?;
    let url = event["result"]["values"]["url"]
        .as_str()
        .with_context(|| format!("{event}"))?
        .to_owned();
    let mut stream = reqwest::get(&url).await?.bytes_stream();
    let (mut hash, mut total) = (Sha256::new(), 0);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        total += bytes.len() as u64;
        hash.update(&bytes);
    }
    let found = hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
    ensure!(
        total == SIZE && found == expected,
        "{key}: {total} bytes came back, or other ones"
    );
    let (now, peak) = instance.memory()?;
    println!(
        "{key}: memory {} MB now, {} MB at most",
        now / 1_000_000,
        peak / 1_000_000
    );
    ensure!(peak < LIMIT, "{key}: the process used {peak} bytes");
    Ok(())
}
