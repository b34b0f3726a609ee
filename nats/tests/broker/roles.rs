//! The least privileges that the table of roles gives are enough for what each role does.

use std::sync::Arc;
use std::time::Duration;

use cofferdam_nats::accounts::{Accounts, RoleFacts, roles};
use cofferdam_nats::dlq::{self, Filter};
use cofferdam_nats::server::{self, ServerSettings};
use cofferdam_nats::trim::{TrimSettings, Trimmer};
use cofferdam_nats::worker::{run_dlq_writer, run_processor};
use cofferdam_nats::{Bus, Need, Topology, TopologySettings, provision};
use cofferdam_processor::{Conclusion, ProcessError};
use cofferdam_schemas::{ErrorCode, Lane, TenantName};
use cofferdam_seams::SystemClock;

use crate::harness::{Documents, Running, Scripted, binary, name, quick, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_role_can_do_its_work_and_its_self_check_passes() {
    let Some(binary) = binary() else {
        println!("skipped: no nats-server (set COFFERDAM_NATS_SERVER)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (processors, verbs, sinks) = (vec![name("work")], vec![name("fetch")], vec!["lite".to_owned()]);
    let roles = roles(RoleFacts {
        processors: &processors,
        verbs: &verbs,
        sinks: &sinks,
        sources: &[],
    });
    let tenants = [TenantName::new("acme").unwrap()];
    let accounts = Accounts::load_or_create(&dir.path().join("secrets.json"), &tenants, &roles).unwrap();
    let server = server::start(ServerSettings::new(binary, dir.path()), &accounts)
        .await
        .unwrap();
    let connect = async |role: &str| {
        Bus::connect(accounts.login(role).unwrap().at(server.url()))
            .await
            .unwrap()
    };

    let provisioner = connect("provisioner").await;
    let max_bytes = ["RAW", "EVT", "CMD", "RES", "JOIN", "DLQ", "ADV", "JOB"]
        .map(|s| (s.to_owned(), 16 << 20))
        .into();
    let topology = Topology::new(&TopologySettings {
        processors,
        verbs,
        sinks,
        max_bytes,
        ..TopologySettings::default()
    });
    provision(&provisioner, &topology).await.unwrap();
    assert!(provision(&provisioner, &topology).await.unwrap().is_empty());
    for role in &roles {
        let bus = connect(&role.role).await;
        let needs = Need::of(role);
        tokio::time::timeout(Duration::from_secs(5), bus.self_check(&needs))
            .await
            .unwrap()
            .unwrap_or_else(|e| panic!("{}: {e}", role.role));
        bus.close().await;
    }

    // A document that is rejected, as the real roles: event, letter, dead result, advisory, replay.
    let documents = Documents::new();
    let (ingest, work, operator) = (
        connect("ingest").await,
        connect("work").await,
        connect("operator").await,
    );
    ingest.publish_event(&documents.event("x").await, 0).await.unwrap();
    let rejecting = Scripted::new(|job, _| async move {
        if job.attempt == 1 && job.object.size == 1 {
            Err(ProcessError::reject(ErrorCode::Damaged, "no"))
        } else {
            Ok(Conclusion::default())
        }
    });
    let running = {
        let (work, processor, stores) = (work.clone(), rejecting.clone(), documents.stores());
        Running::spawn(|stop| run_processor(work, processor, stores, Arc::new(SystemClock), Lane::Hi, quick(&stop)))
    };
    let writer = connect("dlq").await;
    let writing = Running::spawn(|stop| run_dlq_writer(writer, stop));
    let letters = async || dlq::list(&operator, &Filter::default()).await.unwrap();
    until("there is a letter", async || letters().await.len() == 1).await;
    let letter = letters().await.remove(0);
    let started = std::time::Instant::now();
    dlq::replay(&operator, letter.seq).await.unwrap();
    until("the letter is replaced", async || {
        letters().await.iter().all(|l| l.seq > letter.seq)
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(5), "the operator may remove it");
    running.stop().await;
    writing.stop().await;
    // A trimmer that looks at everything and cuts what it may.
    let trim = connect("trim").await;
    let eager = TrimSettings {
        start: 0.0,
        ..TrimSettings::default()
    };
    let left = dlq::list(&operator, &Filter::default()).await.unwrap().len();
    let mut trimmer = Trimmer::new(trim.clone(), &topology, eager);
    assert_eq!(trimmer.round().await.len(), 5, "each stream could be looked at");
    let cut = format!(
        "{:?}",
        trim.client().request("$JS.API.STREAM.PURGE.DLQ", "{}".into()).await
    );
    assert!(cut.contains("TimedOut"), "{cut}");
    assert_eq!(dlq::list(&operator, &Filter::default()).await.unwrap().len(), left);
    let refused = trim.violation_since(started).unwrap();
    assert!(refused.contains("PURGE.DLQ"), "{refused}");
    for (role, bus) in [("ingest", &ingest), ("work", &work), ("operator", &operator)] {
        let long_ago = std::time::Instant::now() - Duration::from_secs(60);
        assert_eq!(bus.violation_since(long_ago), None, "{role} was refused something");
    }
    server.stop().await;
}
