//! The battery every processor passes; see the functions.
