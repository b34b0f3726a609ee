//! Programs that cannot be used, starts that are given up, disks that are full.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use cofferdam_nats::server::{self, ServerError, ServerState};

use crate::support::*;

/// A script in place of the server.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("nats-server");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn refused(binary: &Path) -> ServerError {
    let data = tempfile::tempdir().unwrap();
    let mut settings = settings(binary, data.path());
    settings.start_timeout = Duration::from_secs(1);
    server::start(settings, &accounts(data.path())).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let old = refused(&script(folder.path(), "echo nats-server: v2.12.0")).await;
    assert!(matches!(old, ServerError::TooOld { .. }), "{old:?}");
    assert!(
        old.to_string()
            .contains("is nats-server 2.12.0, at least 2.12.1 is needed"),
        "{old}"
    );

    let other = refused(&script(folder.path(), "echo curl 8.5.0")).await;
    assert!(
        matches!(other, ServerError::NoVersion { ref said, .. } if said == "curl 8.5.0"),
        "{other:?}"
    );

    let version = "[ \"$1\" = --version ] && echo nats-server: v2.15.1 && exit 0";
    let failing = refused(&script(
        folder.path(),
        &format!("{version}\necho the disk is on fire >&2; exit 3"),
    ))
    .await;
    let ServerError::Failed { reason, tail, .. } = &failing else {
        panic!("{failing:?}")
    };
    assert!(
        reason.contains('3') && tail.contains("the disk is on fire"),
        "{failing}"
    );

    let hanging = refused(&script(folder.path(), &format!("{version}\nexec sleep 60"))).await;
    assert!(matches!(hanging, ServerError::NotReady { .. }), "{hanging:?}");

    let missing = refused(&folder.path().join("missing")).await;
    assert!(matches!(missing, ServerError::File { .. }), "{missing:?}");
}

/// A start that nobody waits for any more leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_start_ends_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let text = format!(
        "[ \"$1\" = --version ] && echo nats-server: v2.15.1 && exit 0\necho $$ > {}.new; mv {0}.new {0}; exec sleep 60",
        pid_file.display()
    );
    let binary = script(folder.path(), &text.replace("{0}", &pid_file.display().to_string()));
    let data = tempfile::tempdir().unwrap();
    let accounts = accounts(data.path());
    let start = tokio::time::timeout(
        Duration::from_secs(3),
        server::start(settings(&binary, data.path()), &accounts),
    );
    assert!(start.await.is_err(), "it never listens");
    let pid: u32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    until("the child has ended", Duration::from_secs(15), || !alive(pid)).await;
}

/// After a full disk the server keeps JetStream off until it is restarted, even when there is room again. A small
/// file system of its own fills up for this.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_a_full_disk_made_ill_is_restarted() {
    let test = "a_server_that_a_full_disk_made_ill_is_restarted";
    let Some(binary) = program(test) else { return };
    let disk = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "none"])
        .arg(disk.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        writeln!(
            std::io::stderr(),
            "skipped: server::{test}: a small file system cannot be mounted here"
        )
        .unwrap();
        return;
    }
    struct Mount<'a>(&'a Path);
    impl Drop for Mount<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
        }
    }
    let _mount = Mount(disk.path());
    let accounts = accounts(disk.path());
    let server = server::start(settings(&binary, disk.path()), &accounts).await.unwrap();
    assert!(server.max_store() < 24 << 20, "70 % of what there is");
    let (client, _) = connect(&server.url(), &accounts.login("provisioner").unwrap()).await;
    let context = jetstream::new(client);
    let config = jetstream::stream::Config {
        name: "EVT".into(),
        subjects: vec!["evt.v1.>".into()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let (ingest, _) = connect(&server.url(), &accounts.login("ingest").unwrap()).await;
    store(&ingest, "evt.v1.hi.acme.put.01", "before").await;

    // Fill the disk to the last byte, and write until the server notices.
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let mut state = server.state();
    let body = Bytes::from(vec![0u8; 64 * 1024]);
    let writer = tokio::spawn({
        let ingest = ingest.clone();
        async move {
            loop {
                let _ = ingest.publish("evt.v1.hi.acme.put.01", body.clone()).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    writer.abort();
    drop(file);
    fs::remove_file(&filler).unwrap();
    let ill = state.wait_for(|state| matches!(state, ServerState::Restarting { .. }));
    let ill = tokio::time::timeout(Duration::from_secs(40), ill)
        .await
        .expect("seen as ill")
        .unwrap()
        .clone();
    assert!(
        matches!(&ill, ServerState::Restarting { reason, .. } if reason.contains("health check says 503")),
        "{ill:?}"
    );
    let well = tokio::time::timeout(
        Duration::from_secs(60),
        state.wait_for(|state| *state == ServerState::Ready),
    )
    .await
    .is_ok();
    assert!(
        well,
        "{:?}\n{}",
        server.state().borrow(),
        fs::read_to_string(server.log()).unwrap()
    );
    let (ingest, _) = connect(&server.url(), &accounts.login("ingest").unwrap()).await;
    store(&ingest, "evt.v1.hi.acme.put.01", "after").await;
    server.stop().await;
}
