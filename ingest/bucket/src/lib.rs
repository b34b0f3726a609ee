//! The embedded object store and its S3 endpoint.
