//! Checksums a store claims for an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the store claims about the bytes. Only whole-object values stand here: a composite (`…-N`) checksum of a multipart
/// upload says nothing about the bytes without its part boundaries. All values are lower-case hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checksums {
    /// MD5 (RFC 1321), 32 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// SHA-1 (FIPS 180-4), 40 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    /// SHA-256 (FIPS 180-4), 64 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// CRC-32 (ISO-HDLC), 8 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
    /// CRC-32C (Castagnoli), 8 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// CRC-64/NVME, 16 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
}
