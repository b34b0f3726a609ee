//! Sound containers around bytes, so that what reads the inside gets them as they are.

/// CRC-32 as ZIP wants it, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// An archive of files that are not packed. Names beyond 64 KiB are cut.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
        let at = out.len() as u32;
        let mut common = vec![0; 8];
        common.extend(crc(content).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        out.extend(b"PK\x03\x04\x14\0");
        out.extend(&common);
        out.extend(name);
        out.extend(*content);
        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name);
    }
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((files.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

const RELATIONS: &[u8] = br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;
const BOOK: &[u8] = br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#;

/// The parts of a workbook; parts that are empty are the usual ones.
pub fn workbook<'a>(
    sheet: &'a [u8],
    strings: &'a [u8],
    styles: &'a [u8],
    book: &'a [u8],
) -> [(&'static str, &'a [u8]); 6] {
    [
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", if book.is_empty() { BOOK } else { book }),
        ("xl/_rels/workbook.xml.rels", RELATIONS),
        ("xl/worksheets/sheet1.xml", sheet),
        (
            "xl/sharedStrings.xml",
            if strings.is_empty() { b"<sst/>" } else { strings },
        ),
        (
            "xl/styles.xml",
            if styles.is_empty() { b"<styleSheet/>" } else { styles },
        ),
    ]
}

/// The end of a chain, and no sector.
const END: u32 = 0xffff_fffe;
const NONE: u32 = u32::MAX;

/// A compound file of 512-byte sectors with one stream, in folders by its path; beside `VBA/…` stands what makes it a project.
pub fn compound(path: &str, content: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 512;
    let folders: Vec<&str> = path.split('/').collect();
    let body = content.len().div_ceil(SECTOR).max(1);
    // Folders: the root, one for each part of the path.
    let list = (folders.len() + 1).div_ceil(4);
    let tables = (list + body + 2).div_ceil(SECTOR / 4 - 1);
    let mut table: Vec<u32> = vec![0xffff_fffd; tables];
    for length in [list, body] {
        for step in 1..=length {
            table.push(if step == length { END } else { table.len() as u32 + 1 });
        }
    }
    table.resize(tables * SECTOR / 4, NONE);
    let mut out = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    out.resize(24, 0);
    out.extend(b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0");
    out.resize(44, 0);
    let first = tables as u32;
    // No stream is small enough for the mini stream.
    for number in [first, first, 0, 0, END, 0, END, 0] {
        out.extend(number.to_le_bytes());
    }
    out.splice(44..48, first.to_le_bytes());
    out.extend((0..tables.min(109) as u32).flat_map(u32::to_le_bytes));
    out.resize(SECTOR, 0xff);
    out.extend(table.iter().flat_map(|number| number.to_le_bytes()));
    let folder = |name: &str, kind: u8, child: u32, start: u32, size: usize| {
        let mut raw: Vec<u8> = name.encode_utf16().take(31).flat_map(u16::to_le_bytes).collect();
        let length = raw.len() as u16 + 2;
        raw.resize(64, 0);
        raw.extend(length.to_le_bytes());
        raw.extend([kind, 1]);
        raw.extend([NONE, NONE, child].iter().flat_map(|link| link.to_le_bytes()));
        raw.resize(116, 0);
        raw.extend(start.to_le_bytes());
        raw.extend((size as u64).to_le_bytes());
        raw
    };
    let begin = out.len();
    out.extend(folder("Root Entry", 5, 1, END, 0));
    for (at, name) in folders.iter().enumerate() {
        let last = at + 1 == folders.len();
        let (kind, child) = if last { (2, NONE) } else { (1, at as u32 + 2) };
        let (start, size) = if last {
            ((tables + list) as u32, content.len())
        } else {
            (0, 0)
        };
        out.extend(folder(name, kind, child, start, size));
    }
    out.resize(begin + list * SECTOR, 0);
    out.extend(content);
    out.resize(out.len().next_multiple_of(SECTOR), 0);
    out
}
