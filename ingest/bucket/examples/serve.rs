//! The store and its endpoint alone, for trying clients by hand:
//!
//! `cargo run -p cofferdam-bucket --example serve -- <directory> [address]`
//!
//! The credentials are `EXAMPLE` / `example-secret`; `inbox` is a landing bucket. Ctrl-C ends it.

use std::sync::Arc;

use cofferdam_bucket::{Bucket, BucketSettings, Credential, EndpointSettings, Grants, serve};
use cofferdam_schemas::BucketName;
use cofferdam_seams::SystemClock;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments.next().ok_or("usage: serve <directory> [address]")?.into();
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let inbox = BucketName::new("inbox")?;
    let bucket = Bucket::open(BucketSettings {
        data_dir,
        inline_limit: 65_536,
        region: "us-east-1".to_owned(),
        landing: vec![inbox.clone().into()],
        clock: Arc::new(SystemClock),
    })
    .await?;
    bucket.create_bucket(&inbox).await?;
    let credentials = vec![Credential {
        access_key_id: "EXAMPLE".to_owned(),
        secret: "example-secret".to_owned().into(),
        grants: Grants::Operator,
    }];
    let stop = CancellationToken::new();
    let settings = EndpointSettings {
        listen,
        credentials,
        ..EndpointSettings::default()
    };
    let endpoint = serve(bucket.clone(), settings, stop.clone()).await?;
    println!("http://{}", endpoint.addr());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    endpoint.join().await;
    bucket.close().await;
    Ok(())
}
