//! What a document is, by its content.
//!
//! The order matters. Text is recognised before binary signatures are, because short ones (`MZ`, `true`, `BM`) also begin ordinary
//! sentences; and ZIP containers are read here and not by the crate `file-format`, which allocates whatever size an entry claims.
//!
//! Everything works on [`Pages`]: the head that streamed by, and parts read afterwards where a container keeps its directory
//! elsewhere. When a part is missing, detection stops with [`Missing`], the caller fetches it and asks again, so that this stays pure.

mod claims;
mod delimited;
mod find;
mod json;
mod pages;
mod text;
mod zip;

use std::collections::BTreeMap;

use cofferdam_inside::inside::kind::is_mail;
use cofferdam_scan::reading::Notation;
use file_format::{FileFormat, Kind};

pub use claims::Claim;
pub use find::{Finder, PAGES, Step};
pub use pages::{Missing, PAGE, Pages};

/// Kinds of documents as far as mismatches are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No bytes.
    Empty,
    /// Text of any sort that nothing runs by itself.
    Text,
    /// Text a browser runs scripts in.
    Html,
    /// Text that a shell or interpreter runs.
    Script,
    /// Machine code, byte code, or a package that installs such.
    Program,
    /// Any other known format.
    Format(Kind),
    /// Bytes of no known kind.
    Unknown,
}

/// What a document is.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// A short name: the usual extension, or `empty`, `text`, `binary`.
    pub name: String,
    /// The media type.
    pub media_type: String,
    /// The class.
    pub class: Class,
    /// The format, where `file-format` has a name for it.
    pub format: Option<FileFormat>,
    /// The character encoding of text.
    pub encoding: Option<&'static str>,
    /// More about it, for the result's details.
    pub facts: BTreeMap<&'static str, serde_json::Value>,
    /// It carries macros.
    pub macros: bool,
    /// What was not looked at in this kind of document.
    pub not_checked: Vec<&'static str>,
    /// A limit that was reached on the way, and its value.
    pub limit: Option<(&'static str, u64)>,
}

impl Detected {
    fn new(name: &str, media_type: &str, class: Class) -> Self {
        Self {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            class,
            format: None,
            encoding: None,
            facts: BTreeMap::new(),
            macros: false,
            not_checked: Vec::new(),
            limit: None,
        }
    }

    /// Bytes of no known kind.
    pub fn unknown() -> Self {
        let mut unknown = Self::new("binary", "application/octet-stream", Class::Unknown);
        unknown.not_checked.push("contents");
        unknown
    }

    fn of(format: FileFormat) -> Self {
        let mut detected = Self::new(format.extension(), format.media_type(), class(format));
        detected.format = Some(format);
        detected.not_checked.push(match format.kind() {
            Kind::Archive | Kind::Compressed | Kind::Package => "archive-contents",
            Kind::Document | Kind::Spreadsheet | Kind::Presentation => "document-contents",
            _ => "contents",
        });
        detected
    }

    /// A text that has its parts encoded in it.
    pub fn is_mail(&self) -> bool {
        matches!(self.name.as_str(), "eml" | "mbox")
    }

    /// How a text of this kind is written, where that is not what a person reads.
    pub fn notation(&self) -> Option<Notation> {
        match self.name.as_str() {
            "html" => Some(Notation::Html),
            "xml" => Some(Notation::Xml),
            "rtf" => Some(Notation::Rtf),
            "tsv" => Some(Notation::Cells),
            "hl7" => Some(Notation::Hl7),
            "x12" => Some(Notation::X12),
            "vcf" | "vcard" | "ics" | "vcs" => Some(Notation::Properties),
            _ if self.is_mail() => Some(Notation::Armor),
            _ => match self.format? {
                format if text::is_markup(format) => Some(Notation::Markup),
                format if text::is_armored(format) => Some(Notation::Armor),
                _ => None,
            },
        }
    }
}

/// The class of a format.
fn class(format: FileFormat) -> Class {
    use FileFormat as F;
    match format {
        F::Empty => Class::Empty,
        F::PlainText | F::ExtensibleMarkupLanguage | F::JsonFeed => Class::Text,
        F::HypertextMarkupLanguage => Class::Html,
        F::ShellScript | F::MsDosBatch | F::PerlScript | F::PythonScript | F::RubyScript | F::LuaScript => {
            Class::Script
        }
        F::ToolCommandLanguageScript | F::ClojureScript => Class::Script,
        // Two or three bytes are too little to call something a program.
        F::Commodore64Program | F::CommonObjectFileFormat => Class::Format(Kind::Other),
        F::ArbitraryBinaryData => Class::Unknown,
        format => match format.kind() {
            Kind::Executable | Kind::Package => Class::Program,
            kind => Class::Format(kind),
        },
    }
}

