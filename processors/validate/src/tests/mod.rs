//! The battery, and whole documents through the processor.

mod notations;
mod rules;
mod windows;

use std::sync::Arc;

use cofferdam_processor::battery::{Case, Rig, Sample};
use cofferdam_processor::{AnyProcessor, Conclusion, Job, Registration};
use cofferdam_schemas::{Checksums, Finding, ProcessorName, Severity, Verdict};
use proptest::prelude::*;

use crate::Validate;

fn registration() -> Registration {
    Registration::of::<Validate>(&[]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn battery() {
    let limited = |_: &_| "max_bytes = 70000".parse().unwrap();
    let case = Case::new(registration())
        .oversize(limited, Sample::new("large.txt", vec![b'x'; 200_000]))
        .poison(Sample::new("eicar.com", eicar()))
        .poison(Sample::new("sea-of-mz", b"MZ".repeat(50_000)));
    case.run().await.assert_passed();
}

/// The test file, put together here so that scanners leave this source alone.
fn eicar() -> Vec<u8> {
    let halves = [
        &b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$"[..],
        &b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"[..],
    ];
    halves.concat()
}

struct Bench {
    rig: Rig,
    processor: Arc<dyn AnyProcessor>,
}

impl Bench {
    async fn new(config: &str) -> Self {
        let rig = Rig::new();
        let processor = registration()
            .start(config.parse().unwrap(), rig.deps.clone())
            .await
            .unwrap();
        Self { rig, processor }
    }

    async fn job(&self, key: &str, declared: Option<&str>, body: &[u8]) -> (Job, cofferdam_processor::Document) {
        let name = ProcessorName::new("validate").unwrap();
        let sample = Sample {
            name: key.to_owned(),
            key: key.to_owned(),
            content_type: declared.map(str::to_owned),
            body: body.to_vec(),
        };
        self.rig.job(&name, &sample).await
    }

    async fn validate(&self, key: &str, declared: Option<&str>, body: &[u8]) -> Conclusion {
        let (job, document) = self.job(key, declared, body).await;
        self.processor.process(&job, document).await.unwrap()
    }
}

fn text<'a>(conclusion: &'a Conclusion, detail: &str) -> &'a str {
    conclusion
        .details
        .get(detail)
        .and_then(|value| value.as_str())
        .unwrap_or("")
}

fn rules(conclusion: &Conclusion) -> Vec<(&str, Severity)> {
    conclusion
        .findings
        .iter()
        .map(|Finding { rule, severity, .. }| (rule.as_str(), *severity))
        .collect()
}

fn verdict(conclusion: &Conclusion) -> Verdict {
    conclusion.verdict.unwrap()
}

