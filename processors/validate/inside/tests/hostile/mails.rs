//! Messages and mailboxes.

use cofferdam_inside::inside::LimitName;

use super::{Case, Want, case};
use crate::common::eicar;
use crate::common::make::{self, Entry, mail, mail_base64, multipart};

fn attached(name: &str, bytes: &[u8]) -> String {
    format!(
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        mail_base64(bytes)
    )
}

/// A sound message, most of which is its parts.
pub fn parts() -> Vec<u8> {
    let part = attached("a.bin", &[7; 2_000]);
    mail(&multipart("b", &[&part, &part])).into_bytes()
}

fn nested_multiparts(levels: usize) -> String {
    let mut all = mail("");
    for level in 0..levels {
        all.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        ));
    }
    all + &attached("a.bin", &eicar())
}

fn nested_messages(levels: usize) -> String {
    let mut all = String::new();
    for _ in 0..levels {
        all.push_str(&mail("Content-Type: message/rfc822\r\n\r\n"));
    }
    all + &mail("\r\ntext")
}

/// Lines that are nearly one of fifty long boundaries.
fn near_boundaries() -> String {
    let common = "x".repeat(900);
    let mut all = mail("");
    for level in 0..50 {
        all.push_str(&format!(
            "Content-Type: multipart/mixed; boundary={common}{level}\r\n\r\n--{common}{level}\r\n"
        ));
    }
    all.push_str("\r\n");
    all + &format!("--{common}zz\r\n").repeat(15_000)
}

fn typed(parameters: &str) -> Vec<u8> {
    mail(&format!(
        "Content-Type: multipart/mixed; boundary=b{parameters}\r\n\r\n--b\r\n{}\r\n--b--",
        attached("a.bin", &eicar())
    ))
    .into_bytes()
}

pub fn mails() -> Vec<Case> {
    let zip = make::zip(&[Entry::new("in.txt", &eicar())]);
    let inner = mail(&multipart("b", &[&attached("a.zip", &zip)]));
    let many = |count: usize, part: &str| mail(&multipart("b", &vec![part; count]));
    let mut numbered = vec!["\r\nx"; 9_999];
    let last = attached("last.bin", &eicar());
    numbered.push(&last);
    let envelope = "From a@b.example Thu Nov 26 19:30:00 2026\n";
    let short = "From: a@b.example\nDate: now\n\ntext\n\n";
    let pieces: String = (0..6_000).map(|number| format!("filename*{number}=x;")).collect();
    vec![
        case(
            "attached.eml",
            mail(&multipart("b", &[&attached("x.bin", &eicar())])).into_bytes(),
            Want::Signature("attached.eml!/x.bin"),
        ),
        case(
            "nested.eml",
            mail(&multipart("b", &[&attached("inner.eml", inner.as_bytes())])).into_bytes(),
            Want::Signature("nested.eml!/inner.eml!/a.zip!/in.txt"),
        ),
        case(
            "bomb.eml",
            mail(&attached(
                "a.zip",
                &make::zip(&[Entry::new("zeros", &vec![0; 64 << 20])]),
            ))
            .into_bytes(),
            Want::Rule("archive/bomb"),
        ),
        case(
            "disguised.eml",
            mail(&attached("a.pdf", &[&b"\x7fELF"[..], &[0; 60]].concat())).into_bytes(),
            Want::Rule("archive/disguised-executable"),
        ),
        case(
            "attached.mbox",
            format!("{envelope}{short}{envelope}{}", mail(&attached("x.bin", &eicar()))).into_bytes(),
            Want::Signature("attached.mbox!/message 2/x.bin"),
        ),
        case(
            "parts.eml",
            mail(&multipart("b", &numbered)).into_bytes(),
            Want::Signature("parts.eml!/last.bin"),
        ),
        case(
            "many.eml",
            many(100_000, "Content-Type: a/b\r\n\r\nx").into_bytes(),
            Want::Limit(LimitName::Entries),
        ),
        case(
            "boundaries.eml",
            many(1, &"\r\n--b".repeat(2 << 20)).into_bytes(),
            Want::Limit(LimitName::Entries),
        ),
        case(
            "multiparts.eml",
            nested_multiparts(1_000).into_bytes(),
            Want::Rule("structure/nesting"),
        ),
        case(
            "messages.eml",
            nested_messages(1_000).into_bytes(),
            Want::Limit(LimitName::Depth),
        ),
        // Each level was read again by all above it.
        case(
            "large-messages.eml",
            nested_messages(5)
                .replace("text", &"text ".repeat(1 << 20))
                .into_bytes(),
            Want::Clean(""),
        ),
        case(
            "near.eml",
            near_boundaries().into_bytes(),
            Want::Rule("structure/truncated"),
        ),
        case(
            "long-line.eml",
            mail(&format!("X: {}\r\n\r\n", "x".repeat(20 << 20))).into_bytes(),
            Want::Clean(""),
        ),
        case(
            "long-header.eml",
            mail(&format!("Content-Type: a/b;\r\n{}\r\n", " x=y;\r\n".repeat(2 << 20))).into_bytes(),
            Want::Rule("structure/broken"),
        ),
        case(
            "many-headers.eml",
            mail(&format!("{}\r\ntext", "Subject: =?utf-8?Q?word?=\r\n".repeat(500_000))).into_bytes(),
            Want::Text("word"),
        ),
        case(
            "words.eml",
            mail(&format!("Subject: {}\r\n\r\n", "=?a?b?=?".repeat(1_900))).into_bytes(),
            Want::Clean(""),
        ),
        case("parameters.eml", typed(&";a".repeat(7_000)), Want::Signature("!/a.bin")),
        case(
            "pieces.eml",
            mail(&attached("a.bin", &eicar()).replace("filename=", &format!("{pieces}filename="))).into_bytes(),
            Want::Signature("xx…"),
        ),
        case(
            "messages.mbox",
            format!("{envelope}{short}").repeat(30_000).into_bytes(),
            Want::Limit(LimitName::Entries),
        ),
        case(
            "envelopes.mbox",
            format!("{envelope}{short}{}", format!("{envelope}\n").repeat(200_000)).into_bytes(),
            Want::Clean(""),
        ),
        case(
            "large.eml",
            mail(&attached("x.bin", &[vec![7; 30 << 20], eicar()].concat())).into_bytes(),
            Want::Signature("large.eml!/x.bin"),
        ),
    ]
}
