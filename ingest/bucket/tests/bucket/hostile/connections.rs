//! Connections: floods of headers and of silence.

use cofferdam_bucket::EndpointSettings;

use super::bodies::impatient;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_headers() {
    let setup = Setup::with(impatient()).await;
    let host = format!("host: {}\r\n", setup.address);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "x".repeat(100_000));
    let same = "x-amz-meta-a: 1\r\n".repeat(150);
    let long_name = format!("{}: 1\r\n", "n".repeat(70_000));
    let folded = format!("x-folded: a\r\n {}\r\n", "b".repeat(100));
    let endless = "x".repeat(3_000_000);
    for headers in [&many, &large, &same, &long_name, &folded, &endless] {
        let head = format!("PUT /inbox/k HTTP/1.1\r\n{host}{headers}\r\n");
        let answer = send(&setup, &[head.as_bytes()]).await;
        let status = answer.map(|answer| answer.status);
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{}: {status:?}",
            &headers[..20]
        );
    }
    let query: String = (0..3000).map(|n| format!("&a{n}=1")).collect();
    let path = "/a".repeat(15_000);
    for target in [
        format!("/inbox?list-type=2{query}"),
        format!("/inbox{path}"),
        format!("/inbox/{}", "%41".repeat(9000)),
    ] {
        let answer = setup.raw().send("GET", &target, &[], b"").await;
        assert!(
            (400..500).contains(&answer.status),
            "{}: {}",
            &target[..20],
            answer.status
        );
    }
    unharmed(&setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_silent_connections_pass() {
    let setup = Setup::with(EndpointSettings {
        max_connections: 8,
        ..impatient()
    })
    .await;
    let mut held = Vec::new();
    for n in 0..40_usize {
        let mut stream = TcpStream::connect(setup.address).await.unwrap();
        let begun: &[u8] = match n % 4 {
            0 => b"",
            1 => b"G",
            2 => b"PUT /inbox/k HTTP/1.1\r\n",
            _ => b"PUT /inbox/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5",
        };
        stream.write_all(begun).await.unwrap();
        held.push(stream);
    }
    // Five rounds of half a second, then it is the others' turn, though nobody hung up.
    unharmed(&setup).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_closed() {
    let setup = Setup::with(impatient()).await;
    let zeros = vec![0; 100_000];
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT inbox:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://elsewhere/inbox/k HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /inbox/k HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n",
        b"GET /inbox/k HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /inbox/k HTTP/1.1\r\nhost: ..localhost\r\n\r\n",
        b"GET /inbox/\x00k HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /inbox/%zz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /inbox/%ff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PUT /inbox/k HTTP/1.0\r\ncontent-length: 1\r\n\r\nx",
        b"TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PUT /inbox/k HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n",
        &zeros,
    ] {
        let status = send(&setup, &[bytes]).await.map(|answer| answer.status);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert!(
            status.is_none_or(|status| (400..500).contains(&status) || status == 501),
            "{shown:?}: {status:?}"
        );
    }
    unharmed(&setup).await;
}