#[tokio::test]
async fn an_empty_file_passes_as_what_it_is() {
    let conclusion = Bench::new("")
        .await
        .validate("empty.pdf", Some("application/pdf"), b"")
        .await;
    assert_eq!(
        (verdict(&conclusion), text(&conclusion, "detected_type")),
        (Verdict::Pass, "empty")
    );
    assert_eq!(conclusion.details["size"], 0);
    assert_eq!(
        text(&conclusion, "sha256"),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(conclusion.findings, []);
}

#[tokio::test]
async fn eicar_is_found_wherever_it_stands() {
    let bench = Bench::new("").await;
    // The memory store cuts at 64 KiB: whole in the first chunk, across the first cut, at the very end.
    for before in [0, 10, 65_536 - 67, 65_536 - 34, 65_536 - 1, 65_536, 131_072 - 20] {
        let body = [vec![b' '; before], eicar(), vec![b'\n'; 3]].concat();
        let conclusion = bench.validate("notes.txt", Some("text/plain"), &body).await;
        assert_eq!(verdict(&conclusion), Verdict::Quarantine, "{before}");
        let found = &conclusion.findings[0];
        let span = found.span.unwrap();
        assert_eq!(
            (found.rule.as_str(), found.severity),
            ("malware/eicar", Severity::Critical)
        );
        assert_eq!((span.start, span.end), (before as u64, before as u64 + 68));
        assert!(
            !format!("{conclusion:?}").contains("EICAR-STANDARD"),
            "the value itself is in the result"
        );
    }
    let cut = bench.validate("notes.txt", None, &eicar()[..67]).await;
    assert_eq!(verdict(&cut), Verdict::Pass);
}

#[tokio::test]
async fn every_checksum_a_store_claims_is_compared() {
    let bench = Bench::new("").await;
    let (mut job, document) = bench.job("check.txt", None, b"123456789").await;
    // Published check values of the nine digits (CRC catalogue), and digests by md5sum, sha1sum and sha256sum.
    let good = Checksums {
        md5: Some("25f9e794323b453885f5181f1b624d0b".to_owned()),
        sha1: Some("f7c3bc1d808e04732adf679965ccc34ca7ae3441".to_owned()),
        sha256: Some("15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225".to_owned()),
        crc32: Some("cbf43926".to_owned()),
        crc32c: Some("E3069283".to_owned()),
        crc64nvme: Some("ae8b14860a799888".to_owned()),
    };
    // Weaker ones count only where there is no SHA-256.
    let weak = Checksums {
        sha256: None,
        ..good.clone()
    };
    job.object.checksums = good.clone();
    let conclusion = bench.processor.process(&job, document.clone()).await.unwrap();
    let checked = conclusion.details["checked"].to_string();
    assert!(
        checked.contains("sha256") && !checked.contains("md5") && !checked.contains("sha1\""),
        "{checked}"
    );
    job.object.checksums = weak.clone();
    let conclusion = bench.processor.process(&job, document.clone()).await.unwrap();
    assert_eq!((verdict(&conclusion), rules(&conclusion)), (Verdict::Pass, vec![]));
    let checked = conclusion.details["checked"].as_array().unwrap();
    for name in [
        "size",
        "md5",
        "sha1",
        "crc32",
        "crc32c",
        "crc64nvme",
        "type",
        "signatures",
    ] {
        assert!(
            checked.iter().any(|value| value == name),
            "{name} is not in {checked:?}"
        );
    }

    type Spoil = fn(&mut Checksums);
    let spoils: [(&str, Spoil); 6] = [
        ("integrity/md5", |c| c.md5 = Some("0".repeat(32))),
        ("integrity/sha1", |c| c.sha1 = Some("0".repeat(40))),
        ("integrity/sha256", |c| c.sha256 = Some("0".repeat(64))),
        ("integrity/crc32", |c| c.crc32 = Some("0".repeat(8))),
        ("integrity/crc32c", |c| c.crc32c = Some("0".repeat(8))),
        ("integrity/crc64nvme", |c| c.crc64nvme = Some("0".repeat(16))),
    ];
    for (rule, spoil) in spoils {
        job.object.checksums = if rule == "integrity/sha256" { &good } else { &weak }.clone();
        spoil(&mut job.object.checksums);
        let conclusion = bench.processor.process(&job, document.clone()).await.unwrap();
        assert_eq!(
            (verdict(&conclusion), rules(&conclusion)),
            (Verdict::Quarantine, vec![(rule, Severity::High)])
        );
    }
    job.object.checksums = good;
    job.object.size = 10;
    let conclusion = bench.processor.process(&job, document).await.unwrap();
    assert_eq!(
        (verdict(&conclusion), rules(&conclusion)),
        (Verdict::Quarantine, vec![("integrity/size", Severity::High)])
    );
}

#[tokio::test]
async fn a_limit_is_a_verdict_that_names_it_and_the_rest() {
    let bench = Bench::new("max_bytes = 100000").await;
    let body = vec![b'a'; 250_000];
    let conclusion = bench.validate("big.txt", None, &body).await;
    assert_eq!(verdict(&conclusion), Verdict::Incomplete);
    assert_eq!(text(&conclusion, "limit"), "max_bytes");
    assert_eq!(conclusion.details["limit_max_bytes"], 100_000);
    assert_eq!(conclusion.details["bytes_looked_at"], 100_000);
    assert_eq!(conclusion.details["bytes_not_looked_at"], 150_000);
    assert!(
        !conclusion.details.contains_key("sha256"),
        "a checksum of a part is not the document's"
    );
    // Exactly at the limit nothing is missing.
    let conclusion = bench.validate("fits.txt", None, &body[..100_000]).await;
    assert_eq!(
        (verdict(&conclusion), &conclusion.details["size"]),
        (Verdict::Pass, &100_000.into())
    );
    // What was found before the limit still counts.
    let conclusion = bench.validate("bad.txt", None, &[eicar(), body].concat()).await;
    assert_eq!(verdict(&conclusion), Verdict::Quarantine);
}

#[tokio::test]
async fn more_findings_than_fit_are_not_dropped_in_silence() {
    let bench = Bench::new("max_findings = 1").await;
    // Of each rule one is listed, whatever the limit, and says how many there are.
    let conclusion = bench.validate("setup.pdf", Some("image/png"), &program()).await;
    assert_eq!(conclusion.findings.len(), 2);
    assert_eq!(verdict(&conclusion), Verdict::Quarantine);
    let letter = "Patient Anna Smith, SSN 536-22-1189.\n".repeat(5);
    let conclusion = bench.validate("letter.txt", None, letter.as_bytes()).await;
    let ssn: Vec<_> = conclusion
        .findings
        .iter()
        .filter(|found| found.rule == "phi/ssn")
        .collect();
    assert_eq!((ssn.len(), ssn[0].count), (1, Some(5)));
    assert!(conclusion.details["findings_not_listed"].as_u64().unwrap() >= 8);
    assert_eq!(verdict(&conclusion), Verdict::Review);
}

/// The smallest thing that is a portable executable to everybody who looks at its headers only.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60..64].copy_from_slice(&128u32.to_le_bytes());
    bytes[128..132].copy_from_slice(b"PE\0\0");
    bytes
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

#[tokio::test]
async fn types_by_content() {
    let bench = Bench::new("").await;
    let parquet = [&b"PAR1"[..], &[0x15, 0, 0x15, 0x80], &b"PAR1"[..]].concat();
    let utf_16: Vec<u8> = "\u{feff}a\tb\r\n1\t2\r\n3\t4\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let cases: [(&str, &[u8], &str, &str, &str); 19] = [
        (
            "a.txt",
            b"Hello, world.\nHow are you?\n",
            "text",
            "text/plain",
            "us-ascii",
        ),
        ("a.txt", "Gr\u{fc}\u{df}e\n".as_bytes(), "text", "text/plain", "utf-8"),
        ("a.csv", b"id,name\n1,Ann\n2,Bob\n", "csv", "text/csv", "us-ascii"),
        (
            "no-extension",
            b"id;name;age\n1;Ann;3\n2;Bob;4\n",
            "csv",
            "text/csv",
            "us-ascii",
        ),
        ("a.tsv", &utf_16, "tsv", "text/tab-separated-values", "utf-16le"),
        ("a.json", b"{\"a\": [1, 2]}", "json", "application/json", "us-ascii"),
        (
            "a.ndjson",
            b"{\"a\":1}\n{\"a\":2}\n",
            "ndjson",
            "application/x-ndjson",
            "us-ascii",
        ),
        (
            "a.geojson",
            b"{\"type\":\"Point\",\"coordinates\":[1,2]}",
            "geojson",
            "application/geo+json",
            "us-ascii",
        ),
        ("a.xml", b"<?xml version=\"1.0\"?><r/>", "xml", "text/xml", "us-ascii"),
        (
            "a.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "svg",
            "image/svg+xml",
            "us-ascii",
        ),
        ("a.html", b"<!doctype html><p>hi", "html", "text/html", "us-ascii"),
        (
            "a.pdf",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
            "pdf",
            "application/pdf",
            "",
        ),
        ("late.pdf", b"junk\n%PDF-1.4\n1 0 obj\n", "pdf", "application/pdf", ""),
        (
            "about.txt",
            b"A file that begins with %PDF- is one.\n",
            "text",
            "text/plain",
            "us-ascii",
        ),
        ("a.png", PNG, "png", "image/png", ""),
        ("a.parquet", &parquet, "parquet", "application/vnd.apache.parquet", ""),
        (
            "a.exe",
            &program(),
            "exe",
            "application/vnd.microsoft.portable-executable",
            "",
        ),
        ("a.sh", b"#!/bin/sh\necho hi\n", "sh", "text/x-shellscript", "us-ascii"),
        (
            "data",
            b"\0\x01\x02\x03\x04\x05",
            "binary",
            "application/octet-stream",
            "",
        ),
    ];
    for (key, body, name, media_type, encoding) in cases {
        let conclusion = bench.validate(key, None, body).await;
        let found = (
            text(&conclusion, "detected_type"),
            text(&conclusion, "media_type"),
            text(&conclusion, "encoding"),
        );
        assert_eq!(found, (name, media_type, encoding), "{key}");
        // Most of these are only the beginning of what they are.
        let promised = conclusion.findings.iter().all(|finding| finding.category != "type");
        assert!(promised, "{key}: {:?}", conclusion.findings);
    }
}

