//! ML-KEM-768, X-Wing, HPKE, on both providers.

use cofferdam_encrypt::crypto::{Coins, CryptoError, Kem, RecipientKey, Role, StanzaAlg};
use cofferdam_encrypt::hpke::key_schedule;

use crate::support::{World, bytes, each_provider, json, vectors};

#[test]
fn ml_kem_768_from_seeds() {
    let file = json("wycheproof/mlkem_768_test.json");
    each_provider(|provider| {
        let mut ran = 0;
        for test in file["testGroups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["tests"].as_array().unwrap())
        {
            let (seed, enc) = (bytes(&test["seed"]), bytes(&test["c"]));
            let shared = provider.decapsulator(Kem::MlKem768, &seed).and_then(|key| {
                if test["result"] == "valid" {
                    assert_eq!(key.public(), bytes(&test["ek"]), "{}", test["tcId"]);
                }
                key.decapsulate(&enc)
            });
            match shared {
                Ok(shared) => {
                    assert_eq!(test["result"], "valid", "{} {}", provider.kind(), test["tcId"]);
                    assert_eq!(
                        shared.to_vec(),
                        bytes(&test["K"]),
                        "{} {}",
                        provider.kind(),
                        test["tcId"]
                    );
                }
                Err(_) => assert_eq!(test["result"], "invalid", "{} {}", provider.kind(), test["tcId"]),
            }
            ran += 1;
        }
        assert_eq!(ran, 193);
    });
}

#[test]
fn ml_kem_768_of_acvp() {
    let keys = json("acvp/ML-KEM-768-key-gen.json");
    let encapsulations = json("acvp/ML-KEM-768-encap-decap.json");
    each_provider(|provider| {
        let mut ran = (0, 0);
        for test in keys["testGroups"][0]["tests"].as_array().unwrap() {
            let seed = [bytes(&test["d"]), bytes(&test["z"])].concat();
            let key = provider.decapsulator(Kem::MlKem768, &seed).unwrap();
            assert_eq!(key.public(), bytes(&test["ek"]), "{} {}", provider.kind(), test["tcId"]);
            ran.0 += 1;
        }
        for group in encapsulations["testGroups"].as_array().unwrap() {
            if group["function"] != "encapsulation" {
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                let coins = bytes(&test["m"]);
                let made = provider
                    .encapsulate(Kem::MlKem768, &bytes(&test["ek"]), Coins::Given(&coins))
                    .unwrap();
                assert_eq!(made.enc, bytes(&test["c"]), "{} {}", provider.kind(), test["tcId"]);
                assert_eq!(
                    made.shared.to_vec(),
                    bytes(&test["k"]),
                    "{} {}",
                    provider.kind(),
                    test["tcId"]
                );
                ran.1 += 1;
            }
        }
        assert_eq!(ran, (25, 25));
    });
}

/// What one library makes of an expanded private key and a ciphertext. Providers take seeds; aws-lc is given the expanded form inside, so that both libraries have to
/// read it right.
type Decapsulate = fn(&[u8], &[u8]) -> Option<Vec<u8>>;

const LIBRARIES: [(&str, Decapsulate); 2] = [
    ("ml-kem", |private, enc| {
        #[allow(deprecated)]
        let key = ml_kem::ml_kem_768::DecapsulationKey::from_expanded(private.try_into().ok()?).ok()?;
        let enc = enc.try_into().ok()?;
        Some(ml_kem::Decapsulate::decapsulate(&key, enc).to_vec())
    }),
    ("aws-lc", |private, enc| {
        let key = aws_lc_rs::kem::DecapsulationKey::new(&aws_lc_rs::kem::ML_KEM_768, private).ok()?;
        Some(key.decapsulate(enc.into()).ok()?.as_ref().to_vec())
    }),
];

#[test]
fn expanded_private_keys() {
    let file = json("wycheproof/mlkem_768_semi_expanded_decaps_test.json");
    for (library, decapsulate) in LIBRARIES {
        let groups = file["testGroups"].as_array().unwrap().iter();
        let mut ran = 0;
        for test in groups.flat_map(|group| group["tests"].as_array().unwrap()) {
            let shared = decapsulate(&bytes(&test["dk"]), &bytes(&test["c"]));
            let expected = (test["result"] == "valid").then(|| bytes(&test["K"]));
            assert_eq!(shared, expected, "{library} {} {}", test["tcId"], test["comment"]);
            ran += 1;
        }
        assert_eq!(ran, 9);
    }
    // None of them is a seed.
    each_provider(|provider| {
        let key = bytes(&file["testGroups"][0]["tests"][0]["dk"]);
        assert!(provider.decapsulator(Kem::MlKem768, &key).is_err());
    });
}

#[test]
fn ml_kem_768_decapsulation_of_acvp() {
    let file = json("acvp/ML-KEM-768-encap-decap.json");
    let mut groups = file["testGroups"].as_array().unwrap().iter();
    let group = groups.find(|group| group["function"] == "decapsulation").unwrap();
    for (library, decapsulate) in LIBRARIES {
        let tests = group["tests"].as_array().unwrap();
        assert_eq!(tests.len(), 10);
        for test in tests {
            let shared = decapsulate(&bytes(&group["dk"]), &bytes(&test["c"]));
            assert_eq!(
                shared,
                Some(bytes(&test["k"])),
                "{library} {} {}",
                test["tcId"],
                test["reason"]
            );
        }
    }
}

/// A comparison that stops at a zero byte, like C's `strcmp`, would take a changed ciphertext for the right one.
#[test]
fn implicit_rejection_compares_all_bytes() {
    let text = std::fs::read_to_string(vectors().join("third-party/cctv/strcmp-ML-KEM-768.txt")).unwrap();
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
        hex::decode(lines.find(|(found, _)| *found == name).unwrap().1).unwrap()
    };
    for (library, decapsulate) in LIBRARIES {
        assert_eq!(decapsulate(&field("dk"), &field("c")), Some(field("K")), "{library}");
    }
}

