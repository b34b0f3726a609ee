//! What is handed over of messages and mailboxes, under which names, and what is not.

use std::io::Read;

use base64::Engine;
use cofferdam_inside::inside::{Kind, Limits, Member, Place, Problem, Role, Source, Visitor, look};

use crate::common::make::{self, Entry, mail};

/// Everything that a look hands over.
#[derive(Default)]
struct All {
    members: Vec<(String, Kind, Role, Vec<u8>)>,
    texts: Vec<(String, String)>,
    problems: Vec<(String, String)>,
}

impl Visitor for All {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).unwrap();
        self.members
            .push((member.place.to_string(), member.kind, member.role, all));
    }

    fn text(&mut self, place: &Place, text: &str) {
        self.texts.push((place.to_string(), text.to_owned()));
    }

    fn problem(&mut self, problem: Problem) {
        self.problems
            .push((problem.rule.into_owned(), problem.place.to_string()));
    }
}

impl All {
    fn of(name: &str, bytes: &[u8]) -> Self {
        let mut all = Self::default();
        look(Source::memory(bytes.to_vec()), name, None, &Limits::default(), &mut all);
        all
    }

    fn names(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.0.as_str()).collect()
    }

    #[track_caller]
    fn content(&self, place: &str) -> &[u8] {
        let found = self.members.iter().find(|member| member.0 == place);
        &found.unwrap_or_else(|| panic!("{place}: {:?}", self.names())).3
    }
}

/// A message of one part with these headers has these members, with this content, and these problems.
#[track_caller]
fn check(part: &str, expected: &[(&str, &[u8])], problems: &[&str]) {
    let all = All::of("a.eml", mail(part).as_bytes());
    let members: Vec<_> = all
        .members
        .iter()
        .map(|member| (member.0.trim_start_matches("a.eml!/"), &member.3[..]))
        .collect();
    assert_eq!(members, expected, "{part}");
    let rules: Vec<_> = all.problems.iter().map(|problem| problem.0.as_str()).collect();
    assert_eq!(rules, problems, "{part}");
}

fn base64(bytes: &[u8]) -> String {
    make::mail_base64(bytes)
}

#[test]
fn a_mail_is_looked_into_part_by_part() {
    let zip = make::zip(&[Entry::new("in.txt", b"in the archive")]);
    let nested = mail(&format!(
        "Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64(b"deeper")
    ));
    let body = make::multipart(
        "out",
        &[
            &make::multipart(
                "in",
                &[
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==",
                    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html>Gr=C3=BC=\r\n=C3=9Fe</html>",
                ],
            ),
            "Content-Type: text/csv\r\nContent-Disposition: attachment; filename=\"table.csv\"\r\n\r\na,b\r\n1,2",
            &format!(
                "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&zip)
            ),
            &format!("Content-Type: message/rfc822\r\n\r\n{nested}"),
            "Content-Type: text/plain\r\n\r\nthe footer stands there as text",
        ],
    );
    let all = All::of("a.eml", mail(&body).as_bytes());
    assert_eq!(
        all.names(),
        [
            "a.eml!/body.txt",
            "a.eml!/body.html",
            "a.eml!/table.csv",
            "a.eml!/a.zip",
            "a.eml!/a.zip!/in.txt",
            "a.eml!/part 5.eml",
            "a.eml!/part 5.eml!/body.txt",
        ]
    );
    assert_eq!(all.content("a.eml!/body.txt"), "Grüße".as_bytes());
    assert_eq!(all.content("a.eml!/body.html"), "<html>Grüße</html>".as_bytes());
    assert_eq!(all.content("a.eml!/table.csv"), b"a,b\r\n1,2");
    assert_eq!(all.content("a.eml!/a.zip"), zip);
    assert_eq!(all.content("a.eml!/a.zip!/in.txt"), b"in the archive");
    assert_eq!(all.content("a.eml!/part 5.eml"), nested.as_bytes());
    assert_eq!(all.content("a.eml!/part 5.eml!/body.txt"), b"deeper");
    // The bytes of a message that stands in another have been scanned with it.
    assert_eq!((all.members[5].1, all.members[5].2), (Kind::Mail, Role::Part));
    assert_eq!((all.members[2].1, all.members[2].2), (Kind::Text, Role::File));
    assert!(all.problems.is_empty() && all.texts.is_empty(), "{:?}", all.problems);
}

#[test]
fn a_mail_in_an_archive_is_entered() {
    let body = format!("Content-Transfer-Encoding: base64\r\n\r\n{}", base64(b"hello"));
    let zip = make::zip(&[Entry::new("b.eml", mail(&body).as_bytes())]);
    let all = All::of("a.zip", &zip);
    assert_eq!(all.names(), ["a.zip!/b.eml", "a.zip!/b.eml!/body.txt"]);
    assert_eq!(all.content("a.zip!/b.eml!/body.txt"), b"hello");
}

