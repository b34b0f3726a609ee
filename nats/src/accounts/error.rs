use std::io;
use std::path::PathBuf;

use cofferdam_schemas::ids::TenantName;

/// Why the users of the broker could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// The file with the passwords cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is there and is not what we wrote. It is not replaced: every client would lose its password.
    #[error("{} is damaged: restore it from a backup, or remove it so that new passwords are made", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where it stops making sense. The text of the file is not repeated.
        #[source]
        source: DamageError,
    },
    /// A joining process found no password for a user.
    #[error("{} has no password for {user}", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// The table names a role twice, for example because a processor has the name of a built-in role.
    #[error("two roles are called {role}")]
    DuplicateRole {
        /// The name.
        role: String,
    },
    /// The configuration names a tenant twice.
    #[error("two tenants are called {tenant}")]
    DuplicateTenant {
        /// The name.
        tenant: TenantName,
    },
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    Random(#[source] rand::rngs::SysError),
}

/// The place of the damage. The JSON parser's own message is not kept, because it may quote the text, which holds
/// passwords.
#[derive(Debug, thiserror::Error)]
pub enum DamageError {
    /// Not JSON.
    #[error("not JSON at line {line} column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("{0} is not of the expected type")]
    Shape(&'static str),
}