#[tokio::test]
async fn words_are_not_taken_for_signatures() {
    let bench = Bench::new("").await;
    let sentences = [
        "true is what is not false\n",
        "MZ is how programs begin\n",
        "BM, SBx, CWS and PK are too\n",
        "solid ground\n",
        "%!TEX root = a\n",
    ];
    for sentence in sentences {
        let conclusion = bench.validate("a.txt", Some("text/plain"), sentence.as_bytes()).await;
        assert_eq!(
            (verdict(&conclusion), text(&conclusion, "detected_type")),
            (Verdict::Pass, "text"),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn broken_promises() {
    use Severity::{High, Low, Medium};
    let bench = Bench::new("").await;
    let program = program();
    type Row<'a> = (&'a str, Option<&'a str>, &'a [u8], &'a [Severity], Verdict);
    let cases: [Row<'_>; 19] = [
        ("invoice.pdf", None, &program, &[High], Verdict::Quarantine),
        ("invoice.PDF ", None, &program, &[High], Verdict::Quarantine),
        (
            "invoice.pdf",
            Some("application/pdf"),
            &program,
            &[High, High],
            Verdict::Quarantine,
        ),
        (
            "setup.exe",
            Some("application/octet-stream"),
            &program,
            &[],
            Verdict::Pass,
        ),
        ("setup.elf", None, &program, &[Low], Verdict::Pass),
        ("data.bin", None, &program, &[], Verdict::Pass),
        ("run.png", None, b"#!/bin/sh\nrm -rf x\n", &[High], Verdict::Quarantine),
        ("table.csv", Some("text/plain"), b"a,b\n1,2\n3,4\n", &[], Verdict::Pass),
        (
            "table.csv",
            Some("application/vnd.ms-excel"),
            b"a,b\n1,2\n3,4\n",
            &[Low],
            Verdict::Pass,
        ),
        ("notes.txt", Some("text/csv"), b"no table at all", &[], Verdict::Pass),
        ("notes.txt", Some("application/octet-stream"), b"hi", &[], Verdict::Pass),
        (
            "notes.txt",
            None,
            b"<script>alert(1)</script>",
            &[Medium],
            Verdict::Review,
        ),
        ("paper.pdf", None, b"just text", &[Medium], Verdict::Review),
        ("photo.jpg", Some("image/jpeg"), PNG, &[Low, Low], Verdict::Pass),
        ("photo.png", Some("image/*"), PNG, &[], Verdict::Pass),
        ("sheet.xlsx", None, PNG, &[Medium], Verdict::Review),
        ("half.json", None, b"{\"a\": [1, 2}", &[Low], Verdict::Pass),
        ("module.mod", None, b"module example.invalid/x\n", &[Low], Verdict::Pass),
        (
            "cert.crt",
            None,
            b"\x30\x82\x03\x07\x30\x82\x01\xef\xa0\x03\x02",
            &[],
            Verdict::Pass,
        ),
    ];
    for (key, declared, body, severities, expected) in cases {
        let conclusion = bench.validate(key, declared, body).await;
        // Most of these are only the beginning of what they are, which is a finding too.
        let of_type = conclusion.findings.iter().filter(|finding| finding.category == "type");
        let found: Vec<Severity> = of_type.map(|finding| finding.severity).collect();
        assert_eq!(found, severities, "{key} {declared:?}: {:?}", conclusion.findings);
        assert!(verdict(&conclusion) >= expected, "{key} {declared:?}");
    }
}

/// A ZIP file of stored entries.
fn zip(entries: &[(&str, &[u8])], before: usize) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, body) in entries {
        let at = file.len() as u32;
        let sizes = [(body.len() as u32).to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4], &sizes, &lengths].concat();
        file.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), body].concat());
        // Something large between the entries and the directory, so that the directory is not in the head.
        directory.extend(
            [
                &b"PK\x01\x02\x14\0"[..],
                &common,
                &[0; 10],
                &at.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    file.extend(vec![0x55; before]);
    let (at, size, count) = (file.len() as u32, directory.len() as u32, entries.len() as u16);
    file.extend(directory);
    file.extend([&b"PK\x05\x06\0\0\0\0"[..], &count.to_le_bytes(), &count.to_le_bytes()].concat());
    file.extend([&size.to_le_bytes()[..], &at.to_le_bytes(), &[0, 0]].concat());
    file
}

#[tokio::test]
async fn containers_are_told_apart_by_their_directory() {
    let bench = Bench::new("").await;
    let types: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");
    let odt = b"application/vnd.oasis.opendocument.text";
    type Row<'a> = (&'a str, &'a [(&'a str, &'a [u8])], &'a str, Verdict);
    let cases: [Row<'_>; 9] = [
        ("a.zip", &[("readme", b"hi")], "zip", Verdict::Pass),
        ("a.docx", &[types, ("word/document.xml", b"")], "docx", Verdict::Pass),
        ("a.xlsx", &[types, ("xl/workbook.xml", b"")], "xlsx", Verdict::Pass),
        ("a.xlsb", &[types, ("xl/workbook.bin", b"")], "xlsb", Verdict::Pass),
        (
            "a.xlsm",
            &[types, ("xl/workbook.xml", b""), ("xl/vbaProject.bin", b"")],
            "xlsx",
            Verdict::Pass,
        ),
        (
            "a.xlsx",
            &[types, ("xl/workbook.xml", b""), ("xl/vbaProject.bin", b"")],
            "xlsx",
            Verdict::Review,
        ),
        (
            "a.odt",
            &[("mimetype", odt), ("content.xml", b"")],
            "odt",
            Verdict::Pass,
        ),
        ("a.docx", &[("readme", b"hi")], "zip", Verdict::Review),
        (
            "a.pdf",
            &[("META-INF/MANIFEST.MF", b""), ("A.class", b"")],
            "jar",
            Verdict::Quarantine,
        ),
    ];
    for (key, entries, name, expected) in cases {
        // Small, and with the directory 300 KiB further on.
        for before in [0, 300_000] {
            let conclusion = bench.validate(key, None, &zip(entries, before)).await;
            assert_eq!(text(&conclusion, "detected_type"), name, "{key} {before}");
            // Their checksums are wrong, and bytes that belong to nothing lie between the parts.
            assert!(
                verdict(&conclusion) >= expected,
                "{key} {before}: {:?}",
                conclusion.findings
            );
        }
    }
}

