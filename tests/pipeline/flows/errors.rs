//! Bad input gets a clear error with its code where the user stands, and no worker stops.

use std::path::Path;

use anyhow::{Context, ensure};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use cofferdam_tests::{Feed, Settings, Tenant, s3_client};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::{PATIENCE, block_on, keys, noise, start};

/// A document still goes through.
async fn still_works(tenant: &Tenant, feed: &Feed, name: &str) -> anyhow::Result<()> {
    let etag = tenant.put(name, name.as_bytes().to_vec()).await?;
    let heard = feed.done(name, &etag, PATIENCE).await?;
    ensure!(heard.done[0]["state"] == "done", "{}", heard.done[0]);
    let back = tenant.retrieve(json!({ "key": name }), None).await?;
    ensure!(back.body[..] == *name.as_bytes());
    Ok(())
}

#[track_caller]
fn refused(answer: &Value, code: &str) -> anyhow::Result<()> {
    ensure!(answer["code"] == code, "expected {code}: {answer}");
    for field in ["message", "time", "request_id"] {
        ensure!(
            answer[field].as_str().is_some_and(|text| !text.is_empty()),
            "no {field} in {answer}"
        );
    }
    Ok(())
}

/// Refusals at the command subject.
pub fn commands(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (_instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        for (subject, body, code) in [
            ("cmd.retrieve", &b"{not json"[..], "invalid-request"),
            ("cmd.retrieve", b"", "invalid-request"),
            ("cmd.retrieve", b"\xff\xfe", "invalid-request"),
            ("cmd.retrieve", b"[]", "invalid-request"),
            ("cmd.retrieve", br#"{"select":{}}"#, "invalid-request"),
            (
                "cmd.retrieve",
                br#"{"select":{"key":"a"},"tenant":"other"}"#,
                "forbidden",
            ),
            (
                "cmd.retrieve",
                br#"{"select":{"key":"a"},"start":5,"end":5}"#,
                "invalid-request",
            ),
            (
                "cmd.retrieve",
                br#"{"select":{"object":"not-an-id"}}"#,
                "invalid-request",
            ),
            ("cmd.nonesuch", br#"{"select":{"key":"a"}}"#, "unknown-command"),
            ("q.object", br#"{"key":"nothing here"}"#, "not-found"),
            ("q.object", b"{", "invalid-request"),
            ("q.nonesuch", b"{}", "unknown-command"),
        ] {
            refused(&tenant.ask_raw(subject, body.to_vec()).await?, code)
                .with_context(|| format!("{subject} {}", String::from_utf8_lossy(body)))?;
        }
        // Accepted, and then there is no such object: the result event says so.
        let mut results = tenant.nats.subscribe("live.retrieve.>").await?;
        tenant.nats.flush().await?;
        let accepted = tenant
            .ask("cmd.retrieve", &json!({"select": {"key": "nothing here"}}))
            .await?;
        ensure!(accepted["accepted"] == true, "{accepted}");
        let message = tokio::time::timeout(PATIENCE, results.next())
            .await?
            .context("feed ended")?;
        let event: Value = serde_json::from_slice(&message.payload)?;
        ensure!(
            event["outcome"] == "dead" && event["error"]["code"] == "not-found",
            "{event}"
        );
        still_works(&tenant, &feed, "after.txt").await
    })
}

/// Two tenants: neither reaches the other's buckets, subjects, events or objects.
pub fn tenants(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let config = r#"
            tenants = [{ name = "alpha" }, { name = "beta" }]
            landing = [{ bucket = "inbox", tenant = "alpha" }, { bucket = "beta-inbox", tenant = "beta" }]
        "#;
        let settings = Settings {
            config: Some(config.to_owned()),
            ..Settings::default()
        };
        let (instance, alpha) = start(home, settings).await?;
        let feed = Feed::start(&alpha).await?;
        let etag = alpha.put("mine.txt", b"alpha's own".to_vec()).await?;
        let heard = feed.done("mine.txt", &etag, PATIENCE).await?;
        let id = heard.done[0]["object"]["id"].clone();

        // The second tenant's credentials, from the operator's files.
        let secrets: Value = serde_json::from_slice(&std::fs::read(instance.data().join("s3.json"))?)?;
        let pair = &secrets["tenants"]["beta"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let run = &instance.run;
        let s3 = s3_client(
            &run.s3.endpoint,
            &run.s3.region,
            &text(&pair["access_key_id"]),
            &text(&pair["secret_access_key"]),
        );
        let denied = |code: Option<&str>| code == Some("AccessDenied");
        let get = s3
            .get_object()
            .bucket("inbox")
            .key("mine.txt")
            .send()
            .await
            .err()
            .context("must be refused")?;
        ensure!(denied(get.code()), "{get:?}");
        let put = s3
            .put_object()
            .bucket("inbox")
            .key("x")
            .body(b"x".to_vec().into())
            .send()
            .await
            .err()
            .context("must be refused")?;
        ensure!(denied(put.code()), "{put:?}");
        let vault = s3
            .get_object()
            .bucket("vault")
            .key(format!("alpha/{}.sealed", text(&id)))
            .send()
            .await
            .err()
            .context("must be refused")?;
        ensure!(denied(vault.code()), "{vault:?}");
        for prefix in ["", "alpha/", "a"] {
            let list = s3
                .list_objects_v2()
                .bucket("vault")
                .prefix(prefix)
                .send()
                .await
                .err()
                .context("must be refused")?;
            ensure!(denied(list.code()), "{list:?}");
        }
        let own = s3.list_objects_v2().bucket("vault").prefix("beta/").send().await?;
        ensure!(own.key_count() == Some(0));

        // On NATS, as the second tenant: same subjects, other tenant inserted by the broker.
        let secrets: Value = serde_json::from_slice(&std::fs::read(instance.data().join("secrets.json"))?)?;
        let user = run.nats.tenant.user.replace("alpha", "beta");
        let password = secrets["nats"]["tenants"]["beta"]
            .as_str()
            .context("beta's password in secrets.json")?
            .to_owned();
        let nats = async_nats::ConnectOptions::with_user_and_password(user, password)
            .connect(&run.nats.url)
            .await?;
        let mut overheard = nats.subscribe("live.>").await?;
        let mut foreign = nats.subscribe("live.v1.alpha.>").await?;
        nats.flush().await?;
        let answer = nats
            .request("q.object", serde_json::to_vec(&json!({"object": id}))?.into())
            .await?;
        refused(&serde_json::from_slice(&answer.payload)?, "not-found")?;
        let mut results = nats.subscribe("live.retrieve.>").await?;
        nats.flush().await?;
        nats.request(
            "cmd.retrieve",
            serde_json::to_vec(&json!({"select": {"object": id}}))?.into(),
        )
        .await?;
        let message = tokio::time::timeout(PATIENCE, results.next())
            .await?
            .context("feed ended")?;
        let event: Value = serde_json::from_slice(&message.payload)?;
        ensure!(
            event["tenant"] == "beta" && event["error"]["code"] == "not-found",
            "{event}"
        );
        let direct = nats.request("cmdin.v1.alpha.retrieve", "{}".into()).await;
        ensure!(direct.is_err(), "another tenant's command subject was reachable");
        let stream = nats.request("$JS.API.STREAM.INFO.EVT", "".into()).await;
        ensure!(stream.is_err(), "a tenant reached the JetStream API");
        let etag = alpha.put("second.txt", b"again".to_vec()).await?;
        feed.done("second.txt", &etag, PATIENCE).await?;
        let beta_own = tokio::time::timeout(std::time::Duration::from_millis(300), overheard.next()).await?;
        ensure!(
            beta_own.is_some_and(|m| m.subject.as_str().starts_with("live.retrieve.")),
            "beta hears its own result only"
        );
        let more = tokio::time::timeout(std::time::Duration::from_millis(500), overheard.next()).await;
        ensure!(more.is_err(), "beta overheard {more:?}");
        ensure!(
            tokio::time::timeout(std::time::Duration::from_millis(100), foreign.next())
                .await
                .is_err(),
            "beta overheard alpha"
        );
        Ok(())
    })
}

/// A sealed object that is changed, cut or somebody else's is refused with one code.
pub fn damaged(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let secrets: Value = serde_json::from_slice(&std::fs::read(instance.data().join("s3.json"))?)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let run = &instance.run;
        let operator = s3_client(
            &run.s3.endpoint,
            &run.s3.region,
            &text(&secrets["operator"]["access_key_id"]),
            &text(&secrets["operator"]["secret_access_key"]),
        );
        let mut sealed = Vec::new();
        for n in 0..2 {
            let key = format!("doc-{n}.bin");
            let etag = tenant.put(&key, noise(n + 1, 50_000)).await?;
            let heard = feed.done(&key, &etag, PATIENCE).await?;
            let place = text(&heard.done[0]["sealed"]["key"]);
            let body = operator
                .get_object()
                .bucket("vault")
                .key(&place)
                .send()
                .await?
                .body
                .collect()
                .await?
                .into_bytes()
                .to_vec();
            sealed.push((key, place, body));
        }
        let flip = |at: usize| {
            let mut body = sealed[0].2.clone();
            body[at] ^= 1;
            body
        };
        let last = sealed[0].2.len() - 1;
        let variants = [
            ("magic", flip(0)),
            ("core", flip(40)),
            ("stanza", flip(600)),
            ("payload", flip(last - 20_000)),
            ("cut", sealed[0].2[..last - 100].to_vec()),
            ("empty", Vec::new()),
            ("foreign", sealed[1].2.clone()),
            ("noise", noise(9, 60_000)),
        ];
        for (what, body) in variants {
            operator
                .put_object()
                .bucket("vault")
                .key(&sealed[0].1)
                .body(body.into())
                .send()
                .await?;
            let error = tenant
                .retrieve(json!({"key": sealed[0].0}), None)
                .await
                .err()
                .with_context(|| format!("{what}: was given out"))?;
            let message = error.to_string();
            ensure!(
                message.contains("cannot-open") || message.contains("damaged"),
                "{what}: {message}"
            );
        }
        operator
            .put_object()
            .bucket("vault")
            .key(&sealed[0].1)
            .body(sealed[0].2.clone().into())
            .send()
            .await?;
        let back = tenant.retrieve(json!({"key": sealed[0].0}), None).await?;
        ensure!(back.body[..] == noise(1, 50_000)[..]);
        still_works(&tenant, &feed, "after.txt").await
    })
}

