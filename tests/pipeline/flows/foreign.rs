//! A foreign store as landing place: an S3 server that is not ours and publishes to our NATS itself.

use std::path::Path;

use anyhow::{Context, ensure};
use cofferdam_tests::{Feed, Settings};
use serde_json::json;

use crate::gateway::{Gateway, Place};
use crate::support::{PATIENCE, block_on, noise, start, until};

/// Everything that is dropped into versitygw, awkward keys and a multipart upload included, goes through, and its landing copy goes.
pub fn versitygw(home: &Path) -> anyhow::Result<()> {
    let place = Place::choose(home)?;
    let config = place.source(place.address());
    block_on(async {
        let (instance, tenant) = start(
            home,
            Settings {
                config: Some(config),
                ..Settings::default()
            },
        )
        .await?;
        let secrets = std::fs::read(instance.data().join("secrets.json"))?;
        let gateway = Gateway::start(home, &place, &instance.run.nats.url, &secrets, "gateway").await?;
        let s3 = &gateway.s3;
        s3.create_bucket().bucket("uploads").send().await?;

        let feed = Feed::start(&tenant).await?;
        let mut dropped = Vec::new();
        for (n, key) in [
            "plain.txt",
            "with space+plus.txt",
            "pct%2Fx.txt",
            "uni/caf\u{e9} \u{1f512}.bin",
            "empty.bin",
        ]
        .into_iter()
        .enumerate()
        {
            let body = if key == "empty.bin" {
                Vec::new()
            } else {
                noise(n as u64 + 40, 70_000)
            };
            let put = s3
                .put_object()
                .bucket("uploads")
                .key(key)
                .body(body.clone().into())
                .send()
                .await?;
            dropped.push((
                key.to_owned(),
                put.e_tag().context("etag")?.trim_matches('"').to_owned(),
                body,
            ));
        }
        let body = noise(50, 6 << 20);
        let upload = s3
            .create_multipart_upload()
            .bucket("uploads")
            .key("multi.bin")
            .send()
            .await?;
        let id = upload.upload_id().context("upload id")?;
        let part = s3
            .upload_part()
            .bucket("uploads")
            .key("multi.bin")
            .upload_id(id)
            .part_number(1)
            .body(body.clone().into())
            .send()
            .await?;
        let parts = aws_sdk_s3::types::CompletedPart::builder()
            .part_number(1)
            .e_tag(part.e_tag().unwrap_or_default())
            .build();
        let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder()
            .parts(parts)
            .build();
        let done = s3
            .complete_multipart_upload()
            .bucket("uploads")
            .key("multi.bin")
            .upload_id(id)
            .multipart_upload(parts)
            .send()
            .await?;
        dropped.push((
            "multi.bin".to_owned(),
            done.e_tag().context("etag")?.trim_matches('"').to_owned(),
            body,
        ));

        for (key, etag, body) in &dropped {
            let heard = feed.done(key, etag, PATIENCE).await?;
            ensure!(
                heard.done[0]["state"] == "done" && heard.done[0]["object"]["source"] == "gateway",
                "{key}: {}",
                heard.done[0]
            );
            let back = tenant.retrieve(json!({"key": key, "bucket": "uploads"}), None).await?;
            ensure!(back.body[..] == body[..], "{key} came back different");
        }
        until("landing copies are retired", PATIENCE, || async {
            Ok(s3
                .list_objects_v2()
                .bucket("uploads")
                .send()
                .await?
                .contents()
                .iter()
                .all(|o| o.size().unwrap_or(0) == 0 && o.key().is_some_and(|k| k.ends_with('/'))))
        })
        .await
    })
}
