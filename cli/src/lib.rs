//! An event-driven document pipeline: seal, validate, analyse, prove.