/// Uploads that are wrong leave nothing visible and no event.
pub fn uploads(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (instance, tenant) = start(home, Settings::default()).await?;
        let feed = Feed::start(&tenant).await?;
        let (s3, run) = (&tenant.s3, &instance.run);
        let put = || {
            s3.put_object()
                .bucket("inbox")
                .key("bad.txt")
                .body(b"body".to_vec().into())
        };

        let md5 = put()
            .content_md5("AAAAAAAAAAAAAAAAAAAAAA==")
            .send()
            .await
            .err()
            .context("wrong MD5 was accepted")?;
        ensure!(md5.code() == Some("BadDigest"), "{md5:?}");
        let sha = put()
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .send()
            .await;
        let sha = sha.err().context("wrong SHA-256 was accepted")?;
        ensure!(
            matches!(sha.code(), Some("BadDigest" | "XAmzContentChecksumMismatch")),
            "{sha:?}"
        );

        let wrong = s3_client(&run.s3.endpoint, &run.s3.region, &run.s3.access_key_id, "wrong-secret");
        let error = wrong
            .put_object()
            .bucket("inbox")
            .key("bad.txt")
            .body(b"x".to_vec().into())
            .send()
            .await
            .err()
            .context("wrong secret was accepted")?;
        ensure!(error.code() == Some("SignatureDoesNotMatch"), "{error:?}");
        let nobody = s3_client(&run.s3.endpoint, &run.s3.region, "NOBODY", "x");
        let error = nobody
            .put_object()
            .bucket("inbox")
            .key("bad.txt")
            .body(b"x".to_vec().into())
            .send()
            .await
            .err()
            .context("unknown key was accepted")?;
        ensure!(error.code() == Some("InvalidAccessKeyId"), "{error:?}");

        let expires = PresigningConfig::expires_in(std::time::Duration::from_secs(1))?;
        let url = s3
            .put_object()
            .bucket("inbox")
            .key("bad.txt")
            .presigned(expires)
            .await?
            .uri()
            .to_owned();
        tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
        let answer = reqwest::Client::new().put(url).body("late").send().await?;
        ensure!(
            answer.status() == 403,
            "an expired link was accepted: {}",
            answer.status()
        );

        let upload = s3
            .create_multipart_upload()
            .bucket("inbox")
            .key("bad.txt")
            .send()
            .await?;
        let id = upload.upload_id().context("upload id")?;
        let part = s3
            .upload_part()
            .bucket("inbox")
            .key("bad.txt")
            .upload_id(id)
            .part_number(1)
            .body(noise(1, 5 << 20).into())
            .send()
            .await?;
        let parts = CompletedMultipartUpload::builder()
            .parts(
                CompletedPart::builder()
                    .part_number(1)
                    .e_tag(part.e_tag().unwrap_or_default())
                    .build(),
            )
            .parts(
                CompletedPart::builder()
                    .part_number(2)
                    .e_tag("\"00000000000000000000000000000000\"")
                    .build(),
            )
            .build();
        let error = s3
            .complete_multipart_upload()
            .bucket("inbox")
            .key("bad.txt")
            .upload_id(id)
            .multipart_upload(parts)
            .send()
            .await;
        let error = error.err().context("a missing part was accepted")?;
        ensure!(error.code() == Some("InvalidPart"), "{error:?}");

        ensure!(keys(&tenant, "inbox", "").await?.is_empty(), "a bad upload is visible");
        ensure!(feed.of("bad.txt", "").event.is_none());
        still_works(&tenant, &feed, "after.txt").await?;
        let rows = tenant.ask("q.objects", &json!({})).await?;
        ensure!(
            rows["objects"].as_array().is_some_and(|rows| rows.len() == 1),
            "only the good upload has a row: {rows}"
        );
        Ok(())
    })
}
