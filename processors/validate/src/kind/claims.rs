//! What the name and the declared media type promise, and how grave it is when the content is something else.

use cofferdam_schemas::{Finding, Severity};
use file_format::{FileFormat, Kind};

use super::{Class, Detected};
use crate::scan::finding;

/// What somebody says a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    rule: &'static str,
    /// As it was said, for messages: `named .pdf`, `declared as text/csv`.
    said: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Text; with the token (`csv`, `json`) that says of which sort.
    Text(String),
    Html,
    Script,
    /// One of these formats.
    Formats(Vec<FileFormat>),
    /// Something a format stands for, such as any image.
    Kind(Kind),
}

/// The extension of a key's last segment, in lower case. Dots and spaces at the end do not hide it (they do not on Windows).
fn extension(key: &str) -> Option<String> {
    let name = key
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(key)
        .trim_end_matches(['.', ' ']);
    let (stem, extension) = name.rsplit_once('.')?;
    let fits =
        !stem.is_empty() && (1..=12).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| extension.to_ascii_lowercase())
}

const TEXTS: [&str; 39] = [
    "txt",
    "text",
    "log",
    "md",
    "markdown",
    "rst",
    "adoc",
    "csv",
    "tsv",
    "tab",
    "psv",
    "json",
    "jsonl",
    "ndjson",
    "geojson",
    "xml",
    "xsd",
    "yaml",
    "yml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "env",
    "sql",
    "rs",
    "c",
    "h",
    "cpp",
    "hpp",
    "java",
    "go",
    "css",
    "tex",
    "bib",
    "diff",
    "patch",
    "r",
];
const SCRIPTS: [&str; 18] = [
    "sh", "bash", "zsh", "bat", "cmd", "ps1", "psm1", "js", "mjs", "jse", "vbs", "vbe", "wsf", "py", "pl", "rb", "lua",
    "tcl",
];

/// Extensions that mean the same as one `file-format` knows.
fn alias(extension: &str) -> &str {
    match extension {
        "jpeg" | "jpe" | "jfif" => "jpg",
        "tif" => "tiff",
        "docm" | "dotx" | "dotm" => "docx",
        "xlsm" | "xlsb" | "xltx" | "xltm" | "xlam" => "xlsx",
        "pptm" | "potx" | "potm" | "ppsx" | "ppsm" => "pptx",
        "vsdm" => "vsdx",
        "dot" => "doc",
        "xlt" | "xla" => "xls",
        "pps" | "pot" => "ppt",
        "tgz" => "gz",
        "tbz2" | "tbz" => "bz2",
        "txz" => "xz",
        "tzst" => "zst",
        "gpkg" | "sqlite3" | "db3" => "sqlite",
        "com" | "scr" | "pif" | "efi" => "exe",
        "ocx" | "cpl" | "sys" | "drv" => "dll",
        "so" | "o" | "ko" => "elf",
        "dylib" => "mach",
        "midi" => "mid",
        "aif" => "aiff",
        "oga" | "ogv" | "ogg" => "ogx",
        "mpeg" => "mpg",
        "m4v" | "m4a" => "mp4",
        "ps" => "ps",
        other => other,
    }
}

impl Claim {
    /// What a key's name promises; `None` for a name that promises nothing we know.
    pub fn of_name(key: &str) -> Option<Self> {
        let extension = extension(key)?;
        let what = if TEXTS.contains(&extension.as_str()) {
            What::Text(extension.clone())
        } else if matches!(extension.as_str(), "html" | "htm" | "xhtml" | "xht" | "shtml") {
            What::Html
        } else if SCRIPTS.contains(&extension.as_str()) {
            What::Script
        } else {
            match FileFormat::from_extension(alias(&extension)) {
                // Means "some bytes", whatever they are.
                [] | [FileFormat::ArbitraryBinaryData] | [FileFormat::Empty] => return None,
                formats => What::Formats(formats.to_vec()),
            }
        };
        Some(Self {
            rule: "type/name-mismatch",
            said: format!("named .{extension}"),
            what,
        })
    }

