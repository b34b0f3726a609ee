//! What the worker shell costs: consume, result, ack through it, and the same with the client alone.
//!
//! ```text
//! cargo bench -p cofferdam-nats --bench shell -- [--quick]
//! ```
//!
//! A nats-server of its own holds object events of realistic size, and two consumers with the same settings that each get all of them. The rounds take
//! turns, so that a noisy neighbour hits both; every figure is the median of them, one line each, `name value unit`, on standard output.
//!
//! * `shell`: [`run_processor`] with a processor that concludes at once, tracing and trace propagation as the program has them.
//! * `raw`: async-nats' own message stream, asking for as many; for each message, as many at once: the event decoded, a result published with the headers and
//!   the body of one that the shell had written (its id apart; nothing is composed or serialised), the publish acknowledgement awaited, the message acknowledged.
//!
//! Both acknowledge after the broker has the result, and neither waits for a confirmation of its acknowledgement.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A bench that cannot go on ends.
#![allow(clippy::disallowed_methods)] // The client alone is what the shell is compared with.

#[allow(dead_code)] // Most of it is for tests.
#[path = "../tests/broker/harness.rs"]
mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use cofferdam_nats::worker::{WorkerSettings, run_processor};
use cofferdam_nats::{Bus, Topology, provision};
use cofferdam_processor::{AnyProcessor, CommandHandler, Conclusion, Document, Job, ProcessError};
use cofferdam_schemas::{Lane, ObjectEvent, ProcessorName, Verdict};
use cofferdam_seams::SystemClock;
use futures::StreamExt;
use opentelemetry::trace::TracerProvider as _;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use harness::{Documents, Server, Stored, event, name, settings};

/// Messages in hand at once: the program's default.
const AT_ONCE: usize = 32;

/// What one round took.
#[derive(Clone, Copy)]
struct Round {
    wall: f64,
    /// Of this process, and of the broker.
    cpu: [f64; 2],
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (messages, rounds) = if quick { (2_000, 3) } else { (20_000, 7) };
    traced();
    let mut settings = settings();
    settings.processors = vec![name("work"), name("raw")];
    settings.sinks = Vec::new();
    settings.processor_ack_wait = Duration::from_secs(60);
    for stream in ["EVT", "RES"] {
        settings.max_bytes.insert(stream.to_owned(), 1 << 30);
    }
    let Some(server) = Server::start().await else { return };
    let bus = server.bus("bench").await;
    provision(&bus, &Topology::new(&settings)).await.unwrap();

    let client = async_nats::connect(server.url()).await.unwrap();
    // As much in flight as the shell's publishing allows itself.
    let jetstream = ContextBuilder::new()
        .max_ack_inflight(256)
        .backpressure_on_inflight(true)
        .build(client);

    // Both are warm, and there is a result to copy, before anything is measured.
    let mut published = 0;
    publish(&bus, &mut published, 500).await;
    shell(&server, &jetstream, &bus, 500).await;
    let template = server.stored("RES", "res.v1.acme.work.done.*").await.remove(0);
    raw(&server, &jetstream, 500, &template).await;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        publish(&bus, &mut published, messages).await;
        if round % 2 == 0 {
            ours.push(shell(&server, &jetstream, &bus, messages).await);
            theirs.push(raw(&server, &jetstream, messages, &template).await);
        } else {
            theirs.push(raw(&server, &jetstream, messages, &template).await);
            ours.push(shell(&server, &jetstream, &bus, messages).await);
        }
        eprintln!(
            "round {round}: {:.3} s and {:.3} s",
            ours[round].wall, theirs[round].wall
        );
    }
    // Every message of both has its result: nothing was lost or made twice.
    assert_eq!(results(&jetstream).await, 2 * u64::from(published), "one result each");

    let each = messages as f64;
    for (who, all) in [("shell", &ours), ("raw", &theirs)] {
        let of = |value: fn(&Round) -> f64| median(all.iter().map(value).collect());
        println!("shell.{who}.rate {:.1} messages/s", each / of(|round| round.wall));
        println!(
            "shell.{who}.cpu.client {:.1} us/message",
            of(|round| round.cpu[0]) * 1e6 / each
        );
        println!(
            "shell.{who}.cpu.broker {:.1} us/message",
            of(|round| round.cpu[1]) * 1e6 / each
        );
    }
    let pairs = ours.iter().zip(&theirs);
    println!(
        "shell.ratio {:.3} of raw async-nats",
        median(pairs.clone().map(|(ours, theirs)| theirs.wall / ours.wall).collect())
    );
    let total = |round: &Round| round.cpu[0] + round.cpu[1];
    println!(
        "shell.cpu-ratio {:.3} of raw async-nats",
        median(pairs.map(|(ours, theirs)| total(theirs) / total(ours)).collect())
    );
}

