//! The metrics, by their names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cofferdam_schemas::Outcome;
use cofferdam_seams::SystemClock;
use cofferdam_sinks::conformance::fixture::{event, object, result, tenant};
use cofferdam_sinks::metrics::{BATCH_SIZE, COMMIT, END_TO_END, JOIN_OBJECTS, JOIN_OPEN};
use cofferdam_sinks::{SqliteStore, Store, run_join, run_sink};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio_util::sync::CancellationToken;

use crate::broker::{provisioned, until};

#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl PushMetricExporter for Names {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let names = metrics
            .scope_metrics()
            .flat_map(|scope| scope.metrics().map(|metric| metric.name().to_owned()));
        self.0.lock().unwrap().extend(names);
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
async fn a_document_leaves_its_measurements() {
    let Some((_server, bus)) = provisioned().await else {
        return;
    };
    let names = Names::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(names.clone()).build())
        .build();
    opentelemetry::global::set_meter_provider(provider.clone());
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("cofferdam.db")).await.unwrap());
    let stop = CancellationToken::new();
    let sink = tokio::spawn(run_sink(bus.clone(), store.clone(), vec![], "sqlite", stop.clone()));
    let join = tokio::spawn(run_join(bus.clone(), Arc::new(SystemClock), stop.clone()));
    let doc = object(&tenant(), "inbox", "k", 0);
    bus.publish_event(&event(&doc), 0).await.unwrap();
    for processor in ["encrypt", "validate"] {
        bus.publish_result(&result(&doc, processor, Outcome::Done), 0)
            .await
            .unwrap();
    }
    until("it is final", async || {
        store.is_final(&doc.tenant, &doc.id).await.unwrap()
    })
    .await;
    stop.cancel();
    sink.await.unwrap().unwrap();
    join.await.unwrap().unwrap();
    provider.force_flush().unwrap();
    let names = names.0.lock().unwrap();
    for name in [BATCH_SIZE, COMMIT, END_TO_END, JOIN_OPEN, JOIN_OBJECTS] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
}