#[tokio::test]
async fn a_container_may_lie_about_sizes_and_places() {
    let bench = Bench::new("").await;
    let good = zip(&[("mimetype", b"application/epub+zip")], 0);
    let central = good.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut lies = Vec::new();
    for (at, bytes) in [
        (central + 20, [0xff; 8].to_vec()),
        (central + 42, [0xff; 4].to_vec()),
        (good.len() - 6, [0xff; 4].to_vec()),
    ] {
        let mut lie = good.clone();
        lie[at..at + bytes.len()].copy_from_slice(&bytes);
        lies.push(lie);
    }
    for lie in lies {
        let conclusion = bench.validate("book.zip", None, &lie).await;
        assert_eq!(text(&conclusion, "detected_type"), "zip");
    }
    assert_eq!(
        text(&bench.validate("book.epub", None, &good).await, "detected_type"),
        "epub"
    );
}

#[tokio::test]
async fn reads_for_the_type_are_bounded_and_the_bound_is_a_verdict() {
    // A directory of long names that goes on for longer than is read.
    let names: Vec<String> = (0..200).map(|n| format!("{n:04}{}", "n".repeat(60_000))).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let conclusion = Bench::new("")
        .await
        .validate("names.zip", None, &zip(&entries, 0))
        .await;
    assert_eq!(verdict(&conclusion), Verdict::Incomplete);
    assert_eq!(
        (text(&conclusion, "limit"), text(&conclusion, "detected_type")),
        ("directory_bytes", "zip")
    );
    let read = conclusion.details["limit_directory_bytes"].as_u64().unwrap();
    let most = super::PAGES as u64 * crate::kind::PAGE;
    assert!((most - crate::kind::PAGE..=most).contains(&read), "{read}");
    // Many entries with short names are looked at to the end.
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("xl/{n}"))
        .chain(["[Content_Types].xml".to_owned()])
        .collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let conclusion = Bench::new("")
        .await
        .validate("many.xlsx", None, &zip(&entries, 0))
        .await;
    assert_eq!(
        (verdict(&conclusion), text(&conclusion, "detected_type")),
        (Verdict::Pass, "xlsx")
    );
}

