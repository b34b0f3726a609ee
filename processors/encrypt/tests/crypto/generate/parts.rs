//! Objects taken apart, and a signer for the second signature algorithm.

use cofferdam_encrypt::crypto::{CompositeSigner, CryptoError, SignError, Signature, SignatureAlg, Signer};
use cofferdam_envelope::{Core, Head, MAGIC, Recipients, SignatureBlock, label};
use cofferdam_schemas::KeyId;
use futures::executor::block_on;
use sha2::{Digest, Sha256};

use crate::support::SIGNER_ML_DSA_SEED;

/// ML-DSA-65 alone: nothing signs with it by default, so that the test brings its own signer.
pub struct MlDsaSigner(ml_dsa::SigningKey<ml_dsa::MlDsa65>);

impl MlDsaSigner {
    pub fn new() -> Self {
        Self(ml_dsa::SigningKey::from_seed(&ml_dsa::Seed::from(SIGNER_ML_DSA_SEED)))
    }
    pub fn public(&self) -> Vec<u8> {
        ml_dsa::KeyExport::to_bytes(&ml_dsa::Keypair::verifying_key(&self.0)).to_vec()
    }
}

#[async_trait::async_trait]
impl Signer for MlDsaSigner {
    fn key_id(&self) -> KeyId {
        cofferdam_encrypt::crypto::key_id(SignatureAlg::MlDsa65.key_id_alg(), &self.public())
    }
    fn alg(&self) -> SignatureAlg {
        SignatureAlg::MlDsa65
    }
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        let key = self.0.expanded_key();
        let failed = |_| SignError::Crypto(CryptoError::Limit);
        Ok(key
            .sign_deterministic(statement, label::ORIGIN_CONTEXT)
            .map_err(failed)?
            .encode()
            .to_vec())
    }
}

/// An object in parts, to be changed and put together again without any check.
#[derive(Clone)]
pub struct Parts {
    pub core: Vec<u8>,
    pub recipients: Vec<u8>,
    pub block: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Parts {
    pub fn of(object: &[u8]) -> Self {
        let head = Head::parse(object).unwrap();
        let end = head.prefix.payload_offset();
        Self {
            core: object[head.core_range.clone()].to_vec(),
            recipients: object[head.recipients_range.clone()].to_vec(),
            block: object[head.recipients_range.end..end].to_vec(),
            payload: object[end..].to_vec(),
        }
    }

    pub fn object(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for part in [&self.core, &self.recipients, &self.block] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        }
        [
            out,
            self.core.clone(),
            self.recipients.clone(),
            self.block.clone(),
            self.payload.clone(),
        ]
        .concat()
    }

    /// What is to be signed of the parts as they are.
    pub fn statement(&self, signer: &CompositeSigner) -> Vec<u8> {
        let header: [u8; 32] = Sha256::digest(label::header_input(&self.core)).into();
        let recipients: [u8; 32] = Sha256::digest(&self.recipients).into();
        let payload_root = *blake3::hash(&self.payload).as_bytes();
        label::statement(&label::Statement {
            header: &header,
            recipients: &recipients,
            payload_len: self.payload.len() as u64,
            payload_root: &payload_root,
            signer: &signer.key_id().0,
        })
    }

    /// The block that goes with the payload and this signature.
    pub fn block_of(&self, signer: &CompositeSigner, signature: Signature) -> SignatureBlock {
        SignatureBlock {
            alg: signature.alg,
            signer: signer.key_id().0,
            certificate: Vec::new(),
            payload_len: self.payload.len() as u64,
            payload_root: *blake3::hash(&self.payload).as_bytes(),
            inclusion: signature.inclusion,
            signature: signature.bytes,
        }
    }

    /// Signs whatever the parts are now, as the sealer would: what is left to find is behind the signature.
    pub fn sign(mut self, signer: &CompositeSigner) -> Self {
        let bytes = block_on(signer.sign(&self.statement(signer))).unwrap();
        let signature = Signature::alone(SignatureAlg::MlDsa65Ed25519, bytes);
        self.block = self.block_of(signer, signature).to_bytes().unwrap();
        self
    }

    pub fn change_core(&mut self, change: impl FnOnce(&mut Core)) {
        let mut core = Core::parse(&self.core).unwrap();
        change(&mut core);
        self.core = core.to_bytes().unwrap();
    }

    pub fn change_recipients(&mut self, change: impl FnOnce(&mut Recipients)) {
        let mut recipients = Recipients::parse(&self.recipients).unwrap();
        change(&mut recipients);
        self.recipients = recipients.to_bytes().unwrap();
    }
}
