//! Our own sealed vectors: the files are what the generator makes, and every file gives the result that its index entry says.

use std::collections::BTreeSet;

use cofferdam_encrypt::crypto::{
    OpenError, OpenRequest, ProviderKind, RecipientSecret, Refused, SignatureAlg, StanzaAlg, Untrusted, VerifyKey,
    provider,
};

use crate::generate::{Entry, Expect, MlDsaSigner, vectors};
use crate::support::{self, Keys, World, each_provider, plaintext, rust_crypto};

/// Set to write the files instead of comparing them: `COFFERDAM_WRITE_VECTORS=1`.
const WRITE: &str = "COFFERDAM_WRITE_VECTORS";

fn folder() -> std::path::PathBuf {
    support::vectors().join("sealed")
}

#[test]
fn files_are_what_the_generator_makes() {
    let made = vectors(rust_crypto()).files;
    let folder = folder();
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &made {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let there: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}; run this test with {WRITE}=1", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(there, made.keys().cloned().collect());
    for (name, bytes) in &made {
        assert!(
            std::fs::read(folder.join(name)).unwrap() == *bytes,
            "{name} differs; {WRITE}=1 writes it anew"
        );
    }
}

#[test]
fn both_providers_make_the_same_files() {
    let [one, two] = ProviderKind::ALL.map(|kind| vectors(provider(kind)).files);
    assert!(one == two);
}

fn index() -> Vec<Entry> {
    let entries: Vec<Entry> = serde_json::from_slice(&std::fs::read(folder().join("index.json")).unwrap()).unwrap();
    let negative = entries
        .iter()
        .filter(|entry| matches!(entry.expect, Expect::Refused { .. }))
        .count();
    assert!(
        negative >= 60 && entries.len() - negative >= 12,
        "{negative} of {}",
        entries.len()
    );
    entries
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// All the keys the positive vectors need, and the signers.
fn reader(provider: std::sync::Arc<dyn cofferdam_encrypt::crypto::Provider>, recovery: bool) -> (World, Keys) {
    let mut world = World::new(provider.clone());
    world
        .trust
        .0
        .push(VerifyKey::new(SignatureAlg::MlDsa65, &MlDsaSigner::new().public()).unwrap());
    let pure = if recovery { [0x78; 64] } else { [0x77; 64] };
    let pure = RecipientSecret::from_seed(provider, StanzaAlg::MlKem768, &pure).unwrap();
    let hybrid = if recovery { &world.recovery } else { &world.kem };
    let keys = Keys::of(&[hybrid, &pure]);
    (world, keys)
}

fn request<'a>(world: &'a World, entry: &Entry, detached: Option<&'a [u8]>) -> OpenRequest<'a> {
    let mut request = world.open_request();
    request.detached = detached;
    for allow in &entry.allow {
        match allow.as_str() {
            "stanza 0x0003" => request.policy.stanza_algs.push(StanzaAlg::MlKem768),
            "signature 0x02" => request.policy.signature_algs.push(SignatureAlg::MlDsa65),
            other => panic!("{other}"),
        }
    }
    request
}

/// In which step of the order an error arises.
fn step(error: &OpenError) -> u8 {
    match error {
        OpenError::Envelope(_) | OpenError::Refused(Refused::Suite(_) | Refused::Erasable) => 1,
        OpenError::Untrusted(
            Untrusted::Missing | Untrusted::UnknownSigner | Untrusted::KeyMismatch | Untrusted::Signature,
        ) => 2,
        OpenError::Refused(Refused::SignatureAlg(_)) => 2,
        OpenError::Refused(_) => 3,
        OpenError::CannotOpen(reason) => match reason.as_str() {
            "no-stanza" | "encapsulation" | "stanza" => 4,
            "recipients-mac" => 5,
            "commitment" | "metadata" => 6,
            _ => 7,
        },
        OpenError::PayloadChanged => 8,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_file_gives_its_result() {
    let entries = index();
    each_provider(|provider| {
        for recovery in [false, true] {
            let (world, keys) = reader(provider.clone(), recovery);
            for entry in &entries {
                let object = read(&entry.file);
                let detached = entry.detached.as_deref().map(read);
                let request = request(&world, entry, detached.as_deref());
                let opened = world.open_with(&object, &request, &keys);
                let at = format!("{} {} {}", provider.kind(), entry.file, entry.comment);
                match (&entry.expect, opened) {
                    (Expect::Opens { plaintext_len, .. }, Ok(opened)) => {
                        assert!(opened == plaintext(*plaintext_len), "{at}");
                    }
                    (Expect::Refused { step: expected, reason }, Err(error)) => {
                        assert_eq!(
                            (step(&error), error.audit()),
                            (*expected, reason.as_str()),
                            "{at}: {error:?}"
                        );
                    }
                    (_, Ok(_)) => panic!("{at}: opened"),
                    (_, Err(error)) => panic!("{at}: {error:?}"),
                }
            }
        }
    });
}

#[test]
fn every_range_of_the_positive_files() {
    let entries = index();
    each_provider(|provider| {
        let (world, keys) = reader(provider, false);
        for entry in &entries {
            let Expect::Opens { plaintext_len: len, .. } = entry.expect else {
                continue;
            };
            let object = read(&entry.file);
            let detached = entry.detached.as_deref().map(read);
            let request = request(&world, entry, detached.as_deref()).object_len(object.len() as u64);
            let opener = world.begin(&object, &request, &keys).unwrap();
            let expected = plaintext(len);
            let edges = [
                0,
                1,
                16_383,
                16_384,
                16_385,
                32_767,
                32_768,
                49_151,
                len / 2,
                len.saturating_sub(1),
                len,
            ];
            for &start in edges.iter().filter(|&&edge| edge <= len) {
                for &end in edges.iter().filter(|&&edge| start <= edge && edge <= len) {
                    let mut range = opener.range(start as u64..end as u64).unwrap();
                    let fetch = range.fetch();
                    let mut out = b"before".to_vec();
                    for piece in object[fetch.start as usize..fetch.end as usize].chunks(9_999) {
                        range.update(piece, &mut out).unwrap();
                    }
                    range.finish().unwrap();
                    assert!(out[6..] == expected[start..end], "{} {start}..{end}", entry.file);
                }
            }
            assert!(matches!(opener.range(0..len as u64 + 1), Err(OpenError::Range(_))));
        }
    });
}