    /// What a declared media type promises; `None` for one that promises nothing, such as `application/octet-stream`.
    pub fn of_declared(content_type: &str) -> Option<Self> {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let what = match essence.as_str() {
            // What clients say when they do not know.
            ""
            | "application/octet-stream"
            | "binary/octet-stream"
            | "application/x-www-form-urlencoded"
            | "multipart/form-data"
            | "application/binary"
            | "application/unknown"
            | "application/x-empty"
            | "application/force-download" => return None,
            "text/html" | "application/xhtml+xml" => What::Html,
            "text/javascript"
            | "application/javascript"
            | "application/x-sh"
            | "text/x-shellscript"
            | "text/x-python" => What::Script,
            "application/json" | "application/yaml" | "application/toml" | "application/sql" | "application/xml" => {
                What::Text(essence.rsplit('/').next().unwrap_or_default().to_owned())
            }
            "application/x-ndjson" | "application/jsonl" | "application/ndjson" => What::Text("ndjson".to_owned()),
            "application/csv" | "text/csv" | "text/comma-separated-values" => What::Text("csv".to_owned()),
            "text/tab-separated-values" => What::Text("tsv".to_owned()),
            "image/jpg" | "image/pjpeg" => What::Formats(vec![FileFormat::JointPhotographicExpertsGroup]),
            "application/x-pdf" => What::Formats(vec![FileFormat::PortableDocumentFormat]),
            "application/x-zip-compressed" | "application/x-zip" => What::Formats(vec![FileFormat::Zip]),
            "application/x-gzip" => What::Formats(vec![FileFormat::Gzip]),
            "application/x-msdownload" | "application/x-dosexec" | "application/x-ms-dos-executable" => {
                What::Formats(FileFormat::from_extension("exe").to_vec())
            }
            other if other.ends_with("+json") => What::Text("json".to_owned()),
            other => match FileFormat::from_media_type(other) {
                formats if !formats.is_empty() && !formats.contains(&FileFormat::PlainText) => {
                    What::Formats(formats.to_vec())
                }
                _ if other.starts_with("text/") => What::Text("txt".to_owned()),
                _ if other.ends_with("+xml") => What::Text("xml".to_owned()),
                _ if other.starts_with("image/") => What::Kind(Kind::Image),
                _ if other.starts_with("audio/") => What::Kind(Kind::Audio),
                _ if other.starts_with("video/") => What::Kind(Kind::Video),
                _ if other.starts_with("font/") => What::Kind(Kind::Font),
                _ => return None,
            },
        };
        let shown: String = essence.chars().filter(char::is_ascii_graphic).take(80).collect();
        Some(Self {
            rule: "type/declared-mismatch",
            said: format!("declared as {shown}"),
            what,
        })
    }

    /// Whether it promises text of one of these sorts.
    pub fn is_text(&self, sorts: &[&str]) -> bool {
        matches!(&self.what, What::Text(sort) if sorts.contains(&sort.as_str()))
    }

    /// Whether it promises this format.
    pub fn is_format(&self, format: FileFormat) -> bool {
        matches!(&self.what, What::Formats(formats) if formats.contains(&format))
    }

    /// Whether the name or type is one that documents with macros have.
    pub fn declares_macros(&self) -> bool {
        const EXTENSIONS: [&str; 9] = [
            ".docm", ".dotm", ".xlsm", ".xltm", ".xlsb", ".xlam", ".pptm", ".potm", ".ppsm",
        ];
        EXTENSIONS.iter().any(|extension| self.said.ends_with(extension)) || self.said.contains("macroenabled")
    }

    /// The finding, where the content breaks the promise.
    pub fn check(&self, detected: &Detected) -> Option<Finding> {
        let (severity, why) = self.judge(detected)?;
        let message = format!("{}, but the content is {}{why}", self.said, article(detected));
        let mut finding = finding(self.rule, severity, 0.9, message);
        if severity >= Severity::Medium {
            finding.remediation = Some("ask the sender what this file is before it is opened".to_owned());
        }
        Some(finding)
    }