/// Tells what the document in these pages is. The claims (name, declared type) only decide between kinds of text that look alike, such
/// as plain text and a table with one column.
pub fn detect(pages: &Pages, claims: &[Claim]) -> Result<Detected, Missing> {
    if pages.size() == 0 {
        return Ok(Detected::new("empty", "application/x-empty", Class::Empty));
    }
    let head = pages.head();
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip::detect(pages);
    }
    // Readers accept a header anywhere in the first 1,024 bytes; text that only speaks of it is no PDF unless it says so.
    let header = head[..head.len().min(1024)].windows(5).any(|window| window == b"%PDF-");
    let claimed = claims
        .iter()
        .any(|claim| claim.is_format(FileFormat::PortableDocumentFormat));
    if text::skip_space(head).starts_with(b"%PDF-") || (header && claimed) {
        return Ok(Detected::of(FileFormat::PortableDocumentFormat));
    }
    let whole = head.len() as u64 >= pages.size();
    if let Some(text) = text::read(head, whole) {
        return Ok(textual(&text, whole, claims));
    }
    let format = FileFormat::from_reader(pages.reader()).unwrap_or_default();
    if let Some(missing) = pages.missing() {
        return Err(missing);
    }
    Ok(match format {
        // The text reader looks at sixteen lines only, and we have seen that it is not text.
        FileFormat::PlainText | FileFormat::ArbitraryBinaryData | FileFormat::Empty if header => {
            Detected::of(FileFormat::PortableDocumentFormat)
        }
        FileFormat::PlainText | FileFormat::ArbitraryBinaryData | FileFormat::Empty => Detected::unknown(),
        format => Detected::of(format),
    })
}

fn textual(text: &text::Text<'_>, whole: bool, claims: &[Claim]) -> Detected {
    let mut detected = by_grammar(text, whole, claims);
    // All of it is read as text.
    detected.not_checked.clear();
    detected.encoding = Some(text.encoding);
    if !whole {
        detected.not_checked.push("structure-beyond-65536-bytes");
    }
    detected
}

fn by_grammar(text: &text::Text<'_>, whole: bool, claims: &[Claim]) -> Detected {
    let content = text.content.trim_start();
    let claimed = |names: &[&str]| claims.iter().any(|claim| claim.is_text(names));
    if let Some(found) = json::detect(
        &text.content,
        whole,
        claimed(&["jsonl", "ndjson"]),
        claimed(&["json", "geojson"]),
    ) {
        let (name, media_type) = match found {
            json::Shape::Json => ("json", "application/json"),
            json::Shape::GeoJson => ("geojson", "application/geo+json"),
            json::Shape::Lines => ("ndjson", "application/x-ndjson"),
        };
        return Detected::new(name, media_type, Class::Text);
    }
    if is_mail(content.as_bytes()) {
        return match content.starts_with("From ") {
            true => Detected::new("mbox", "application/mbox", Class::Text),
            false => Detected::new("eml", "message/rfc822", Class::Text),
        };
    }
    if text::is_hl7(content) {
        return Detected::new("hl7", "application/hl7-v2+er7", Class::Text);
    }
    if text::is_x12(content) {
        return Detected::new("x12", "application/edi-x12", Class::Text);
    }
    if text::is_html(content) {
        return Detected::of(FileFormat::HypertextMarkupLanguage);
    }
    if let Some(format) = text::signature(content) {
        return Detected::of(format);
    }
    if text::is_xml(content, whole) {
        return Detected::of(FileFormat::ExtensibleMarkupLanguage);
    }
    if content.starts_with("#!") {
        return Detected::new("script", "text/plain", Class::Script);
    }
    let table = delimited::detect(&text.content, whole, claimed(&["csv", "tsv", "tab", "psv"]));
    if let Some(dialect) = table {
        let (name, media_type) = match dialect.delimiter {
            '\t' => ("tsv", "text/tab-separated-values"),
            _ => ("csv", "text/csv"),
        };
        let mut detected = Detected::new(name, media_type, Class::Text);
        detected.facts.insert("delimiter", dialect.delimiter.to_string().into());
        detected.facts.insert("columns", dialect.columns.into());
        return detected;
    }
    Detected {
        format: Some(FileFormat::PlainText),
        ..Detected::new("text", "text/plain", Class::Text)
    }
}
