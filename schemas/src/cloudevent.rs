//! CloudEvents 1.0 in binary mode over NATS headers.
//!
//! Attributes travel as `ce-<name>` headers, the body is the data. Header values are percent-encoded outside U+0021 to U+007E,
//! and for `"` and `%`, as the NATS binding (1.0.3-wip) says.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::timestamp::Timestamp;

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The context attributes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Unique together with `source`; also the `Nats-Msg-Id`, but for a redelivery that must pass the window.
    pub id: String,
    /// Who emitted it, a URI reference such as `/cofferdam/normalise`.
    pub source: String,
    /// The type, with its version.
    pub event_type: String,
    /// What it is about: the object id, or the command id.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
}

/// Why headers do not form an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// A required header is absent.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header cannot be read.
    #[error("header {name} cannot be read: {reason}")]
    Invalid {
        /// The header.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Not CloudEvents 1.0.
    #[error("specversion {0:?} is not supported, only 1.0")]
    Version(String),
}

impl Attributes {
    /// The headers to send, names and encoded values.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let encode = |value: &str| utf8_percent_encode(value, ESCAPED).to_string();
        vec![
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", encode(&self.id)),
            ("ce-source", encode(&self.source)),
            ("ce-type", encode(&self.event_type)),
            ("ce-subject", encode(&self.subject)),
            ("ce-time", self.time.to_string()),
            ("ce-datacontenttype", "application/json".to_owned()),
        ]
    }

    /// Reads them back; `header` looks one up by name.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AttributeError> {
        let required = |name: &'static str| header(name).ok_or(AttributeError::Missing(name));
        let decode = |name: &'static str, value: &str| {
            percent_decode_str(value)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| AttributeError::Invalid {
                    name,
                    reason: "not UTF-8 once decoded",
                })
        };
        match required("ce-specversion")? {
            "1.0" => {}
            other => return Err(AttributeError::Version(other.chars().take(20).collect())),
        }
        Ok(Self {
            id: decode("ce-id", required("ce-id")?)?,
            source: decode("ce-source", required("ce-source")?)?,
            event_type: decode("ce-type", required("ce-type")?)?,
            subject: decode("ce-subject", header("ce-subject").unwrap_or_default())?,
            time: required("ce-time")?.parse().map_err(|_| AttributeError::Invalid {
                name: "ce-time",
                reason: "not RFC 3339",
            })?,
        })
    }
}