    fn judge(&self, detected: &Detected) -> Option<(Severity, &'static str)> {
        let programs =
            matches!(&self.what, What::Formats(formats) if formats.iter().all(|f| super::class(*f) == Class::Program));
        match (detected.class, &self.what) {
            (Class::Empty, _) => None,
            // A program under another name is how people are made to run it.
            (Class::Program, What::Formats(formats)) if self.is_among(detected, formats) => None,
            (Class::Program, _) if programs => Some((Severity::Low, "")),
            (Class::Program, What::Formats(formats)) if formats.contains(&FileFormat::Zip) && is_zip(detected) => None,
            (Class::Program, _) => Some((Severity::High, ", a program")),
            (Class::Script, What::Script | What::Text(_)) => None,
            (Class::Script, _) => Some((Severity::High, ", a script")),
            (Class::Html, What::Html) => None,
            (Class::Html, What::Text(sort)) if matches!(sort.as_str(), "xml" | "md" | "markdown") => None,
            (Class::Html, What::Formats(formats)) if is_legacy_office(formats) => Some((Severity::Low, "")),
            (Class::Html, _) => Some((Severity::Medium, ", which a browser would run")),
            (Class::Text, What::Text(sort)) => {
                let strict = match sort.as_str() {
                    "json" | "geojson" | "jsonl" | "ndjson" => {
                        ["json", "geojson", "ndjson"].contains(&detected.name.as_str())
                    }
                    "xml" => detected.name == "xml",
                    _ => true,
                };
                (!strict).then_some((Severity::Low, ", not well-formed for that"))
            }
            (Class::Text, What::Html | What::Script) => None,
            (Class::Text, What::Formats(formats)) if self.is_among(detected, formats) => None,
            // Spreadsheet programs open these, and many systems export them under such names.
            (Class::Text, What::Formats(formats)) if is_legacy_office(formats) => Some((Severity::Low, "")),
            // Formats that are text themselves: not recognised is not dangerous.
            (Class::Text, What::Formats(formats)) if formats.iter().all(|f| is_written(*f)) => {
                Some((Severity::Low, ""))
            }
            (Class::Text, _) => Some((self.weight(), "")),
            (Class::Format(_), What::Formats(formats)) if self.is_among(detected, formats) => None,
            (Class::Format(_), What::Text(_) | What::Script) if detected.format.is_some_and(is_written) => None,
            (Class::Format(_), What::Formats(formats)) if is_legacy_office(formats) && is_office(detected) => {
                Some((Severity::Low, ""))
            }
            (Class::Format(kind), What::Formats(formats)) if formats.iter().any(|f| f.kind() == kind) => {
                Some((Severity::Low, ""))
            }
            (Class::Format(kind), What::Kind(claimed)) if kind == *claimed => None,
            (Class::Format(_), _) => Some((Severity::Medium, "")),
            // Certificates and keys come in binary under the same names.
            (Class::Unknown, What::Formats(formats))
                if formats.iter().any(|f| f.media_type() == "application/x-pem-file") =>
            {
                None
            }
            (Class::Unknown, _) => Some((self.weight(), "")),
        }
    }

    /// How grave it is that the content is not recognised as what was promised. Formats people open without a thought weigh more than
    /// rare ones, whose extensions often mean something else as well (`go.mod` is no music).
    fn weight(&self) -> Severity {
        let weighty = |format: &FileFormat| {
            use Kind as K;
            matches!(
                format.kind(),
                K::Document
                    | K::Spreadsheet
                    | K::Presentation
                    | K::Image
                    | K::Archive
                    | K::Compressed
                    | K::Executable
                    | K::Package
                    | K::Database
                    | K::Ebook
            ) || matches!(format, FileFormat::ApacheParquet | FileFormat::ApacheArrowColumnar)
        };
        match &self.what {
            What::Formats(formats) if !formats.iter().any(weighty) => Severity::Low,
            _ => Severity::Medium,
        }
    }

