//! Makes our own sealed vectors: objects that open, and objects with one defect each, named after it. The same in every run and on both providers.

mod batches;
mod malformed;
mod parts;
mod refused;
mod unopenable;

use std::collections::BTreeMap;
use std::sync::Arc;

use cofferdam_encrypt::crypto::{Provider, RecipientSecret, Role, SealRequest, Signer, StanzaAlg};
use cofferdam_envelope::Extension;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::parts::{MlDsaSigner, Parts};
use crate::support::{
    RECOVERY_SEED, SEALED_AT, SIGNER_ED25519_SEED, SIGNER_ML_DSA_SEED, TENANT_SEED, World, plaintext,
};

/// What a reader must do with a vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Expect {
    /// It opens.
    Opens {
        plaintext_len: usize,
        plaintext_sha256: String,
    },
    /// It is refused in this step of opening, for this reason (the audit word, or the parser's defect).
    Refused { step: u8, reason: String },
}

/// One line of `index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub file: String,
    /// What it shows.
    pub comment: String,
    /// File of the signature block, if it is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detached: Option<String>,
    /// Algorithms that a reader's policy has to allow besides the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    #[serde(flatten)]
    pub expect: Expect,
}

pub struct Vectors {
    pub files: BTreeMap<String, Vec<u8>>,
    pub index: Vec<Entry>,
}

/// Collects the files and their index.
struct Maker {
    world: World,
    out: Vectors,
}

impl Maker {
    fn put(&mut self, name: &str, object: Vec<u8>, entry: Entry) {
        assert!(
            self.out.files.insert(format!("{name}.sealed"), object).is_none(),
            "{name} twice"
        );
        self.out.index.push(entry);
    }

    fn opens(&mut self, name: &str, comment: &str, object: Vec<u8>, plaintext: &[u8], allow: &[&str]) {
        let expect = Expect::Opens {
            plaintext_len: plaintext.len(),
            plaintext_sha256: hex::encode(Sha256::digest(plaintext)),
        };
        let allow = allow.iter().map(|&alg| alg.to_owned()).collect();
        let entry = Entry {
            file: format!("{name}.sealed"),
            comment: comment.into(),
            detached: None,
            allow,
            expect,
        };
        self.put(name, object, entry);
    }

    /// The last file needs a policy that lists this, too.
    fn allow(&mut self, alg: &str) {
        let entry = self.out.index.last_mut().unwrap();
        entry.allow.push(alg.to_owned());
    }

    fn refused(&mut self, name: &str, comment: &str, object: Vec<u8>, step: u8, reason: &str) {
        let expect = Expect::Refused {
            step,
            reason: reason.into(),
        };
        let entry = Entry {
            file: format!("{name}.sealed"),
            comment: comment.into(),
            detached: None,
            allow: vec![],
            expect,
        };
        self.put(name, object, entry);
    }
}

/// Where the number of chunks, or the length of the last, changes.
const SIZES: [usize; 6] = [0, 1, 16_383, 16_384, 16_385, 49_152];

/// Everything that belongs into the folder.
pub fn vectors(provider: Arc<dyn Provider>) -> Vectors {
    let world = World::new(provider);
    let mut maker = Maker {
        world,
        out: Vectors {
            files: BTreeMap::new(),
            index: Vec::new(),
        },
    };
    positive(&mut maker);
    batches::batches(&mut maker);
    malformed::malformed(&mut maker);
    refused::untrusted(&mut maker);
    refused::refused(&mut maker);
    unopenable::unopenable(&mut maker);
    keys(&mut maker);
    let index = serde_json::to_string_pretty(&maker.out.index).unwrap() + "\n";
    maker.out.files.insert("index.json".into(), index.into_bytes());
    maker.out
}