#[tokio::test]
async fn the_policy_is_the_operators() {
    let body = b"just text";
    let strict = Bench::new("review_at = \"info\"\nquarantine_at = \"medium\"").await;
    assert_eq!(
        verdict(&strict.validate("paper.pdf", None, body).await),
        Verdict::Quarantine
    );
    let lax = Bench::new("review_at = \"high\"\nquarantine_at = \"critical\"").await;
    assert_eq!(verdict(&lax.validate("paper.pdf", None, body).await), Verdict::Pass);
    let problems = registration()
        .check(
            "max_bytes = 0\nmax_findings = 0\nreview_at = \"high\"\nquarantine_at = \"low\"\nsignatures = \"x\""
                .parse()
                .unwrap(),
        )
        .unwrap_err();
    assert_eq!(problems.0.len(), 4, "{problems}");
}

#[tokio::test]
async fn an_operators_signatures_are_used_and_a_broken_file_says_so() {
    let rig = Rig::new();
    let path = rig.deps.config_dir.join("signatures.toml");
    let config: toml::Table = format!("signatures = {path:?}").parse().unwrap();
    let error = registration()
        .start(config.clone(), rig.deps.clone())
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("processors.validate names (signatures"),
        "{error}"
    );
    let rule = "pack = \"site\"\n[[signature]]\nrule = \"site/marker\"\npattern = \"deadbeef\"\nseverity = \"high\"\nmessage = \"marked\"\n";
    std::fs::write(&path, rule).unwrap();
    let bench = Bench {
        processor: registration().start(config, rig.deps.clone()).await.unwrap(),
        rig,
    };
    let conclusion = bench.validate("x", None, &[0, 0xde, 0xad, 0xbe, 0xef]).await;
    assert_eq!(rules(&conclusion), [("site/marker", Severity::High)]);
}

