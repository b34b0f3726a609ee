//! The metrics, by their names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cofferdam_nats::metrics::poll_consumers;
use cofferdam_nats::trim::{TrimSettings, Trimmer};
use cofferdam_nats::{Topology, metrics};
use cofferdam_processor::ProcessError;
use cofferdam_schemas::ErrorCode;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio_util::sync::CancellationToken;

use crate::harness::{Documents, Running, Scripted, provisioned, settings};

#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl PushMetricExporter for Names {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let scopes = metrics
            .scope_metrics()
            .filter(|scope| scope.scope().name() == "cofferdam");
        self.0
            .lock()
            .unwrap()
            .extend(scopes.flat_map(|scope| scope.metrics().map(|m| m.name().to_owned())));
        Ok(())
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_emitted() {
    let names = Names::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(names.clone()).build())
        .build();
    opentelemetry::global::set_meter_provider(provider.clone());
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let documents = Documents::new();
    bus.publish_event(&documents.event("x").await, 0).await.unwrap();
    let rejecting = Scripted::new(|_, _| async { Err(ProcessError::reject(ErrorCode::Damaged, "no")) });
    let running = Running::processor(&bus, rejecting, &documents);
    server.eventually("DLQ", "dlq.v1.>", 1).await;
    running.stop().await;
    // It removes nothing, for the first time because of the age of what there is.
    let eager = TrimSettings {
        start: 0.0,
        settle: Duration::ZERO,
        ..TrimSettings::default()
    };
    let mut trim = Trimmer::new(bus.clone(), &Topology::new(&settings()), eager);
    let stop = CancellationToken::new();
    let polling = tokio::spawn(poll_consumers(
        bus,
        Topology::new(&settings()),
        Duration::from_millis(100),
        stop.clone(),
    ));
    trim.round().await;
    trim.round().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    polling.await.unwrap();
    provider.force_flush().unwrap();
    let bare = |name: &str| name.trim_end_matches("_total").trim_end_matches("_seconds").to_owned();
    let names = names.0.lock().unwrap();
    for name in [
        metrics::DELIVERIES,
        metrics::STAGE_DURATION,
        metrics::DEAD_LETTERS,
        metrics::INFLIGHT,
        metrics::PUBLISHES,
        metrics::CONNECTION_EVENTS,
        metrics::CONSUMER_PENDING,
        metrics::CONSUMER_ACK_PENDING,
        metrics::CONSUMER_REDELIVERED,
        metrics::CONSUMER_WAITING,
        metrics::OLDEST_UNPROCESSED_AGE,
        metrics::DLQ_DEPTH,
        metrics::DLQ_OLDEST_AGE,
        metrics::STREAM_FILL,
        metrics::TRIM_HELD,
    ] {
        assert!(names.contains(&bare(name)), "{name} is not among {names:?}");
    }
}