#[test]
fn what_stands_there_as_text_is_not_handed_over() {
    for part in [
        "\r\nplain",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nplain",
        "Content-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: 8BIT\r\n\r\nGrüße",
        "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nplain",
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nplain",
        "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR",
        "Content-Type: text/plain\r\n\r\nFrom: x@y.example\r\nSubject: forwarded\r\n\r\ntext",
        "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.0.0\r\n--b--",
    ] {
        check(part, &[], &[]);
    }
    for (part, name, content) in [
        ("Content-Type: text/html\r\n\r\n<p>x</p>", "body.html", &b"<p>x</p>"[..]),
        (
            "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=",
            "body.txt",
            b"hello",
        ),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhel=\r\nlo=21",
            "body.txt",
            b"hello!",
        ),
        (
            "Content-Type: text/plain; charset=utf-16\r\n\r\nh\0e\0",
            "body.txt",
            b"\xff\xfeh\0e\0",
        ),
        (
            "Content-Type: text/plain; charset=UTF-16BE\r\nContent-Transfer-Encoding: base64\r\n\r\nAGgAZQ==",
            "body.txt",
            b"\xfe\xff\0h\0e",
        ),
        (
            "Content-Type: text/plain; charset=koi8-r\r\n\r\né",
            "body.txt",
            "é".as_bytes(),
        ),
        ("Content-Type: application/json\r\n\r\n{}", "part 1", b"{}"),
        ("Content-Type: text/plain; name=a.txt\r\n\r\nplain", "a.txt", b"plain"),
        // It says that it is text.
        (
            "Content-Type: text/plain\r\n\r\n%PDF-1.7 and so on",
            "body.txt",
            b"%PDF-1.7 and so on",
        ),
    ] {
        let all = All::of("a.eml", mail(part).as_bytes());
        assert_eq!(all.content(&format!("a.eml!/{name}")), content, "{part}");
    }
}

#[test]
fn headers_with_encoded_words_are_text() {
    let text = "From: =?utf-8?B?R3LDvMOfZQ==?= <a@b.example>\r\nSubject: =?iso-8859-1?Q?caf=E9?=\r\n =?iso-8859-1?Q?_noir?=\r\nTo: c@b.example\r\nDate: now\r\n\r\ntext";
    let all = All::of("a.eml", text.as_bytes());
    let expected = "From: Grüße <a@b.example>\nSubject: café noir\n";
    assert_eq!(all.texts, [("a.eml!/headers".to_owned(), expected.to_owned())]);
    assert!(all.members.is_empty() && all.problems.is_empty());
}

#[test]
fn a_mailbox_is_looked_into_message_by_message() {
    let envelope = "From a@b.example Thu Nov 26 19:30:00 2026\n";
    let one = mail("Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n").replace("\r\n", "\n");
    let two = mail(&make::multipart(
        "b",
        &["Content-Type: application/x; name=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC"],
    ))
    .replace("\r\n", "\n");
    let three = "Subject: =?utf-8?Q?=C3=BC?=\nFrom: a@b.example\n\nFrom here on, at 12:30, it is prose.\n\nFrom here on, at 12:30,\nas well.\n";
    let all = All::of(
        "a.mbox",
        format!("{envelope}{one}\n{envelope}{two}\n{envelope}{three}").as_bytes(),
    );
    assert_eq!(all.names(), ["a.mbox!/message 1/body.txt", "a.mbox!/message 2/a.bin"]);
    assert_eq!(all.content("a.mbox!/message 1/body.txt"), b"hello");
    assert_eq!(all.content("a.mbox!/message 2/a.bin"), [0, 1, 2]);
    assert_eq!(
        all.texts,
        [("a.mbox!/message 3/headers".to_owned(), "Subject: ü\n".to_owned())]
    );
    assert!(all.problems.is_empty(), "{:?}", all.problems);
}

#[test]
fn what_is_broken_is_reported_and_read_as_far_as_it_goes() {
    let base64 = "Content-Transfer-Encoding: base64\r\n\r\n";
    check(
        &format!("{base64}aGVs*bG8="),
        &[("body.txt", b"hello")],
        &["structure/broken"],
    );
    check(
        &format!("{base64}aGVsbG8"),
        &[("body.txt", b"hello")],
        &["structure/truncated"],
    );
    let quoted = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    check(
        &format!("{quoted}a=3Db=zz"),
        &[("body.txt", b"a=b=zz")],
        &["structure/broken"],
    );
    // Encodings of the last century.
    check(
        "\r\nhello\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend",
        &[],
        &["not-checked/compression"],
    );
    check("\r\nhello\r\nbegin 644 words\r\nof prose", &[], &[]);
    check(
        "Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a",
        &[("body.txt", b"begin 644 a")],
        &["not-checked/compression"],
    );
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let part = "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n";
    let hello: &[(&str, &[u8])] = &[("body.txt", b"hello")];
    check(&format!("{mixed}--b\r\n{part}--b--\r\nend"), hello, &[]);
    check(&format!("{mixed}--b\r\n{part}"), hello, &["structure/truncated"]);
    check(&format!("{mixed}nothing"), &[], &["structure/truncated"]);
    // Behind the end, where some programs still show it.
    check(
        &format!("{mixed}--b--\r\n--b\r\n{part}--b--"),
        hello,
        &["structure/broken"],
    );
    // The inner one has no end, and the outer goes on.
    check(
        &format!("{mixed}--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{part}--b--"),
        hello,
        &["structure/broken"],
    );
    check(
        &format!(
            "Content-Transfer-Encoding: base64\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "aGVsbG8="
        ),
        &[("part 1", b"hello")],
        &["structure/truncated"],
    );
    check(
        "Content-Type: multipart/mixed\r\n\r\ntext",
        &[("part 1", b"text")],
        &["structure/broken"],
    );
    check(
        &format!("Content-Transfer-Encoding: 7bit\r\n{base64}aGVsbG8="),
        &[],
        &["structure/header-mismatch"],
    );
}