fn positive(maker: &mut Maker) {
    let request = maker.world.request();
    for len in SIZES {
        let plaintext = plaintext(len);
        let object = maker.world.seal(&request, &plaintext).object;
        maker.opens(
            &format!("plain-{len}"),
            "tenant and recovery recipient, context, private metadata",
            object,
            &plaintext,
            &[],
        );
    }
    let text = plaintext(1000);

    let recipients = request.recipients.clone();
    let bare = SealRequest::new(request.object, request.tenant.clone(), SEALED_AT, recipients);
    let object = maker.world.seal(&bare, &text).object;
    maker.opens("bare", "no extensions", object, &text, &[]);

    let mut full = request.clone();
    full.source_locator_hash = Some([0xab; 32]);
    full.retention_class = Some("seven-years".into());
    let object = maker.world.seal(&full, &text).object;
    maker.opens(
        "all-extensions",
        "every extension that is not critical",
        object,
        &text,
        &[],
    );

    let provider = maker.world.provider.clone();
    let secret = |seed: &[u8], alg| RecipientSecret::from_seed(provider.clone(), alg, seed).unwrap();
    let grantee = secret(&[0x66; 32], StanzaAlg::MlKem768X25519);
    let mut shared = request.clone();
    shared.recipients.push(grantee.recipient(Role::Grantee));
    let object = maker.world.seal(&shared, &text).object;
    maker.opens(
        "grantee",
        "a third recipient, who was there from the beginning",
        object,
        &text,
        &[],
    );

    let pure = |seed: u8| secret(&[seed; 64], StanzaAlg::MlKem768);
    let mut ml_kem = request.clone();
    ml_kem.recipients = vec![pure(0x77).recipient(Role::Tenant), pure(0x78).recipient(Role::Recovery)];
    let object = maker.world.seal(&ml_kem, &text).object;
    maker.opens(
        "ml-kem-768",
        "stanza algorithm 0x0003",
        object,
        &text,
        &["stanza 0x0003"],
    );
    for len in SIZES {
        let text = plaintext(len);
        let object = maker.world.seal(&ml_kem, &text).object;
        let name = format!("ml-kem-768-{len}");
        maker.opens(&name, "stanza algorithm 0x0003", object, &text, &["stanza 0x0003"]);
    }

    let object = maker.world.seal_signed(&request, &text, &MlDsaSigner::new()).object;
    maker.opens(
        "ml-dsa-65",
        "signature algorithm 0x02",
        object,
        &text,
        &["signature 0x02"],
    );

    let mut detached = request.clone();
    detached.detached = true;
    let made = maker.world.seal(&detached, &text);
    let block = made.sealed.detached.unwrap();
    maker.out.files.insert("detached.signature".into(), block);
    maker.opens(
        "detached",
        "the signature block is a file of its own",
        made.object.clone(),
        &text,
        &[],
    );
    maker.out.index.last_mut().unwrap().detached = Some("detached.signature".into());
    maker.refused(
        "detached-signature-missing",
        "the same without its signature block",
        made.object,
        2,
        "untrusted",
    );

    // An unknown stanza algorithm is skipped, an unknown extension without the critical bit ignored.
    let mut parts = Parts::of(&maker.world.seal(&bare, &text).object);
    parts.change_core(|core| {
        core.extensions.push(Extension {
            kind: 0x7ffe,
            value: b"later".to_vec(),
        })
    });
    // The header changed, so that stanzas, MAC and payload have to be made anew: only the parser is shown here.
    let object = parts.sign(&maker.world.signer).object();
    maker.refused(
        "unknown-extension",
        "parses and verifies; the stanza is bound to another header",
        object,
        4,
        "stanza",
    );
}

fn keys(maker: &mut Maker) {
    let world = &maker.world;
    let pair = |seed: &[u8], secret: &RecipientSecret| {
        serde_json::json!({
            "seed": hex::encode(seed),
            "public": hex::encode(secret.public()),
            "key_id": secret.id().to_string(),
        })
    };
    let keys = serde_json::json!({
        "comment": "Made for these vectors and known to everybody: never use them. Plaintext byte i is i mod 251.",
        "tenant": world.tenant.as_str(),
        "tenant_id": hex::encode(cofferdam_encrypt::crypto::tenant_id(&world.tenant)),
        "object_id": hex::encode(world.object),
        "sealed_at": SEALED_AT,
        "tenant_key": pair(&TENANT_SEED, &world.kem),
        "recovery_key": pair(&RECOVERY_SEED, &world.recovery),
        "ml_kem_768": { "tenant_seed": hex::encode([0x77; 64]), "recovery_seed": hex::encode([0x78; 64]) },
        "grantee_seed": hex::encode([0x66; 32]),
        "signer": {
            "ml_dsa_65_seed": hex::encode(SIGNER_ML_DSA_SEED),
            "ed25519_seed": hex::encode(SIGNER_ED25519_SEED),
            "public": hex::encode(world.signer.public()),
            "key_id": world.signer.key_id().to_string(),
        },
        "signer_ml_dsa_65_alone": {
            "public": hex::encode(MlDsaSigner::new().public()),
            "key_id": MlDsaSigner::new().key_id().to_string(),
        },
    });
    let text = serde_json::to_string_pretty(&keys).unwrap() + "\n";
    maker.out.files.insert("keys.json".into(), text.into_bytes());
}
