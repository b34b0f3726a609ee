//! Bodies: lengths that lie, chunks that are no chunks, drips.

use std::time::Instant;

use cofferdam_bucket::EndpointSettings;
use tokio::io::AsyncReadExt as _;

use super::*;

const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

pub fn impatient() -> EndpointSettings {
    EndpointSettings {
        header_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(500),
        grace: Duration::from_secs(2),
        ..EndpointSettings::default()
    }
}

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or("VmRSS: 0 kB");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_lie() {
    let setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let body = bytes(1, 100_000);
    // Signed without a length, so that any can be said; none of them is stored, whatever is answered.
    let signed = raw.sign("PUT", "/inbox/k", &[], &hex_sha256(&body));
    let head = signed.head.trim_end_matches("\r\n");
    for length in [
        "content-length: 0",
        "content-length: 99999",
        "content-length: 100001",
        "content-length: 5000000",
        "content-length: -1",
        "content-length: +100000",
        "content-length: 0x186A0",
        "content-length: 18446744073709551615",
        "content-length: 99999999999999999999999999",
        "content-length: ",
        "content-length: 100000, 99999",
        "content-length: 100000\r\ncontent-length: 99999",
        "content-length: 100000\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding : chunked",
        "x-nothing: at-all",
    ] {
        let head = format!("{head}\r\n{length}\r\n\r\n");
        let answer = send(&setup, &[head.as_bytes(), &body]).await;
        let status = answer.as_ref().map(|answer| answer.status);
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{length}: {status:?}"
        );
        unharmed(&setup).await;
    }
    // The length of the decoded body.
    for decoded in ["0", "4", "6", "1000000", "-5", "", "18446744073709551615", "5368709121"] {
        let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        let length = body.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", decoded),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let signed = raw.sign("PUT", "/inbox/k", &headers, UNSIGNED);
        let answer = send(&setup, &[signed.head.as_bytes(), body]).await.unwrap();
        assert!(
            (400..500).contains(&answer.status),
            "{decoded}: {} {}",
            answer.status,
            answer.text()
        );
    }
    unharmed(&setup).await;
    // A body that is longer than said is not the next request, signed or not.
    let inner = raw.sign("DELETE", "/plain/others", &[], &hex_sha256(b""));
    let outer = raw.sign("PUT", "/inbox/k", &[("content-length", "4")], &hex_sha256(b"body"));
    setup.put("plain", "others", "kept?").await;
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let smuggled = [outer.head.as_bytes(), b"bodyXXXX", inner.head.as_bytes()].concat();
    stream.write_all(&smuggled).await.unwrap();
    let mut answers = Vec::new();
    let read = stream.read_to_end(&mut answers);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&answers);
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("HTTP/1.1 4"),
        "{text}"
    );
    assert_eq!(setup.get("plain", "others").await.unwrap(), "kept?");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_no_chunks() {
    let setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let crc = "x-amz-checksum-crc32:NhCmhg==";
    let signature = "0".repeat(64);
    let long = "5".repeat(2000);
    let deep = format!("5\r\nhello\r\n0\r\n{}", format!("{crc}\r\n").repeat(101));
    let huge = format!("5\r\nhello\r\n0\r\nx-amz-meta:{}\r\n\r\n", "x".repeat(20_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        (UNSIGNED, b"".to_vec()),
        (UNSIGNED, b"\r\n".to_vec()),
        (UNSIGNED, b"hello".to_vec()),
        (UNSIGNED, format!("-5\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("0x5\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("5 \r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("5\nhello\n0\n{crc}\n\n").into()),
        (UNSIGNED, format!("4\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("6\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("5\r\nhelloXX0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, format!("FFFFFFFF\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (
            UNSIGNED,
            format!("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n{crc}\r\n\r\n").into(),
        ),
        (UNSIGNED, format!("{long}\r\nhello\r\n0\r\n{crc}\r\n\r\n").into()),
        (UNSIGNED, b"5\r\nhello\r\n0\r\nno colon\r\n\r\n".to_vec()),
        (
            UNSIGNED,
            format!("5\r\nhello\r\n0\r\n{crc}\r\n\r\n5\r\nhello\r\n").into(),
        ),
        (
            UNSIGNED,
            b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:\xff\xfe\r\n\r\n".to_vec(),
        ),
        (
            UNSIGNED,
            b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:a\x00b\r\n\r\n".to_vec(),
        ),
        (UNSIGNED, b"5\r\nhello\r\n0\r\nx amz:1\r\n\r\n".to_vec()),
        (UNSIGNED, deep.into()),
        (UNSIGNED, huge.into()),
        (SIGNED, b"5\r\nhello\r\n0\r\n\r\n".to_vec()),
        (
            SIGNED,
            format!("5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n").into(),
        ),
        (SIGNED, b"5;chunk-signature=\r\nhello\r\n".to_vec()),
        (SIGNED, b"1000001;chunk-signature=a\r\n".to_vec()),
        (SIGNED, format!("0;chunk-signature={signature}\r\n\r\n").into()),
    ];
    for (kind, body) in bodies {
        let length = body.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let signed = raw.sign("PUT", "/inbox/k", &headers, kind);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = send(&setup, &[signed.head.as_bytes(), &body]).await.expect(&shown);
        assert!(
            (400..500).contains(&answer.status),
            "{shown}: {} {}",
            answer.status,
            answer.text()
        );
    }
    // Kinds of chunks that there are not.
    for kind in [
        "STREAMING-",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "streaming-unsigned-payload-trailer",
        "x",
    ] {
        let signed = raw.sign("PUT", "/inbox/k", &[("content-length", "5")], kind);
        let answer = send(&setup, &[signed.head.as_bytes(), b"hello"]).await.unwrap();
        assert!(answer.status >= 400, "{kind}");
    }
    unharmed(&setup).await;
}

/// What was wrong: every byte started the patience anew, so that one byte a minute kept a connection, and what was written so far, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn found_bodies_that_drip_are_given_up() {
    let setup = Setup::with(impatient()).await;
    let raw = setup.raw();
    let form = raw.form_parts(
        "inbox",
        "multipart/form-data; boundary=B",
        &[("key", "k")],
        &bytes(1, 1000),
    );
    let put = raw.sign("PUT", "/inbox/k", &[("content-length", "1000000")], "UNSIGNED-PAYLOAD");
    let headers = [
        ("content-length", "1000000"),
        ("x-amz-decoded-content-length", "900000"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let chunks = raw.sign("PUT", "/inbox/k", &headers, UNSIGNED);
    let xml = raw.sign(
        "POST",
        "/inbox?delete",
        &[("content-length", "1000")],
        "UNSIGNED-PAYLOAD",
    );
    let heads = [
        put.head.clone().into_bytes(),
        [chunks.head.as_bytes(), b"F000\r\n"].concat(),
        xml.head.clone().into_bytes(),
        form[..form.len() - 900].to_vec(),
    ];
    for head in heads {
        let mut stream = TcpStream::connect(setup.address).await.unwrap();
        stream.write_all(&head).await.unwrap();
        let begun = Instant::now();
        let (mut reading, mut writing) = stream.into_split();
        let drip = tokio::spawn(async move {
            // Twice as often as the patience lasts.
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(15), reading.read_to_end(&mut answer)).await;
        drip.abort();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("HTTP/1.1 4") || text.is_empty(), "{text}");
        assert!(
            begun.elapsed() < Duration::from_secs(12),
            "{:?}: {text}",
            begun.elapsed()
        );
    }
    unharmed(&setup).await;
    // Slow, but fast enough in the long run.
    let body = bytes(1, 30_000);
    let signed = raw.sign("PUT", "/inbox/slow", &[("content-length", "30000")], &hex_sha256(&body));
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    stream.write_all(signed.head.as_bytes()).await.unwrap();
    for piece in body.chunks(3000) {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(read_answer(&mut stream, "PUT").await.unwrap().status, 200);
}

/// What was wrong: a signed chunk is collected piece by piece, and each piece that came in costs some hundred bytes besides its own; 16 MiB sent byte by byte
/// took gigabytes.
#[tokio::test(flavor = "multi_thread")]
async fn found_a_chunk_in_many_small_pieces_takes_little_memory() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let body = bytes(5, 1_500_000);
    let headers = [
        ("transfer-encoding", "chunked"),
        ("x-amz-decoded-content-length", "1500000"),
    ];
    let signed = raw.sign("PUT", "/plain/k", &headers, SIGNED);
    let mut previous = signed.signature.clone();
    let mut sent = Vec::new();
    for chunk in [&body[..], b""] {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
            signed.stamp,
            signed.scope,
            hex_sha256(b""),
            hex_sha256(chunk)
        );
        previous = hex::encode(hmac(&signed.key, text.as_bytes()));
        sent.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(b"\r\n");
    }
    // Each byte a piece of its own.
    let pieces: Vec<u8> = sent
        .iter()
        .flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n'])
        .collect();
    let before = resident();
    let answer = send(&setup, &[signed.head.as_bytes(), &pieces, b"0\r\n\r\n"])
        .await
        .unwrap();
    let after = resident();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(setup.get("plain", "k").await.unwrap(), body);
    // Other tests run beside this one; it took some 200 MiB for these 1.5.
    assert!(after < before + 150, "{before} MiB before, {after} MiB after");
}
