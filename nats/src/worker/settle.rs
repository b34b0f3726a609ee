//! Telling the broker what became of a message. The only place that acknowledges, gives back or terminates.

use std::time::Duration;

use bytes::Bytes;
use cofferdam_schemas::ErrorCode;

use super::code_str;
use super::delivery::{Delivery, Ticket};
use super::pull::Puller;
use crate::bus::{ANSWER_WAIT, Bus, Published};
use crate::dlq::Burial;
use crate::error::PublishError;

/// Settles the messages of one consumer.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) bus: Bus,
    /// The consumer's ack wait: a message without progress for that long is delivered again.
    pub(crate) ack_wait: Duration,
}

/// How soon a released message may be delivered again: time for this worker's pull to be gone.
const RELEASED: Duration = Duration::from_secs(1);

impl Settler {
    /// How often a message that is worked on must be kept alive. On a cluster every one of these is a replicated write.
    pub(crate) fn progress_every(&self) -> Duration {
        (self.ack_wait / 3).max(Duration::from_millis(50))
    }

    async fn send(&self, ticket: &Ticket, what: impl Into<Bytes>) {
        let Some(reply) = &ticket.stub().reply else { return };
        if let Err(error) = self.bus.client().publish(reply.clone(), what.into()).await {
            // The message is delivered again, which is what an ack that gets lost on the way amounts to.
            tracing::debug!(sequence = ticket.stream_seq(), error = %error, "settlement was not sent");
        }
    }

    /// Acknowledges without waiting for the broker.
    pub(crate) async fn ack(&self, ticket: &Ticket) {
        self.send(ticket, "+ACK").await;
    }

    /// Acknowledges, and waits until the broker says so. After long work a redelivery is dear enough to look.
    pub(crate) async fn confirmed_ack(&self, ticket: &Ticket) {
        let Some(reply) = &ticket.stub().reply else { return };
        let request = async_nats::Request::new()
            .payload("+ACK".into())
            .timeout(Some(ANSWER_WAIT));
        if let Err(error) = self.bus.client().send_request(reply.clone(), request).await {
            tracing::debug!(sequence = ticket.stream_seq(), error = %error, "ack is not confirmed, the message may come again");
        }
    }

    /// Keeps it from being delivered to somebody else for another ack wait.
    pub(crate) async fn progress(&self, ticket: &Ticket) {
        self.send(ticket, "+WPI").await;
    }

    /// Gives it back, to be delivered again after the delay with 20 % of jitter. There is no way to give it back
    /// without a delay: the broker would use up all deliveries within milliseconds.
    pub(crate) async fn retry(&self, ticket: &Ticket, delay: Duration) {
        let delay = delay.mul_f64(rand::random_range(0.8..1.2));
        self.send(ticket, format!("-NAK {{\"delay\":{}}}", delay.as_nanos()))
            .await;
    }

    /// Gives it back for somebody else.
    pub(crate) async fn release(&self, ticket: &Ticket) {
        self.retry(ticket, RELEASED.min(self.ack_wait)).await;
    }

    /// Gives back what a lost pull had received and nobody took, in the background: otherwise each of these would be
    /// missing for a whole ack wait.
    pub(crate) fn release_rest(&self, puller: Puller) {
        let settler = self.clone();
        tokio::spawn(async move {
            for message in puller.close().await {
                if let Some(delivery) = Delivery::from_message(&settler.bus, message) {
                    settler.release(&delivery.ticket()).await;
                }
            }
        });
    }

    /// Ends it: nobody will get it again. Only after [`Settler::copy`].
    pub(crate) async fn terminate(&self, ticket: &Ticket, class: &str, code: ErrorCode) {
        self.send(ticket, format!("+TERM {class}/{}", code_str(code))).await;
    }

    /// Puts a full copy into `DLQ` and waits until it is stored.
    pub(crate) async fn copy(
        &self,
        delivery: &Delivery,
        class: &str,
        code: ErrorCode,
        reason: &str,
    ) -> Result<Published, PublishError> {
        let burial = Burial {
            stream: &delivery.stream,
            consumer: &delivery.consumer,
            sequence: delivery.stream_seq,
            deliveries: delivery.delivered,
            subject: &delivery.subject,
            headers: &delivery.headers,
            body: delivery.body.clone(),
            stored_at: delivery.stored_at,
            class,
            code: code_str(code),
            reason,
        };
        let stored = burial.publish(&self.bus).await?;
        if !stored.duplicate {
            self.bus.metrics().dead(&delivery.consumer, class);
        }
        Ok(stored)
    }
}
