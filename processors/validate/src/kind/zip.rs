//! ZIP containers: which of the many formats that are ZIP files it is.
//!
//! Reads the end record, the central directory and, of entries, only a stored `mimetype`. Sizes are checked against bounds before
//! anything is allocated: the directory of a hostile file lies.

use file_format::FileFormat as F;

use super::Detected;
use super::pages::{Missing, Pages};

/// Entries of the directory that are looked at: all there can be without ZIP64.
const ENTRIES: u64 = 65_536;
/// Longest `mimetype`; the longest registered one has fewer than 80 characters.
const MEDIA_TYPE: u32 = 256;
/// End record without its comment, and the longest comment.
const END: u64 = 22;
const COMMENT: u64 = u16::MAX as u64;

/// What the directory showed.
#[derive(Default)]
struct Seen {
    word: bool,
    sheets: bool,
    slides: bool,
    drawing: bool,
    content_types: bool,
    binary_sheets: bool,
    macros: bool,
    encrypted: bool,
    format: Option<F>,
    java: bool,
}

/// Tells which kind of ZIP container this is; a plain or damaged one is `zip`.
pub fn detect(pages: &Pages) -> Result<Detected, Missing> {
    let mut detected = Detected::of(F::Zip);
    let Some(directory) = find_directory(pages)? else {
        detected.not_checked.push("archive-directory");
        return Ok(detected);
    };
    let mut seen = Seen::default();
    let sound = walk(pages, directory, &mut seen)?;
    let office = |format: F| seen.content_types.then_some(format);
    let format = seen
        .format
        .or(seen.word.then(|| office(F::OfficeOpenXmlDocument)).flatten())
        .or(seen.sheets.then(|| office(F::OfficeOpenXmlSpreadsheet)).flatten())
        .or(seen.slides.then(|| office(F::OfficeOpenXmlPresentation)).flatten())
        .or(seen.drawing.then(|| office(F::OfficeOpenXmlDrawing)).flatten())
        .or(seen.java.then_some(F::JavaArchive));
    if let Some(format) = format {
        detected = Detected::of(format);
    }
    if format == Some(F::OfficeOpenXmlSpreadsheet) && seen.binary_sheets {
        detected.name = "xlsb".to_owned();
        detected.media_type = "application/vnd.ms-excel.sheet.binary.macroEnabled.12".to_owned();
    }
    detected.macros = seen.macros;
    detected.facts.insert("entries", directory.entries.into());
    if seen.macros {
        detected.facts.insert("macros", true.into());
    }
    if seen.encrypted {
        detected.facts.insert("encrypted_entries", true.into());
    }
    if !sound {
        detected.not_checked.push("archive-directory");
    } else if directory.entries > ENTRIES {
        detected.limit = Some(("directory_entries", ENTRIES));
    }
    Ok(detected)
}