thread_local! {
    /// Loading the rules takes longer than a case.
    static SHARED: &'static (tokio::runtime::Runtime, Bench) = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = runtime.block_on(Bench::new("cache_documents = 0"));
        Box::leak(Box::new((runtime, bench)))
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever the bytes, the name and the type: an answer, the same twice, whose size and digest are right.
    #[test]
    fn any_document_gets_an_answer(
        magic in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"MZ", b"ID3", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypmp42", b"<?xml ", b"{\"a\":", b"\xff\xfe"]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
        extension in prop::sample::select(vec!["", ".pdf", ".json", ".xlsx", ".exe", ".html", ".mp3", ".csv"]),
        declared in prop::option::of(prop::sample::select(vec!["text/plain", "application/pdf", "image/png", "nonsense", ";;;"])),
    ) {
        let (runtime, bench) = SHARED.with(|shared| *shared);
        runtime.block_on(async {
            let body = [magic, &rest].concat();
            let (job, document) = bench.job(&format!("x{extension}"), declared, &body).await;
            let one = bench.processor.process(&job, document.clone()).await.unwrap();
            let other = bench.processor.process(&job, document).await.unwrap();
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(&one.details["size"], &serde_json::Value::from(body.len()));
            prop_assert_eq!(text(&one, "sha256"), job.object.checksums.sha256.as_deref().unwrap());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_samples_are_what_their_names_say() {
    let bench = Bench::new("").await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples");
    let samples = [
        ("harbour-notes.txt", "text"),
        ("readings.csv", "csv"),
        ("stations.json", "json"),
        ("report.pdf", "pdf"),
        ("readings.xlsx", "xlsx"),
        ("tide.png", "png"),
    ];
    for (name, kind) in samples {
        let body = std::fs::read(folder.join(name)).unwrap();
        let conclusion = bench.validate(name, None, &body).await;
        assert_eq!(
            (text(&conclusion, "detected_type"), verdict(&conclusion)),
            (kind, Verdict::Pass),
            "{name}"
        );
    }
}
