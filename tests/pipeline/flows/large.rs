//! Large objects in bounded memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use cofferdam_tests::{Feed, Settings};
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{block_on, noise, start};

const SIZE: u64 = 5 << 30;
const PIECE: u64 = 64 << 20;
const LIMIT: u64 = 300_000_000;

/// The piece at an index: cheap to make again, different for each index.
fn piece(base: &[u8], index: u64) -> Vec<u8> {
    let mut piece = base.to_vec();
    for (n, page) in piece.chunks_mut(4096).enumerate() {
        page[..8].copy_from_slice(&(index << 32 | n as u64).to_be_bytes());
    }
    piece
}

/// One multipart upload and one single PUT of 5 GiB each go in and come back; the process stays below 300 MB.
pub fn five_gibibytes(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let base = noise(99, PIECE as usize);
        let mut hash = Sha256::new();
        (0..SIZE / PIECE).for_each(|index| hash.update(piece(&base, index)));
        let expected = hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();

        let key = "multipart.bin";
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
                .body(piece(&base, index).into())
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
        let etag = done.e_tag().context("etag")?.trim_matches('"').to_owned();
        come_back(&instance, &tenant, &feed, key, &etag, &expected).await?;

        // A single PUT from a file, as `aws s3api put-object` does it.
        let path = home.join("single.bin");
        let mut file = std::fs::File::create(&path)?;
        for index in 0..SIZE / PIECE {
            std::io::Write::write_all(&mut file, &piece(&base, index))?;
        }
        drop(file);
        let body = ByteStream::from_path(&path).await?;
        let done = tenant
            .s3
            .put_object()
            .bucket("inbox")
            .key("single.bin")
            .body(body)
            .send()
            .await?;
        std::fs::remove_file(&path)?;
        let etag = done.e_tag().context("etag")?.trim_matches('"').to_owned();
        come_back(&instance, &tenant, &feed, "single.bin", &etag, &expected).await
    })
}

async fn come_back(
    instance: &cofferdam_tests::Instance,
    tenant: &cofferdam_tests::Tenant,
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
