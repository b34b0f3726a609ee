//! What holds, and everything that does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cofferdam_schemas::Timestamp;
use cofferdam_schemas::dsse::{Envelope, IN_TOTO, Signature, pae};

use super::*;
use crate::keys::{KeyError, StatementKeyFile};

const PAYLOAD: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;

fn signer(seed: u8) -> StatementSigner {
    StatementSigner::from_seeds(&[seed; 32], &[seed ^ 0xff; 32]).unwrap()
}

#[track_caller]
fn refused(envelope: &Envelope, expected: &str) {
    let error = signer(1).key().open(envelope, IN_TOTO).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn both_signatures_hold_and_come_back_through_json() {
    let envelope = signer(1).sign(IN_TOTO, PAYLOAD).unwrap();
    let lengths: Vec<usize> = envelope
        .signatures
        .iter()
        .map(|one| one.bytes().unwrap().len())
        .collect();
    assert_eq!(lengths, [64, 3309]);
    let read = Envelope::read(&envelope.write().unwrap()).unwrap();
    assert_eq!(signer(1).key().open(&read, IN_TOTO).unwrap(), PAYLOAD);
    // In whatever order, and without the hints, which other tools may leave out.
    let mut other = read;
    other.signatures.reverse();
    other.signatures.iter_mut().for_each(|one| one.keyid = None);
    assert_eq!(signer(1).key().open(&other, IN_TOTO).unwrap(), PAYLOAD);
}

/// RFC 8032 says how Ed25519 signs, so that any library verifies the first signature over the bytes that DSSE says.
#[test]
fn the_first_signature_is_plain_ed25519() {
    let envelope = signer(1).sign(IN_TOTO, PAYLOAD).unwrap();
    let key = signer(1);
    let public =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key.key().public(Half::Ed25519));
    let message = pae(IN_TOTO, PAYLOAD);
    public
        .verify(&message, &envelope.signatures[0].bytes().unwrap())
        .unwrap();
}

#[test]
fn nothing_can_be_changed() {
    let good = signer(1).sign(IN_TOTO, PAYLOAD).unwrap();
    // Each bit of the payload.
    for bit in 0..PAYLOAD.len() * 8 {
        let mut payload = PAYLOAD.to_vec();
        payload[bit / 8] ^= 1 << (bit % 8);
        refused(
            &Envelope::new(IN_TOTO, &payload, good.signatures.clone()),
            "does not hold",
        );
    }
    refused(&Envelope::new(IN_TOTO, b"", good.signatures.clone()), "does not hold");
    // Each byte of each signature.
    for (at, half) in Half::ALL.into_iter().enumerate() {
        let bytes = good.signatures[at].bytes().unwrap();
        for place in (0..bytes.len()).step_by(if half == Half::MlDsa65 { 37 } else { 1 }) {
            let mut bytes = bytes.clone();
            bytes[place] ^= 0x10;
            let mut other = good.clone();
            other.signatures[at] = Signature::new(format!("{}/{half}", signer(1).key().id()), &bytes);
            refused(&other, &format!("{half} signature does not hold"));
        }
    }
    let mut other = good.clone();
    other.payload_type = "application/json".to_owned();
    refused(&other, "the payload is of type \"application/json\"");
    // What was signed as another type does not hold as ours.
    let mut other = signer(1).sign("text/plain", PAYLOAD).unwrap();
    other.payload_type = IN_TOTO.to_owned();
    refused(&other, "does not hold");
}

#[test]
fn both_signatures_must_be_there_once_and_nobody_elses() {
    let good = signer(1).sign(IN_TOTO, PAYLOAD).unwrap();
    for (at, half) in Half::ALL.into_iter().enumerate() {
        let mut one = good.clone();
        one.signatures.remove(at);
        refused(&one, &format!("there is no {half} signature"));
        let mut twice = good.clone();
        twice.signatures.push(good.signatures[at].clone());
        refused(&twice, &format!("two {half} signatures"));
        // One half by another key, named honestly and not.
        let mut mixed = good.clone();
        mixed.signatures[at] = signer(2).sign(IN_TOTO, PAYLOAD).unwrap().signatures[at].clone();
        refused(&mixed, "is said to be by key");
        mixed.signatures[at].keyid = None;
        refused(&mixed, &format!("{half} signature does not hold"));
    }
    let mut none = good.clone();
    none.signatures.clear();
    refused(&none, "there is no");
    let mut more = good.clone();
    more.signatures.push(Signature::new("somebody".to_owned(), &[0; 70]));
    refused(&more, "is said to be by key \"somebody\" (70 bytes)");
    refused(&signer(2).sign(IN_TOTO, PAYLOAD).unwrap(), "is said to be by key");
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let good = signer(1);
    let ml_dsa = good.key().public(Half::MlDsa65);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert!(
        StatementKey::new(&neutral, ml_dsa).is_err(),
        "a point that verifies anything"
    );
    assert!(StatementKey::new(&[0; 31], ml_dsa).is_err());
    assert!(StatementKey::new(good.key().public(Half::Ed25519), &ml_dsa[1..]).is_err());
}