#[derive(Clone, Copy)]
struct Directory {
    at: u64,
    entries: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn find_directory(pages: &Pages) -> Result<Option<Directory>, Missing> {
    let size = pages.size();
    // Nearly all archives have no comment: look there first, and only then at the longest one there could be.
    for reach in [END, END + COMMENT] {
        let from = size.saturating_sub(reach);
        let Some(tail) = pages.bytes(from, (size - from) as usize)? else {
            return Ok(None);
        };
        let found = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
        if let Some(at) = found {
            let end = from + at as u64;
            return Ok(match zip64(pages, end)? {
                Some(directory) => Some(directory),
                None => plain(&tail[at..]),
            });
        }
    }
    Ok(None)
}

fn plain(end: &[u8]) -> Option<Directory> {
    Some(Directory {
        entries: u16_at(end, 10)?.into(),
        at: u32_at(end, 16)?.into(),
    })
}

fn zip64(pages: &Pages, end: u64) -> Result<Option<Directory>, Missing> {
    let Some(locator) = end.checked_sub(20) else {
        return Ok(None);
    };
    let Some(locator) = pages.bytes(locator, 20)? else {
        return Ok(None);
    };
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let Some(record) = u64_at(&locator, 8) else {
        return Ok(None);
    };
    let Some(record) = pages.bytes(record, 56)? else {
        return Ok(None);
    };
    if !record.starts_with(b"PK\x06\x06") {
        return Ok(None);
    }
    let directory = u64_at(&record, 32).zip(u64_at(&record, 48));
    Ok(directory.map(|(entries, at)| Directory { at, entries }))
}

/// Looks at the entries; false where the directory is not one.
fn walk(pages: &Pages, directory: Directory, seen: &mut Seen) -> Result<bool, Missing> {
    let mut at = directory.at;
    for _ in 0..directory.entries.min(ENTRIES) {
        let Some(header) = pages.bytes(at, 46)? else {
            return Ok(false);
        };
        if !header.starts_with(b"PK\x01\x02") {
            return Ok(false);
        }
        let field = |at| u16_at(&header, at).map_or(0, u64::from);
        let (name_length, extra, comment) = (field(28), field(30), field(32));
        let Some(name) = pages.bytes(at + 46, name_length as usize)? else {
            return Ok(false);
        };
        seen.encrypted |= field(8) & 1 == 1;
        let name = String::from_utf8_lossy(&name).into_owned();
        if name == "mimetype" {
            if let Some(format) = media_type(pages, &header)? {
                seen.format = Some(format);
            }
        } else {
            seen.note(&name);
        }
        at += 46 + name_length + extra + comment;
    }
    Ok(true)
}

/// The content of a stored `mimetype` entry (OpenDocument and EPUB put it first).
fn media_type(pages: &Pages, header: &[u8]) -> Result<Option<F>, Missing> {
    let stored = u16_at(header, 10) == Some(0);
    let (Some(size), Some(at)) = (u32_at(header, 24), u32_at(header, 42)) else {
        return Ok(None);
    };
    if !stored || size > MEDIA_TYPE {
        return Ok(None);
    }
    let Some(local) = pages.bytes(at.into(), 30)? else {
        return Ok(None);
    };
    let skip = u16_at(&local, 26).map_or(0, u64::from) + u16_at(&local, 28).map_or(0, u64::from);
    let Some(text) = pages.bytes(u64::from(at) + 30 + skip, size as usize)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.starts_with("application/vnd.oasis.opendocument.")
        || text == "application/epub+zip"
        || text == "image/openraster"
    {
        return Ok(F::from_media_type(&text).first().copied());
    }
    Ok(None)
}

impl Seen {
    fn note(&mut self, name: &str) {
        match name {
            "[Content_Types].xml" => self.content_types = true,
            "AndroidManifest.xml" => self.format = Some(F::AndroidPackage),
            "BundleConfig.pb" => self.format = Some(F::AndroidAppBundle),
            "AppxManifest.xml" => self.format = Some(F::WindowsAppPackage),
            "AppxMetadata/AppxBundleManifest.xml" => self.format = Some(F::WindowsAppBundle),
            "WEB-INF/web.xml" => self.format = Some(F::WebApplicationArchive),
            "META-INF/application.xml" => self.format = Some(F::EnterpriseApplicationArchive),
            "META-INF/mozilla.rsa" => self.format = Some(F::Xpinstall),
            "META-INF/MANIFEST.MF" => self.java = true,
            "extension.vsixmanifest" => self.format = Some(F::MicrosoftVisualStudioExtension),
            "doc.kml" => self.format = Some(F::KeyholeMarkupLanguageZip),
            _ => {}
        }
        if name.starts_with("Payload/") && name.contains(".app/") {
            self.format = Some(F::IosAppStorePackage);
        }
        self.word |= name.starts_with("word/");
        self.sheets |= name.starts_with("xl/");
        self.slides |= name.starts_with("ppt/");
        self.drawing |= name.starts_with("visio/");
        self.binary_sheets |= name == "xl/workbook.bin";
        self.macros |= name.ends_with("/vbaProject.bin") || name.starts_with("Basic/");
    }
}
