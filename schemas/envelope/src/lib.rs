//! The sealed envelope: its byte layout, read and written with limits. No cryptography.
