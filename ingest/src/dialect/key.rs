//! How a key stands in a notification.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// How a source writes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// `application/x-www-form-urlencoded`: `+` is a space, `%XX` a byte.
    Form,
    /// As it is.
    Plain,
}

impl KeyEncoding {
    /// The key itself. `None` when the bytes are not UTF-8 once decoded. Nothing is normalised: two keys that look alike stay two.
    pub fn decode(self, text: &str) -> Option<String> {
        match self {
            KeyEncoding::Plain => Some(text.to_owned()),
            // `+` first: a `%2B` that is decoded before would become a space.
            KeyEncoding::Form => percent_decode_str(&text.replace('+', " "))
                .decode_utf8()
                .ok()
                .map(|key| key.into_owned()),
        }
    }
}
