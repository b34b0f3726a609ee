//! What in an office document can do harm, by the names of its parts and by its relations.

use crate::inside::place::Place;
use crate::inside::rules;
use crate::inside::walk::Walk;
use crate::inside::xml::{self, Stop, Xml, attribute};
use crate::inside::zip::Directory;

/// By the names of parts; true where there are macros. `vbaProject.bin` itself is an OLE file, which is entered and judged by its modules.
pub(super) fn by_name(walk: &mut Walk<'_>, place: &Place, directory: &Directory) -> bool {
    let mut macros = false;
    for entry in &directory.entries {
        let name = entry.name.to_ascii_lowercase();
        let inner = place.child(&entry.name);
        if name.ends_with("vbaproject.bin") {
            walk.report(&rules::MACROS, &inner);
            macros = true;
        } else if name.starts_with("xl/macrosheets/") && !name.contains("/_rels/") {
            walk.report(&rules::XLM, &inner);
            macros = true;
        } else if name.contains("/activex/") && name.ends_with(".bin") {
            walk.report(&rules::ACTIVEX, &inner);
        } else if name.contains("/embeddings/") && !name.contains("/_rels/") {
            walk.report(&rules::EMBEDDED, &inner);
        } else if name.starts_with("xl/externallinks/") && !name.contains("/_rels/") {
            walk.report(&rules::EXTERNAL_LINK, &inner);
        }
    }
    macros
}

/// Relations that lead out of the document (ECMA-376 part 2, 9.3).
pub(super) fn relations(walk: &mut Walk<'_>, place: &Place, bytes: &[u8]) {
    let depth = walk.limits().xml_depth;
    let mut remote = false;
    let result = xml::read(bytes, depth, |xml| {
        if let Xml::Open("Relationship", start) = xml
            && attribute(start, "TargetMode").is_some_and(|mode| mode.eq_ignore_ascii_case("external"))
        {
            let kind = attribute(start, "Type").unwrap_or_default().to_ascii_lowercase();
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            // Links to pages wait for a click; these are loaded at once.
            remote |= matches!(
                kind.as_str(),
                "attachedtemplate" | "oleobject" | "frame" | "subdocument" | "package"
            );
        }
        true
    });
    if remote {
        walk.report(&rules::REMOTE_TEMPLATE, place);
    }
    if let Err(Stop::Bad(rule)) = result {
        walk.report(rule, place);
    }
}

/// Whether a field of a text document starts a program.
pub(super) fn is_dde(field: &str) -> bool {
    let field = field.trim_start().to_ascii_uppercase();
    field.starts_with("DDE ") || field.starts_with("DDEAUTO")
}