#[test]
fn pem_is_what_others_write() {
    // The public key of RFC 8410, section 10.1.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let key = spki::read(Half::Ed25519, pem).unwrap();
    assert_eq!(key.len(), 32);
    assert_eq!(spki::write(Half::Ed25519, &key), pem);
    assert_eq!(spki::read(Half::MlDsa65, pem), None);
    let text = spki::write(Half::MlDsa65, signer(1).key().public(Half::MlDsa65));
    // The beginning that RFC 9881 gives every such key.
    assert!(text.contains("\nMIIHsjALBglghkgBZQMEAxIDggehA"), "{text}");
    assert_eq!(
        spki::read(Half::MlDsa65, &text).unwrap(),
        signer(1).key().public(Half::MlDsa65)
    );
}

#[test]
fn a_key_is_made_once_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = (dir.path().join("keys/bom.key"), dir.path().join("bom.pub"));
    assert!(StatementKeyFile::read(&private).unwrap().is_none());
    let made = StatementKeyFile::create(&private, Timestamp::from_unix_millis(0))
        .unwrap()
        .unwrap();
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        StatementKeyFile::create(&private, Timestamp::from_unix_millis(0))
            .unwrap()
            .is_none()
    );
    fs::write(&public, made.public_file()).unwrap();
    let read = StatementKeyFile::read(&private).unwrap().unwrap();
    let envelope = read.signer.sign(IN_TOTO, PAYLOAD).unwrap();
    assert_eq!(
        StatementKey::read(&public).unwrap().open(&envelope, IN_TOTO).unwrap(),
        PAYLOAD
    );
    assert_eq!(read.public_file(), made.public_file());

    // Nothing of the private key is shown, and it is not taken for the public one.
    let text = fs::read_to_string(&private).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for seed in ["ed25519", "ml_dsa_65"] {
        let seed = value[seed].as_str().unwrap();
        assert!(!format!("{read:?}{}", read.public_file()).contains(seed));
        fs::write(&private, text.replace(seed, &seed[1..])).unwrap();
        let error = StatementKeyFile::read(&private).unwrap_err();
        assert!(!error.to_string().contains(&seed[1..]), "{error}");
    }
    fs::write(&private, &text).unwrap();
    let error = StatementKey::read(&private).unwrap_err();
    assert!(error.to_string().contains("private key"), "{error}");

    fs::set_permissions(&private, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        StatementKeyFile::read(&private),
        Err(KeyError::TooOpen { .. })
    ));
}

#[test]
fn damaged_key_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = (dir.path().join("bom.key"), dir.path().join("bom.pub"));
    let made = StatementKeyFile::create(&private, Timestamp::from_unix_millis(0))
        .unwrap()
        .unwrap();
    let text = made.public_file();
    let id = made.signer.key().id().to_string();
    let other = if id.starts_with('0') { "1" } else { "0" };
    let check = |text: &str, expected: &str| {
        fs::write(&public, text).unwrap();
        let error = StatementKey::read(&public).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("", "fields");
    check(&" ".repeat(70_000), "too long");
    check(&text.replace("key/1", "key/2"), "version");
    check(&text.replace(&id, &format!("{other}{}", &id[1..])), "key id");
    check(&text.replace("BEGIN", "BEGUN"), "ed25519");
    check(&text.replace("\"created\"", "\"key_id\": \"x\", \"created\""), "fields");
    assert!(StatementKey::read(dir.path()).is_err());
    assert!(matches!(
        StatementKey::read(&dir.path().join("none")),
        Err(KeyError::Io { .. })
    ));
    let secret = fs::read_to_string(&private).unwrap();
    fs::write(&private, secret.replace(&id, &format!("{other}{}", &id[1..]))).unwrap();
    assert!(
        StatementKeyFile::read(&private)
            .unwrap_err()
            .to_string()
            .contains("key id")
    );
}
