//! DSSE, the envelope around signed statements: <https://github.com/secure-systems-lab/dsse>, protocol and envelope version 1.
//!
//! Only the bytes: what is signed ([`pae`]), and the JSON form with its limits. Who signs and which keys count is not decided here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The longest envelope in bytes; its payload has three quarters of it.
pub const MOST_BYTES: usize = 128 << 20;
/// The most signatures of an envelope.
pub const MOST_SIGNATURES: usize = 8;

/// Why bytes are no envelope, or why there will be none.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// More than [`MOST_BYTES`].
    #[error("the envelope is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// Not the JSON of an envelope.
    #[error("it is no DSSE envelope")]
    Form(#[source] serde_json::Error),
    /// A field is not Base64.
    #[error("{0} of the envelope is not Base64")]
    Base64(&'static str),
}

/// A signature and a hint at its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signature {
    /// Whose it is said to be. Not signed: a hint, never a reason to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// Over [`pae`], in Base64.
    pub sig: String,
}

/// The envelope as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The signed bytes, in Base64.
    pub payload: String,
    /// What they are, for example [`IN_TOTO`]. Signed too.
    pub payload_type: String,
    /// The signatures, at most [`MOST_SIGNATURES`].
    #[serde(deserialize_with = "few")]
    #[schemars(length(max = MOST_SIGNATURES))]
    pub signatures: Vec<Signature>,
}

/// What is signed: the payload's type and the payload, each with its length before it, so that neither can be taken for a part of the other.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Standard or URL-safe, as the specification lets a producer choose.
fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, DsseError> {
    let engine = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    engine.decode(text).map_err(|_| DsseError::Base64(what))
}

impl Signature {
    /// Of a key.
    pub fn new(keyid: String, signature: &[u8]) -> Self {
        Self {
            keyid: Some(keyid),
            sig: STANDARD.encode(signature),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`DsseError::Base64`].
    pub fn bytes(&self) -> Result<Vec<u8>, DsseError> {
        decode(&self.sig, "a signature")
    }
}

impl Envelope {
    /// Around a payload that was signed.
    pub fn new(payload_type: &str, payload: &[u8], signatures: Vec<Signature>) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures,
        }
    }

    /// Reads what anybody may have written. A field that stands twice is refused, one that is not known is passed over, as the specification wants it.
    ///
    /// # Errors
    /// When it is too long or no envelope. Nothing is said yet about signatures.
    pub fn read(bytes: &[u8]) -> Result<Self, DsseError> {
        if bytes.len() > MOST_BYTES {
            return Err(DsseError::TooLong);
        }
        serde_json::from_slice(bytes).map_err(DsseError::Form)
    }

    /// Its JSON, with a line end.
    ///
    /// # Errors
    /// [`DsseError::TooLong`] when nobody would read it.
    pub fn write(&self) -> Result<Vec<u8>, DsseError> {
        let mut bytes = serde_json::to_vec(self).map_err(DsseError::Form)?;
        bytes.push(b'\n');
        if bytes.len() > MOST_BYTES {
            return Err(DsseError::TooLong);
        }
        Ok(bytes)
    }

    /// The payload's bytes: nobody's word until a signature over [`pae`] holds.
    ///
    /// # Errors
    /// [`DsseError::Base64`].
    pub fn payload(&self) -> Result<Vec<u8>, DsseError> {
        decode(&self.payload, "the payload")
    }
}

/// Stops at the limit, before memory is taken for more.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Signature>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Signature>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST_SIGNATURES} signatures")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut signatures = Vec::new();
            while let Some(signature) = all.next_element()? {
                if signatures.len() == MOST_SIGNATURES {
                    return Err(de::Error::invalid_length(MOST_SIGNATURES + 1, &self));
                }
                signatures.push(signature);
            }
            Ok(signatures)
        }
    }
    deserializer.deserialize_seq(Few)
}
