//! Logs, traces and metrics of the process.
//!
//! One tracing subscriber: a formatted log on standard error, and when a collector is configured an OpenTelemetry layer that exports over OTLP/HTTP. The exporter
//! uses reqwest's *blocking* client: the SDK's batch threads have no tokio reactor, and the async client would export nothing. Metrics go through the OpenTelemetry
//! API with two readers, the scrape at `/metrics` and the push.

use anyhow::Context;
use opentelemetry::trace::{TraceContextExt, TracerProvider as _};
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, Plan};

/// What has to be flushed at the end, and the registry that `/metrics` renders.
pub struct Telemetry {
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
    /// For `/metrics`.
    pub registry: prometheus::Registry,
}

impl Telemetry {
    /// Starts it for this process. `service` is the role, for example `up` or `encrypt`.
    pub fn start(plan: &Plan, service: &str) -> anyhow::Result<Telemetry> {
        let settings = &plan.raw.telemetry;
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("cofferdam.service", service.to_owned()),
            ])
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());

        // Spans always get ids, so that logs and messages can be correlated; they are exported only when a collector is configured.
        let mut traces = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                settings.sample_ratio,
            ))));
        let registry = prometheus::Registry::new();
        let scrape = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .context("metrics exporter")?;
        let mut meters = SdkMeterProvider::builder().with_resource(resource).with_reader(scrape);
        if let Some(base) = &settings.otlp_endpoint {
            let base = base.trim_end_matches('/');
            let spans = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{base}/v1/traces"))
                .build();
            traces = traces.with_batch_exporter(spans.context("OTLP span exporter")?);
            let metrics = opentelemetry_otlp::MetricExporter::builder()
                .with_http()
                .with_endpoint(format!("{base}/v1/metrics"))
                .build();
            meters = meters.with_reader(PeriodicReader::builder(metrics.context("OTLP metric exporter")?).build());
        }
        let (traces, meters) = (traces.build(), meters.build());
        global::set_tracer_provider(traces.clone());
        global::set_meter_provider(meters.clone());

        // Libraries write requests, links and message bodies into their debug logs: whatever the filter says, theirs end at `info`.
        let quiet = |metadata: &tracing::Metadata<'_>| {
            // `s3s` logs request bodies even with its errors.
            let target = metadata.target();
            target.starts_with("cofferdam") || (*metadata.level() <= tracing::Level::INFO && !target.starts_with("s3s"))
        };
        let quiet = tracing_subscriber::filter::filter_fn(quiet);
        let filter = EnvFilter::try_new(&plan.raw.log.filter)
            .context("log.filter")?
            .and(quiet);
        // The libraries below would otherwise trace their own exports. What nobody will see are the details: only the spans that give logs and messages their
        // ids are made then.
        let exported = settings.otlp_endpoint.is_some();
        let own = move |metadata: &tracing::Metadata<'_>| {
            metadata.target().starts_with("cofferdam") && (exported || *metadata.level() <= tracing::Level::INFO)
        };
        let spans = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("cofferdam"))
            .with_location(exported)
            .with_threads(exported)
            .with_target(exported)
            .with_tracked_inactivity(exported)
            .with_filter(tracing_subscriber::filter::filter_fn(own));
        let log = match plan.raw.log.format {
            LogFormat::Human => tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_target(false)
                .with_filter(filter)
                .boxed(),
            LogFormat::Json => tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .event_format(JsonLines)
                .with_filter(filter)
                .boxed(),
        };
        tracing_subscriber::registry()
            .with(spans)
            .with(log)
            .try_init()
            .context("log subscriber")?;
        Ok(Telemetry {
            traces,
            meters,
            registry,
        })
    }

    /// Sends what is still held. Blocks for a few seconds at most.
    pub fn stop(self) {
        // A collector that is gone at the end is no reason to fail.
        for result in [self.traces.shutdown(), self.meters.shutdown()] {
            if let Err(error) = result {
                tracing::debug!(%error, "telemetry was not flushed");
            }
        }
    }
}

/// One JSON object a line, with `trace_id` and `span_id`, which the stock JSON format does not know.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let mut fields = Fields(serde_json::Map::new());
        event.record(&mut fields);
        let mut line = serde_json::Map::new();
        let now = cofferdam_seams::Clock::now(&cofferdam_seams::SystemClock);
        line.insert("time".into(), now.to_string().into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        if let Some(message) = fields.0.remove("message") {
            line.insert("message".into(), message);
        }
        let context = tracing::Span::current().context();
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            line.insert("trace_id".into(), span.trace_id().to_string().into());
            line.insert("span_id".into(), span.span_id().to_string().into());
        }
        if !fields.0.is_empty() {
            line.insert("fields".into(), fields.0.into());
        }
        writeln!(writer, "{}", serde_json::Value::Object(line))
    }
}

struct Fields(serde_json::Map<String, serde_json::Value>);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
