//! Streams and consumers.

use async_nats::jetstream::{self, stream};
use cofferdam_nats::{NatsError, Topology, check, provision};

use crate::harness::{Server, event, provisioned, settings};

#[tokio::test]
async fn a_second_provisioning_changes_nothing() {
    let Some(server) = Server::start().await else { return };
    let (bus, topology) = (server.bus("provisioner").await, Topology::new(&settings()));
    let missing = check(&bus, &topology).await.unwrap();
    assert!(
        missing.iter().any(|d| d.what == "stream EVT" && d.found == "missing"),
        "{missing:?}"
    );
    let first = provision(&bus, &topology).await.unwrap();
    assert_eq!(first.created.len(), topology.streams.len() + topology.consumers.len());
    assert!(first.updated.is_empty() && first.drift.is_empty(), "{first:?}");
    let second = provision(&bus, &topology).await.unwrap();
    assert!(second.is_empty(), "{second:?}");
    assert_eq!(check(&bus, &topology).await.unwrap(), []);
}

#[tokio::test]
async fn drift_is_repaired_where_that_is_possible() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let topology = Topology::new(&settings());
    let context = jetstream::new(server.raw().await);
    let mut evt = topology.stream("EVT").unwrap().config.clone();
    evt.max_age = std::time::Duration::from_secs(3600);
    evt.discard = stream::DiscardPolicy::Old;
    evt.duplicate_window = std::time::Duration::from_secs(60);
    context.update_stream(evt).await.unwrap();
    let mut work = topology.consumer("EVT", "work-hi").unwrap().config.clone();
    work.max_ack_pending = 7;
    context.update_consumer_on_stream(work, "EVT").await.unwrap();

    let report = provision(&bus, &topology).await.unwrap();
    assert_eq!(report.updated, ["stream EVT", "consumer EVT/work-hi"]);
    let mut fields: Vec<_> = report.drift.iter().map(|d| d.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["discard", "duplicate_window", "max_ack_pending", "max_age"]);
    let window = report.drift.iter().find(|d| d.field == "max_ack_pending").unwrap();
    assert_eq!((window.found.as_str(), window.wanted.as_str()), ("7", "256"));
    assert!(provision(&bus, &topology).await.unwrap().is_empty());
}

#[tokio::test]
async fn drift_that_cannot_be_repaired_is_named_and_nothing_is_deleted() {
    let Some(server) = Server::start().await else { return };
    let (bus, topology) = (server.bus("provisioner").await, Topology::new(&settings()));
    let context = jetstream::new(server.raw().await);
    let mut res = topology.stream("RES").unwrap().config.clone();
    res.storage = stream::StorageType::Memory;
    context.create_stream(res).await.unwrap();
    context
        .publish("res.v1.acme.work.done.00", "kept".into())
        .await
        .unwrap()
        .await
        .unwrap();

    let Err(NatsError::Drift(drift)) = provision(&bus, &topology).await else {
        panic!("drift is not noticed")
    };
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!(
        (drift[0].what.as_str(), drift[0].field.as_str()),
        ("stream RES", "storage")
    );
    assert_eq!(
        (drift[0].wanted.as_str(), drift[0].found.as_str()),
        ("\"file\"", "\"memory\"")
    );
    assert!(
        drift[0].remedy.contains("delete the stream and provision again"),
        "{}",
        drift[0].remedy
    );
    assert_eq!(server.stored("RES", "res.v1.>").await.len(), 1);
}

#[tokio::test]
async fn a_consumer_that_starts_elsewhere_is_drift() {
    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let topology = Topology::new(&settings());
    let context = jetstream::new(server.raw().await);
    context.delete_consumer_from_stream("join", "RES").await.unwrap();
    let mut join = topology.consumer("RES", "join").unwrap().config.clone();
    join.deliver_policy = async_nats::jetstream::consumer::DeliverPolicy::New;
    context.create_consumer_on_stream(join, "RES").await.unwrap();
    let Err(NatsError::Drift(drift)) = provision(&bus, &topology).await else {
        panic!("drift is not noticed")
    };
    assert_eq!(drift[0].field, "deliver_policy", "{drift:?}");
    assert!(drift[0].remedy.contains("delete the consumer"), "{}", drift[0].remedy);
}

#[tokio::test]
async fn stored_messages_are_republished_on_the_live_feed() {
    use cofferdam_nats::subject::Live;
    use futures::StreamExt;

    let Some((server, bus)) = provisioned().await else {
        return;
    };
    let client = server.raw().await;
    let mut live = client.subscribe("live.v1.acme.>").await.unwrap();
    // What comes back shows that the server knows the subscription.
    client.publish("live.v1.acme.probe", "".into()).await.unwrap();
    live.next().await.unwrap();
    let event = event(1);
    bus.publish_event(&event, 0).await.unwrap();
    let result = crate::bus::result(&event);
    bus.publish_result(&result, 0).await.unwrap();
    bus.publish_done(&crate::bus::done(&result)).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let message = tokio::time::timeout(std::time::Duration::from_secs(5), live.next())
            .await
            .unwrap()
            .unwrap();
        assert!(message.headers.unwrap().get("ce-type").is_some());
        kinds.push(message.subject.parse::<Live>().unwrap());
    }
    let (tenant, partition) = (event.object.tenant.clone(), event.object.partition());
    assert_eq!(
        kinds,
        [
            Live::Event {
                tenant: tenant.clone(),
                verb: event.verb,
                partition
            },
            Live::Result {
                tenant: tenant.clone(),
                name: result.processor.clone(),
                outcome: result.outcome,
                partition
            },
            Live::Done {
                tenant,
                object: event.object.id
            },
        ]
    );
}
