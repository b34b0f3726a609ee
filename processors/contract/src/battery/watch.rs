//! What a call shows to the outside: spans, events, metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Fields of one span.
pub(crate) type Fields = BTreeMap<String, String>;

/// Everything that was said, at every level.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    spans: Vec<(u64, &'static str, Fields)>,
    events: Vec<Fields>,
}

impl Seen {
    /// A dispatcher that writes here.
    pub(crate) fn dispatch(&self) -> Dispatch {
        Dispatch::new(Registry::default().with(self.clone()))
    }

    /// Fields of every span with this name.
    pub(crate) fn spans(&self, name: &str) -> Vec<Fields> {
        self.with(|log| {
            log.spans
                .iter()
                .filter(|(_, span, _)| *span == name)
                .map(|(.., f)| f.clone())
                .collect()
        })
    }

    /// Where a text occurs in a span or an event.
    pub(crate) fn places_of(&self, needle: &str) -> Vec<String> {
        self.with(|log| {
            let spans = log
                .spans
                .iter()
                .map(|(_, name, fields)| (format!("span {name}"), fields));
            let events = log.events.iter().map(|fields| ("event".to_owned(), fields));
            let hit = |(place, fields): (String, &Fields)| {
                let field = fields.iter().find(|(_, value)| value.contains(needle))?.0;
                Some(format!("{place}, field {field}"))
            };
            spans.chain(events).filter_map(hit).collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Collect(&mut fields));
        self.with(|log| log.spans.push((id.into_u64(), attributes.metadata().name(), fields)));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.with(|log| {
            // Ids are used again once a span is closed: the newest is meant.
            if let Some((.., fields)) = log.spans.iter_mut().rev().find(|(span, ..)| *span == id.into_u64()) {
                values.record(&mut Collect(fields));
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        self.with(|log| log.events.push(fields));
    }
}

/// The meter provider of this test process, installed at first use, and what it last exported.
pub(crate) struct Metrics {
    provider: SdkMeterProvider,
    seen: Exported,
}

/// Instrument name and `label=value` of each of its series.
type Exported = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

impl Metrics {
    /// Installs the provider. Call it before the processor starts.
    pub(crate) fn install() -> &'static Self {
        static METRICS: OnceLock<Metrics> = OnceLock::new();
        METRICS.get_or_init(|| {
            let seen = Exported::default();
            let reader = PeriodicReader::builder(Memory(seen.clone()))
                .with_interval(Duration::from_secs(3600))
                .build();
            let provider = SdkMeterProvider::builder().with_reader(reader).build();
            opentelemetry::global::set_meter_provider(provider.clone());
            Metrics { provider, seen }
        })
    }

    /// The `label=value` pairs an instrument has by now, over all its series.
    pub(crate) async fn labels(&'static self, instrument: &str) -> BTreeSet<String> {
        let flushed = tokio::task::spawn_blocking(|| self.provider.force_flush()).await;
        flushed.expect("the flush ran").expect("metrics are exported");
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(instrument)
            .cloned()
            .unwrap_or_default()
    }
}

struct Memory(Exported);

impl PushMetricExporter for Memory {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let labels = seen.entry(metric.name().to_owned()).or_default();
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(data)) => {
                    let series = data.data_points().flat_map(|point| point.attributes());
                    labels.extend(series.map(|label| format!("{}={}", label.key, label.value)));
                }
                AggregatedMetrics::U64(MetricData::Sum(data)) => {
                    let series = data.data_points().flat_map(|point| point.attributes());
                    labels.extend(series.map(|label| format!("{}={}", label.key, label.value)));
                }
                AggregatedMetrics::F64(_) | AggregatedMetrics::U64(_) | AggregatedMetrics::I64(_) => {}
            }
        }
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
