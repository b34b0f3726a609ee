//! The fuzz targets of this crate (`tests/fuzz/targets/inside`), run on any compiler and in this process: over bytes from nothing, and over sound
//! files with damage.

#[path = "../../../../tests/fuzz/targets/inside/mod.rs"]
pub mod targets;

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::make::{self, Entry};
use crate::mutation::{apply, change, samples};

type Target = fn(&[u8]);

/// Every target with a sound document of its own, or several.
fn seeds() -> &'static [(Target, Vec<u8>)] {
    static SEEDS: OnceLock<Vec<(Target, Vec<u8>)>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let sheet = r#"<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>1.5</v></c></row></sheetData></worksheet>"#;
        let strings = "<sst><si><t>a</t></si></sst>";
        let content = r#"<office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x"><table:table table:name="S"><table:table-row table:number-rows-repeated="3"><table:table-cell office:value-type="string" table:number-columns-repeated="2"><text:p>word</text:p></table:table-cell></table:table-row></table:table></office:document-content>"#;
        let [shp, shx, dbf] = make::shapefile(&[(1.0, 2.0)]);
        let mut parts = (shp.len() as u16).to_le_bytes().to_vec();
        parts.extend(((shp.len() + shx.len()) as u16).to_le_bytes());
        parts.extend([&shp[..], &shx, &dbf].concat());
        let mut seeds: Vec<(Target, Vec<u8>)> = vec![
            (targets::answer, ANSWER.concat()),
            (targets::bzip2, bzip2()),
            (targets::xz, XZ.to_vec()),
            (targets::zstd, zstd::encode_all(&b"a text that is packed"[..], 1).unwrap()),
            (targets::gzip, make::gzip(&make::tar(&[make::tar_entry("a", b'0', "", b"x")]))),
            (targets::xlsx, format!("{sheet}\0{strings}").into_bytes()),
            (targets::ods, content.as_bytes().to_vec()),
            (targets::docx, b"<w:document><w:body><w:p><w:r><w:t>words</w:t></w:r></w:p></w:body></w:document>\0<Relationships><Relationship Id=\"r1\" Type=\"http://x/oleObject\" TargetMode=\"External\" Target=\"http://x\"/></Relationships>\0word/footnotes.xml\0<w:t>x</w:t>".to_vec()),
            (targets::vba, make::vba_module("Sub AutoOpen()\r\nShell \"x\"\r\nEnd Sub\r\n")),
            (targets::ole, make::ole(&make::vba_module("Sub x()\r\nEnd Sub"), "WordDocument", &[0; 700])),
            (targets::word, vec![b'a'; 200]),
            (targets::shape, shp.clone()),
            (targets::shapefile, parts),
            (targets::mail, MAIL.concat().into_bytes()),
            (targets::mail, [MAIL[0], MAIL[1], "\n", MAIL[0], MAIL[2]].concat().into_bytes()),
            (targets::sqlite, make::database("PRAGMA page_size = 512; CREATE TABLE a(b PRIMARY KEY, c) WITHOUT ROWID; CREATE TABLE d(e, f AS (e || 1)); INSERT INTO a VALUES (1, 'words'); INSERT INTO d VALUES ('more words');")),
            (targets::dicom, make::Dicom::Explicit.patient("A^B", "words")),
            (targets::dicom, make::Dicom::Implicit.patient("A^B", "words")),
            (targets::dicom, make::Dicom::Big.patient("A^B", "words")),
            (targets::dicom, make::Dicom::Deflated.patient("A^B", "words")),
            (targets::any, b"<svg xmlns=\"x\" onload=\"go()\"><script>1</script></svg>".to_vec()),
        ];
        let date = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/formats/sheet/date.xls")).unwrap();
        // Its stream of records stands in one piece.
        seeds.push((targets::xls, date[512..].iter().copied().take(3_000).collect()));
        seeds.push((targets::ole, date));
        for (name, bytes) in samples() {
            let (target, chosen): (Target, &[u8]) = match name.rsplit('.').next().unwrap() {
                "zip" | "docx" | "xlsx" | "xlsm" | "xlsb" | "ods" => (targets::zip, &[]),
                "tar" => (targets::tar, &[]),
                "gz" => (targets::gzip, &[]),
                "pdf" => (targets::pdf, &[]),
                "parquet" => (targets::parquet, &[]),
                "png" => (targets::picture, &[0]),
                "jpg" => (targets::picture, &[1]),
                "gif" => (targets::picture, &[2]),
                _ => continue,
            };
            if name.ends_with(".parquet") {
                seeds.push((targets::records, [&[2], &bytes[..]].concat()));
            }
            seeds.push((target, [chosen, &bytes[..]].concat()));
        }
        seeds.push((targets::zip, make::zip(&[Entry::stored("a/../b", b"x"), Entry::new("c", &make::gzip(b"y"))])));
        seeds
    })
}

