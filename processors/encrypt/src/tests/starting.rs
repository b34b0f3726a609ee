//! The processor starts with keys, or says what is missing.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::keys::Notice;

#[tokio::test]
async fn first_start_says_where_the_keys_are_and_a_second_does_not() {
    let rig = Rig::new();
    let plan = Encrypt::plan(crate::Config::default()).unwrap();
    let Some(Notice::FirstStart(first)) = crate::prepare(&plan, &rig.deps).await.unwrap().notice else {
        panic!("no notice")
    };
    assert_eq!(first.ring, rig.deps.data_dir.join("keys/keyring.json"));
    assert_eq!(first.key_file, Some(rig.deps.config_dir.join("keyring.key")));
    assert_eq!(crate::prepare(&plan, &rig.deps).await.unwrap().notice, None);
    assert_eq!(start(&rig, "").await.unwrap().ring().path(), first.ring);
}

#[tokio::test]
async fn a_lost_ring_is_not_replaced_while_the_vault_holds_its_objects() {
    let bench = Bench::new().await;
    let (job, document) = bench.land("a", text(10)).await;
    bench.process(&job, &document).await.unwrap();
    let ring = bench.encrypt_ring().path().to_owned();
    let backup = fs::read(&ring).unwrap();
    fs::remove_file(&ring).unwrap();
    let error = start(&bench.rig, "").await.err().unwrap();
    assert!(
        error.to_string().contains("backup") && error.to_string().contains("vault"),
        "{error}"
    );
    assert!(!ring.exists());
    // The data directory was lost, the backup is put back: everything opens.
    fs::write(&ring, backup).unwrap();
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o600)).unwrap();
    let again = start(&bench.rig, "").await.unwrap();
    let mut job = job;
    job.attempt = 2;
    again.process(&job, document).await.unwrap();
}

#[tokio::test]
async fn a_vault_that_does_not_answer_makes_no_ring() {
    let rig = Rig::new();
    rig.fail_step(0);
    let error = start(&rig, "").await.err().unwrap();
    assert!(
        error.source().is_some() && error.to_string().contains("vault does not answer"),
        "{error}"
    );
    rig.heal();
    start(&rig, "").await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_the_keys_is_said() {
    let rig = Rig::new();
    start(&rig, "").await.unwrap();
    let key_file = rig.deps.config_dir.join("keyring.key");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = start(&rig, "").await.err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    let inside = format!("[keys]\nkey_file = {:?}", rig.deps.data_dir.join("k"));
    let error = start(&rig, &inside).await.err().unwrap();
    assert!(error.to_string().contains("inside the data directory"), "{error}");
    let missing = format!("[keys]\npassphrase_file = {:?}", rig.deps.config_dir.join("none"));
    let error = start(&rig, &missing).await.err().unwrap();
    assert!(
        error.to_string().contains("none") && error.source().is_some(),
        "{error}"
    );
}
