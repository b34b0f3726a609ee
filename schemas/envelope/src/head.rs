//! The whole head: all parts, and the checks between them.

use std::ops::Range;

use crate::core::{CORE_MAX_LEN, Core};
use crate::error::EnvelopeError;
use crate::prefix::{PREFIX_LEN, Prefix};
use crate::recipients::{RECIPIENTS_MAX_LEN, Recipients};
use crate::signature::{SIGNATURE_BLOCK_MAX_LEN, SignatureBlock};

/// The longest head, in bytes: no object needs more than this read before its payload.
pub const HEAD_MAX_LEN: usize = PREFIX_LEN + CORE_MAX_LEN + RECIPIENTS_MAX_LEN + SIGNATURE_BLOCK_MAX_LEN;

/// A head, read. The ranges say where its parts stood, for the hashes over their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The prefix.
    pub prefix: Prefix,
    /// The core.
    pub core: Core,
    /// The recipients, revision 0.
    pub recipients: Recipients,
    /// The signature block; `None` if it is detached.
    pub signature: Option<SignatureBlock>,
    /// Where the core's bytes are.
    pub core_range: Range<usize>,
    /// Where the recipients' bytes are, MAC included.
    pub recipients_range: Range<usize>,
}

impl Head {
    /// Reads a head from the beginning of an object; payload bytes may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let prefix = Prefix::parse(bytes)?;
        let offset = prefix.payload_offset();
        if bytes.len() < offset {
            return Err(EnvelopeError::Truncated {
                part: "head",
                needs: offset as u64,
                has: bytes.len() as u64,
            });
        }
        let core_range = PREFIX_LEN..PREFIX_LEN + prefix.core_len as usize;
        let recipients_range = core_range.end..core_range.end + prefix.recipients_len as usize;
        let core = Core::parse(&bytes[core_range.clone()])?;
        let recipients = Recipients::parse(&bytes[recipients_range.clone()])?;
        if recipients.revision != 0 {
            return Err(EnvelopeError::RecipientsRevision(recipients.revision));
        }
        if core.flags.detached != (prefix.signature_len == 0) {
            return Err(EnvelopeError::FlagMismatch(
                "detached, and the signature block excludes it",
            ));
        }
        let signature = if core.flags.detached {
            None
        } else {
            let block = SignatureBlock::parse(&bytes[recipients_range.end..offset])?;
            check_signer(&core, &block)?;
            Some(block)
        };
        Ok(Self {
            prefix,
            core,
            recipients,
            signature,
            core_range,
            recipients_range,
        })
    }

    /// Reads a detached signature block that belongs to this head.
    pub fn parse_detached(&self, bytes: &[u8]) -> Result<SignatureBlock, EnvelopeError> {
        if self.signature.is_some() {
            return Err(EnvelopeError::FlagMismatch("the signature is not detached"));
        }
        let block = SignatureBlock::parse(bytes)?;
        check_signer(&self.core, &block)?;
        Ok(block)
    }

    /// How many bytes from the beginning of an object its head takes; `first` is at least its first 20.
    pub fn len_from(first: &[u8]) -> Result<usize, EnvelopeError> {
        Prefix::parse(first).map(|prefix| prefix.payload_offset())
    }

    /// Writes a head from the bytes of its parts.
    pub fn assemble(core: &[u8], recipients: &[u8], signature: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let prefix = prefix_of(core.len(), recipients.len(), signature.len())?;
        Ok([&prefix.to_bytes()?[..], core, recipients, signature].concat())
    }

    /// The head as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let signature = self
            .signature
            .as_ref()
            .map(SignatureBlock::to_bytes)
            .transpose()?
            .unwrap_or_default();
        Self::assemble(&self.core.to_bytes()?, &self.recipients.to_bytes()?, &signature)
    }
}

fn prefix_of(core: usize, recipients: usize, signature: usize) -> Result<Prefix, EnvelopeError> {
    // Anything that does not fit is far above the limits, which `to_bytes` checks.
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    Ok(Prefix {
        core_len: len(core),
        recipients_len: len(recipients),
        signature_len: len(signature),
    })
}

