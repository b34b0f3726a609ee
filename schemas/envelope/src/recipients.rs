//! The recipients: who can unwrap the data key.

use crate::error::EnvelopeError;
use crate::read::{Reader, bounded, len_u16};
use crate::registry::StanzaAlg;

/// The version of the block this crate reads and writes.
pub const RECIPIENTS_VERSION: u8 = 1;
/// The most stanzas in one block.
pub const STANZAS_MAX: usize = 256;
/// The longest block, in bytes.
pub const RECIPIENTS_MAX_LEN: usize = 1 << 20;
/// Length of the MAC in bytes.
pub const MAC_LEN: usize = 32;

const FIXED_LEN: usize = 7;
const STANZA_FIXED_LEN: usize = 21;
/// The shortest block: one stanza without a body.
pub(crate) const RECIPIENTS_MIN_LEN: usize = FIXED_LEN + STANZA_FIXED_LEN + MAC_LEN;

/// What a recipient is to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The tenant's own key.
    Tenant,
    /// The tenant's recovery key, for when the own key is lost.
    Recovery,
    /// Somebody the object was shared with.
    Grantee,
    /// A service that works on it.
    Service,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Tenant, Role::Recovery, Role::Grantee, Role::Service];

    /// The number on the wire.
    pub fn id(self) -> u8 {
        match self {
            Role::Tenant => 1,
            Role::Recovery => 2,
            Role::Grantee => 3,
            Role::Service => 4,
        }
    }

    /// The role of a number.
    pub fn from_id(id: u8) -> Result<Self, EnvelopeError> {
        Self::ALL
            .into_iter()
            .find(|role| role.id() == id)
            .ok_or(EnvelopeError::UnknownRole(id))
    }
}

/// The data key, wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// What the recipient is.
    pub role: Role,
    /// How it is wrapped, see [`StanzaAlg`]. Numbers that are not registered are kept.
    pub alg: u16,
    /// The recipient's key id.
    pub key_id: [u8; 16],
    /// The wrapped key. For HPKE algorithms `enc ‖ ct`.
    pub body: Vec<u8>,
}

impl Stanza {
    /// `enc` and `ct` of an HPKE stanza; `None` if the algorithm is another kind.
    pub fn enc_and_ct(&self) -> Option<(&[u8], &[u8])> {
        let enc_len = StanzaAlg::from_id(self.alg)?.enc_len()?;
        (self.body.len() == enc_len + 48).then(|| self.body.split_at(enc_len))
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        check_body(self.alg, self.body.len())
    }
}

fn check_body(alg: u16, found: usize) -> Result<(), EnvelopeError> {
    match StanzaAlg::from_id(alg).and_then(StanzaAlg::body_len) {
        Some(expected) if expected != found => Err(EnvelopeError::StanzaBody { alg, found, expected }),
        _ => Ok(()),
    }
}

/// The recipients block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients {
    /// 0 inside the object; later revisions live outside it.
    pub revision: u32,
    /// 1 to 256 stanzas.
    pub stanzas: Vec<Stanza>,
    /// HMAC-SHA-256 over [`crate::label::recipients_mac_input`].
    pub mac: [u8; MAC_LEN],
}

impl Recipients {
    /// Reads a block; `bytes` is exactly the block with its MAC.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        bounded(
            "recipients",
            bytes.len() as u64,
            RECIPIENTS_MIN_LEN as u64,
            RECIPIENTS_MAX_LEN as u64,
        )?;
        let mut reader = Reader::new("recipients", bytes);
        match reader.u8()? {
            RECIPIENTS_VERSION => {}
            other => return Err(EnvelopeError::RecipientsVersion(other)),
        }
        let revision = reader.u32()?;
        let count = usize::from(reader.u16()?);
        check_count(count)?;
        let mut stanzas = Vec::with_capacity(count);
        for _ in 0..count {
            let role = Role::from_id(reader.u8()?)?;
            let alg = reader.u16()?;
            let key_id = reader.array()?;
            let len = usize::from(reader.u16()?);
            check_body(alg, len)?;
            let body = reader.take(len)?.to_vec();
            stanzas.push(Stanza {
                role,
                alg,
                key_id,
                body,
            });
        }
        let mac = reader.array()?;
        reader.end()?;
        check_duplicates(&stanzas)?;
        Ok(Self { revision, stanzas, mac })
    }

    /// The block as bytes, MAC included.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let mut out = self.bytes_without_mac()?;
        out.extend_from_slice(&self.mac);
        Ok(out)
    }

    /// The block without its MAC: what the MAC is over.
    pub fn bytes_without_mac(&self) -> Result<Vec<u8>, EnvelopeError> {
        check_count(self.stanzas.len())?;
        check_duplicates(&self.stanzas)?;
        let len = FIXED_LEN
            + self
                .stanzas
                .iter()
                .map(|stanza| STANZA_FIXED_LEN + stanza.body.len())
                .sum::<usize>();
        bounded(
            "recipients",
            (len + MAC_LEN) as u64,
            RECIPIENTS_MIN_LEN as u64,
            RECIPIENTS_MAX_LEN as u64,
        )?;
        let mut out = Vec::with_capacity(len + MAC_LEN);
        out.push(RECIPIENTS_VERSION);
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(&len_u16("stanza count", self.stanzas.len())?.to_be_bytes());
        for stanza in &self.stanzas {
            stanza.check()?;
            out.push(stanza.role.id());
            out.extend_from_slice(&stanza.alg.to_be_bytes());
            out.extend_from_slice(&stanza.key_id);
            out.extend_from_slice(&len_u16("stanza body", stanza.body.len())?.to_be_bytes());
            out.extend_from_slice(&stanza.body);
        }
        Ok(out)
    }

    /// Length in bytes, MAC included, of a block whose stanzas have bodies of these lengths.
    pub fn len_for(bodies: impl IntoIterator<Item = usize>) -> usize {
        FIXED_LEN + MAC_LEN + bodies.into_iter().map(|body| STANZA_FIXED_LEN + body).sum::<usize>()
    }
}

