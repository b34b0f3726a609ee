//! One trace through the broker. Alone in its process: which spans exist is decided once for all threads.

// Helpers of tests fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../broker/harness.rs"]
#[allow(dead_code)] // The rest of it is for the other tests.
mod harness;

use std::sync::{Arc, Mutex};

use cofferdam_processor::Conclusion;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt;

use harness::{Documents, Running, Scripted, provisioned};

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[tokio::test]
async fn a_documents_way_is_one_trace() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    // The test's runtime has one thread, so this holds for its tasks.
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let documents = Documents::new();
    let event = documents.event("x").await;
    bus.publish_event(&event, 0).await.unwrap();
    let running = Running::processor(
        &bus,
        Scripted::new(|_, _| async { Ok(Conclusion::default()) }),
        &documents,
    );
    let result = server.eventually("RES", "res.v1.>", 1).await.remove(0);
    running.stop().await;

    let trace = |header: Option<&str>| header.unwrap().split('-').nth(1).unwrap().to_owned();
    let event = server.stored("EVT", "evt.v1.>").await.remove(0);
    assert_eq!(trace(event.header("traceparent")), trace(result.header("traceparent")));
    let spans = spans.0.lock().unwrap();
    let names: Vec<_> = spans.iter().map(|s| s.name.to_string()).collect();
    let of = |name: &str| {
        spans
            .iter()
            .find(|s| s.name == name)
            .unwrap_or_else(|| panic!("no {name} in {names:?}"))
    };
    let (sent, processed, result) = (of("send EVT"), of("process work-hi"), of("send RES"));
    assert_eq!(processed.parent_span_id, sent.span_context.span_id());
    assert_eq!(result.parent_span_id, processed.span_context.span_id());
    assert!(processed.attributes.iter().any(|a| a.key.as_str() == "stream_sequence"));
}
