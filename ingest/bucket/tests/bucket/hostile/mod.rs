//! Clients that mean harm. After each act: nothing is half-visible, the ledger has no row, and the others are served.
//!
//! What was found here stays as a case of its own, with a sentence that says what was wrong.

mod bodies;
mod connections;
mod forms;
mod fuzz;
mod parts;
mod requests;
mod signatures;

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::*;

/// The bucket `inbox` is as empty as before, and somebody else gets through.
async fn unharmed(setup: &Setup) {
    let store: &dyn cofferdam_seams::ObjectStore = &setup.bucket;
    let listed = store.list(&bucket_name("inbox"), "", None, 1000).await.unwrap();
    assert!(listed.is_empty(), "{listed:?}");
    let uploads = setup
        .client
        .list_multipart_uploads()
        .bucket("inbox")
        .send()
        .await
        .unwrap();
    assert!(uploads.uploads().is_empty(), "{uploads:?}");
    let depth = setup.bucket.ledger().depth().await.unwrap();
    assert_eq!((depth.open, depth.parked), (0, 0));
    eventually("no file is left", || setup.files().is_empty()).await;
    let body = bytes(9, 3000);
    let served = async {
        setup.put("plain", "others", body.clone()).await;
        assert_eq!(setup.get("plain", "others").await.unwrap(), body);
        setup
            .client
            .delete_object()
            .bucket("plain")
            .key("others")
            .send()
            .await
            .unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .expect("others are served");
}

/// Sends pieces as they are; the answer's status, or `None` when the connection was closed without one. Never waits for ever.
async fn send(setup: &Setup, pieces: &[&[u8]]) -> Option<Answer> {
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    let answer = read_answer(&mut stream, "PUT");
    tokio::time::timeout(Duration::from_secs(20), answer)
        .await
        .expect("an answer or a closed connection")
}
