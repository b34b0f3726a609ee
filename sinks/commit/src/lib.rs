//! One SQLite writer with group commit.