#[test]
fn public_keys_beyond_the_modulus_are_refused() {
    let gzip = std::fs::read(vectors().join("third-party/cctv/modulus-ML-KEM-768.txt.gz")).unwrap();
    // A gzip file without extra fields but with a name: ten bytes, the name, the deflate stream, eight bytes.
    assert_eq!(gzip[..4], [0x1f, 0x8b, 8, gzip[3]]);
    let named = gzip[3] & 0x08 != 0;
    let body = if named {
        10 + gzip[10..].iter().position(|&byte| byte == 0).unwrap() + 1
    } else {
        10
    };
    let text = miniz_oxide::inflate::decompress_to_vec(&gzip[body..gzip.len() - 8]).unwrap();
    let keys: Vec<Vec<u8>> = text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| hex::decode(line).unwrap())
        .collect();
    assert_eq!(keys.len(), 780);
    let x25519 = [9; 32];
    for key in &keys {
        assert_eq!(
            RecipientKey::new(Role::Tenant, StanzaAlg::MlKem768, key),
            Err(CryptoError::PublicKey)
        );
        let hybrid = [key.as_slice(), &x25519].concat();
        assert_eq!(
            RecipientKey::new(Role::Tenant, StanzaAlg::MlKem768X25519, &hybrid),
            Err(CryptoError::PublicKey)
        );
    }
    each_provider(|provider| {
        for key in &keys {
            assert!(provider.encapsulate(Kem::MlKem768, key, Coins::Fresh).is_err());
        }
    });
}

#[test]
fn x_wing() {
    let file = json("xwing/test-vectors.json");
    each_provider(|provider| {
        let tests = file.as_array().unwrap();
        assert_eq!(tests.len(), 3);
        for test in tests {
            let key = provider
                .decapsulator(Kem::MlKem768X25519, &bytes(&test["seed"]))
                .unwrap();
            assert_eq!(key.public(), bytes(&test["pk"]), "{}", provider.kind());
            let coins = bytes(&test["eseed"]);
            let made = provider
                .encapsulate(Kem::MlKem768X25519, key.public(), Coins::Given(&coins))
                .unwrap();
            assert_eq!(made.enc, bytes(&test["ct"]));
            assert_eq!(made.shared.to_vec(), bytes(&test["ss"]));
            assert_eq!(key.decapsulate(&made.enc).unwrap().to_vec(), bytes(&test["ss"]));
        }
    });
}

/// The vectors use other AEADs than ours, so that the schedule is compared, for every KEM that goes with HKDF-SHA256, and the KEMs that we compute.
#[test]
fn hpke_pq() {
    let file = json("hpke-pq/test-vectors.json");
    each_provider(|provider| {
        let mut ran = (0, 0);
        for test in file.as_array().unwrap().iter().filter(|test| test["kdf_id"] == 1) {
            let id = |field: &str| u16::try_from(test[field].as_u64().unwrap()).unwrap();
            let shared = bytes(&test["shared_secret"]);
            let mut key = vec![0; bytes(&test["key"]).len()];
            let info = bytes(&test["info"]);
            let nonce = key_schedule(provider.as_ref(), id("kem_id"), id("aead_id"), &shared, &info, &mut key).unwrap();
            assert_eq!(key, bytes(&test["key"]), "{} {}", provider.kind(), test["kem_id"]);
            assert_eq!(nonce.to_vec(), bytes(&test["base_nonce"]));
            ran.0 += 1;
            let Some(kem) = Kem::ALL.into_iter().find(|kem| kem.id() == id("kem_id")) else {
                continue;
            };
            let private = provider.decapsulator(kem, &bytes(&test["skRm"])).unwrap();
            assert_eq!(private.public(), bytes(&test["pkRm"]));
            assert_eq!(private.decapsulate(&bytes(&test["enc"])).unwrap().to_vec(), shared);
            let coins = bytes(&test["ikmE"]);
            let made = provider
                .encapsulate(kem, private.public(), Coins::Given(&coins))
                .unwrap();
            assert_eq!((made.enc, made.shared.to_vec()), (bytes(&test["enc"]), shared));
            ran.1 += 1;
        }
        assert_eq!(ran, (4, 2));
    });
}

