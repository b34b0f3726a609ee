//! One trace from the upload to the row, and metrics an operator can scrape.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, ensure};
use cofferdam_tests::{Feed, Settings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{PATIENCE, block_on, output, start, until};

#[derive(Debug, Clone)]
struct Span {
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    links: Vec<Vec<u8>>,
}

/// A collector: keeps the spans of every OTLP/HTTP export.
async fn collector() -> anyhow::Result<(String, Arc<Mutex<Vec<Span>>>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let spans = Arc::new(Mutex::new(Vec::new()));
    let kept = spans.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                if let Err(error) = exports(stream, &kept).await {
                    eprintln!("collector: {error:#}");
                }
            });
        }
    });
    Ok((url, spans))
}

/// Reads HTTP/1.1 requests with a content length off one connection.
async fn exports(mut stream: tokio::net::TcpStream, kept: &Mutex<Vec<Span>>) -> anyhow::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())
            .context("no length")?;
        while buffer.len() < head + length {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "cut");
        }
        let body: Vec<u8> = buffer.drain(..head + length).skip(head).collect();
        if text.starts_with("post /v1/traces") {
            let request = ExportTraceServiceRequest::decode(&body[..])?;
            let found = request
                .resource_spans
                .into_iter()
                .flat_map(|r| r.scope_spans)
                .flat_map(|s| s.spans);
            kept.lock().expect("not poisoned").extend(found.map(|s| Span {
                name: s.name,
                trace: s.trace_id,
                id: s.span_id,
                parent: s.parent_span_id,
                links: s.links.into_iter().map(|l| l.trace_id).collect(),
            }));
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await?;
    }
}

/// Every step of one document is in one trace (batches are linked to it).
pub fn trace(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let (url, spans) = collector().await?;
        let settings = Settings::default().env("COFFERDAM__TELEMETRY__OTLP_ENDPOINT", url);
        let (mut instance, tenant) = start(home, settings).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("traced.txt", b"traced".to_vec()).await?;
        feed.done("traced.txt", &etag, PATIENCE).await?;
        until("landing copy retired", PATIENCE, || async {
            Ok(crate::support::keys(&tenant, "inbox", "").await?.is_empty())
        })
        .await?;
        instance.stop()?;
        let spans = spans.lock().expect("not poisoned").clone();
        let mut traces: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
        for span in &spans {
            traces.entry(span.trace.clone()).or_default().push(span.clone());
        }
        let names = |spans: &[Span]| spans.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let with = |word: &'static str| move |spans: &&Vec<Span>| spans.iter().any(|s| s.name.contains(word));
        let whole = traces.values().filter(with("encrypt")).find(with("validate"));
        let whole = whole.with_context(|| {
            format!(
                "no trace holds both processors: {:?}",
                traces.values().map(|s| names(s)).collect::<Vec<_>>()
            )
        })?;
        // Every span but the first has its parent in the same trace.
        let orphans: Vec<_> = whole
            .iter()
            .filter(|s| !s.parent.is_empty() && !whole.iter().any(|p| p.id == s.parent))
            .collect();
        ensure!(
            orphans.is_empty(),
            "parents are missing: {orphans:?} in {:?}",
            names(whole)
        );
        ensure!(
            whole.iter().filter(|s| s.parent.is_empty()).count() == 1,
            "one root: {:?}",
            names(whole)
        );
        let id = &whole[0].trace;
        for step in ["join", "sink"] {
            let reached = spans
                .iter()
                .any(|s| s.name.contains(step) && (s.trace == *id || s.links.contains(id)));
            ensure!(
                reached,
                "{step} is not part of the trace, nor linked: {:?}",
                names(&spans)
            );
        }
        Ok(())
    })
}

/// `/metrics` parses, names what operators watch; probes answer; logs are JSON when asked.
pub fn metrics(home: &Path) -> anyhow::Result<()> {
    block_on(async {
        let settings = Settings::default().env("COFFERDAM__LOG__FORMAT", "json");
        let (instance, tenant) = start(home, settings).await?;
        let feed = Feed::start(&tenant).await?;
        let etag = tenant.put("measured.txt", b"measured".to_vec()).await?;
        feed.done("measured.txt", &etag, PATIENCE).await?;
        let http = &instance.run.http;
        ensure!(reqwest::get(format!("{http}/livez")).await?.status() == 200);
        let ready = reqwest::get(format!("{http}/readyz")).await?;
        ensure!(ready.status() == 200, "{}", ready.text().await?);
        until("metrics are there", PATIENCE, || async {
            let text = reqwest::get(format!("{http}/metrics")).await?.text().await?;
            let named = |name: &str| text.lines().any(|line| line.starts_with(name));
            Ok([
                "cofferdam_deliveries_total",
                "cofferdam_stage_duration_seconds_bucket",
                "cofferdam_consumer_pending",
                "cofferdam_outbox_depth",
                "cofferdam_sink_batch_size_bucket",
                "cofferdam_e2e_duration_seconds_bucket",
            ]
            .iter()
            .all(|name| named(name)))
        })
        .await?;
        let text = reqwest::get(format!("{http}/metrics")).await?.text().await?;
        for line in text.lines().filter(|line| line.starts_with("# TYPE cofferdam_")) {
            let name = line.split_whitespace().nth(2).context("name")?;
            ensure!(text.contains(&format!("# HELP {name} ")), "{name} has no help text");
        }
        for line in instance.log().lines() {
            let value: serde_json::Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
            ensure!(value["time"].is_string() && value["level"].is_string(), "{line}");
        }
        ensure!(output(instance.cli(&["health", "--json"])?)?.contains("\"ready\":true"));
        Ok(())
    })
}
