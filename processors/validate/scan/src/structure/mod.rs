//! The structure of text formats.
pub mod csv;
pub mod geojson;
pub mod json;
pub mod report;
pub mod schema;
pub mod text;