    fn is_among(&self, detected: &Detected, formats: &[FileFormat]) -> bool {
        let Some(format) = detected.format else {
            return formats
                .iter()
                .any(|claimed| claimed.media_type() == detected.media_type);
        };
        let generic = |container: FileFormat| formats.contains(&container);
        formats.contains(&format)
            || formats.iter().any(|claimed| claimed.media_type() == format.media_type())
            // Each is also what it is built on, and an OLE file does not always say which of them it is.
            || (generic(FileFormat::Zip) && is_zip(detected))
            || (format.media_type() == "application/x-x509-ca-cert" && formats.iter().any(|f| f.media_type() == "application/x-pem-file"))
            || (format == FileFormat::CompoundFileBinary && is_legacy_office(formats))
            || (generic(FileFormat::ExtensibleMarkupLanguage) && format.media_type().ends_with("xml"))
            || (generic(FileFormat::OggMultiplexedMedia) && format.media_type().contains("ogg"))
            || (generic(FileFormat::Mpeg4Part14) && matches!(format.media_type(), "video/mp4" | "audio/mp4" | "video/x-m4v" | "audio/x-m4a"))
    }
}

/// `a PDF file (application/pdf)`, without guessing at grammar.
fn article(detected: &Detected) -> String {
    match detected.class {
        Class::Unknown => "of no known type".to_owned(),
        _ => format!("{} ({})", detected.name, detected.media_type),
    }
}

fn is_zip(detected: &Detected) -> bool {
    detected.format == Some(FileFormat::Zip) || detected.facts.contains_key("entries")
}

fn is_office(detected: &Detected) -> bool {
    matches!(
        detected.class,
        Class::Format(Kind::Document | Kind::Spreadsheet | Kind::Presentation)
    )
}

fn is_legacy_office(formats: &[FileFormat]) -> bool {
    use FileFormat as F;
    formats.iter().any(|format| {
        matches!(
            format,
            F::MicrosoftWordDocument
                | F::MicrosoftExcelSpreadsheet
                | F::MicrosoftPowerpointPresentation
                | F::MicrosoftVisioDrawing
                | F::MicrosoftProjectPlan
                | F::MicrosoftPublisherDocument
        )
    })
}

/// Formats that are written as text.
fn is_written(format: FileFormat) -> bool {
    use FileFormat as F;
    let media_type = format.media_type();
    media_type.starts_with("text/")
        || media_type.ends_with("xml")
        || matches!(
            format,
            F::RichTextFormat
                | F::Postscript
                | F::EncapsulatedPostscript
                | F::PemCertificate
                | F::PemCertificateSigningRequest
                | F::PemPrivateKey
                | F::PemPublicKey
                | F::PgpMessage
                | F::PgpPrivateKeyBlock
                | F::PgpPublicKeyBlock
                | F::PgpSignature
                | F::PgpSignedMessage
                | F::AgeEncryption
                | F::MicrosoftVisualStudioSolution
                | F::SubripText
                | F::Mp3Url
                | F::ShoutcastPlaylist
                | F::DrawingExchangeFormatAscii
                | F::PolygonAscii
                | F::PolygonBinary
                | F::StandardForTheExchangeOfProductModelData
                | F::UniversalSceneDescriptionAscii
                | F::VirtualRealityModelingLanguage
                | F::StereolithographyAscii
                | F::XPixmap
                | F::JsonFeed
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions() {
        let check = |key: &str, expected: Option<&str>| assert_eq!(extension(key).as_deref(), expected, "{key}");
        check("a/b/Report.PDF", Some("pdf"));
        check("invoice.pdf. ", Some("pdf"));
        check("archive.tar.gz", Some("gz"));
        check("folder.d/file", None);
        check(".bashrc", None);
        check("price 3.50 EUR", None);
        check("C:\\x\\y.exe", Some("exe"));
    }

    #[test]
    fn names_and_types_that_promise_nothing() {
        for key in ["file", "data.bin", "x.dat", "x.unknownext"] {
            assert_eq!(Claim::of_name(key), None, "{key}");
        }
        for declared in [
            "",
            "application/octet-stream",
            "binary/octet-stream; x=y",
            "application/vnd.example.unheard-of",
        ] {
            assert_eq!(Claim::of_declared(declared), None, "{declared}");
        }
    }
}
