//! What is inside containers: bytes of one format each, given to the engine as that format, and the words of two formats put into a sound container
//! of theirs. The properties are in `seen.rs`.

pub mod put;
mod seen;
mod wire;

use cofferdam_inside::inside::Kind;

pub use wire::{answer, records};

use seen::check;

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $file:literal;)*) => {
        $($(#[$doc])* pub fn $name(data: &[u8]) {
            check($file, Kind::$kind, data);
        })*
    };
}

formats! {
    /// ZIP, and what is built on it.
    zip: Zip, "a.zip";
    /// tar archives.
    tar: Tar, "a.tar";
    /// gzip streams.
    gzip: Gzip, "a.txt.gz";
    /// bzip2 streams.
    bzip2: Bzip2, "a.txt.bz2";
    /// xz streams.
    xz: Xz, "a.txt.xz";
    /// zstd streams.
    zstd: Zstd, "a.txt.zst";
    /// Compound files.
    ole: Ole, "a.doc";
    /// PDF.
    pdf: Pdf, "a.pdf";
    /// Parquet.
    parquet: Parquet, "a.parquet";
    /// A .shp or .shx by itself.
    shape: Shape, "a.shp";
    /// Messages and mailboxes.
    mail: Mail, "a.eml";
    /// DICOM.
    dicom: Dicom, "a.dcm";
    /// Databases.
    sqlite: Sqlite, "a.db";
}

/// Pictures: the first byte picks the format.
pub fn picture(data: &[u8]) {
    const KINDS: [(&str, Kind); 6] = [
        ("a.png", Kind::Png),
        ("a.jpg", Kind::Jpeg),
        ("a.gif", Kind::Gif),
        ("a.webp", Kind::Webp),
        ("a.tif", Kind::Tiff),
        ("a.bmp", Kind::Bmp),
    ];
    let Some((pick, body)) = data.split_first() else { return };
    let (name, kind) = KINDS[usize::from(*pick) % KINDS.len()];
    check(name, kind, body);
}

/// Pages and pictures made of text, RTF, and bytes of no known kind: the kind is the engine's own guess.
pub fn any(data: &[u8]) {
    for name in ["a.svg", "a.pdf", "a"] {
        seen::check_guessed(name, data);
    }
}

/// A workbook whose parts are these bytes: parted by NUL, the sheet, the shared strings, the styles, the workbook.
pub fn xlsx(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let files = put::workbook(next(), next(), next(), next());
    check("a.xlsx", Kind::Zip, &put::zip(&files));
}

/// An OpenDocument whose content is these bytes; behind a NUL its manifest.
pub fn ods(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let files = [
        ("mimetype", &b"application/vnd.oasis.opendocument.spreadsheet"[..]),
        ("content.xml", next()),
        ("META-INF/manifest.xml", next()),
    ];
    check("a.ods", Kind::Zip, &put::zip(&files));
}

/// A document or presentation: parted by NUL, its text, its relations, a part with a name the bytes choose.
pub fn docx(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let (text, relations, name, part) = (next(), next(), next(), next());
    let name = String::from_utf8_lossy(name).into_owned();
    let files = [
        ("[Content_Types].xml", &b"<Types/>"[..]),
        ("word/document.xml", text),
        ("word/_rels/document.xml.rels", relations),
        (name.as_str(), part),
    ];
    check("a.docx", Kind::Zip, &put::zip(&files));
}

/// A workbook of before 2007 ([MS-XLS]): the bytes are its stream of records.
pub fn xls(data: &[u8]) {
    check("a.xls", Kind::Ole, &put::compound("Workbook", data));
}

/// A module of macros ([MS-OVBA] 2.4.1): the bytes are its stream, source and all.
pub fn vba(data: &[u8]) {
    check("a.doc", Kind::Ole, &put::compound("VBA/Module1", data));
}

/// The text of a document of before 2007: the bytes are its stream.
pub fn word(data: &[u8]) {
    check("a.doc", Kind::Ole, &put::compound("WordDocument", data));
}

/// A shapefile with its index and table, parted at places that the first four bytes choose.
pub fn shapefile(data: &[u8]) {
    let Some((head, body)) = data.split_at_checked(4) else {
        return;
    };
    let cut = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]])) % (body.len() + 1);
    let (one, two) = (cut(0).min(cut(2)), cut(0).max(cut(2)));
    let files = [
        ("w.shp", &body[..one]),
        ("w.shx", &body[one..two]),
        ("w.dbf", &body[two..]),
        ("w.prj", b""),
    ];
    check("a.zip", Kind::Zip, &put::zip(&files));
}
