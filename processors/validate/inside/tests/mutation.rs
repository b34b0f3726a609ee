//! Sound files with bytes changed, moved, cut and doubled: whatever comes of them, the parent gets an answer and the pool goes on.

use std::path::Path;
use std::sync::OnceLock;

use crate::common::make::{self, Entry};
use crate::common::{look, settings};
use cofferdam_inside::sandbox::{Breach, Failure, Pool};
use proptest::prelude::*;

pub fn samples() -> &'static [(String, Vec<u8>)] {
    static SAMPLES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = vec![
            (
                "a.zip".to_owned(),
                make::zip(&[
                    Entry::new("a.txt", b"hello"),
                    Entry::new("b.zip", &make::zip(&[Entry::new("c", b"d")])),
                ]),
            ),
            (
                "a.tar.gz".to_owned(),
                make::gzip(&make::tar(&[
                    make::tar_entry("a", b'0', "", b"x"),
                    make::tar_entry("b", b'2', "a", b""),
                ])),
            ),
            (
                "a.tar".to_owned(),
                make::tar(&[
                    make::tar_entry("a", b'0', "", &[7; 700]),
                    make::tar_entry("b", b'5', "", b""),
                ]),
            ),
            (
                "a.docx".to_owned(),
                make::docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>", &[]),
            ),
            ("a.pdf".to_owned(), make::pdf_page("words", "", &[])),
            (
                "a.png".to_owned(),
                make::png(3, 3, &[make::png_chunk(b"tEXt", b"k\0v")]),
            ),
            ("a.gif".to_owned(), make::gif()),
            ("a.jpg".to_owned(), make::jpeg(true)),
            (
                "a.eml".to_owned(),
                make::mail(&make::multipart(
                    "b",
                    &[
                        "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC</p>",
                        &format!(
                            "Content-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                            make::mail_base64(&make::zip(&[Entry::new("a.txt", b"hello")]))
                        ),
                        &format!("Content-Type: message/rfc822\r\n\r\n{}", make::mail("\r\ntext")),
                    ],
                ))
                .into_bytes(),
            ),
        ];
        let [shp, shx, dbf] = make::shapefile(&[(1.0, 2.0)]);
        samples.push((
            "m.zip".to_owned(),
            make::zip(&[
                Entry::stored("w.shp", &shp),
                Entry::stored("w.shx", &shx),
                Entry::stored("w.dbf", &dbf),
            ]),
        ));
        for folder in ["parquet/good", "sheet", "pdf"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/formats").join(folder);
            let mut paths: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            paths.sort();
            for path in paths {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.len() < 20_000 {
                    samples.push((path.file_name().unwrap().to_string_lossy().into_owned(), bytes));
                }
            }
        }
        samples
    })
}

#[derive(Debug, Clone)]
pub enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize),
    Double(usize, usize),
    Number(usize, u32),
}

pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<usize>(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), 1usize..200).prop_map(|(at, len)| Change::Double(at, len)),
        (
            any::<usize>(),
            prop_oneof![Just(u32::MAX), Just(0x7fff_ffff), Just(0), any::<u32>()]
        )
            .prop_map(|(at, number)| Change::Number(at, number)),
    ]
}

pub fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match *change {
        Change::Set(at, byte) => bytes[at % len] = byte,
        Change::Flip(at, bit) => bytes[at % len] ^= 1 << bit,
        Change::Cut(at) => bytes.truncate(at % len),
        Change::Double(at, count) => {
            let at = at % len;
            let part = bytes[at..(at + count).min(len)].to_vec();
            bytes.splice(at..at, part);
        }
        Change::Number(at, number) => {
            for (offset, byte) in number.to_le_bytes().into_iter().enumerate() {
                if let Some(place) = bytes.get_mut(at % len + offset) {
                    *place = byte;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_give_an_answer(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        static POOL: OnceLock<(tokio::runtime::Runtime, Pool)> = OnceLock::new();
        let (runtime, pool) = POOL.get_or_init(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            (runtime, Pool::new(settings()))
        });
        let (name, bytes) = which.get(samples());
        let mut bytes = bytes.clone();
        for change in &changes {
            apply(&mut bytes, change);
        }
        let found = runtime.block_on(look(pool, name, &bytes));
        // A breach is an answer; a panic of ours, a hang or a broken protocol is a fault.
        match &found.end {
            Ok(report) => {
                prop_assert!(report.cpu.as_secs_f64() < 2.0, "{name}: {:?}", report.cpu);
                prop_assert!(report.peak_bytes.unwrap_or(0) < 256 << 20, "{name}: {:?}", report.peak_bytes);
            }
            Err(Failure::Breach(Breach::Memory | Breach::Stack)) => println!("{name}: {:?}", found.end),
            Err(other) => prop_assert!(false, "{name}: {other:?}"),
        }
    }
}
