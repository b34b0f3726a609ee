//! An upload of 10,000 parts, the most there may be, none of which is large enough.

use futures::StreamExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_parts_of_one_byte() {
    let setup = Setup::new().await;
    let raw = setup.raw();
    let created = setup
        .client
        .create_multipart_upload()
        .bucket("inbox")
        .key("m")
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap().to_owned();
    let begun = std::time::Instant::now();
    // Many requests on each of a few connections.
    let lanes = (0..32).map(|lane| {
        let (raw, id) = (raw.clone(), id.clone());
        async move {
            let mut stream = TcpStream::connect(raw.address).await.unwrap();
            for number in (1..=10_000).filter(|number| number % 32 == lane) {
                let target = format!("/inbox/m?partNumber={number}&uploadId={id}");
                let signed = raw.sign("PUT", &target, &[("content-length", "1")], &hex_sha256(b"x"));
                stream
                    .write_all(&[signed.head.as_bytes(), b"x"].concat())
                    .await
                    .unwrap();
                let answer = read_answer(&mut stream, "PUT").await.unwrap();
                assert_eq!(answer.status, 200, "{number}: {}", answer.text());
            }
        }
    });
    futures::stream::iter(lanes).for_each_concurrent(32, |lane| lane).await;
    eprintln!("10,000 parts taken in {:?}", begun.elapsed());
    for number in ["0", "10001", "-1", "4294967297"] {
        let target = format!("/inbox/m?partNumber={number}&uploadId={id}");
        let answer = raw.send("PUT", &target, &[], b"x").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "InvalidArgument"),
            "{number}"
        );
    }
    let parts: String = (1..=10_000)
        .map(|n| format!("<Part><PartNumber>{n}</PartNumber></Part>"))
        .collect();
    let complete = |parts: &str| format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let target = format!("/inbox/m?uploadId={id}");
    let answer = raw.send("POST", &target, &[], complete(&parts).as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "EntityTooSmall"));
    let backwards: String = (1..=10_000)
        .rev()
        .map(|n| format!("<Part><PartNumber>{n}</PartNumber></Part>"))
        .collect();
    let answer = raw.send("POST", &target, &[], complete(&backwards).as_bytes()).await;
    assert_eq!(answer.code(), "InvalidPartOrder");
    assert!(setup.keys("inbox").await.is_empty(), "nothing of it is visible");
    let begun = std::time::Instant::now();
    assert_eq!(raw.send("DELETE", &target, &[], b"").await.status, 204);
    eprintln!("and given up in {:?}", begun.elapsed());
    unharmed(&setup).await;
}
