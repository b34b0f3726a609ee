//! Writing a blob: in memory while it is small, then to a file, hashing on the way.

use std::fs;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use cofferdam_seams::crash::{self, Point, When};
use tokio::task::JoinHandle;

use super::{Blobs, CHUNK, random_name};
use crate::digest::{Digests, Sums};

/// A blob being written. Holds at most two chunks in memory; dropping it leaves nothing behind.
pub(crate) struct BlobWriter {
    blobs: Blobs,
    inline_limit: u64,
    /// Bytes at the front that come last.
    reserve: u64,
    written: u64,
    buffer: Vec<u8>,
    sink: Sink,
}

enum Sink {
    Memory(Box<Digests>),
    /// A blocking thread works on the chunk before the one in the buffer.
    File(JoinHandle<io::Result<Open>>),
    /// An earlier call failed.
    Broken,
}

struct Open {
    file: fs::File,
    digests: Box<Digests>,
    temporary: Temporary,
    /// An empty buffer to use again.
    spare: Vec<u8>,
}

/// A temporary file, removed unless it was renamed away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

impl BlobWriter {
    /// `size_hint` is the size of the whole blob if it is known; a large one then goes to a file at once.
    pub(crate) fn new(blobs: Blobs, inline_limit: u64, reserve: u64, size_hint: Option<u64>, digests: Digests) -> Self {
        let expected = size_hint.unwrap_or(0).saturating_sub(reserve).min(CHUNK as u64);
        let buffer = Vec::with_capacity(usize::try_from(expected).unwrap_or(CHUNK));
        Self {
            blobs,
            inline_limit,
            reserve,
            written: 0,
            buffer,
            sink: Sink::Memory(Box::new(digests)),
        }
    }

    /// Bytes written so far, without the reserved ones.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) async fn write(&mut self, mut chunk: Bytes) -> io::Result<()> {
        self.written += chunk.len() as u64;
        while !chunk.is_empty() {
            let inline = matches!(self.sink, Sink::Memory(_)) && self.reserve + self.written <= self.inline_limit;
            let room = if inline {
                chunk.len()
            } else {
                CHUNK.saturating_sub(self.buffer.len()).min(chunk.len())
            };
            self.buffer.extend_from_slice(&chunk.split_to(room));
            if !inline && self.buffer.len() >= CHUNK {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Hands the buffer to a blocking thread, after that has finished with the one before.
    async fn flush(&mut self) -> io::Result<()> {
        let full = std::mem::take(&mut self.buffer);
        let job = match std::mem::replace(&mut self.sink, Sink::Broken) {
            Sink::Broken => return Err(io::Error::other("an earlier write failed")),
            Sink::Memory(digests) => {
                let (path, reserve) = (self.blobs.temporary(&random_name()), self.reserve);
                self.buffer.reserve(CHUNK);
                tokio::task::spawn_blocking(move || {
                    let temporary = Temporary(path);
                    let mut file = fs::OpenOptions::new()
                        .read(true)
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(&temporary.0)?;
                    file.seek(SeekFrom::Start(reserve))?;
                    append(
                        Open {
                            file,
                            digests,
                            temporary,
                            spare: Vec::new(),
                        },
                        full,
                    )
                })
            }
            Sink::File(previous) => {
                let mut open = previous.await.map_err(io::Error::other)??;
                self.buffer = std::mem::take(&mut open.spare);
                tokio::task::spawn_blocking(move || append(open, full))
            }
        };
        self.sink = Sink::File(job);
        Ok(())
    }

    /// Ends the writing. Nothing is durable yet: checksums are compared first.
    pub(crate) async fn finish(mut self) -> io::Result<Written> {
        match std::mem::replace(&mut self.sink, Sink::Broken) {
            Sink::Memory(mut digests) if self.reserve + self.written <= self.inline_limit => {
                digests.update(&self.buffer);
                let (size, body) = (self.written, WrittenBody::Memory(self.buffer));
                return Ok(Written {
                    blobs: self.blobs,
                    reserve: self.reserve,
                    size,
                    sums: digests.finish(),
                    body,
                });
            }
            file => self.sink = file,
        }
        self.flush().await?;
        match self.sink {
            Sink::File(last) => {
                let Open {
                    file,
                    digests,
                    temporary,
                    ..
                } = last.await.map_err(io::Error::other)??;
                let body = WrittenBody::File { file, temporary };
                Ok(Written {
                    blobs: self.blobs,
                    reserve: self.reserve,
                    size: self.written,
                    sums: digests.finish(),
                    body,
                })
            }
            Sink::Memory(_) | Sink::Broken => Err(io::Error::other("an earlier write failed")),
        }
    }
}

fn append(mut open: Open, mut chunk: Vec<u8>) -> io::Result<Open> {
    open.digests.update(&chunk);
    open.file.write_all(&chunk)?;
    chunk.clear();
    open.spare = chunk;
    Ok(open)
}

/// A blob whose bytes are all there, but not yet durable.
pub(crate) struct Written {
    blobs: Blobs,
    reserve: u64,
    /// Without the reserved bytes.
    pub(crate) size: u64,
    /// Of the bytes without the reserved ones.
    pub(crate) sums: Sums,
    body: WrittenBody,
}

enum WrittenBody {
    Memory(Vec<u8>),
    File { file: fs::File, temporary: Temporary },
}

impl Written {
    /// Writes the reserved bytes and makes the blob durable. `head` must be exactly as long as reserved.
    pub(crate) async fn store(self, head: Bytes) -> io::Result<NewBlob> {
        let size = self.reserve + self.size;
        if head.len() as u64 != self.reserve {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "head is not as long as reserved",
            ));
        }
        match self.body {
            WrittenBody::Memory(tail) if head.is_empty() => Ok(NewBlob {
                size,
                place: Place::Inline(tail),
            }),
            WrittenBody::Memory(tail) => Ok(NewBlob {
                size,
                place: Place::Inline([&head[..], &tail[..]].concat()),
            }),
            WrittenBody::File { file, temporary } => {
                let blobs = self.blobs;
                let work = tokio::task::spawn_blocking(move || {
                    file.write_all_at(&head, 0)?;
                    crash::point(Point::BlobSynced, When::Before);
                    file.sync_all()?;
                    let name = random_name();
                    blobs.place(&temporary.0, &name)?;
                    crash::point(Point::BlobSynced, When::After);
                    Ok(NewBlob {
                        size,
                        place: Place::File(Placed {
                            blobs,
                            name: Some(name),
                        }),
                    })
                });
                work.await.map_err(io::Error::other)?
            }
        }
    }
}

/// A durable blob that no row speaks of yet. Dropped without [`NewBlob::keep`] it is removed again.
pub(crate) struct NewBlob {
    pub(crate) size: u64,
    place: Place,
}

enum Place {
    Inline(Vec<u8>),
    File(Placed),
}

struct Placed {
    blobs: Blobs,
    name: Option<String>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.blobs.unlink(name);
        }
    }
}

impl NewBlob {
    /// For the row: the file's name, or the bytes.
    pub(crate) fn columns(&self) -> (Option<&str>, Option<&[u8]>) {
        match &self.place {
            Place::Inline(bytes) => (None, Some(bytes)),
            Place::File(placed) => (placed.name.as_deref(), None),
        }
    }

    /// Now a row speaks of it.
    pub(crate) fn keep(self) {
        if let Place::File(mut placed) = self.place {
            placed.name = None;
        }
    }
}