/// As the program has it without a collector: a log of what is worth saying, and spans that give it ids.
fn traced() {
    opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
    let traces = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let own = |metadata: &tracing::Metadata<'_>| {
        metadata.target().starts_with("cofferdam") && *metadata.level() <= tracing::Level::INFO
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer("cofferdam"))
        .with_filter(tracing_subscriber::filter::filter_fn(own));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(tracing_subscriber::EnvFilter::new("info"));
    let subscriber = tracing_subscriber::registry().with(spans).with(log);
    tracing::subscriber::set_global_default(subscriber).unwrap();
}

/// More events, as uploads make them.
async fn publish(bus: &Bus, published: &mut u32, count: usize) {
    let from = *published;
    *published += u32::try_from(count).unwrap();
    futures::stream::iter(from..*published)
        .for_each_concurrent(128, |number| async move {
            let mut event = event(number);
            event.object.content_type = Some("application/pdf".to_owned());
            bus.publish_event(&event, 0).await.unwrap();
        })
        .await;
}

/// Concludes at once.
struct Idle {
    name: ProcessorName,
    calls: AtomicUsize,
}

#[async_trait]
impl AnyProcessor for Idle {
    fn name(&self) -> &ProcessorName {
        &self.name
    }
    fn version(&self) -> &'static str {
        "1.0"
    }
    async fn process(&self, _: &Job, _: Document) -> Result<Conclusion, ProcessError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Conclusion {
            verdict: Some(Verdict::Pass),
            ..Conclusion::default()
        })
    }
    fn commands(&self) -> Vec<Arc<dyn CommandHandler>> {
        Vec::new()
    }
}

/// A worker as the program runs it, until so many more messages are acknowledged.
async fn shell(server: &Server, jetstream: &Context, bus: &Bus, count: usize) -> Round {
    let processor = Arc::new(Idle {
        name: name("work"),
        calls: AtomicUsize::new(0),
    });
    let stop = CancellationToken::new();
    let settings = WorkerSettings {
        concurrency: AT_ONCE,
        stop: stop.clone(),
        ..WorkerSettings::default()
    };
    let (stores, clock) = (Documents::new().stores(), Arc::new(SystemClock));
    let before = Spent::now(server);
    let running = tokio::spawn(run_processor(
        bus.clone(),
        processor.clone(),
        stores,
        clock,
        Lane::Hi,
        settings,
    ));
    while processor.calls.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    acknowledged(jetstream, "work-hi").await;
    let round = before.until_now(server);
    stop.cancel();
    running.await.unwrap().unwrap();
    round
}

/// The same by hand.
async fn raw(server: &Server, jetstream: &Context, count: usize, template: &Stored) -> Round {
    let before = Spent::now(server);
    let consumer: PullConsumer = jetstream.get_consumer_from_stream("raw-hi", "EVT").await.unwrap();
    let messages = consumer.stream().max_messages_per_batch(2 * AT_ONCE).messages();
    let messages = messages.await.unwrap().take(count);
    messages
        .for_each_concurrent(AT_ONCE, async |message| {
            let message = message.unwrap();
            let event: ObjectEvent = serde_json::from_slice(&message.payload).unwrap();
            let mut headers = template.headers.clone();
            headers.insert("Nats-Msg-Id", format!("res:{}:raw:1.0:done", event.id));
            let (tenant, partition) = (&event.object.tenant, event.object.partition());
            let subject = format!("res.v1.{tenant}.raw.done.{partition}");
            let result = PublishMessage::build().payload(template.body.clone()).headers(headers);
            let stored = jetstream.send_publish(subject, result).await.unwrap().await.unwrap();
            assert!(!stored.duplicate);
            message.ack().await.unwrap();
        })
        .await;
    acknowledged(jetstream, "raw-hi").await;
    before.until_now(server)
}

/// Waits until the broker has nothing left for a consumer and every acknowledgement of it.
async fn acknowledged(jetstream: &Context, consumer: &str) {
    let mut consumer: PullConsumer = jetstream.get_consumer_from_stream(consumer, "EVT").await.unwrap();
    loop {
        let info = consumer.info().await.unwrap();
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Results in the stream.
async fn results(jetstream: &Context) -> u64 {
    jetstream.get_stream("RES").await.unwrap().cached_info().state.messages
}

/// Where the clocks stand.
struct Spent {
    at: Instant,
    cpu: [f64; 2],
}

impl Spent {
    fn now(server: &Server) -> Self {
        Self {
            at: Instant::now(),
            cpu: [cpu(std::process::id()), cpu(server.pid())],
        }
    }

    fn until_now(self, server: &Server) -> Round {
        let now = Self::now(server);
        Round {
            wall: (now.at - self.at).as_secs_f64(),
            cpu: [now.cpu[0] - self.cpu[0], now.cpu[1] - self.cpu[1]],
        }
    }
}

/// Seconds of CPU of a process so far. A tick is 10 ms: little in a round.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), counted from the state, which is field 3.
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    // SAFETY: sysconf only reads a constant.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
