//! Builders of files, sound and hostile. Everything is made here, so that no bomb is checked in.

use std::io::Write;

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One member of a ZIP archive; every field can be made to lie.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub packed: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    pub local_size: u32,
    pub mode: u32,
    /// Place of an earlier local header that this one claims as well.
    pub at: Option<u32>,
}

impl Entry {
    pub fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: name.into(),
            packed: deflate(content),
            method: 8,
            flags: 0,
            crc: crc32fast::hash(content),
            size: content.len() as u32,
            local_size: content.len() as u32,
            mode: 0o100_644,
            at: None,
        }
    }

    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            packed: content.to_vec(),
            method: 0,
            ..Self::new(name, content)
        }
    }
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_after(b"", entries)
}

/// With bytes before it that its offsets do not count.
pub fn zip_after(before: &[u8], entries: &[Entry]) -> Vec<u8> {
    let mut out = before.to_vec();
    let base = before.len();
    let mut directory = Vec::new();
    for entry in entries {
        let at = entry.at.unwrap_or((out.len() - base) as u32);
        let common = |out: &mut Vec<u8>, size: u32, name: &[u8]| {
            out.extend(entry.flags.to_le_bytes());
            out.extend(entry.method.to_le_bytes());
            out.extend([0; 4]);
            out.extend(entry.crc.to_le_bytes());
            out.extend((entry.packed.len() as u32).to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend((name.len() as u16).to_le_bytes());
            out.extend([0; 2]);
        };
        if entry.at.is_none() {
            out.extend(b"PK\x03\x04\x14\0");
            common(&mut out, entry.local_size, &entry.local_name);
            out.extend(&entry.local_name);
            out.extend(&entry.packed);
        }
        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        common(&mut directory, entry.size, &entry.name);
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&entry.name);
    }
    let at = (out.len() - base) as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// One tar header with its body.
pub fn tar_entry(name: &str, flag: u8, link: &str, body: &[u8]) -> Vec<u8> {
    tar_sized(name, flag, link, body, body.len() as u64)
}

pub fn tar_sized(name: &str, flag: u8, link: &str, body: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[148..156].copy_from_slice(b"        ");
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(body);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = entries.concat();
    out.resize(out.len() + 1_024, 0);
    out
}

/// A workbook of one sheet with the given rows in its `sheetData`.
pub fn xlsx(sheet_data: &str) -> Vec<u8> {
    zip(&xlsx_parts(sheet_data))
}

pub fn xlsx_parts(sheet_data: &str) -> Vec<Entry> {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let parts = [
        (
            "[Content_Types].xml",
            format!(
                "{head}<Types xmlns=\"{package}/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!(
                "{head}<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r1\" Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "{head}<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "{head}<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r1\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("{head}<worksheet xmlns=\"{main}\"><sheetData>{sheet_data}</sheetData></worksheet>"),
        ),
    ];
    parts
        .iter()
        .map(|(name, text)| Entry::new(name, text.as_bytes()))
        .collect()
}

/// A text document with the given body and further parts.
pub fn docx(body: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    let document =
        format!("<?xml version=\"1.0\"?><w:document xmlns:w=\"{main}\"><w:body>{body}</w:body></w:document>");
    let mut entries = vec![
        Entry::new(
            "[Content_Types].xml",
            b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>",
        ),
        Entry::new("word/document.xml", document.as_bytes()),
    ];
    entries.extend(more.iter().map(|(name, text)| Entry::new(name, text.as_bytes())));
    zip(&entries)
}

/// A PDF of the given objects, the first being the catalog, with a right table.
pub fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let table = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).bytes());
    for place in &places {
        out.extend(format!("{place:010} 00000 n \n").bytes());
    }
    out.extend(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
            places.len() + 1
        )
        .bytes(),
    );
    out
}

pub fn pdf_stream(dictionary: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("<< /Length {} {dictionary} >>\nstream\n", body.len()).into_bytes();
    out.extend(body);
    out.extend(b"\nendstream");
    out
}

