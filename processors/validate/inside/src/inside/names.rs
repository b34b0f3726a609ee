//! What the name of a member promises, and where it leads.

use super::kind::Kind;
use super::rules::{self, Rule};

/// Extensions that a double click runs, whatever is inside.
const RUN: &[&str] = &[
    "exe", "scr", "com", "pif", "bat", "cmd", "ps1", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "msi", "msp",
    "lnk", "jar", "cpl", "dll", "sys", "reg", "scf", "url", "apk", "app", "chm", "iso", "img", "vhd", "one", "xll",
    "wll",
];

/// Where a name leads when it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// Into the folder.
    Inside,
    /// Out of it, by `..`.
    Out,
    /// To a place of its own.
    Absolute,
}

impl Leads {
    /// What a link that leads there is reported as.
    pub(crate) fn link(self) -> &'static Rule {
        match self {
            Self::Inside => &rules::LINK,
            Self::Out | Self::Absolute => &rules::LINK_OUT,
        }
    }
}

/// Where a name, or the target of a link, leads. Both kinds of slash count: the other system's programs unpack too.
pub(crate) fn leads(name: &str) -> Leads {
    let bytes = name.as_bytes();
    let drive = bytes.len() >= 2 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic();
    if name.starts_with(['/', '\\']) || drive {
        return Leads::Absolute;
    }
    // A name may go down and up again and stay inside; most programs refuse it all the same, and no packer writes it.
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Leads::Out;
    }
    Leads::Inside
}

/// Where a link leads, given where it stands.
pub(crate) fn link_leads(name: &str, target: &str) -> Leads {
    if leads(target) == Leads::Absolute {
        return Leads::Absolute;
    }
    let mut depth = name
        .trim_end_matches('/')
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .count() as i64
        - 1;
    for part in target.split(['/', '\\']) {
        match part {
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
        if depth < 0 {
            return Leads::Out;
        }
    }
    Leads::Inside
}

/// Whether a name is made to be misread.
pub(crate) fn is_odd(name: &str) -> bool {
    name.chars().any(|letter| {
        letter.is_control()
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{feff}')
    })
}

/// Lower-case extension.
pub(crate) fn extension(name: &str) -> Option<String> {
    let base = name.rsplit(['/', '\\']).next()?;
    let (stem, extension) = base.rsplit_once('.')?;
    (!stem.is_empty() && extension.len() <= 8).then(|| extension.to_ascii_lowercase())
}

/// Whether a double click on this name runs something.
pub(crate) fn runs(name: &str) -> bool {
    extension(name).is_some_and(|extension| RUN.contains(&extension.as_str()))
}

/// Whether the name promises a format that no text and no unknown bytes can be.
pub(crate) fn promises_container(name: &str) -> bool {
    let known = [
        "zip", "gz", "tgz", "bz2", "xz", "zst", "tar", "xlsx", "xlsm", "xlsb", "xls", "ods", "docx", "docm", "doc",
        "odt", "pptx", "pptm", "ppt", "odp", "pdf", "parquet", "png", "jpg", "jpeg", "gif", "webp", "tif", "tiff",
        "shp",
    ];
    extension(name).is_some_and(|extension| known.contains(&extension.as_str()))
}

/// What a member is, given what it looks like: a text that is called a message is one, however its headers begin.
pub(crate) fn said(name: &str, kind: Kind) -> Kind {
    if kind == Kind::Text && extension(name).as_deref() == Some("eml") {
        Kind::Mail
    } else {
        kind
    }
}

/// Whether the content fits what the name promises. True where the name promises nothing that is known.
pub(crate) fn fits(name: &str, kind: Kind) -> bool {
    let Some(extension) = extension(name) else {
        return true;
    };
    let one_of = |kinds: &[Kind]| kinds.contains(&kind);
    let texts = [
        Kind::Text,
        Kind::Mail,
        Kind::Html,
        Kind::Svg,
        Kind::Xml,
        Kind::Script,
        Kind::Rtf,
    ];
    match extension.as_str() {
        _ if kind == Kind::Empty => true,
        "png" => one_of(&[Kind::Png]),
        "jpg" | "jpeg" => one_of(&[Kind::Jpeg]),
        "gif" => one_of(&[Kind::Gif]),
        "webp" => one_of(&[Kind::Webp]),
        "pdf" => one_of(&[Kind::Pdf]),
        "zip" | "xlsx" | "docx" | "pptx" | "xlsm" | "docm" | "pptm" | "xlsb" | "jar" | "apk" | "ods" | "odt"
        | "odp" | "epub" => {
            // Office documents with a password are OLE files under the same name.
            one_of(&[Kind::Zip, Kind::Ole])
        }
        "gz" | "tgz" => one_of(&[Kind::Gzip]),
        "bz2" => one_of(&[Kind::Bzip2]),
        "xz" => one_of(&[Kind::Xz]),
        "zst" => one_of(&[Kind::Zstd]),
        "tar" => one_of(&[Kind::Tar]),
        "parquet" => one_of(&[Kind::Parquet]),
        "csv" | "tsv" | "txt" | "json" | "ndjson" | "jsonl" | "geojson" | "md" | "log" | "yaml" | "yml" | "toml"
        | "ini" => {
            // Old encodings have bytes that look binary; only what is surely something else counts.
            one_of(&texts) || kind == Kind::Binary
        }
        "html" | "htm" | "xml" | "svg" => one_of(&texts) || kind == Kind::Gzip,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_where_every_system_says_they_do() {
        for (name, expected) in [
            ("a/b.txt", Leads::Inside),
            ("a..b/c", Leads::Inside),
            ("../x", Leads::Out),
            ("a\\..\\..\\x", Leads::Out),
            ("/etc/passwd", Leads::Absolute),
            ("\\\\host\\share", Leads::Absolute),
            ("C:\\x", Leads::Absolute),
        ] {
            assert_eq!(leads(name), expected, "{name}");
        }
    }

    #[test]
    fn links_are_followed_from_where_they_stand() {
        assert_eq!(link_leads("a/b/c", "../d"), Leads::Inside);
        assert_eq!(link_leads("a/c", "../../d"), Leads::Out);
        assert_eq!(link_leads("c", "x/../../d"), Leads::Out);
        assert_eq!(link_leads("c", "/d"), Leads::Absolute);
    }

    #[test]
    fn what_a_name_promises_is_kept_or_not() {
        assert!(!fits("photo.png", Kind::Pe));
        assert!(!fits("table.csv", Kind::Zip));
        assert!(fits("table.csv", Kind::Binary));
        assert!(fits("x.unknown", Kind::Pe));
        assert!(runs("Invoice.PDF.exe") && !runs("notes.txt"));
    }
}
