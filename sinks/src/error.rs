//! What goes wrong in a store.

/// Boxed cause.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or not now; the same call may succeed later.
    #[error("store does not answer")]
    Unavailable {
        /// What failed.
        #[source]
        source: Source,
    },
    /// No room on its disk.
    #[error("store is full")]
    Full {
        /// What the store said.
        #[source]
        source: Source,
    },
    /// It cannot be opened: the text says what to do.
    #[error("store cannot be opened: {reason}")]
    Open {
        /// What, where, and what to do next.
        reason: String,
        /// What failed.
        #[source]
        source: Option<Source>,
    },
    /// A stored row cannot be read.
    #[error("column {column} of a row in {table} cannot be read")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        source: Option<Source>,
    },
    /// A cursor that no answer of ours had.
    #[error("cursor is not valid")]
    InvalidCursor,
}

impl StoreError {
    /// Wraps a cause that may pass.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self::Unavailable { source: source.into() }
    }
}
