//! Files that are two documents at once.

use super::kind::Kind;
use super::place::Place;
use super::rules;
use super::source::Source;
use super::walk::Walk;
use super::zip;

/// A PDF reader looks for the header in so many bytes (Adobe's implementation notes to ISO 32000-1, 7.5.2).
const PDF_HEADER: usize = 1_024;

/// Looks for a second format, and into it.
pub(crate) fn check(walk: &mut Walk<'_>, source: &Source, kind: Kind, place: &Place, depth: u32) {
    if matches!(kind, Kind::Empty) {
        return;
    }
    let text = matches!(kind, Kind::Text | Kind::Xml | Kind::Mail);
    if !matches!(
        kind,
        Kind::Zip
            | Kind::Gzip
            | Kind::Bzip2
            | Kind::Xz
            | Kind::Zstd
            | Kind::Tar
            | Kind::Ole
            | Kind::Dicom
            | Kind::Sqlite
    ) && zip::has_directory(source)
    {
        walk.report(&rules::POLYGLOT, place);
        zip::look(walk, source, &place.child("zip"), depth);
    }
    if kind != Kind::Pdf && !text {
        let head = source.some(0, PDF_HEADER);
        let at = head.windows(5).position(|five| five == b"%PDF-");
        // An archive may store a PDF as its first member, and DICOM files and databases may hold one; that is no second format.
        let member = matches!(kind, Kind::Zip | Kind::Tar | Kind::Ole | Kind::Dicom | Kind::Sqlite);
        if let Some(at) = at
            && !member
            && source.len() > at as u64 + 32
            && tail_has_eof(source)
        {
            walk.report_at(&rules::POLYGLOT, place, at as u64);
            super::pdf::look(walk, &source.window(at as u64, u64::MAX), &place.child("pdf"), depth);
        }
    }
}

fn tail_has_eof(source: &Source) -> bool {
    let tail = source.some(source.len().saturating_sub(2_048), 2_048);
    super::active::contains(&tail, b"%%EOF")
}