/// Bounds, two results, and the end.
const ANSWER: &[&[u8]] = &[
    &[255, 9, 255],
    b"\x0f\0\0\0{\"item\":[1,{}]}",
    b"\x11\0\0\0{\"item\":\"\\u0041\"}",
    b"\x16\0\0\0{\"done\":{\"dropped\":0}}",
];

/// An envelope, a message of many parts, another.
const MAIL: &[&str] = &[
    "From a@b.example Thu Nov 26 19:30:00 2026\n",
    "From: =?utf-8?B?R3LDvMOfZQ==?= <a@b.example>\nSubject: =?iso-8859-1?Q?caf=E9?=\n =?iso-8859-1?Q?_noir?=\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"out\"\n\n--out\nContent-Type: multipart/encrypted; boundary=in\n\n--in\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--in\nContent-Type: text/html; charset*0*=utf-8''u; charset*1=tf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>=C3=\n=BC</p>\n--in--\n\n--out\nContent-Type: application/x; name*=utf-8'de'..%2Fa.bin\nContent-Disposition: attachment; filename=\"=?utf-8?Q?a?= (b).exe\"\nContent-Transfer-Encoding: base64\n\nUEsDBBQ=\n--out\nContent-Type: message/rfc822\n\nFrom: a@b.example\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CA\n--out--\n",
    "From: a@b.example\nDate: now\nContent-Type: (a) application/pkcs7-mime (b); smime-type=x\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CA\n",
];

/// A text in bzip2.
fn bzip2() -> Vec<u8> {
    use std::io::Read;
    let mut packed = Vec::new();
    let mut encoder = bzip2::read::BzEncoder::new(&b"a text that is packed"[..], bzip2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

/// The same in xz, with a CRC-32.
const XZ: &[u8] = &[
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00, 0x00,
    0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x14, 0x61, 0x20, 0x74, 0x65, 0x78, 0x74, 0x20, 0x74, 0x68, 0x61, 0x74,
    0x20, 0x69, 0x73, 0x20, 0x70, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x00, 0x00, 0x00, 0x00, 0xb1, 0x81, 0x5e, 0xac, 0x00,
    0x01, 0x29, 0x15, 0x2b, 0xce, 0x1d, 0x09, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
];

#[test]
fn targets_take_sound_files() {
    for (run, bytes) in seeds() {
        run(bytes);
        run(b"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_200), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn targets_hold_for_damaged_files(which: Index, changes in prop::collection::vec(change(), 1..6)) {
        let (run, mut bytes) = which.get(seeds()).clone();
        for change in &changes {
            apply(&mut bytes, change);
        }
        run(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn targets_hold_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for run in [
            targets::answer, targets::records, targets::zip, targets::tar, targets::gzip, targets::bzip2, targets::xz, targets::zstd, targets::ole, targets::pdf, targets::parquet,
            targets::picture, targets::any, targets::xlsx, targets::ods, targets::docx, targets::xls, targets::vba, targets::word, targets::shape,
            targets::shapefile, targets::mail,
        ] {
            run(&bytes);
        }
    }
}
