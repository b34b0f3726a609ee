//! What is inside a container or binary document: its structure is checked, and its members are handed to a [`Visitor`] to be scanned
//! like files of their own.
//!
//! The engine trusts nothing that the document says. It reads from an open file at places of its own choice, unpacks in pieces, and
//! stops at [`Limits`]; each bound that is reached, each part that cannot be looked at and each broken rule of a format becomes a
//! [`Problem`]. It opens no file and starts no thread, so it runs in a child process that may do neither (`sandbox`): third-party
//! parsers below it can still abort on memory or stack, which only a process of their own contains.
//!
//! Members that are containers are entered, up to [`Limits::depth`]. Compressed streams and tar archives are handed over as their
//! members only, since their own bytes show nothing more; all other members are handed over as bytes first.

pub mod kind;
pub mod limits;
pub mod place;
pub mod problem;
pub mod rules;
pub mod source;
pub mod visitor;

mod active;
mod dicom;
mod image;
mod mail;
mod meter;
mod names;
mod ole;
mod ooxml;
mod parquet;
mod pdf;
mod polyglot;
mod shape;
mod sqlite;
mod stream;
mod tar;
mod walk;
mod xml;
mod zip;

pub use kind::Kind;
pub use limits::{LimitName, Limits};
pub use parquet::records;
pub use place::Place;
pub use problem::{Class, Problem, Reached};
pub use source::Source;
pub use visitor::{Cell, Column, Member, Role, Table, Value, Visitor};

/// Looks into a document. `name` is its own name, the first part of every [`Place`]; `kind` is what detection found, or none to go by
/// the first bytes. Returns the kind that was assumed. A kind without an inside is no error: nothing is handed over.
pub fn look(source: Source, name: &str, kind: Option<Kind>, limits: &Limits, visitor: &mut dyn Visitor) -> Kind {
    let guessed = kind.is_none();
    let kind = kind.unwrap_or_else(|| {
        let head = source.some(0, kind::HEAD);
        match Kind::sniff(&head) {
            // Readers allow bytes before the header of a PDF.
            Kind::Text | Kind::Binary
                if active::contains(&head[..head.len().min(1_024)], b"%PDF-") && names::promises_container(name) =>
            {
                Kind::Pdf
            }
            kind => names::said(name, kind),
        }
    });
    let place = Place::root(name);
    let mut walk = walk::Walk::new(limits.clone(), visitor);
    // A host that knows the kind has compared it with the name already.
    if guessed && matches!(kind, Kind::Text | Kind::Binary | Kind::Empty) && names::promises_container(name) {
        walk.report(&rules::NOT_FORMAT, &place);
    }
    walk.inside(&source, kind, &place, 0);
    walk.finish(&place);
    kind
}
