//! Why the engine would not load.

/// A model or a rule pack that is refused.
#[derive(Debug, thiserror::Error)]
pub enum InjectionError {
    /// The rule pack is no TOML, or has unknown or missing fields; the source names line and column.
    #[error("{pack} is not a rule pack")]
    Pack {
        /// Which.
        pack: String,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// One rule is wrong.
    #[error("{pack}, line {line}: rule {rule} is refused: {reason}")]
    Rule {
        /// The pack.
        pack: String,
        /// Counted from 1; 1 if it cannot be told.
        line: usize,
        /// Its id.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model file is damaged or of another version.
    #[error("model is refused: {0}")]
    Model(&'static str),
    /// A training or evaluation set is not readable.
    #[error("line {line} of the training set is not readable")]
    Data {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The file of own examples is wrong.
    #[error("line {line} of the own examples is refused: {reason}")]
    Examples {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}
