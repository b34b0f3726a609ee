//! Trace context in message headers.
//!
//! The format is that of the program's global text-map propagator: W3C `traceparent` and `tracestate` once it has
//! installed one, nothing before. Copies into `DLQ` keep the headers they came with, so that a replay stays connected
//! to what went before.

use async_nats::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Write<'a>(&'a mut HeaderMap);

impl Injector for Write<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing and would still be sent; a line break would end the header.
        if !value.is_empty() && !value.contains(['\r', '\n']) {
            self.0.insert(key, value);
        }
    }
}

struct Read<'a>(&'a HeaderMap);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

/// Puts the span's context into headers.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Write(headers)));
}

/// Makes the sender's span the parent of the first delivery's span. A redelivery is linked instead: it is another piece
/// of work on the same cause.
pub(crate) fn continue_from(span: &Span, headers: &HeaderMap, delivered: u64) {
    let remote: Context =
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Read(headers)));
    let sender = remote.span().span_context().clone();
    if !sender.is_valid() {
        return;
    }
    if delivered > 1 {
        span.add_link(sender);
    } else if let Err(error) = span.set_parent(remote) {
        // Only without an OpenTelemetry layer, where there is nothing to be a child of.
        tracing::trace!(error = %error, "span has no trace");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{TraceId, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[test]
    fn context_travels_and_redeliveries_are_linked() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = Kept::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let mut headers = HeaderMap::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let sender = tracing::info_span!("sender");
            inject(&sender, &mut headers);
            assert!(headers.get("traceparent").is_some());
            assert!(headers.get("tracestate").is_none(), "an empty tracestate is not sent");
            for delivered in [1, 2] {
                let span = tracing::info_span!("receiver", delivered);
                continue_from(&span, &headers, delivered);
            }
        });
        let spans = exporter.0.lock().unwrap().clone();
        let sender = spans.iter().find(|s| s.name == "sender").unwrap().span_context.clone();
        let receivers: Vec<_> = spans.iter().filter(|s| s.name == "receiver").collect();
        assert_eq!(receivers[0].parent_span_id, sender.span_id());
        assert_eq!(receivers[0].span_context.trace_id(), sender.trace_id());
        assert_ne!(receivers[1].span_context.trace_id(), sender.trace_id());
        assert_ne!(receivers[1].span_context.trace_id(), TraceId::INVALID);
        assert_eq!(receivers[1].links.links[0].span_context.span_id(), sender.span_id());
    }

    #[test]
    fn headers_without_a_trace_change_nothing() {
        let span = tracing::info_span!("receiver");
        continue_from(&span, &HeaderMap::new(), 1);
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", "nonsense");
        continue_from(&span, &headers, 1);
    }
}