fn check_count(count: usize) -> Result<(), EnvelopeError> {
    if (1..=STANZAS_MAX).contains(&count) {
        Ok(())
    } else {
        Err(EnvelopeError::StanzaCount(count))
    }
}

fn check_duplicates(stanzas: &[Stanza]) -> Result<(), EnvelopeError> {
    let mut seen: Vec<_> = stanzas
        .iter()
        .map(|stanza| (stanza.role, stanza.alg, stanza.key_id))
        .collect();
    seen.sort_unstable();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        Err(EnvelopeError::DuplicateStanza)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(role: Role, alg: u16, key: u8, len: usize) -> Stanza {
        Stanza {
            role,
            alg,
            key_id: [key; 16],
            body: vec![key; len],
        }
    }

    fn recipients() -> Recipients {
        let stanzas = vec![stanza(Role::Tenant, 1, 7, 1168), stanza(Role::Recovery, 0x4444, 8, 5)];
        Recipients {
            revision: 0,
            stanzas,
            mac: [9; 32],
        }
    }

    #[test]
    fn round_trip_and_layout() {
        let bytes = recipients().to_bytes().unwrap();
        assert_eq!(bytes.len(), 7 + 21 + 1168 + 21 + 5 + 32);
        assert_eq!(bytes.len(), Recipients::len_for([1168, 5]));
        assert_eq!(bytes[..10], [1, 0, 0, 0, 0, 0, 2, 1, 0, 1]);
        assert_eq!(Recipients::parse(&bytes), Ok(recipients()));
        assert_eq!(bytes[..bytes.len() - 32], recipients().bytes_without_mac().unwrap());
    }

    #[test]
    fn refuses_each_defect() {
        let with = |at: usize, value: u8| {
            let mut bytes = recipients().to_bytes().unwrap();
            bytes[at] = value;
            Recipients::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 2), EnvelopeError::RecipientsVersion(2));
        assert_eq!(with(6, 0), EnvelopeError::StanzaCount(0));
        assert_eq!(with(5, 0xff), EnvelopeError::StanzaCount(0xff02));
        assert_eq!(with(7, 0), EnvelopeError::UnknownRole(0));
        assert_eq!(with(7, 5), EnvelopeError::UnknownRole(5));
        assert_eq!(
            with(9, 2),
            EnvelopeError::StanzaBody {
                alg: 2,
                found: 1168,
                expected: 1201
            }
        );
        assert!(matches!(with(6, 1), EnvelopeError::Trailing { .. }), "count too small");
        assert!(
            matches!(with(6, 3), EnvelopeError::UnknownRole(9)),
            "count too large reads the MAC"
        );
        let last_len = 7 + 21 + 1168 + 20;
        assert!(matches!(with(last_len, 0xff), EnvelopeError::Truncated { .. }));
    }

    #[test]
    fn no_key_twice_in_one_role() {
        let mut doubled = recipients();
        doubled.stanzas.push(stanza(Role::Tenant, 1, 7, 1168));
        assert_eq!(doubled.to_bytes(), Err(EnvelopeError::DuplicateStanza));
        doubled.stanzas[2].role = Role::Service;
        assert!(doubled.to_bytes().is_ok());
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = recipients().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Recipients::parse(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn the_count_alone_allocates_nothing_large() {
        // 256 announced, one there: refused after the one.
        let mut bytes = recipients().to_bytes().unwrap();
        bytes[5..7].copy_from_slice(&256u16.to_be_bytes());
        assert!(Recipients::parse(&bytes).is_err());
    }

    #[test]
    fn block_has_a_limit() {
        let stanzas = (0..17).map(|n| stanza(Role::Grantee, 0x4444, n, 65_535)).collect();
        let block = Recipients {
            revision: 0,
            stanzas,
            mac: [0; 32],
        };
        assert!(matches!(
            block.to_bytes(),
            Err(EnvelopeError::Length { part: "recipients", .. })
        ));
    }
}
