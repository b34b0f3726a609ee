//! Sources, dialects, the normaliser, admission and the ledger's re-drive.
