//! `cofferdam watch`.

use cofferdam_schemas::{CommandResult, Done, ObjectEvent, ResultEvent, Timestamp};
use futures::StreamExt;

use crate::args::{Global, Watch};
use crate::client::Session;
use crate::output::{Exit, Failure, bytes, json_line, printable};

/// Prints the live feed until it is stopped.
pub async fn run(global: &Global, args: &Watch) -> Result<Exit, Failure> {
    let session = Session::open(global).await?;
    let filter = args.filter.as_deref().map_or_else(
        || "live.>".to_owned(),
        |filter| format!("live.{}.>", filter.trim_end_matches('.')),
    );
    let mut messages = session.nats.subscribe(filter.clone()).await?;
    session.nats.flush().await?;
    if !global.json {
        eprintln!("watching {filter} as {}; Ctrl-C stops", session.run.nats.tenant.name);
    }
    let mut seen = 0;
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(message) = message else {
            return Err(Failure::text(
                Exit::Unavailable,
                "the connection to the instance was closed",
            ));
        };
        if global.json {
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            json_line(&serde_json::json!({"subject": message.subject.as_str(), "event": body}))?;
        } else {
            println!("{}", line(message.subject.as_str(), &message.payload));
        }
        seen += 1;
        if args.count.is_some_and(|count| seen >= count) {
            return Ok(Exit::Ok);
        }
    }
}

fn line(subject: &str, body: &[u8]) -> String {
    let clock = |at: Timestamp| at.to_string()[11..23].to_owned();
    let now = || clock(cofferdam_seams::Clock::now(&cofferdam_seams::SystemClock));
    if let Ok(done) = serde_json::from_slice::<Done>(body) {
        return format!(
            "{}  {:<12} {:<12} {}",
            now(),
            done.state,
            done.verdict.as_str(),
            printable(done.object.key.as_str())
        );
    }
    if let Ok(event) = serde_json::from_slice::<ObjectEvent>(body) {
        return format!(
            "{}  {:<12} {:<12} {} ({})",
            now(),
            event.verb,
            "",
            printable(event.object.key.as_str()),
            bytes(event.object.size)
        );
    }
    if let Ok(result) = serde_json::from_slice::<ResultEvent>(body) {
        let verdict = result.verdict.map(|verdict| verdict.as_str()).unwrap_or_default();
        let took = result.finished_at.unix_millis() - result.started_at.unix_millis();
        let what = if result.outcome == cofferdam_schemas::Outcome::Done {
            verdict
        } else {
            result.outcome.as_str()
        };
        return format!(
            "{}  {:<12} {:<12} {} ({took} ms)",
            clock(result.finished_at),
            result.processor,
            what,
            printable(result.object.key.as_str())
        );
    }
    if let Ok(result) = serde_json::from_slice::<CommandResult>(body) {
        let object = result
            .result
            .as_ref()
            .and_then(|r| r.object)
            .map(|id| id.to_string())
            .unwrap_or_default();
        return format!(
            "{}  {:<12} {:<12} {object}",
            clock(result.finished_at),
            result.verb,
            result.outcome
        );
    }
    format!("{}  {subject}", now())
}
