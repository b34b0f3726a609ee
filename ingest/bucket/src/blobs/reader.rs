//! Reading a range that may lie over several blobs.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use tokio::task::JoinHandle;

use super::{Blobs, CHUNK, Pinned};

/// A piece of a blob.
pub(crate) struct Piece {
    pub(crate) source: Source,
    /// Which of its bytes.
    pub(crate) range: Range<u64>,
}

/// Where a blob's bytes are.
pub(crate) enum Source {
    Memory(Bytes),
    File(String),
    Open(Arc<File>),
}

/// A chunk, and the file it came from.
type Read = io::Result<(Arc<File>, Bytes)>;

/// The pieces' bytes in order, read ahead by one chunk on a blocking thread. A blob that is shorter than its row says ends the
/// stream with an error.
pub(crate) struct BlobStream {
    blobs: Blobs,
    pieces: VecDeque<Piece>,
    job: Option<JoinHandle<Read>>,
    _pinned: Option<Pinned>,
}

impl BlobStream {
    pub(crate) fn new(blobs: Blobs, pieces: impl IntoIterator<Item = Piece>, pinned: Option<Pinned>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.range.is_empty()).collect();
        Self {
            blobs,
            pieces,
            job: None,
            _pinned: pinned,
        }
    }

    /// Opens the file of the first piece, so that one that is missing is noticed before an answer begins.
    pub(crate) async fn open_first(&mut self) -> io::Result<()> {
        if let Some(Piece { source, .. }) = self.pieces.front_mut()
            && let Source::File(name) = source
        {
            let path = self.blobs.path(name);
            let file = tokio::task::spawn_blocking(move || File::open(path))
                .await
                .map_err(io::Error::other)??;
            *source = Source::Open(Arc::new(file));
        }
        Ok(())
    }

    /// Begins to read the next chunk of the first piece, if that is in a file.
    fn read_ahead(&mut self) {
        let Some(piece) = self.pieces.front_mut() else { return };
        let source = match &piece.source {
            Source::Memory(_) => return,
            Source::File(name) => Err(self.blobs.path(name)),
            Source::Open(file) => Ok(Arc::clone(file)),
        };
        let start = piece.range.start;
        let length = (piece.range.end - start).min(CHUNK as u64);
        piece.range.start += length;
        self.job = Some(tokio::task::spawn_blocking(move || {
            let file = match source {
                Ok(file) => file,
                Err(path) => Arc::new(File::open(path)?),
            };
            let mut chunk = vec![0; usize::try_from(length).unwrap_or(CHUNK)];
            file.read_exact_at(&mut chunk, start)?;
            Ok((file, Bytes::from(chunk)))
        }));
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.job.is_none() {
            this.read_ahead();
        }
        if let Some(job) = &mut this.job {
            let read = ready!(Pin::new(job).poll(cx))
                .map_err(io::Error::other)
                .and_then(|read| read);
            this.job = None;
            return match read {
                Ok((file, chunk)) => {
                    let done = this.pieces.front_mut().is_none_or(|piece| {
                        piece.source = Source::Open(file);
                        piece.range.is_empty()
                    });
                    if done {
                        this.pieces.pop_front();
                    }
                    this.read_ahead();
                    Poll::Ready(Some(Ok(chunk)))
                }
                Err(error) => {
                    this.pieces.clear();
                    Poll::Ready(Some(Err(error)))
                }
            };
        }
        let Some(Piece {
            source: Source::Memory(bytes),
            range,
        }) = this.pieces.pop_front()
        else {
            return Poll::Ready(None);
        };
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        match bounds {
            Some((start, end)) if end <= bytes.len() => Poll::Ready(Some(Ok(bytes.slice(start..end)))),
            _ => {
                this.pieces.clear();
                Poll::Ready(Some(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "blob is shorter than its row says",
                ))))
            }
        }
    }
}
