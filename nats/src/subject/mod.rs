//! Subjects as types: each parses from and prints to its one form.
//!
//! Tokens are a tenant's opaque id, a processor's name, a lane, a verb, a partition, an object's id. An object's key is
//! never part of a subject: it may hold dots, spaces and wildcards, and there is no bound to how many there are.

mod durable;
mod live;

pub use durable::{Cmd, Dlq, Evt, Join, JoinKind, Raw, Res};
pub use live::{CmdIn, Live, Query};

use std::str::FromStr;

use cofferdam_schemas::{IdError, TenantName};

/// Every request of a tenant for a command, as the gateway sees it.
pub const COMMAND_REQUESTS: &str = "cmdin.v1.>";
/// Every query of a tenant, as the query service sees it.
pub const QUERIES: &str = "q.v1.>";
/// Everything republished for people and browsers.
pub const LIVE: &str = "live.v1.>";
/// Notifications of foreign stores.
pub const RAW: &str = "raw.s3.*";

/// Why a text is not a subject of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Wrong prefix or number of tokens.
    #[error("subject {subject:?} is not of the form {form}")]
    Form {
        /// The text, cut to 200 characters.
        subject: String,
        /// The form that was expected.
        form: &'static str,
    },
    /// A token is not valid.
    #[error("subject {subject:?} has a token that is not valid")]
    Token {
        /// The text, cut to 200 characters.
        subject: String,
        /// What is wrong with the token.
        #[source]
        source: IdError,
    },
}

/// The tenant a stored message belongs to, from its subject. `None` for notifications that nobody has looked at yet.
pub fn tenant_of(subject: &str) -> Option<TenantName> {
    let at = match subject.split('.').next()? {
        "evt" | "join" => 3,
        "cmd" | "res" => 2,
        _ => return None,
    };
    subject.split('.').nth(at)?.parse().ok()
}

/// Reads bytes as every kind of subject; how many kinds they are. Nothing may make this panic. For tests that throw
/// anything at the parsers.
pub fn read_any(bytes: &[u8]) -> usize {
    fn one<T: FromStr>(text: &str) -> usize {
        usize::from(text.parse::<T>().is_ok())
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    // Used before a subject is known to be of any kind.
    let _ = tenant_of(text);
    let stored = one::<Raw>(text) + one::<Evt>(text) + one::<Cmd>(text) + one::<Res>(text);
    let other = one::<Join>(text) + one::<Dlq>(text) + one::<CmdIn>(text) + one::<Query>(text);
    stored + other + one::<Live>(text)
}

/// The tokens of a subject behind a fixed prefix.
pub(crate) struct Tokens<'a, const N: usize> {
    subject: &'a str,
    pub(crate) tokens: [&'a str; N],
}

impl<'a, const N: usize> Tokens<'a, N> {
    pub(crate) fn split(subject: &'a str, prefix: &str, form: &'static str) -> Result<Self, SubjectError> {
        let wrong = || SubjectError::Form {
            subject: subject.chars().take(200).collect(),
            form,
        };
        let rest = subject.strip_prefix(prefix).ok_or_else(wrong)?;
        let tokens: Vec<&str> = rest.split('.').collect();
        let tokens = tokens.try_into().map_err(|_| wrong())?;
        Ok(Self { subject, tokens })
    }

    pub(crate) fn read<T: FromStr<Err = IdError>>(&self, at: usize) -> Result<T, SubjectError> {
        self.tokens[at].parse().map_err(|source| SubjectError::Token {
            subject: self.subject.chars().take(200).collect(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