#[test]
fn what_is_encrypted_is_said_to_be() {
    let armor = "-----BEGIN PGP MESSAGE-----\r\n\r\nwy4ECQ\r\n-----END PGP MESSAGE-----";
    check(&format!("\r\nhello\r\n{armor}"), &[], &["not-checked/encrypted"]);
    let parts = make::multipart(
        "b",
        &[
            "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
            &format!("Content-Type: application/octet-stream; name=encrypted.asc\r\n\r\n{armor}"),
        ],
    );
    let parts = parts.replace("multipart/mixed", "multipart/encrypted");
    check(&parts, &[("part 1", b"Version: 1")], &["not-checked/encrypted"]);
    // What a CMS message of each type begins with.
    let cms = |kind: u8| {
        let bytes = [
            &[
                0x30, 0x80, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, kind, 0xa0, 0x80,
            ],
            &b"content"[..],
        ]
        .concat();
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let part = format!(
            "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
        );
        (part, bytes)
    };
    check(&cms(3).0, &[], &["not-checked/encrypted"]);
    let (signed, bytes) = cms(2);
    check(&signed, &[("smime.p7m", &bytes)], &["not-checked/format"]);
}

#[test]
fn names_are_taken_for_what_they_are() {
    let named = |name: &str| format!("Content-Disposition: attachment; {name}\r\n\r\nx");
    check(
        &named("filename=\"../../x\""),
        &[("../../x", b"x")],
        &["archive/path-traversal"],
    );
    check(
        &named("filename=\"C:\\x\""),
        &[("C:\\x", b"x")],
        &["archive/absolute-path"],
    );
    check(
        &named("filename*=utf-8''a%E2%80%AEfdp.exe"),
        &[("a\\u{202e}fdp.exe", b"x")],
        &["archive/odd-name", "archive/executable"],
    );
    check(
        &named("filename*0=\"a.\"; filename*1=exe"),
        &[("a.exe", b"x")],
        &["archive/executable"],
    );
    check(
        &named("filename=\"=?utf-8?B?R3LDvMOfZS50eHQ=?=\""),
        &[("Grüße.txt", b"x")],
        &[],
    );
    check(&named("filename=\"\""), &[("body.txt", b"x")], &[]);
    let two = make::multipart(
        "b",
        &[
            "Content-Type: text/html\r\n\r\n<p>1</p>",
            "Content-Type: text/html\r\n\r\n<p>2</p>",
        ],
    );
    check(&two, &[("body.html", b"<p>1</p>"), ("part 2.html", b"<p>2</p>")], &[]);
}

#[test]
fn messages_in_messages_are_entered_whatever_their_headers() {
    let part = "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=";
    for head in [
        "Content-Type: message/rfc822\r\n\r\n",
        "Content-Type: message/global; name=x.eml\r\n\r\n\r\n\r\n",
    ] {
        let body = make::multipart("b", &[&format!("{head}{part}")]);
        let all = All::of("a.eml", mail(&body).as_bytes());
        assert_eq!(all.members.last().unwrap().3, b"hello", "{head}");
    }
    // In a digest nothing says that they are messages.
    let body = make::multipart("b", &[&format!("\r\n{}", mail(part))]).replace("mixed", "digest");
    let all = All::of("a.eml", mail(&body).as_bytes());
    assert_eq!(all.names(), ["a.eml!/part 1.eml", "a.eml!/part 1.eml!/body.txt"]);
}

#[test]
fn a_text_that_is_called_a_message_is_one() {
    let head = "X-Junk: 1\r\n".repeat(1_000);
    let part = format!("\u{feff}Content-Type: text/html\r\n{head}From: a@b.example\r\n\r\n<p>x</p>");
    let all = All::of("a.eml", part.as_bytes());
    assert_eq!(all.content("a.eml!/body.html"), b"<p>x</p>");
    let zip = make::zip(&[
        Entry::new("a.eml", part.as_bytes()),
        Entry::new("a.txt", part.as_bytes()),
    ]);
    let all = All::of("a.zip", &zip);
    assert_eq!(all.names(), ["a.zip!/a.eml", "a.zip!/a.eml!/body.html", "a.zip!/a.txt"]);
}
