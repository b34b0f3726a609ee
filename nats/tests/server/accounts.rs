//! What each account and each role can do, and what it cannot.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, consumer::PullConsumer};
use cofferdam_nats::accounts::Credentials;
use cofferdam_schemas::ids::TenantName;
use futures::StreamExt;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_and_nothing_else() {
    let Some(binary) = program("a_tenant_sees_its_own_and_nothing_else") else {
        return;
    };
    let world = World::start(&binary).await;
    let (encrypt, refused_encrypt) = world.role("encrypt").await;
    let (acme, refused) = world.tenant("acme").await;
    let mut live = acme.subscribe("live.>").await.unwrap();
    settled(&acme).await;

    // Results become live messages, each tenant's own only: the second one that arrives is the third that was
    // published.
    store(&encrypt, "res.v1.acme.encrypt.done.07", "one").await;
    store(&encrypt, "res.v1.beta.encrypt.done.07", "not for acme").await;
    store(&encrypt, "res.v1.acme.encrypt.done.08", "two").await;
    for (subject, body) in [("live.encrypt.done.07", "one"), ("live.encrypt.done.08", "two")] {
        let message = tokio::time::timeout(Duration::from_secs(10), live.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (message.subject.as_str(), &message.payload[..]),
            (subject, body.as_bytes())
        );
    }
    refused_encrypt.none();
    refused.none();

    // A request carries the tenant's name, whoever sent it, and is answered.
    let (ingest, refused_ingest) = world.role("gateway").await;
    let mut commands = ingest.subscribe("cmdin.v1.>").await.unwrap();
    // Its acknowledgement comes after the subscription has been taken.
    store(&ingest, "cmd.v1.acme.retrieve", "x").await;
    let answer = tokio::spawn(async move {
        let request = commands.next().await.unwrap();
        ingest
            .publish(request.reply.clone().unwrap(), "accepted".into())
            .await
            .unwrap();
        ingest.flush().await.unwrap();
        (request, commands, ingest)
    });
    let reply = acme.request("cmd.retrieve", "{}".into()).await.unwrap();
    assert_eq!(&reply.payload[..], b"accepted");
    let (request, mut commands, ingest) = answer.await.unwrap();
    assert_eq!(request.subject.as_str(), "cmdin.v1.acme.retrieve");
    refused_ingest.none();

    // Another tenant's subjects, by every name they have, are out of reach.
    for subject in [
        "cmdin.v1.beta.retrieve",
        "q.v1.beta.objects",
        "evt.v1.hi.beta.put.07",
        "live.v1.beta.x",
        "cmd",
    ] {
        publish(&acme, subject, "x").await;
        if subject != "q.v1.beta.objects" {
            refused.wait_for(subject).await;
        }
    }
    for subject in [">", "live", "cmd.>", "_INBOX_ingest.>", "$SYS.>", "res.v1.>"] {
        let _ = acme.subscribe(subject.to_owned()).await.unwrap();
        acme.flush().await.unwrap();
        refused.wait_for(&format!("\"{subject}\"")).await;
    }
    // Nested in an allowed subject it stays below the tenant's own name.
    publish(&acme, "cmd.v1.beta.retrieve", "nested").await;
    let nested = tokio::time::timeout(Duration::from_secs(10), commands.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(nested.subject.as_str(), "cmdin.v1.acme.v1.beta.retrieve");
    drop(ingest);

    // JetStream is not there for it.
    assert!(jetstream::new(acme.clone()).query_account().await.is_err());
    refused.wait_for("$JS.API.INFO").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_another_tenant_goes_nowhere() {
    let Some(binary) = program("a_query_of_another_tenant_goes_nowhere") else {
        return;
    };
    let world = World::start(&binary).await;
    let (query, refused_query) = world.role("query").await;
    let mut questions = query.subscribe("q.v1.>").await.unwrap();
    publish(&query, "something", "x").await;
    refused_query.wait_for("something").await;
    let (acme, _) = world.tenant("acme").await;
    // Below `q.` everything is the tenant's own: another tenant's name is just a word in its question.
    publish(&acme, "q.v1.beta.objects", "").await;
    let question = tokio::time::timeout(Duration::from_secs(10), questions.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(question.subject.as_str(), "q.v1.acme.v1.beta.objects");
    // It answers questions and says nothing unasked.
    publish(&query, "q.v1.acme.objects", "x").await;
    refused_query.wait_for("q.v1.acme.objects").await;
    publish(&query, "anything", "x").await;
    refused_query.wait_for("anything").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_for_tenants_and_passwords_are_checked() {
    let Some(binary) = program("browsers_are_for_tenants_and_passwords_are_checked") else {
        return;
    };
    let world = World::start(&binary).await;
    let acme = world.accounts.tenant_login(&name::<TenantName>("acme")).unwrap();
    let (browser, refused) = connect(&world.server.websocket_url(), &acme).await;
    let mut live = browser.subscribe("live.>").await.unwrap();
    settled(&browser).await;
    let (encrypt, _) = world.role("encrypt").await;
    store(&encrypt, "res.v1.acme.encrypt.done.07", "one").await;
    let message = tokio::time::timeout(Duration::from_secs(10), live.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&message.payload[..], b"one");
    refused.none();
    // A role's password is worth nothing on that listener, nor is a wrong one, nor none, anywhere.
    let none = Violations::default();
    let role = world.accounts.login("provisioner").unwrap();
    assert!(
        options(&role, &none)
            .connect(world.server.websocket_url())
            .await
            .is_err()
    );
    let wrong = Credentials {
        password: "wrong".to_owned().into(),
        ..role
    };
    for url in [world.server.url(), world.server.websocket_url()] {
        assert!(options(&wrong, &none).connect(&url).await.is_err());
        assert!(ConnectOptions::new().connect(&url).await.is_err());
    }
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_does_its_work_and_cannot_do_more() {
    let Some(binary) = program("a_role_does_its_work_and_cannot_do_more") else {
        return;
    };
    let world = World::start(&binary).await;
    let (ingest, refused_ingest) = world.role("ingest").await;
    store(&ingest, "evt.v1.hi.acme.put.07", "event").await;
    refused_ingest.none();

    // Its own consumer, from the pull to the acknowledgement, without any permission to create one.
    let (encrypt, refused) = world.role("encrypt").await;
    let context = jetstream::new(encrypt.clone());
    let consumer: PullConsumer = context.get_consumer_from_stream("encrypt-hi", "EVT").await.unwrap();
    let mut messages = consumer
        .fetch()
        .max_messages(1)
        .expires(Duration::from_secs(5))
        .messages()
        .await
        .unwrap();
    let message = messages.next().await.unwrap().unwrap();
    assert_eq!(&message.payload[..], b"event");
    message.ack_with(jetstream::AckKind::Progress).await.unwrap();
    message.double_ack().await.unwrap();
    store(&encrypt, "dlq.v1.acme.EVT.encrypt-hi.reject", "copy").await;
    refused.none();

    for subject in [
        "evt.v1.hi.acme.put.07",
        "res.v1.acme.validate.done.07",
        "join.v1.done.acme.x",
        "dlq.v1.acme.EVT.validate-hi.reject",
        "raw.s3.minio",
    ] {
        publish(&encrypt, subject, "forged").await;
        refused.wait_for(subject).await;
    }
    let other = context
        .get_consumer_from_stream::<jetstream::consumer::pull::Config, _, _>("validate-hi", "EVT")
        .await;
    assert!(other.is_err());
    refused.wait_for("$JS.API.CONSUMER.INFO.EVT.validate-hi").await;
    assert!(context.delete_stream("EVT").await.is_err());
    refused.wait_for("$JS.API.STREAM.DELETE.EVT").await;
    for subject in ["evt.v1.>", "_INBOX.>", "_INBOX_validate.>"] {
        let _ = encrypt.subscribe(subject).await.unwrap();
        encrypt.flush().await.unwrap();
        refused.wait_for(&format!("\"{subject}\"")).await;
    }

    // Nothing of all that was stored: one event, one dead letter.
    let (operator, refused) = world.role("operator").await;
    let context = jetstream::new(operator);
    for (stream, count) in [("EVT", 1), ("RES", 0), ("JOIN", 0), ("DLQ", 1), ("RAW", 0)] {
        assert_eq!(
            context.get_stream(stream).await.unwrap().cached_info().state.messages,
            count,
            "{stream}"
        );
    }
    let dead = context
        .get_stream_no_info("DLQ")
        .await
        .unwrap()
        .get_raw_message(1)
        .await
        .unwrap();
    assert_eq!(&dead.payload[..], b"copy");
    refused.none();

    // A foreign store, with the stock inbox of its client, may notify and nothing else.
    let store_login = world.accounts.source_login(&name("minio")).unwrap();
    let refused = Violations::default();
    let foreign = options(&store_login, &refused)
        .custom_inbox_prefix("_INBOX")
        .connect(world.server.url())
        .await
        .unwrap();
    store(&foreign, "raw.s3.minio", "notification").await;
    refused.none();
    publish(&foreign, "raw.s3.other", "x").await;
    refused.wait_for("raw.s3.other").await;
    world.server.stop().await;
}
