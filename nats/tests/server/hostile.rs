//! What a tenant writes by hand, past every client library.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use cofferdam_nats::subject::{CmdIn, Query};
use cofferdam_schemas::ids::TenantName;
use futures::StreamExt;
use secrecy::ExposeSecret;

use crate::support::*;

/// A connection that says what it wants.
struct Raw(TcpStream);

impl Raw {
    fn open(world: &World, tenant: &str) -> Self {
        let login = world.accounts.tenant_login(&name::<TenantName>(tenant)).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", world.server.ports().client)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let password = login.password.expose_secret();
        write!(
            stream,
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"user\":\"{}\",\"pass\":\"{password}\"}}\r\n",
            login.user
        )
        .unwrap();
        Self(stream)
    }

    /// Sends bytes, and returns all that the server said until it had read them (or closed).
    fn say(&mut self, bytes: &[u8]) -> String {
        self.0.write_all(bytes).unwrap();
        // Refused by a server that has closed already.
        let _ = self.0.write_all(b"PING\r\n");
        self.hear()
    }

    /// What the server says until it has answered a PING, or closes.
    fn hear(&mut self) -> String {
        let mut said = Vec::new();
        let mut buffer = [0; 4096];
        while !said.ends_with(b"PONG\r\n") {
            match self.0.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => said.extend_from_slice(&buffer[..read]),
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

fn publish(subject: &[u8], headers: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = if headers.is_empty() {
        b"PUB ".to_vec()
    } else {
        b"HPUB ".to_vec()
    };
    bytes.extend_from_slice(subject);
    if headers.is_empty() {
        bytes.extend_from_slice(format!(" {}\r\n", body.len()).as_bytes());
    } else {
        bytes.extend_from_slice(format!(" {} {}\r\n", headers.len(), headers.len() + body.len()).as_bytes());
    }
    [&bytes, headers, body, b"\r\n"].concat()
}

/// Answers everything on a subject with what the parser of that kind makes of it.
fn answering(client: Client, pattern: &'static str, seen: Arc<AtomicU64>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut requests = client.subscribe(pattern).await.unwrap();
        while let Some(request) = requests.next().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let subject = request.subject.as_str();
            let tenant = match subject.parse::<CmdIn>() {
                Ok(asked) => asked.tenant,
                Err(_) => subject.parse::<Query>().unwrap().tenant,
            };
            if let Some(reply) = request.reply {
                client.publish(reply, tenant.to_string().into()).await.unwrap();
            }
        }
    })
}

/// Asks until there is an answer: a connection that was lost is back in a moment.
async fn answered(tenant: &Client, subject: &'static str) -> String {
    let began = Instant::now();
    loop {
        let answer = tokio::time::timeout(Duration::from_secs(2), tenant.request(subject, "{}".into())).await;
        if let Ok(Ok(answer)) = answer {
            return String::from_utf8_lossy(&answer.payload).into_owned();
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{subject} is not answered any more"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_reaches_nobody_elses_work() {
    let Some(binary) = program("what_is_no_text_reaches_nobody_elses_work") else {
        return;
    };
    let world = World::start(&binary).await;
    let (gateway, _) = world.role("gateway").await;
    let (query, _) = world.role("query").await;
    let (ingest, refused) = world.role("ingest").await;
    let (commands, questions) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let answering = [
        answering(gateway, "cmdin.v1.>", commands.clone()),
        answering(query, "q.v1.>", questions.clone()),
    ];
    let (beta, _) = world.tenant("beta").await;
    assert_eq!(answered(&beta, "cmd.retrieve").await, "beta");
    assert_eq!(answered(&beta, "q.objects").await, "beta");
    let connected = ingest.statistics().connects.load(Ordering::SeqCst);

    let headers = b"NATS/1.0\r\na: b\r\n\r\n";
    let long = [b"cmd.".as_slice(), &[b'a'; 3000]].concat();
    let broken: [&[u8]; 5] = [
        b"NATS/1.0\r\n\xff\xfe: x\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/9.9\r\n\r\n",
        b"NATS/1.0 999 what\r\n\r\n",
        b"\r\n\r\n",
    ];
    for (subject, other) in [
        (&b"cmd.retrieve"[..], &b"cmd.\xff\xfe"[..]),
        (b"q.objects", b"q.\xc3\x28"),
    ] {
        let mut tricks = vec![
            publish(other, b"", b"{}"),
            publish(other, headers, b"{}"),
            publish(&long, b"", b"{}"),
            publish(subject, headers, b"\xff\xfe\x00"),
            publish(subject, b"", b""),
            publish(&[subject, b".*"].concat(), b"", b"{}"),
            publish(&[subject, b".>"].concat(), b"", b"{}"),
            publish(&[subject, b"..x"].concat(), b"", b"{}"),
            publish(&[subject, b".beta.retrieve"].concat(), b"", b"{}"),
        ];
        tricks.extend(broken.iter().map(|block| publish(subject, block, b"{}")));
        for trick in tricks {
            let said = Raw::open(&world, "acme").say(&trick);
            assert!(
                said.ends_with("PONG\r\n"),
                "{}: {said}",
                String::from_utf8_lossy(&trick)
            );
        }
    }
    // Longer than a tenant may say: the server says so and closes.
    for size in [64 * 1024 + 1, 1 << 20] {
        // Announced and not sent: with bytes of ours unread at its end the connection is reset, and its last words may be lost.
        let mut raw = Raw::open(&world, "acme");
        write!(raw.0, "PUB cmd.retrieve {size}\r\n").unwrap();
        let said = raw.hear();
        assert!(said.contains("Maximum Payload Violation"), "{said}");
    }
    // What it must not say at all.
    let denied: [&[u8]; 8] = [
        b"evt.v1.hi.beta.put.00",
        b"res.v1.beta.encrypt.done.00",
        b"join.v1.done.beta.x",
        b"cmd\xff",
        b"cmdin.v1.beta.retrieve",
        b"live.v1.beta.x",
        b"$JS.API.STREAM.PURGE.EVT",
        b"$JS.ACK.EVT.encrypt-hi.1.1.1.1.0",
    ];
    for subject in denied {
        let said = Raw::open(&world, "acme").say(&publish(subject, b"", b"{}"));
        assert!(
            said.contains("Permissions Violation"),
            "{}: {said}",
            String::from_utf8_lossy(subject)
        );
    }

    // The doors answer the other tenant, under its own name; what works inside was not touched.
    assert_eq!(answered(&beta, "cmd.retrieve").await, "beta");
    assert_eq!(answered(&beta, "q.objects").await, "beta");
    assert!(commands.load(Ordering::SeqCst) >= 2 && questions.load(Ordering::SeqCst) >= 2);
    store(&ingest, "evt.v1.hi.beta.put.00", "work").await;
    assert_eq!(ingest.statistics().connects.load(Ordering::SeqCst), connected);
    refused.none();
    for task in &answering {
        assert!(!task.is_finished(), "a door has ended");
    }
    world.server.stop().await;
}
