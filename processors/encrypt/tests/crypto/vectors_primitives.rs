//! AES-GCM, HKDF, HMAC, on both providers.

use crate::support::{bytes, each_provider, json};
use sha2::{Sha256, Sha512};

#[test]
fn aes_256_gcm() {
    let file = json("wycheproof/aes_gcm_test.json");
    each_provider(|provider| {
        let mut ran = 0;
        for group in file["testGroups"].as_array().unwrap() {
            if group["ivSize"] != 96 || group["keySize"] != 256 || group["tagSize"] != 128 {
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                let [key, iv, aad, msg, ct, tag] =
                    ["key", "iv", "aad", "msg", "ct", "tag"].map(|field| bytes(&test[field]));
                let (key, iv) = (key.try_into().unwrap(), iv.try_into().unwrap());
                let aead = provider.aes_256_gcm(&key).unwrap();
                let sealed = [ct, tag].concat();
                let mut out = vec![0xaa; msg.len()];
                let opened = aead.open(&iv, &aad, &sealed, &mut out);
                let valid = test["result"] == "valid";
                assert_eq!(opened.is_ok(), valid, "{} {}", provider.kind(), test["tcId"]);
                if valid {
                    assert_eq!(out, msg);
                    let mut made = vec![0; msg.len() + 16];
                    aead.seal(&iv, &aad, &msg, &mut made).unwrap();
                    assert_eq!(made, sealed);
                } else {
                    assert!(
                        out.iter().all(|&byte| byte == 0),
                        "nothing unauthenticated is left behind"
                    );
                }
                ran += 1;
            }
        }
        assert_eq!(ran, 66);
    });
}

#[test]
fn aead_refuses_buffers_of_the_wrong_length() {
    each_provider(|provider| {
        let aead = provider.aes_256_gcm(&[1; 32]).unwrap();
        for len in [0, 4, 19, 21] {
            assert!(aead.seal(&[0; 12], b"", b"four", &mut vec![0; len]).is_err(), "{len}");
        }
        let mut sealed = [0; 20];
        aead.seal(&[0; 12], b"", b"four", &mut sealed).unwrap();
        for len in [0, 3, 5, 20, 21] {
            assert!(aead.open(&[0; 12], b"", &sealed, &mut vec![0; len]).is_err(), "{len}");
        }
        assert!(aead.open(&[0; 12], b"", &[], &mut []).is_err());
        assert!(aead.open(&[0; 12], b"", &sealed, &mut [0; 4]).is_ok());
    });
}

#[test]
fn hmac_sha256() {
    let file = json("wycheproof/hmac_sha256_test.json");
    each_provider(|provider| {
        let mut ran = 0;
        for group in file["testGroups"].as_array().unwrap() {
            let len = group["tagSize"].as_u64().unwrap() as usize / 8;
            for test in group["tests"].as_array().unwrap() {
                let [key, msg, tag] = ["key", "msg", "tag"].map(|field| bytes(&test[field]));
                let made = provider.hmac_sha256(&key, &msg);
                assert_eq!(
                    made[..len] == tag,
                    test["result"] == "valid",
                    "{} {}",
                    provider.kind(),
                    test["tcId"]
                );
                ran += 1;
            }
        }
        assert_eq!(ran, 174);
    });
}

#[test]
fn hkdf_sha256() {
    let file = json("wycheproof/hkdf_sha256_test.json");
    each_provider(|provider| {
        let mut ran = 0;
        for test in file["testGroups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["tests"].as_array().unwrap())
        {
            let [ikm, salt, info] = ["ikm", "salt", "info"].map(|field| bytes(&test[field]));
            let prk = provider.hkdf_sha256_extract(&salt, &ikm);
            let mut out = vec![0; test["size"].as_u64().unwrap() as usize];
            let made = provider.hkdf_sha256_expand(&prk, &info, &mut out);
            assert_eq!(
                made.is_ok(),
                test["result"] == "valid",
                "{} {}",
                provider.kind(),
                test["tcId"]
            );
            if made.is_ok() {
                assert_eq!(out, bytes(&test["okm"]), "{} {}", provider.kind(), test["tcId"]);
                assert_eq!(
                    prk.as_slice(),
                    hkdf::Hkdf::<Sha256>::extract(Some(&salt), &ikm).0.as_slice()
                );
            }
            ran += 1;
        }
        assert_eq!(ran, 86);
    });
}

/// Expand is ours; extract, which the format never uses, is the crate's.
#[test]
fn hkdf_sha512() {
    let file = json("wycheproof/hkdf_sha512_test.json");
    each_provider(|provider| {
        let mut ran = 0;
        for test in file["testGroups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["tests"].as_array().unwrap())
        {
            let [ikm, salt, info] = ["ikm", "salt", "info"].map(|field| bytes(&test[field]));
            let (prk, _) = hkdf::Hkdf::<Sha512>::extract(Some(&salt), &ikm);
            let mut out = vec![0; test["size"].as_u64().unwrap() as usize];
            let made = provider.hkdf_sha512_expand(&prk, &info, &mut out);
            assert_eq!(
                made.is_ok(),
                test["result"] == "valid",
                "{} {}",
                provider.kind(),
                test["tcId"]
            );
            if made.is_ok() {
                assert_eq!(out, bytes(&test["okm"]), "{} {}", provider.kind(), test["tcId"]);
            }
            ran += 1;
        }
        assert_eq!(ran, 83);
    });
}

/// The format expands from 32-byte keys, shorter than the hash: both providers agree there, at every number of blocks.
#[test]
fn hkdf_sha512_from_short_keys() {
    let [mut one, mut two] = [vec![], vec![]];
    for len in [0, 1, 32, 63, 64, 65, 76, 128, 1000, 255 * 64] {
        for (kind, out) in [("rust-crypto", &mut one), ("aws-lc", &mut two)] {
            out.clear();
            out.resize(len, 0);
            let kind = cofferdam_encrypt::crypto::ProviderKind::ALL
                .into_iter()
                .find(|k| k.as_str() == kind)
                .unwrap();
            let provider = cofferdam_encrypt::crypto::provider(kind);
            provider.hkdf_sha512_expand(&[7; 32], b"info", out).unwrap();
        }
        assert_eq!(one, two, "{len}");
    }
    each_provider(|provider| {
        assert!(
            provider
                .hkdf_sha512_expand(&[7; 32], b"info", &mut vec![0; 255 * 64 + 1])
                .is_err()
        );
    });
}

#[test]
fn randomness_differs() {
    each_provider(|provider| {
        let [mut one, mut two] = [[0; 32]; 2];
        provider.random(&mut one).unwrap();
        provider.random(&mut two).unwrap();
        assert_ne!(one, two);
        assert_ne!(one, [0; 32]);
    });
}
