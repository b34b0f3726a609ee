//! Sealed files for a second implementation to open.
//!
//! With `COFFERDAM_WRITE_SEALED=<directory>` this writes, through the whole processor, `<size>.sealed` and
//! `<size>.plain` for the sizes the opener in `tests/opener` is tried at, `tenant.txt` and `recovery.txt` (identities
//! as `age` reads them), `signer.hex`, and `keys.json` with everything in one. The keys are made for this and protect
//! nothing. Without the variable it does the same in a temporary directory, so that the writing itself is tested.

use std::fs;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn sealed_files() {
    let temporary = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("COFFERDAM_WRITE_SEALED").map(PathBuf::from);
    let dir = asked.clone().unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&dir).unwrap();
    let bench = Bench::new().await;
    let keys = bench
        .encrypt_ring()
        .tenant(&TenantName::new("default").unwrap())
        .unwrap();
    let signer = bench.encrypt_ring().public_keys().signers[0].clone();
    let mut files = Vec::new();
    // 100 MB only when somebody wants it.
    for size in [0, 1, 16_383, 16_384, 16_385, 1_000_000]
        .into_iter()
        .chain(asked.map(|_| 100_000_000))
    {
        let record = bench
            .finished(&format!("made/{size}.txt"), text(size), ObjectState::Done)
            .await;
        let sealed = record.sealed.unwrap();
        let bytes = read(bench.vault(), sealed.key.as_str()).await.unwrap();
        fs::write(dir.join(format!("{size}.sealed")), &bytes).unwrap();
        fs::write(dir.join(format!("{size}.plain")), text(size)).unwrap();
        let (header, root) = (sealed.header, sealed.payload_root);
        files.push(json!({"size": size, "object": record.object.id, "sha256": sealed.plaintext_sha256, "header": header, "payload_root": root}));
    }
    let (tenant, recovery) = (keys.kem.identity(), keys.recovery.identity());
    fs::write(dir.join("tenant.txt"), tenant.expose_secret()).unwrap();
    fs::write(dir.join("recovery.txt"), recovery.expose_secret()).unwrap();
    fs::write(dir.join("signer.hex"), &signer.public).unwrap();
    let all = json!({
        "tenant": "default",
        "tenant_identity": tenant.expose_secret(),
        "recovery_identity": recovery.expose_secret(),
        "signer": signer.public,
        "signer_key_id": signer.key_id,
        "files": files,
    });
    fs::write(dir.join("keys.json"), serde_json::to_string_pretty(&all).unwrap()).unwrap();
    assert!(files.len() >= 6);
}
