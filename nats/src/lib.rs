//! Delivery: subjects, topology, publishing, the worker shell, the supervised server.