/// One page that shows a text, with further entries in the catalog and further objects from number 6 on.
pub fn pdf_page(text: &str, catalog: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let mut objects = vec![
        format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>").into_bytes(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_vec(),
        pdf_stream("/Filter /FlateDecode", &zlib(format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET").as_bytes())),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    objects.extend_from_slice(more);
    pdf(&objects)
}

pub fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    let mut sum = crc32fast::Hasher::new();
    sum.update(kind);
    sum.update(body);
    out.extend(kind);
    out.extend(body);
    out.extend(sum.finalize().to_be_bytes());
    out
}

/// A picture of one colour, of which only the header is as large as it says.
pub fn png(width: u32, height: u32, more: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = width.to_be_bytes().to_vec();
    head.extend(height.to_be_bytes());
    head.extend([8, 0, 0, 0, 0]);
    out.extend(png_chunk(b"IHDR", &head));
    out.extend(more.concat());
    out.extend(png_chunk(b"IDAT", &zlib(&[0, 0])));
    out.extend(png_chunk(b"IEND", b""));
    out
}

pub fn gif() -> Vec<u8> {
    let mut out = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    out.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;");
    out
}

/// A JPEG without pixels, with Exif data that say where it was taken if asked for.
pub fn jpeg(gps: bool) -> Vec<u8> {
    let mut out = b"\xff\xd8".to_vec();
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    let tag: u16 = if gps { 0x8825 } else { 0x8769 };
    exif.extend(tag.to_le_bytes());
    exif.extend(b"\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0");
    exif.extend(b"\x02\0");
    exif.extend(b"\x01\0\x02\0\x02\0\0\0N\0\0\0\x02\0\x05\0\x03\0\0\0\0\0\0\0\0\0\0\0");
    out.extend(b"\xff\xe1");
    out.extend((exif.len() as u16 + 2).to_be_bytes());
    out.extend(exif);
    out.extend(
        b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\x34\xff\0\x56\xff\xd9",
    );
    out
}

/// The parts of a shapefile of points.
pub fn shapefile(points: &[(f64, f64)]) -> [Vec<u8>; 3] {
    let header = |length: usize| {
        let mut out = 9_994u32.to_be_bytes().to_vec();
        out.resize(24, 0);
        out.extend((length as u32 / 2).to_be_bytes());
        out.extend(1_000u32.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for number in [0.0f64, 0.0, 10.0, 10.0, 0.0, 0.0, 0.0, 0.0] {
            out.extend(number.to_le_bytes());
        }
        out
    };
    let mut shp = header(100 + 28 * points.len());
    let mut shx = header(100 + 8 * points.len());
    for (index, (x, y)) in points.iter().enumerate() {
        shx.extend((shp.len() as u32 / 2).to_be_bytes());
        shx.extend(10u32.to_be_bytes());
        shp.extend((index as u32 + 1).to_be_bytes());
        shp.extend(10u32.to_be_bytes());
        shp.extend(1u32.to_le_bytes());
        shp.extend(x.to_le_bytes());
        shp.extend(y.to_le_bytes());
    }
    let mut dbf = vec![3, 126, 1, 1];
    dbf.extend((points.len() as u32).to_le_bytes());
    dbf.extend(65u16.to_le_bytes());
    dbf.extend(6u16.to_le_bytes());
    dbf.resize(32, 0);
    dbf.extend(b"NAME\0\0\0\0\0\0\0C");
    dbf.extend([0, 0, 0, 0, 5]);
    dbf.resize(64, 0);
    dbf.push(13);
    for _ in points {
        dbf.extend(b" ward ");
    }
    dbf.push(26);
    [shp, shx, dbf]
}

/// The source of a macro module as it is stored: a compressed container of literals only.
pub fn vba_module(code: &str) -> Vec<u8> {
    let text = format!("Attribute VB_Name = \"Module1\"\r\n{code}");
    let mut chunk = Vec::new();
    for eight in text.as_bytes().chunks(8) {
        chunk.push(0);
        chunk.extend(eight);
    }
    assert!(chunk.len() < 4_096, "one chunk is enough for a test");
    let mut out = b"compiled form\x01".to_vec();
    out.extend((0xb000 | (chunk.len() as u16 - 1)).to_le_bytes());
    out.extend(chunk);
    out
}

/// A compound file with one storage `VBA` that holds `_VBA_PROJECT` and a module, and one stream of any name beside it.
pub fn ole(module: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let streams: [&[u8]; 3] = [b"\xcc\x61", module, content];
    let mut table = vec![0xffff_fffdu32, 0xffff_fffe, 0xffff_fffe];
    table[1] = 2;
    let mut starts = Vec::new();
    let mut bodies = Vec::new();
    for stream in streams {
        let count = stream.len().div_ceil(512).max(1);
        starts.push(table.len() as u32);
        for step in 1..=count {
            table.push(if step == count {
                0xffff_fffe
            } else {
                table.len() as u32 + 1
            });
        }
        bodies.extend(stream);
        bodies.resize(bodies.len().next_multiple_of(512), 0);
    }
    let none = u32::MAX;
    let folder = |name: &str, kind: u8, links: [u32; 3], start: u32, size: usize| {
        let mut raw: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = raw.len() as u16 + 2;
        raw.resize(64, 0);
        raw.extend(length.to_le_bytes());
        raw.extend([kind, 1]);
        raw.extend(links.iter().flat_map(|link| link.to_le_bytes()));
        raw.resize(116, 0);
        raw.extend(start.to_le_bytes());
        raw.extend((size as u64).to_le_bytes());
        raw
    };
    let mut out = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    out.resize(24, 0);
    out.extend(b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0");
    out.resize(44, 0);
    // One sector of the table, folders from sector 1, no mini stream.
    out.extend(
        [1u32, 1, 0, 0, 0xffff_fffe, 0, 0xffff_fffe, 0]
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    out.extend(0u32.to_le_bytes());
    out.resize(512, 0xff);
    table.resize(128, none);
    out.extend(table.iter().flat_map(|number| number.to_le_bytes()));
    out.extend(folder("Root Entry", 5, [none, none, 1], 0xffff_fffe, 0));
    out.extend(folder("VBA", 1, [none, 4, 2], 0, 0));
    out.extend(folder("_VBA_PROJECT", 2, [none, 3, none], starts[0], streams[0].len()));
    out.extend(folder("Module1", 2, [none, none, none], starts[1], streams[1].len()));
    out.extend(folder(name, 2, [none, none, none], starts[2], streams[2].len()));
    out.resize(512 * 4, 0);
    out.extend(bodies);
    out
}

/// A message; what is given begins with further headers.
pub fn mail(rest: &str) -> String {
    format!(
        "Return-Path: <a@b.example>\r\nReceived: from x.example by y.example;\r\n\tThu, 26 Nov 2026 19:30:00 +0000\r\nFrom: A <a@b.example>\r\nTo: c@b.example\r\nSubject: a mail\r\nMIME-Version: 1.0\r\n{rest}"
    )
}

/// Headers and parts of a multipart; each part begins with its headers.
pub fn multipart(boundary: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\nFor programs that know no parts.\r\n{parts}--{boundary}--\r\n"
    )
}

/// Base64 in lines of 76 letters.
pub fn mail_base64(bytes: &[u8]) -> String {
    use base64::Engine;
    let all = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<_> = all
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("\r\n")
}

/// How the elements of a DICOM file are written: none by default, implicit VR.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dicom {
    Implicit,
    Explicit,
    Big,
    Deflated,
}

impl Dicom {
    pub fn number(self, value: u16) -> [u8; 2] {
        if self == Self::Big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn long(self, value: u32) -> [u8; 4] {
        if self == Self::Big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    /// An element; `length` where it lies or is not said.
    pub fn said(self, tag: u32, written: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
        let mut out = [self.number((tag >> 16) as u16), self.number(tag as u16)].concat();
        let long = matches!(written, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT" | b"UC" | b"UR");
        if self == Self::Implicit || tag >> 16 == 0xfffe {
            out.extend(self.long(length));
        } else if long {
            out.extend([written.as_slice(), &[0, 0]].concat());
            out.extend(self.long(length));
        } else {
            out.extend(written);
            out.extend(self.number(length as u16));
        }
        out.extend(value);
        out
    }

    /// An element with its value, made even.
    pub fn element(self, tag: u32, written: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if written == b"OB" { 0 } else { b' ' });
        }
        self.said(tag, written, value.len() as u32, &value)
    }

    /// A file of these elements.
    pub fn file(self, elements: &[Vec<u8>]) -> Vec<u8> {
        let syntax: &[u8] = match self {
            Self::Implicit => b"1.2.840.10008.1.2\0",
            Self::Explicit => b"1.2.840.10008.1.2.1\0",
            Self::Big => b"1.2.840.10008.1.2.2\0",
            Self::Deflated => b"1.2.840.10008.1.2.1.99",
        };
        let mut out = vec![0; 128];
        out.extend(b"DICM");
        out.extend(Self::Explicit.element(0x0002_0010, b"UI", syntax));
        let body = elements.concat();
        out.extend(if self == Self::Deflated { deflate(&body) } else { body });
        out
    }

    /// A patient, with a physician in a sequence and pixels behind.
    pub fn patient(self, name: &str, comments: &str) -> Vec<u8> {
        let item = self.element(0x0040_0006, b"PN", b"Marchetti^Lucia");
        let items = self.said(0xfffe_e000, b"SQ", item.len() as u32, &item);
        self.file(&[
            self.element(0x0010_0010, b"PN", name.as_bytes()),
            self.element(0x0010_0030, b"DA", b"19320315"),
            self.element(0x0010_1010, b"AS", b"094Y"),
            self.element(0x0010_4000, b"LT", comments.as_bytes()),
            self.element(0x0029_0010, b"LO", b"ACME 1.0"),
            self.element(0x0029_1001, b"UN", b"kept by the maker"),
            self.said(0x0040_0275, b"SQ", items.len() as u32, &items),
            self.element(0x7fe0_0010, b"OW", &[7; 64]),
        ])
    }
}

/// A database in which these statements ran.
pub fn database(statements: &str) -> Vec<u8> {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch(statements).unwrap();
    database.serialize("main").unwrap().to_vec()
}
