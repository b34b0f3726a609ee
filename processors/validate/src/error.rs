//! Why `validate` does not start.

use std::path::PathBuf;

/// Why byte signatures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The operator's file cannot be read.
    #[error("signature file {path:?} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML of the expected shape.
    #[error("signature file {path:?} is not valid")]
    Parse {
        /// The file; `built in` for the one compiled in.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// One signature makes no sense.
    #[error("signature {rule:?} is not valid: {reason}")]
    Signature {
        /// Its rule.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The patterns do not fit into one automaton.
    #[error("signatures cannot be compiled")]
    Compile(#[source] aho_corasick::BuildError),
}