fn check_signer(core: &Core, block: &SignatureBlock) -> Result<(), EnvelopeError> {
    if core.signer == block.signer {
        Ok(())
    } else {
        Err(EnvelopeError::SignerMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Flags;
    use crate::recipients::{Role, Stanza};
    use crate::registry::{SignatureAlg, Suite};

    fn parts() -> (Core, Recipients, SignatureBlock) {
        let core = Core {
            suite: Suite::CobblestoneBlake3,
            flags: Flags::default(),
            object: [1; 16],
            tenant: [2; 16],
            sealed_at: 3,
            signer: [4; 16],
            extensions: Vec::new(),
        };
        let stanzas = vec![Stanza {
            role: Role::Tenant,
            alg: 1,
            key_id: [5; 16],
            body: vec![6; 1168],
        }];
        let recipients = Recipients {
            revision: 0,
            stanzas,
            mac: [7; 32],
        };
        let block = SignatureBlock {
            alg: SignatureAlg::MlDsa65,
            signer: [4; 16],
            certificate: Vec::new(),
            payload_len: 72,
            payload_root: [8; 32],
            inclusion: None,
            signature: vec![9; 3309],
        };
        (core, recipients, block)
    }

    fn bytes(core: &Core, recipients: &Recipients, block: &SignatureBlock) -> Vec<u8> {
        let (core, recipients, block) = (core.to_bytes(), recipients.to_bytes(), block.to_bytes());
        Head::assemble(&core.unwrap(), &recipients.unwrap(), &block.unwrap()).unwrap()
    }

    #[test]
    fn round_trip_with_payload_behind() {
        let (core, recipients, block) = parts();
        let bytes = bytes(&core, &recipients, &block);
        let mut object = bytes.clone();
        object.extend_from_slice(b"payload");
        let head = Head::parse(&object).unwrap();
        assert_eq!(head.core, core);
        assert_eq!(head.recipients, recipients);
        assert_eq!(head.signature, Some(block));
        assert_eq!(head.to_bytes().unwrap(), bytes);
        assert_eq!(Head::len_from(&object[..20]), Ok(bytes.len()));
        assert_eq!(object[head.core_range], core.to_bytes().unwrap());
        assert_eq!(object[head.recipients_range], recipients.to_bytes().unwrap());
    }

    #[test]
    fn parts_agree() {
        let (mut core, mut recipients, mut block) = parts();
        block.signer = [0; 16];
        assert_eq!(
            Head::parse(&bytes(&core, &recipients, &block)),
            Err(EnvelopeError::SignerMismatch)
        );
        block.signer = [4; 16];
        core.flags.detached = true;
        assert!(matches!(
            Head::parse(&bytes(&core, &recipients, &block)),
            Err(EnvelopeError::FlagMismatch(_))
        ));
        core.flags.detached = false;
        recipients.revision = 1;
        assert_eq!(
            Head::parse(&bytes(&core, &recipients, &block)),
            Err(EnvelopeError::RecipientsRevision(1))
        );
    }

    #[test]
    fn detached() {
        let (mut core, recipients, block) = parts();
        core.flags.detached = true;
        let head = Head::assemble(&core.to_bytes().unwrap(), &recipients.to_bytes().unwrap(), &[]).unwrap();
        let head = Head::parse(&head).unwrap();
        assert_eq!(head.parse_detached(&block.to_bytes().unwrap()), Ok(block.clone()));
        let other = SignatureBlock {
            signer: [0; 16],
            ..block
        };
        assert_eq!(
            head.parse_detached(&other.to_bytes().unwrap()),
            Err(EnvelopeError::SignerMismatch)
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        let (core, recipients, block) = parts();
        let bytes = bytes(&core, &recipients, &block);
        for len in 0..bytes.len() {
            assert!(
                matches!(Head::parse(&bytes[..len]), Err(EnvelopeError::Truncated { .. })),
                "{len}"
            );
        }
    }
}
