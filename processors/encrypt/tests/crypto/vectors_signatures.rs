//! ML-DSA-65, Ed25519 and their composite.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofferdam_encrypt::crypto::{CompositeSigner, SignatureAlg, VerifyKey};

use crate::support::{bytes, json};

#[test]
fn ml_dsa_65_verifies() {
    let file = json("wycheproof/mldsa_65_verify_test.json");
    let mut ran = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = VerifyKey::new(SignatureAlg::MlDsa65, &bytes(&group["publicKey"]));
        for test in group["tests"].as_array().unwrap() {
            let context = test.get("ctx").map(bytes).unwrap_or_default();
            let verified = key
                .as_ref()
                .is_ok_and(|key| key.verify(&context, &bytes(&test["msg"]), &bytes(&test["sig"])));
            assert_eq!(
                verified,
                test["result"] == "valid",
                "{} {}",
                test["tcId"],
                test["comment"]
            );
            ran += 1;
        }
    }
    assert_eq!(ran, 210);
}

#[test]
fn ed25519_verifies_strictly() {
    let file = json("wycheproof/ed25519_test.json");
    let mut ran = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let public = bytes(&group["publicKey"]["pk"]).try_into().unwrap();
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let signature = ed25519_dalek::Signature::from_slice(&bytes(&test["sig"]));
            let verified = signature.is_ok_and(|signature| key.verify_strict(&bytes(&test["msg"]), &signature).is_ok());
            assert_eq!(
                verified,
                test["result"] == "valid",
                "{} {}",
                test["tcId"],
                test["comment"]
            );
            ran += 1;
        }
    }
    assert_eq!(ran, 151);
}

/// The same signatures by aws-lc, as a second opinion: it verifies none of ours, because its ML-DSA takes no context and its Ed25519 is not the strict one.
#[test]
fn aws_lc_agrees() {
    use aws_lc_rs::signature::{ED25519, ML_DSA_65, UnparsedPublicKey};
    let mut ran = (0, 0);
    let file = json("wycheproof/mldsa_65_verify_test.json");
    for group in file["testGroups"].as_array().unwrap() {
        let key = UnparsedPublicKey::new(&ML_DSA_65, bytes(&group["publicKey"]));
        for test in group["tests"].as_array().unwrap() {
            if test.get("ctx").is_some_and(|context| context != "") {
                continue;
            }
            let verified = key.verify(&bytes(&test["msg"]), &bytes(&test["sig"])).is_ok();
            assert_eq!(
                verified,
                test["result"] == "valid",
                "{} {}",
                test["tcId"],
                test["comment"]
            );
            ran.0 += 1;
        }
    }
    let file = json("wycheproof/ed25519_test.json");
    for group in file["testGroups"].as_array().unwrap() {
        let key = UnparsedPublicKey::new(&ED25519, bytes(&group["publicKey"]["pk"]));
        for test in group["tests"].as_array().unwrap() {
            let verified = key.verify(&bytes(&test["msg"]), &bytes(&test["sig"])).is_ok();
            assert_eq!(
                verified,
                test["result"] == "valid",
                "{} {}",
                test["tcId"],
                test["comment"]
            );
            ran.1 += 1;
        }
    }
    assert_eq!(ran, (203, 151));
}

#[test]
fn composite_of_the_draft() {
    let file = json("composite-sigs/id-MLDSA65-Ed25519-SHA512.json");
    let decode = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let (message, context) = (decode(&file["m"]), decode(&file["ctx"]));
    let test = &file["tests"][0];
    let public = decode(&test["pk"]);
    let key = VerifyKey::new(SignatureAlg::MlDsa65Ed25519, &public).unwrap();
    let (plain, with_context) = (decode(&test["s"]), decode(&test["sWithContext"]));
    assert!(key.verify(b"", &message, &plain));
    assert!(key.verify(&context, &message, &with_context));
    assert!(!key.verify(&context, &message, &plain));
    assert!(!key.verify(b"", &message, &with_context));
    assert!(!key.verify(b"", b"another message", &plain));

    // The draft's private key is the two seeds; what it signs, its public key verifies.
    let private = decode(&test["sk"]);
    let (first, second) = private.split_at(32);
    let signer = CompositeSigner::from_seeds(first.try_into().unwrap(), second.try_into().unwrap());
    assert_eq!(signer.public(), public);
    let made = signer.sign_with_context(&context, &message).unwrap();
    assert!(key.verify(&context, &message, &made));
    assert_ne!(made, signer.sign_with_context(&context, &message).unwrap(), "hedged");
    // The Ed25519 half is deterministic and must be the vector's to the byte.
    assert_eq!(made[3309..], with_context[3309..]);
    let signer = signer.deterministic();
    let made = signer.sign_with_context(&context, &message).unwrap();
    assert_eq!(made, signer.sign_with_context(&context, &message).unwrap());
}

fn pair(seed: u8) -> (CompositeSigner, VerifyKey) {
    let signer = CompositeSigner::from_seeds(&[seed; 32], &[seed + 1; 32]).deterministic();
    let key = signer.verify_key();
    (signer, key)
}

#[test]
fn both_halves_must_hold() {
    let (signer, key) = pair(1);
    let one = signer.sign_with_context(b"c", b"one").unwrap();
    let two = signer.sign_with_context(b"c", b"two").unwrap();
    assert!(key.verify(b"c", b"one", &one) && key.verify(b"c", b"two", &two));
    let mixed = [&one[..3309], &two[3309..]].concat();
    assert!(!key.verify(b"c", b"one", &mixed));
    assert!(!key.verify(b"c", b"two", &mixed));
    // Another signer's half.
    let other = pair(7).0.sign_with_context(b"c", b"one").unwrap();
    assert!(!key.verify(b"c", b"one", &[&one[..3309], &other[3309..]].concat()));
    assert!(!key.verify(b"c", b"one", &[&other[..3309], &one[3309..]].concat()));
    // A half alone is not a signature of the other algorithm.
    let alone = VerifyKey::new(SignatureAlg::MlDsa65, &key.public()[..1952]).unwrap();
    assert!(!alone.verify(b"c", b"one", &one[..3309]));
}

#[test]
fn lengths_and_limits() {
    let (signer, key) = pair(1);
    let made = signer.sign_with_context(b"", b"m").unwrap();
    assert_eq!(made.len(), SignatureAlg::MlDsa65Ed25519.signature_len());
    for len in [0, 3308, 3309, 3372] {
        assert!(!key.verify(b"", b"m", &made[..len]));
    }
    assert!(!key.verify(b"", b"m", &[made.as_slice(), &[0]].concat()));
    let long = [0; 256];
    assert!(signer.sign_with_context(&long, b"m").is_err());
    assert!(!key.verify(&long, b"m", &made));
    let longest = signer.sign_with_context(&long[1..], b"m").unwrap();
    assert!(key.verify(&long[1..], b"m", &longest));
    for len in [0, 1952, 1983, 1985] {
        assert!(VerifyKey::new(SignatureAlg::MlDsa65Ed25519, &vec![1; len]).is_err());
    }
    let weak = [&key.public()[..1952], &[1], &[0; 31]].concat();
    assert!(
        VerifyKey::new(SignatureAlg::MlDsa65Ed25519, &weak).is_err(),
        "the neutral element is no key"
    );
}

#[test]
fn nothing_secret_is_shown() {
    let (signer, key) = pair(1);
    for text in [format!("{signer:?}"), format!("{key:?}")] {
        assert!(!text.contains("0101010101") && !text.contains("[1, 1"), "{text}");
    }
}
