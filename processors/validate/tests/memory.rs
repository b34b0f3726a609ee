//! Memory does not grow with the document. A test binary of its own, because the peak is the process's.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cofferdam_processor::battery::{Rig, Sample};
use cofferdam_processor::{Document, Registration};
use cofferdam_schemas::{BucketName, ProcessorName, Verdict};
use cofferdam_seams::{Listed, Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore, PutOptions, Upload};
use cofferdam_validate::Validate;
use futures::StreamExt;

const SIZE: u64 = 200 << 20;
const CHUNK: usize = 1 << 20;

/// One object of text, made while it is read.
struct Endless(ObjectMeta);

#[async_trait]
impl ObjectStore for Endless {
    async fn head(&self, _: &Locator) -> Result<ObjectMeta, ObjectError> {
        Ok(self.0.clone())
    }
    async fn get(&self, _: &Locator, range: Option<Range<u64>>) -> Result<ObjectBody, ObjectError> {
        let range = range.unwrap_or(0..SIZE);
        let chunks = (range.end - range.start).div_ceil(CHUNK as u64);
        let stream = futures::stream::iter(0..chunks)
            .map(|n| {
                let line =
                    format!("In week {n} the tide came in at seven, and the gauge by the harbour was read twice.\n");
                Ok(Bytes::from(line.into_bytes().repeat(CHUNK / 64)[..CHUNK].to_vec()))
            })
            .boxed();
        Ok(ObjectBody {
            meta: self.0.clone(),
            range,
            stream,
        })
    }
    async fn upload(&self, _: &Locator, _: PutOptions) -> Result<Box<dyn Upload>, ObjectError> {
        Err(ObjectError::InvalidRequest {
            reason: "read only".to_owned(),
        })
    }
    async fn delete(&self, _: &Locator) -> Result<(), ObjectError> {
        Ok(())
    }
    async fn list(&self, _: &BucketName, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Listed>, ObjectError> {
        Ok(Vec::new())
    }
    async fn presign_get(&self, at: &Locator, _: Duration, _: Option<&str>) -> Result<String, ObjectError> {
        Ok(at.to_string())
    }
    async fn ready(&self) -> Result<(), ObjectError> {
        Ok(())
    }
}

/// The peak of the resident set so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn two_hundred_megabytes_take_a_few() {
    let rig = Rig::new();
    let registration = Registration::of::<Validate>(&[]).unwrap();
    let processor = registration.start(toml::Table::new(), rig.deps.clone()).await.unwrap();
    let name = ProcessorName::new("validate").unwrap();
    let (mut job, document) = rig.job(&name, &Sample::new("small.txt", "warm up")).await;
    let meta = ObjectMeta {
        size: SIZE,
        ..document.head().await.unwrap()
    };
    processor.process(&job, document).await.unwrap();
    job.object.size = SIZE;
    job.object.checksums = Default::default();

    let before = peak();
    let document = Document::new(Arc::new(Endless(meta)), &job.object);
    let conclusion = processor.process(&job, document).await.unwrap();
    let grown = peak() - before;
    assert_eq!(
        (conclusion.verdict, &conclusion.details["size"]),
        (Some(Verdict::Pass), &SIZE.into())
    );
    assert!(grown < 32 << 20, "the peak grew by {grown} bytes");
}
