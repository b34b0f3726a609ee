//! The fuzz targets (`tests/fuzz/targets`), run on any compiler: over bytes from nothing, and over good ones with damage.

use std::path::Path;

use cofferdam_encrypt::crypto::Role;
use cofferdam_encrypt::keys::age;
use proptest::prelude::*;
use proptest::sample::Index;
use secrecy::ExposeSecret;

use crate::generate::Parts;
use crate::support::{TENANT_SEED, World, rust_crypto};

#[path = "../../../../tests/fuzz/targets/age_keys.rs"]
mod age_keys;
#[path = "../../../../tests/fuzz/targets/envelope.rs"]
mod envelope;
#[path = "../../../../tests/fuzz/targets/metadata.rs"]
mod metadata;
#[path = "../../../../tests/fuzz/targets/recipients.rs"]
mod recipients;
#[path = "../../../../tests/fuzz/targets/signature.rs"]
mod signature;

/// A target, and good bytes to begin from.
type Target = (&'static str, fn(&[u8]), Vec<u8>);

fn targets() -> Vec<Target> {
    let world = World::new(rust_crypto());
    let object = world.seal(&world.request(), b"text").object;
    let parts = Parts::of(&object);
    let batch = parts.clone().sign_in_batch(&world.signer, 5, 3).block;
    let json = serde_json::to_vec(&world.request().private).unwrap();
    let recipient = age::recipient(world.kem.recipient(Role::Tenant).public().try_into().unwrap());
    let identity = age::identity(&TENANT_SEED).expose_secret().to_owned();
    vec![
        ("envelope", envelope::run, object),
        ("envelope", envelope::run, parts.core),
        ("recipients", recipients::run, parts.recipients),
        ("signature", signature::run, parts.block),
        ("signature", signature::run, batch),
        ("metadata", metadata::run, json),
        ("age_keys", age_keys::run, recipient.into_bytes()),
        ("age_keys", age_keys::run, identity.into_bytes()),
    ]
}

/// Good bytes pass, so that the damage below begins where something is parsed.
#[test]
fn every_target_runs_on_stable() {
    let mut ran: Vec<_> = targets()
        .into_iter()
        .map(|(name, run, good)| {
            run(&good);
            run(b"");
            name
        })
        .collect();
    ran.dedup();
    ran.sort();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/targets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ours = ["age_keys", "envelope", "metadata", "recipients", "signature"];
    let there: Vec<_> = files
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ran, ours);
    assert!(ours.iter().all(|name| there.iter().any(|file| file == name)));
}

#[test]
fn targets_hold_for_damaged_bytes() {
    let targets = targets();
    let change = (any::<Index>(), any::<u8>());
    let strategy = (
        any::<Index>(),
        prop::collection::vec(change, 0..4),
        proptest::option::of(any::<Index>()),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4096));
    let ran = runner.run(&strategy, |(target, changes, cut)| {
        let (_, run, good) = target.get(&targets);
        let mut bytes = good.clone();
        for (at, value) in changes {
            // The beginning, where the lengths are, as often as all the rest.
            let within = if value & 1 == 0 {
                bytes.len()
            } else {
                bytes.len().min(80)
            };
            let at = at.index(within);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        run(&bytes);
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn targets_hold_for_any_bytes() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1024));
    let runs = targets();
    let ran = runner.run(&prop::collection::vec(any::<u8>(), 0..2000), |bytes| {
        runs.iter().for_each(|(_, run, _)| run(&bytes));
        Ok(())
    });
    ran.unwrap();
}
