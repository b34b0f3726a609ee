//! Files that have the same bytes looked at again and again. Each of these took minutes, or all memory there was, until something counted what is
//! looked at twice.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::{make, put};

pub fn again_and_again() -> Vec<Case> {
    vec![
        // Each word began a stream that ran to the end of the file: 20,000 times the file.
        case(
            "streams.pdf",
            [&b"%PDF-1.7\n"[..], &b"stream\n".repeat(150_000)].concat(),
            Want::Rule("archive/overlap"),
        ),
        // Thousands of folders named one chain of sectors as their own: a gigabyte and more of one megabyte.
        case(
            "sectors.doc",
            shared_sectors(8_000, 2_000),
            Want::Rule("archive/overlap"),
        ),
        // Rows that are repeated were counted as cells, but their text was not: 40 GB.
        case("rows.ods", repeated_rows(), Want::Limit(LimitName::TextBytes)),
        // A string was decoded for every object that refers to it.
        case(
            "strings.pdf",
            shared_string("/T", false),
            Want::Limit(LimitName::TextBytes),
        ),
        // One object with a script a thousand times held all of them at once.
        case(
            "scripts.pdf",
            shared_string("/JS", true),
            Want::Limit(LimitName::TextBytes),
        ),
        // Every page had the content of all.
        case("pages.pdf", shared_content(), Want::Rule("archive/overlap")),
        // A font that makes hundreds of letters of two.
        case("font.pdf", talkative_font(), Want::Limit(LimitName::TextBytes)),
        // Packed texts of a picture were all kept, whatever they unpacked to.
        case("texts.png", packed_texts(), Want::Limit(LimitName::TextBytes)),
        // Directories of a picture that lie over each other: sixty million fields in one megabyte.
        case("fields.tif", overlapping_directories(), Want::Limit(LimitName::Entries)),
        // Sheets that begin in each other's records.
        case("sheets.xls", overlapping_sheets(), Want::Rule("archive/overlap")),
    ]
}

fn shared_sectors(streams: u32, sectors: u32) -> Vec<u8> {
    let (end, none) = (0xffff_fffeu32, u32::MAX);
    let list = (streams + 1).div_ceil(4);
    let tables = (list + sectors + 200).div_ceil(127);
    let mut table = vec![0xffff_fffdu32; tables as usize];
    for length in [list, sectors] {
        for step in 1..=length {
            table.push(if step == length { end } else { table.len() as u32 + 1 });
        }
    }
    table.resize(tables as usize * 128, none);
    let mut out = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    out.resize(24, 0);
    out.extend(b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0");
    out.resize(44, 0);
    for number in [tables, tables, 0, 0, end, 0, end, 0] {
        out.extend(number.to_le_bytes());
    }
    out.extend((0..tables).flat_map(u32::to_le_bytes));
    out.resize(512, 0xff);
    out.extend(table.iter().flat_map(|number| number.to_le_bytes()));
    for number in 0..list * 4 {
        let name = if number == 0 {
            "Root Entry".to_owned()
        } else {
            format!("s{number}")
        };
        let mut raw: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = raw.len() as u16 + 2;
        raw.resize(64, 0);
        raw.extend(length.to_le_bytes());
        raw.extend([if number == 0 { 5 } else { 2 }, 1]);
        // A chain of siblings to the right.
        let (right, child) = if number == 0 { (none, 1) } else { (number + 1, none) };
        raw.extend([none, right, child].iter().flat_map(|link| link.to_le_bytes()));
        raw.resize(116, 0);
        let (start, size) = if number == 0 {
            (end, 0)
        } else {
            (tables + list, u64::from(sectors) * 512)
        };
        raw.extend(start.to_le_bytes());
        raw.extend(size.to_le_bytes());
        out.extend(raw);
    }
    out.resize(out.len() + sectors as usize * 512, b'x');
    out
}

fn repeated_rows() -> Vec<u8> {
    let text = "word ".repeat(40_000);
    let content = format!(
        "<d xmlns:table=\"t\" xmlns:text=\"x\" xmlns:office=\"o\"><table:table table:name=\"S\"><table:table-row table:number-rows-repeated=\"200000\"><table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell></table:table-row></table:table></d>"
    );
    put::zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", content.as_bytes()),
    ])
}

fn shared_string(key: &str, one_object: bool) -> Vec<u8> {
    let text = [b"(".to_vec(), vec![b'a'; 1 << 20], b")".to_vec()].concat();
    let user = format!("<< {key} 6 0 R >>");
    let mut more = vec![text];
    if one_object {
        more.push(format!("[ {} ]", user.repeat(2_000)).into_bytes());
    } else {
        more.extend(std::iter::repeat_n(user.into_bytes(), 2_000));
    }
    make::pdf_page("x", "", &more)
}

fn shared_content() -> Vec<u8> {
    let content = make::pdf_stream("/Filter /FlateDecode", &make::zlib(&b"(a) Tj ".repeat(500_000)));
    let kids: String = (0..4_000).map(|page| format!("{} 0 R ", page + 4)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [ {kids} ] /Count 4000 >>").into_bytes(),
        content,
    ];
    objects.extend(std::iter::repeat_n(
        b"<< /Type /Page /Parent 2 0 R /Contents 3 0 R >>".to_vec(),
        4_000,
    ));
    make::pdf(&objects)
}

fn talkative_font() -> Vec<u8> {
    let map = format!(
        "/CIDInit/ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo << /Registry(Adobe) /Ordering(UCS) /Supplement 0>>def\n/CMapName /Adobe-Identity-UCS def\n1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n1 beginbfchar\n<4141> <{}>\nendbfchar\nendcmap\nCMapName currentdict/CMap defineresource pop\nend\nend\n",
        "0042".repeat(250)
    );
    let text = format!("BT /F1 12 Tf ({}) Tj ET", "A".repeat(2 << 20));
    make::pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_vec(),
        make::pdf_stream("/Filter /FlateDecode", &make::zlib(text.as_bytes())),
        b"<< /Type /Font /Subtype /TrueType /BaseFont /X /ToUnicode 6 0 R >>".to_vec(),
        make::pdf_stream("", map.as_bytes()),
    ])
}

fn packed_texts() -> Vec<u8> {
    let body = [b"Comment\0\0".to_vec(), make::zlib(&vec![b'a'; 1 << 20])].concat();
    make::png(1, 1, &vec![make::png_chunk(b"zTXt", &body); 1_000])
}

fn overlapping_directories() -> Vec<u8> {
    // Every place where a directory may begin says that 65,535 fields follow, and every field leads to another directory.
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for number in 0..66_000u32 {
        bytes.extend([0xff, 0xff]);
        bytes.extend(0x8769u16.to_le_bytes());
        bytes.extend([4, 0]);
        bytes.extend((8 + number * 12).to_le_bytes());
        bytes.extend([0; 2]);
    }
    bytes
}

fn overlapping_sheets() -> Vec<u8> {
    let record = |kind: u16, body: &[u8]| [&kind.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat();
    let begin = record(0x0809, &[0, 6, 5, 0, 0, 0, 0, 0]);
    let sheets = 4_000usize;
    let head = begin.len() + sheets * (4 + 9) + 4;
    let mut out = begin;
    for number in 0..sheets {
        let mut body = ((head + number * 4) as u32).to_le_bytes().to_vec();
        body.extend([0, 0, 1, 0, b'S']);
        out.extend(record(0x0085, &body));
    }
    out.extend(record(0x000a, &[]));
    for _ in 0..300_000 {
        out.extend(record(0x7777, &[]));
    }
    out.extend(record(0x000a, &[]));
    put::compound("Workbook", &out)
}
