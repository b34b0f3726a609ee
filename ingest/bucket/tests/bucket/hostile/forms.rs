//! Forms of browsers: their fields come from anybody the signer gave a policy to.

use std::time::Instant;

use super::bodies::impatient;
use super::*;

/// What was wrong: a form can bring text that no header can hold. It was stored, and the object could then never be read, nor asked about, again.
#[tokio::test(flavor = "multi_thread")]
async fn found_fields_that_no_answer_could_carry_are_refused() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for field in [
        "Content-Type",
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
    ] {
        for value in ["a\r\nx-injected: 1", "a\nb", "a\u{0}b", "a\u{7f}"] {
            let answer = raw.form("inbox", &[("key", "k"), (field, value)], b"hello").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "InvalidArgument"),
                "{field} {value:?}"
            );
        }
    }
    for name in ["x-amz-meta-a b", "x-amz-meta-a:b", "x-amz-meta-ü"] {
        let answer = raw.form("inbox", &[("key", "k"), (name, "1")], b"hello").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "InvalidArgument"),
            "{name}"
        );
    }
    unharmed(&setup).await;
    // A value may be anything: it is encoded on its way out.
    let fields = [
        ("key", "k"),
        ("x-amz-meta-a", "a\r\nx-injected: 1"),
        ("x-amz-meta-b", "ü"),
    ];
    let answer = raw.form("inbox", &fields, b"hello").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let head = raw.send("HEAD", "/inbox/k", &[], b"").await;
    assert_eq!(head.status, 200);
    assert!(head.header("x-injected").is_none() && head.header("x-amz-meta-a").is_some());
}

/// What was wrong: an address to be sent to that was none was noticed only after the object was stored; the answer was an error.
#[tokio::test(flavor = "multi_thread")]
async fn found_a_form_that_fails_stores_nothing() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    for (field, value) in [
        ("success_action_redirect", "nowhere"),
        ("success_action_redirect", "http://[::1"),
        ("success_action_redirect", "http://a\r\nset-cookie: b"),
        ("redirect", "\u{1}"),
        ("success_action_status", "many"),
        ("key", ""),
        ("key", "a\u{0}b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-acl", "public-read"),
        ("x-amz-storage-class", "GLACIER"),
        ("tagging", "<x"),
        ("expires", "tomorrow"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-amz-meta-long", &"x".repeat(3000)),
    ] {
        let key = if field == "key" { value } else { "k" };
        let mut fields = vec![("key", key)];
        if field != "key" {
            fields.push((field, value));
        }
        let answer = raw.form("inbox", &fields, b"hello").await;
        // Tags come as XML in a form, which s3s does not hand on.
        assert!(
            (400..502).contains(&answer.status) || field == "tagging",
            "{field} {value:?}: {}",
            answer.status
        );
        if answer.status < 300 {
            setup
                .client
                .delete_object()
                .bucket("inbox")
                .key("k")
                .send()
                .await
                .unwrap();
            let rows = setup.bucket.ledger().unpublished(0, 10).await.unwrap();
            setup
                .bucket
                .ledger()
                .close_rows(rows.iter().map(|row| row.seq).collect())
                .await
                .unwrap();
        }
    }
    let long = "k".repeat(1025);
    let answer = raw.form("inbox", &[("key", &long)], b"hello").await;
    assert_eq!(answer.code(), "KeyTooLongError");
    unharmed(&setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_none() {
    let setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let good = raw.form_parts("inbox", "multipart/form-data; boundary=B", &[("key", "k")], b"hello");
    let at = good.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let body = String::from_utf8(good[at..].to_vec()).unwrap();
    let many: String = (0..150)
        .map(|n| format!("--B\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n1\r\n"))
        .collect();
    let big = format!(
        "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n{}\r\n",
        "x".repeat(300_000)
    );
    for (what, kind, body) in [
        ("no boundary", "multipart/form-data", body.clone()),
        ("another boundary", "multipart/form-data; boundary=C", body.clone()),
        ("an empty boundary", "multipart/form-data; boundary=\"\"", body.clone()),
        ("no parts", "multipart/form-data; boundary=B", "--B--\r\n".to_owned()),
        (
            "no end",
            "multipart/form-data; boundary=B",
            body[..body.len() - 8].to_owned(),
        ),
        (
            "no file",
            "multipart/form-data; boundary=B",
            body.replace("name=\"file\"", "name=\"vile\""),
        ),
        ("many parts", "multipart/form-data; boundary=B", format!("{many}{body}")),
        ("a big field", "multipart/form-data; boundary=B", format!("{big}{body}")),
        (
            "headers in a part",
            "multipart/form-data; boundary=B",
            body.replacen("\r\n\r\n", &"\r\nx: y".repeat(50), 1),
        ),
        (
            "a policy of another",
            "multipart/form-data; boundary=B",
            body.replace("OPERATOR", "ACME"),
        ),
        (
            "a policy that was changed",
            "multipart/form-data; boundary=B",
            body.replacen("\r\n\r\nk\r\n", "\r\n\r\nother\r\n", 1),
        ),
    ] {
        let head = format!(
            "POST /inbox HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            setup.address,
            body.len()
        );
        let answer = send(&setup, &[head.as_bytes(), body.as_bytes()]).await.expect(what);
        assert!(
            (400..500).contains(&answer.status) || answer.status == 501,
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
    }
    unharmed(&setup).await;
}

/// What was wrong: the fields of a form were read from the beginning with every piece that came, without credentials. Sent byte by byte, a quarter of a megabyte
/// kept a core busy for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn found_a_form_in_small_pieces_costs_little() {
    let setup = Setup::new().await;
    let fields: String = (0..90)
        .map(|n| {
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n{}\r\n",
                "x".repeat(2500)
            )
        })
        .collect();
    let pieces: Vec<u8> = fields
        .bytes()
        .flat_map(|byte| [b'1', b'\r', b'\n', byte, b'\r', b'\n'])
        .collect();
    let head = format!(
        "POST /inbox HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary=B\r\ntransfer-encoding: chunked\r\n\r\n",
        setup.address
    );
    let begun = Instant::now();
    let answer = send(&setup, &[head.as_bytes(), &pieces, b"0\r\n\r\n"]).await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    unharmed(&setup).await;
}

/// What was wrong: only `multipart/form-data` in small letters waited for one of the few places there are for forms, which are held in memory.
#[tokio::test(flavor = "multi_thread")]
async fn found_forms_wait_their_turn_however_they_are_written() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let mut held = Vec::new();
    for kind in ["Multipart/Form-Data; boundary=B", "MULTIPART/FORM-DATA; boundary=B"].repeat(2) {
        let form = raw.form_parts("inbox", kind, &[("key", "k")], &bytes(1, 1000));
        let mut stream = TcpStream::connect(setup.address).await.unwrap();
        stream.write_all(&form[..form.len() - 10]).await.unwrap();
        held.push((stream, form));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fifth = raw.clone();
    let mut fifth = tokio::spawn(async move { fifth.form("inbox", &[("key", "fifth")], b"hello").await.status });
    let early = tokio::time::timeout(Duration::from_millis(700), &mut fifth).await;
    assert!(early.is_err(), "all places are taken");
    for (mut stream, form) in held {
        stream.write_all(&form[form.len() - 10..]).await.unwrap();
        assert_eq!(read_answer(&mut stream, "POST").await.unwrap().status, 204);
    }
    assert_eq!(fifth.await.unwrap(), 204);
}
