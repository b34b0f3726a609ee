//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use prometheus::Encoder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// One thing that must be well for the process to be ready.
pub struct Check {
    /// Its name in the answer.
    pub name: &'static str,
    /// Whether it is well; the text says what is not.
    pub probe: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

struct Shared {
    registry: prometheus::Registry,
    checks: Vec<Check>,
    stop: CancellationToken,
}

/// Binds to the preferred address, or on the same host to a port the system picks.
pub async fn bind(preferred: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(preferred).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let any = SocketAddr::new(preferred.ip(), 0);
            TcpListener::bind(any)
                .await
                .with_context(|| format!("no free port on {}", preferred.ip()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {preferred}")),
    }
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    registry: prometheus::Registry,
    checks: Vec<Check>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let shared = Arc::new(Shared {
        registry,
        checks,
        stop: stop.clone(),
    });
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shared);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("health endpoint")
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let probes = shared.checks.iter().map(|check| async {
        let answer = tokio::time::timeout(Duration::from_secs(2), (check.probe)()).await;
        (
            check.name,
            answer.unwrap_or_else(|_| Err("no answer within 2 s".to_owned())),
        )
    });
    let answers = futures::future::join_all(probes).await;
    let all = answers.iter().all(|(_, answer)| answer.is_ok());
    let rows: serde_json::Map<String, serde_json::Value> = answers
        .into_iter()
        .map(|(name, answer)| (name.to_owned(), answer.err().unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    let status = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, axum::Json(serde_json::json!({"ready": all, "checks": rows}))).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let encoder = prometheus::TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&shared.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
