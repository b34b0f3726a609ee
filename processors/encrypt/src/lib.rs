//! Seals documents, opens them again, and keeps the keys.
