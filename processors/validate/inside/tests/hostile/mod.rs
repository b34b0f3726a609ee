//! Files made to harm: each gives the right verdict, quickly, in bounded memory, and the parent lives.

mod archives;
mod databases;
mod dicoms;
mod documents;
mod exhaust;
mod mails;
mod pictures;

use std::time::Duration;

use crate::common::make::{self, Entry};
use crate::common::{Look, look, look_within, settings};
use cofferdam_inside::inside::{LimitName, Limits};
use cofferdam_inside::sandbox::{Breach, Failure, Pool};

/// What is expected of a file.
pub enum Want {
    /// A rule, by name.
    Rule(&'static str),
    /// A bound.
    Limit(LimitName),
    /// Damaged, or a breach.
    Refused,
    /// The signature, at a place that ends so.
    Signature(&'static str),
    /// This text.
    Text(&'static str),
    /// Nothing of medium weight or more, and this text.
    Clean(&'static str),
}

impl Want {
    fn is_met(&self, look: &Look) -> bool {
        match self {
            Self::Rule(rule) => look.has(rule) && look.end.is_ok(),
            Self::Limit(name) => look.reached(*name) && look.end.is_ok(),
            Self::Refused => look.is_refused(),
            Self::Signature(end) => look.signature_at().iter().any(|place| place.ends_with(end)),
            Self::Text(text) => look.text().contains(text) && look.end.is_ok(),
            Self::Clean(text) => look.is_clean() && !look.is_limited() && look.text().contains(text),
        }
    }
}

/// A file and what it should give.
pub struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    want: Want,
}

/// Short form.
pub fn case(name: &'static str, bytes: Vec<u8>, want: Want) -> Case {
    Case { name, bytes, want }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_get_their_verdict() {
    // One document for each child, so that its peak of memory is the document's.
    let mut alone = settings();
    alone.documents_per_child = 1;
    let pool = Pool::new(alone);
    let (mut slowest, mut largest) = ((Duration::ZERO, ""), (0, ""));
    let cases: Vec<Case> = [
        archives::archives(),
        documents::documents(),
        pictures::pictures_and_maps(),
        pictures::malware(),
        mails::mails(),
        dicoms::dicoms(),
        databases::databases(),
        exhaust::again_and_again(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let total = cases.len();
    let (mut wrong, mut costs) = (Vec::new(), Vec::new());
    for Case { name, bytes, want } in cases {
        let limits = Limits {
            entries: 25_000,
            ..Limits::default()
        };
        let found = look_within(&pool, name, &bytes, limits).await;
        // Bars: two seconds of processor time, 256 MiB resident, for each file.
        if let Ok(report) = &found.end {
            slowest = slowest.max((report.cpu, name));
            largest = largest.max((report.peak_bytes.unwrap_or(0), name));
            costs.push((report.cpu, report.peak_bytes.unwrap_or(0) >> 20, name));
        }
        if !want.is_met(&found) {
            wrong.push(format!(
                "{name}: {:?} {:?} {:?} {:?}",
                found.end.as_ref().err(),
                found.rules(),
                found.signature_at(),
                found.text().chars().take(200).collect::<String>()
            ));
        }
    }
    println!(
        "{} of {total} right; slowest {slowest:?}, most memory {largest:?}",
        total - wrong.len()
    );
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.0));
    println!("slowest, with MiB: {:?}", costs.get(..12));
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.1));
    println!("largest: {:?}", costs.get(..12));
    assert!(slowest.0.as_secs_f64() < 2.0, "{slowest:?}");
    assert!(largest.0 < 256 << 20, "{largest:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every sound file, cut at every tenth of its length, is never clean and never kills anything but a child.
#[tokio::test(flavor = "multi_thread")]
async fn truncated_files_are_noticed() {
    let pool = Pool::new(settings());
    let sound = [
        (
            "a.zip",
            make::zip(&[Entry::new("a.txt", &[b'a'; 3_000]), Entry::new("b.txt", b"hello")]),
        ),
        ("a.gz", make::gzip(b"a longer text that is packed, though not by much")),
        ("a.tar", make::tar(&[make::tar_entry("a", b'0', "", &[1; 2_000])])),
        ("a.xlsx", make::xlsx("<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>")),
        ("a.png", make::png(1, 1, &[])),
        ("a.gif", make::gif()),
        ("a.jpg", make::jpeg(false)),
        ("a.eml", mails::parts()),
        ("a.dcm", dicoms::sound()),
        ("a.db", databases::sound()),
    ];
    for (name, bytes) in sound {
        for tenth in 1..10 {
            // Of the two empty blocks that end an archive, one is enough.
            if name == "a.tar" && tenth == 9 {
                continue;
            }
            let found = look(&pool, name, &bytes[..bytes.len() * tenth / 10]).await;
            assert!(
                found.is_refused() || found.is_limited(),
                "{name} at {tenth} tenths: {:?}",
                found.rules()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_named_with_what_was_left() {
    let pool = Pool::new(settings());
    let bytes = make::zip(&[Entry::new("a.txt", &[b'a'; 100_000])]);
    let limits = Limits {
        total_bytes: 10_000,
        ..Limits::default()
    };
    let found = look_within(&pool, "a.zip", &bytes, limits).await;
    let limit = found.problems().find_map(|problem| problem.limit).expect("a limit");
    assert_eq!(
        (limit.name, limit.value, limit.bytes_not_looked_at),
        (LimitName::TotalBytes, 10_000, Some(90_000))
    );
    let limits = Limits {
        cells: 10,
        ..Limits::default()
    };
    let rows = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>".repeat(20);
    assert!(
        look_within(&pool, "a.xlsx", &make::xlsx(&rows), limits)
            .await
            .reached(LimitName::Cells)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parser_that_wants_too_much_is_a_verdict() {
    let mut small = settings();
    small.bounds.data = 24 << 20;
    let pool = Pool::new(small);
    let row = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>x</t></is></c></row>";
    let mut parts = make::xlsx_parts(row);
    let strings = format!("<sst>{}</sst>", "<si><t>abc</t></si>".repeat(800_000));
    parts.push(Entry::new("xl/sharedStrings.xml", strings.as_bytes()));
    let rels = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>";
    parts[3] = Entry::new("xl/_rels/workbook.xml.rels", rels.as_bytes());
    let found = look(&pool, "a.xlsx", &make::zip(&parts)).await;
    assert!(
        matches!(found.end, Err(Failure::Breach(Breach::Memory))),
        "{:?} {:?}",
        found.end,
        found.rules()
    );
    // The next document is not affected.
    let next = look(&pool, "b.xlsx", &make::xlsx(row)).await;
    assert!(next.is_clean(), "{:?} {:?}", next.end, next.rules());
}
