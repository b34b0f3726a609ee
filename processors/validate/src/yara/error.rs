//! Why YARA rules are refused.

use std::path::PathBuf;

/// Why YARA rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum YaraError {
    /// This program has no YARA in it.
    #[error("this program was built without YARA: build it with `--features yara`, or name no rules in packs.yara")]
    NotBuilt,
    /// A file or folder of rules cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A folder has no rules in it.
    #[error("{} has no file that ends in .yar or .yara", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// The rules are longer than any set of rules should be.
    #[error("YARA rules longer than {most} bytes together")]
    TooLong {
        /// The limit.
        most: u64,
    },
    /// A rule does not compile.
    #[error("YARA rules are not valid: {0}")]
    Compile(String),
    /// A rule does not keep to its own examples, or to what is understood of its metadata.
    #[error("YARA rule {rule} in {pack}, line {line}, {what}")]
    Rule {
        /// The file.
        pack: String,
        /// Its name.
        rule: String,
        /// Where it begins.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Compiled rules cannot be written down or read back.
    #[error("compiled YARA rules cannot be handed over: {0}")]
    Compiled(String),
}
