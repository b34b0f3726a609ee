//! Durable results: SQLite, S3, the joiner.
