//! Starting, dying, coming back, stopping.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use cofferdam_nats::server::{self, ServerState, SyncMode};
use futures::StreamExt;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_ports_and_data() {
    let Some(binary) = program("a_killed_server_comes_back_with_its_ports_and_data") else {
        return;
    };
    let world = World::start(&binary).await;
    let (ingest, _) = world.role("ingest").await;
    store(&ingest, "evt.v1.hi.acme.put.07", "kept").await;
    let (pid, ports) = (world.server.pid().unwrap(), world.server.ports());
    let mut state = world.server.state();
    kill(pid);
    state
        .wait_for(|state| matches!(state, ServerState::Restarting { reason, .. } if reason.contains("signal")))
        .await
        .unwrap();
    tokio::time::timeout(
        Duration::from_secs(30),
        state.wait_for(|state| *state == ServerState::Ready),
    )
    .await
    .unwrap()
    .unwrap();
    assert_ne!(world.server.pid().unwrap(), pid);
    assert_eq!(world.server.ports(), ports);
    assert_eq!(world.server.restarts(), 1);
    // The old connection finds it again, and what was acknowledged is there.
    let deadline = Instant::now() + Duration::from_secs(20);
    let context = jetstream::new(ingest.clone());
    let sequence = loop {
        let sent = context.publish("evt.v1.hi.acme.put.08", "after".into()).await;
        match sent {
            Ok(ack) => match tokio::time::timeout(Duration::from_secs(2), ack).await {
                Ok(Ok(ack)) => break ack.sequence,
                _ => assert!(Instant::now() < deadline, "no acknowledgement after the restart"),
            },
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert!(sequence >= 2, "the first event is still there");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_the_child_and_the_next_start_finds_everything() {
    let Some(binary) = program("stopping_ends_the_child_and_the_next_start_finds_everything") else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let accounts = accounts(data.path());
    let mut settings = settings(&binary, data.path());
    let first = server::start(settings.clone(), &accounts).await.unwrap();
    assert_eq!(first.moved_ports(), []);
    assert_eq!(first.sync().to_string(), "100ms");
    assert!(first.max_store() <= 4 << 30);
    for private in ["secrets.json", "nats/run/server.conf"] {
        let mode = fs::metadata(data.path().join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    let (provisioner, _) = connect(&first.url(), &accounts.login("provisioner").unwrap()).await;
    let config = jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    };
    jetstream::new(provisioner).create_stream(config).await.unwrap();
    let (pid, state, ports) = (first.pid().unwrap(), first.state(), first.ports());
    first.stop().await;
    assert!(!alive(pid));
    assert_eq!(*state.borrow(), ServerState::Stopped);
    let log = fs::read_to_string(data.path().join("nats/server.log")).unwrap();
    assert!(log.contains("Server Exiting"), "asked to stop, not killed: {log}");

    // The same ports if they are asked for and free; the other mode of flushing.
    settings.preferred.client = Some(ports.client);
    settings.preferred.monitor = Some(ports.monitor);
    settings.sync = SyncMode::Always;
    let second = server::start(settings, &accounts).await.unwrap();
    assert_eq!(
        (second.ports().client, second.ports().monitor),
        (ports.client, ports.monitor)
    );
    let (operator, _) = connect(&second.url(), &accounts.operator_login().unwrap()).await;
    let names: Vec<_> = jetstream::new(operator)
        .stream_names()
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(names, ["KEPT"]);
    assert!(
        fs::read_to_string(data.path().join("nats/run/server.conf"))
            .unwrap()
            .contains("\"sync_interval\":\"always\"")
    );
    // Dropped, not stopped: the child goes all the same.
    let pid = second.pid().unwrap();
    drop(second);
    until(
        "the child of a dropped server has ended",
        Duration::from_secs(15),
        || !alive(pid),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_replaced_and_that_is_told() {
    let Some(binary) = program("a_taken_port_is_replaced_and_that_is_told") else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut settings = settings(&binary, data.path());
    settings.preferred.client = Some(port);
    let accounts = accounts(data.path());
    let server = server::start(settings, &accounts).await.unwrap();
    assert_eq!(server.moved_ports(), [("nats", port, server.ports().client)]);
    connect(&server.url(), &accounts.operator_login().unwrap()).await;
    server.stop().await;
}

/// The test starts itself as the parent, which starts a server and says its pid.
#[tokio::test(flavor = "multi_thread")]
async fn the_child_dies_with_its_parent() {
    const ROLE: &str = "COFFERDAM_TEST_PARENT_IN";
    let Some(binary) = program("the_child_dies_with_its_parent") else {
        return;
    };
    if let Some(data) = std::env::var_os(ROLE).map(PathBuf::from) {
        let server = server::start(settings(&binary, &data), &accounts(&data)).await.unwrap();
        fs::write(data.join("pid.new"), server.pid().unwrap().to_string()).unwrap();
        fs::rename(data.join("pid.new"), data.join("pid")).unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        panic!("nobody has killed the parent");
    }
    if cfg!(not(target_os = "linux")) {
        writeln!(
            std::io::stderr(),
            "skipped: server::the_child_dies_with_its_parent: only Linux ends a child with its parent"
        )
        .unwrap();
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::the_child_dies_with_its_parent"])
        .env(ROLE, data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = data.path().join("pid");
    until("the parent has started its server", Duration::from_secs(60), || {
        file.exists()
    })
    .await;
    let pid: u32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child has ended", Duration::from_secs(5), || !alive(pid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_left_by_a_former_run_is_ended_first() {
    let Some(binary) = program("a_server_left_by_a_former_run_is_ended_first") else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let accounts = accounts(data.path());
    server::start(settings(&binary, data.path()), &accounts)
        .await
        .unwrap()
        .stop()
        .await;
    // As on a system that does not end children: a server on the same files, with its pid where ours writes it.
    let run = data.path().canonicalize().unwrap().join("nats/run");
    let mut left = Command::new(&binary)
        .arg("-c")
        .arg(run.join("server.conf"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    fs::write(run.join("server.pid"), left.id().to_string()).unwrap();
    until("the left-over server listens", Duration::from_secs(20), || {
        fs::read_dir(&run)
            .unwrap()
            .any(|file| file.unwrap().file_name().to_string_lossy().ends_with(".ports"))
    })
    .await;
    let reaper = std::thread::spawn(move || left.wait().unwrap());
    let server = server::start(settings(&binary, data.path()), &accounts).await.unwrap();
    assert!(
        reaper.is_finished(),
        "the former one has ended before the new one was ready"
    );
    server.stop().await;
    // A pid that is somebody else's by now is left alone.
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(run.join("server.pid"), stranger.id().to_string()).unwrap();
    server::start(settings(&binary, data.path()), &accounts)
        .await
        .unwrap()
        .stop()
        .await;
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
