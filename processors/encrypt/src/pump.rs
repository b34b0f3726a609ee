//! Bytes from a store, through work that takes a processor core, into a store: in bounded memory, reading and writing
//! while the work is done.

use bytes::Bytes;
use cofferdam_seams::{ByteStream, ObjectError, Upload};
use futures::StreamExt;

use crate::workers::offload;

/// How much goes through at a time. Four of these are in memory at most: one being read, one worked on with its output,
/// one being written.
const BATCH: usize = 2 << 20;
/// Up to this much is worked on where it is: going to another thread and back costs more than sealing it.
const INLINE: usize = 64 * 1024;

/// The work in the middle.
pub(crate) trait Stage: Send + 'static {
    /// Why it stops.
    type Error: Send + 'static;
    /// Takes the next bytes and gives what they become.
    fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, Self::Error>;
}

/// Which of the three failed.
#[derive(Debug)]
pub(crate) enum PumpError<E> {
    Read(ObjectError),
    Write(ObjectError),
    Work(E),
    /// The thread that did the work is gone: the runtime is shutting down, or the work panicked.
    Lost,
}

/// Runs everything through `stage` and gives it back. Without `output` what it makes is dropped.
pub(crate) async fn pump<S: Stage>(
    input: ByteStream,
    mut stage: S,
    mut output: Option<&mut dyn Upload>,
) -> Result<S, PumpError<S::Error>> {
    let mut batches = Batches {
        stream: input,
        ended: false,
    };
    let mut batch = batches.next().await.map_err(PumpError::Read)?;
    let mut ready = Bytes::new();
    while !batch.is_empty() {
        if batch.iter().map(Bytes::len).sum::<usize>() <= INLINE {
            let made = stage.turn(batch).map_err(PumpError::Work)?;
            write(&mut output, std::mem::replace(&mut ready, made)).await?;
            batch = batches.next().await.map_err(PumpError::Read)?;
            continue;
        }
        let work = offload(move || {
            let made = stage.turn(batch);
            (stage, made)
        });
        let (worked, read, written) =
            tokio::join!(work, batches.next(), write(&mut output, std::mem::take(&mut ready)));
        written?;
        let (back, made) = worked.ok_or(PumpError::Lost)?;
        stage = back;
        ready = made.map_err(PumpError::Work)?;
        batch = read.map_err(PumpError::Read)?;
    }
    write(&mut output, ready).await?;
    Ok(stage)
}

async fn write<E>(output: &mut Option<&mut dyn Upload>, bytes: Bytes) -> Result<(), PumpError<E>> {
    match output {
        Some(upload) if !bytes.is_empty() => upload.write(bytes).await.map_err(PumpError::Write),
        _ => Ok(()),
    }
}

struct Batches {
    stream: ByteStream,
    ended: bool,
}

impl Batches {
    /// The next chunks, about [`BATCH`] bytes together; none at the end.
    async fn next(&mut self) -> Result<Vec<Bytes>, ObjectError> {
        let (mut chunks, mut size) = (Vec::new(), 0);
        while size < BATCH && !self.ended {
            match self.stream.next().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    if !chunk.is_empty() {
                        size += chunk.len();
                        chunks.push(chunk);
                    }
                }
                None => self.ended = true,
            }
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds one to every byte, and fails at a certain sum.
    struct AddOne {
        seen: usize,
        most: usize,
    }

    impl Stage for AddOne {
        type Error = usize;
        fn turn(&mut self, input: Vec<Bytes>) -> Result<Bytes, usize> {
            self.seen += input.iter().map(Bytes::len).sum::<usize>();
            if self.seen > self.most {
                return Err(self.seen);
            }
            Ok(input.concat().iter().map(|b| b.wrapping_add(1)).collect())
        }
    }

    #[derive(Default)]
    struct Kept(Vec<u8>, bool);

    #[async_trait::async_trait]
    impl Upload for Kept {
        async fn write(&mut self, chunk: Bytes) -> Result<(), ObjectError> {
            if self.1 {
                return Err(ObjectError::unavailable("told to fail"));
            }
            self.0.extend_from_slice(&chunk);
            Ok(())
        }
        async fn finish(self: Box<Self>, _: Bytes) -> Result<cofferdam_seams::ObjectMeta, ObjectError> {
            Err(ObjectError::unavailable("not asked for"))
        }
        async fn abort(self: Box<Self>) {}
    }

    fn stream(data: &[u8], chunk: usize) -> ByteStream {
        let chunks: Vec<_> = data.chunks(chunk).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        futures::stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn order_is_kept_at_every_size() {
        for size in [0, 1, INLINE, INLINE + 1, BATCH - 1, BATCH, 3 * BATCH + 17] {
            for chunk in [1 << 12, 70_001, 3 * BATCH] {
                let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
                let mut kept = Kept::default();
                let stage = AddOne {
                    seen: 0,
                    most: usize::MAX,
                };
                let stage = pump(stream(&data, chunk), stage, Some(&mut kept)).await.unwrap();
                assert_eq!(stage.seen, size);
                assert!(
                    kept.0.iter().copied().eq(data.iter().map(|b| b + 1)),
                    "{size} by {chunk}"
                );
            }
        }
    }

    #[tokio::test]
    async fn says_which_of_the_three_failed() {
        let data = vec![7; 3 * BATCH];
        let stage = || AddOne {
            seen: 0,
            most: usize::MAX,
        };
        let limited = AddOne { seen: 0, most: BATCH };
        assert!(matches!(pump(stream(&data, 4096), limited, None).await, Err(PumpError::Work(n)) if n > BATCH));
        let mut full = Kept(Vec::new(), true);
        assert!(matches!(
            pump(stream(&data, 4096), stage(), Some(&mut full)).await,
            Err(PumpError::Write(_))
        ));
        let broken = stream(&data, 4096)
            .chain(futures::stream::iter([Err(ObjectError::unavailable("cut"))]))
            .boxed();
        assert!(matches!(pump(broken, stage(), None).await, Err(PumpError::Read(_))));
    }
}