/// Our stanzas are ordinary HPKE messages: another implementation opens them, and we open its.
#[test]
fn stanzas_are_ordinary_hpke() {
    use cofferdam_envelope::label::wrap_info;
    use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
    type XWing = hpke::kem::XWing;

    each_provider(|provider| {
        let world = World::new(provider);
        let opener_keys = crate::support::Keys::of(&[&world.kem]);
        let object = world.seal_fresh(b"x").object;
        let opener = world.begin(&object, &world.open_request(), &opener_keys).unwrap();
        let header = opener.header_hash();
        let stanza = &opener.stanzas()[0];
        let info = wrap_info(Role::Tenant, &stanza.key_id, &header);

        // Theirs opens ours.
        let (enc, ct) = stanza.enc_and_ct().unwrap();
        let private = <XWing as hpke::Kem>::PrivateKey::from_bytes(&crate::support::TENANT_SEED).unwrap();
        let enc = <XWing as hpke::Kem>::EncappedKey::from_bytes(enc).unwrap();
        let opened = hpke::single_shot_open::<hpke::aead::AesGcm256, hpke::kdf::HkdfSha256, XWing>(
            &OpModeR::Base,
            &private,
            &enc,
            &info,
            ct,
            b"",
        );
        let dek = opened.unwrap();
        assert_eq!(dek.len(), 32);

        // Ours opens theirs: the same key comes out, so that the object's MAC and payload agree.
        let public = XWing::sk_to_pk(&private);
        assert_eq!(public.to_bytes().as_slice(), world.kem.public());
        let sealed = hpke::single_shot_seal::<hpke::aead::AesGcm256, hpke::kdf::HkdfSha256, XWing>(
            &OpModeS::Base,
            &public,
            &info,
            &dek,
            b"",
        );
        let (enc, ct) = sealed.unwrap();
        let theirs = cofferdam_envelope::Stanza {
            body: [enc.to_bytes().as_slice(), &ct].concat(),
            ..stanza.clone()
        };
        world.kem.unwrap(&theirs, &header).unwrap();
    });
}

/// An X25519 half of low order makes every sender agree on zeros. All of the encodings of such points are refused, on the way in and on the way out.
#[test]
fn points_of_low_order_are_refused() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    each_provider(|provider| {
        let world = World::new(provider.clone());
        for point in points.map(|point| hex::decode(point).unwrap()) {
            let mut public = world.kem.public().to_vec();
            public[1184..].copy_from_slice(&point);
            let made = RecipientKey::new(Role::Tenant, StanzaAlg::MlKem768X25519, &public);
            assert_eq!(made, Err(CryptoError::PublicKey));

            let made = provider
                .encapsulate(Kem::MlKem768X25519, world.kem.public(), Coins::Fresh)
                .unwrap();
            let mut enc = made.enc;
            enc[1088..].copy_from_slice(&point);
            let key = provider
                .decapsulator(Kem::MlKem768X25519, &crate::support::TENANT_SEED)
                .unwrap();
            assert!(key.decapsulate(&enc).is_err(), "{}", provider.kind());
        }
    });
}

#[test]
fn wrong_lengths_are_refused() {
    each_provider(|provider| {
        for kem in Kem::ALL {
            let seed = vec![3; kem.private_len()];
            let key = provider.decapsulator(kem, &seed).unwrap();
            assert_eq!(key.public().len(), kem.public_len());
            assert!(provider.decapsulator(kem, &seed[1..]).is_err());
            assert!(provider.decapsulator(kem, &[seed.as_slice(), &[0]].concat()).is_err());
            for len in [0, kem.enc_len() - 1, kem.enc_len() + 1] {
                assert!(key.decapsulate(&vec![0; len]).is_err());
            }
            for len in [0, kem.public_len() - 1, kem.public_len() + 1] {
                let public = vec![0; len];
                assert!(provider.encapsulate(kem, &public, Coins::Fresh).is_err());
            }
            for len in [0, kem.coins_len() - 1, kem.coins_len() + 1] {
                assert!(
                    provider
                        .encapsulate(kem, key.public(), Coins::Given(&vec![0; len]))
                        .is_err()
                );
            }
        }
    });
}
