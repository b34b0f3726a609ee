//! Answers to questions on `q.v1.<tenant>.<query>`: what a tenant's client asks on `q.<query>`.
//!
//! The tenant stands in the subject, where the broker's account put it, and nowhere in the body. Every question is answered: with what was asked for,
//! or with a [`WireError`] and the header `cofferdam-error`.

mod answer;

use std::sync::Arc;

use async_nats::{HeaderMap, Message};
use cofferdam_nats::subject::Query;
use cofferdam_nats::{Bus, NatsError};
use cofferdam_schemas::{TenantName, WireError};
use cofferdam_seams::{Clock, SystemClock};
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answer::Answerer;

use crate::store::Store;

/// The group in which several of these services share the work.
const GROUP: &str = "query";
/// The header that marks an error.
pub const ERROR_HEADER: &str = "cofferdam-error";
/// Questions answered at once; more wait.
const CONCURRENCY: usize = 32;

/// Answers until it is stopped. Questions of tenants not in the list are refused.
pub async fn run_query(
    bus: Bus,
    store: Arc<dyn Store>,
    tenants: Vec<TenantName>,
    stop: CancellationToken,
) -> Result<(), NatsError> {
    let client = bus.client().clone();
    let failed = |source: async_nats::SubscribeError| NatsError::Client {
        what: "subscribing to queries".into(),
        source: Box::new(source),
    };
    let mut questions = client
        .queue_subscribe(Query::ALL, GROUP.to_owned())
        .await
        .map_err(failed)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let most = client.server_info().max_payload.max(64 * 1024);
    let answerer = Arc::new(Answerer::new(store, tenants, clock, most / 4 * 3));
    let (permits, tasks) = (Arc::new(Semaphore::new(CONCURRENCY)), TaskTracker::new());
    tracing::info!(subject = Query::ALL, "query service started");
    loop {
        let question = tokio::select! {
            () = stop.cancelled() => break,
            question = questions.next() => question,
        };
        let Some(question) = question else {
            // The client reconnects by itself; a subscription ends only with the connection.
            if stop.is_cancelled() {
                break;
            }
            return Err(NatsError::Missing {
                what: "subscription to queries".into(),
            });
        };
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        let (client, answerer) = (client.clone(), answerer.clone());
        tasks.spawn(async move {
            reply(&client, &answerer, question).await;
            drop(permit);
        });
    }
    if let Err(error) = questions.unsubscribe().await {
        tracing::debug!(%error, "queries were unsubscribed already");
    }
    tasks.close();
    tasks.wait().await;
    tracing::info!("query service stopped");
    Ok(())
}

async fn reply(client: &async_nats::Client, answerer: &Answerer, question: Message) {
    let Some(to) = question.reply.clone() else {
        tracing::debug!(subject = %question.subject, "question without a reply subject");
        return;
    };
    let sent = match answerer.answer(question.subject.as_str(), &question.payload).await {
        Ok(body) => client.publish(to, body.into()).await,
        Err(error) => {
            let mut headers = HeaderMap::new();
            headers.insert(ERROR_HEADER, answer::code_word(&error).as_str());
            client
                .publish_with_headers(to, headers, error_body(&error).into())
                .await
        }
    };
    if let Err(error) = sent {
        tracing::warn!(subject = %question.subject, %error, "answer is not sent");
    }
}

fn error_body(error: &WireError) -> Vec<u8> {
    serde_json::to_vec(error).unwrap_or_default()
}
