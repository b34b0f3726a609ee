//! Bytes that can be read from any place: an open file, or a member held in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;

/// A file or a piece of memory, or a window of one. Clones have positions of their own, and a file's own position is never touched,
/// since other processes may share it.
#[derive(Clone)]
pub struct Source {
    store: Store,
    start: u64,
    len: u64,
    at: u64,
}

#[derive(Clone)]
enum Store {
    File(Arc<File>),
    Memory(Bytes),
}

impl Source {
    /// An open file. Its length is taken now; what is written to it later is not seen.
    pub fn file(file: File) -> io::Result<Self> {
        let len = length(&file)?;
        Ok(Self {
            store: Store::File(Arc::new(file)),
            start: 0,
            len,
            at: 0,
        })
    }

    /// Bytes in memory.
    pub fn memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        Self {
            store: Store::Memory(bytes),
            start: 0,
            len,
            at: 0,
        }
    }

    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it, cut to what there is.
    pub fn window(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        Self {
            store: self.store.clone(),
            start: self.start + start,
            len,
            at: 0,
        }
    }

    /// Reads at a place; fewer bytes than asked for only at the end.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.len.saturating_sub(at))
            .unwrap_or(usize::MAX)
            .min(into.len());
        let into = &mut into[..room];
        match &self.store {
            Store::Memory(bytes) => {
                // Both fit: a window is always within the memory it was cut from.
                let from = usize::try_from(self.start + at).unwrap_or(usize::MAX);
                let Some(part) = bytes.get(from..from.saturating_add(room)) else {
                    return Ok(0);
                };
                into.copy_from_slice(part);
                Ok(room)
            }
            Store::File(file) => {
                let mut done = 0;
                while done < room {
                    match read_file(file, &mut into[done..], self.start + at + done as u64) {
                        Ok(0) => break,
                        Ok(count) => done += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(done)
            }
        }
    }

    /// Exactly `len` bytes at a place, or none. For small pieces: the caller bounds `len`.
    pub fn piece(&self, at: u64, len: usize) -> Option<Vec<u8>> {
        if at.checked_add(len as u64)? > self.len {
            return None;
        }
        let mut bytes = vec![0; len];
        (self.read_at(at, &mut bytes).ok()? == len).then_some(bytes)
    }

    /// Up to `len` bytes at a place.
    pub fn some(&self, at: u64, len: usize) -> Vec<u8> {
        let room = usize::try_from(self.len.saturating_sub(at))
            .unwrap_or(usize::MAX)
            .min(len);
        let mut bytes = vec![0; room];
        let count = self.read_at(at, &mut bytes).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    /// All of it, without a copy where it is in memory already. The caller bounds the length.
    pub fn whole(&self) -> Bytes {
        if let Store::Memory(bytes) = &self.store {
            let start = usize::try_from(self.start).unwrap_or(usize::MAX);
            let end = usize::try_from(self.start + self.len).unwrap_or(usize::MAX);
            if start <= end && end <= bytes.len() {
                return bytes.slice(start..end);
            }
        }
        self.some(0, usize::try_from(self.len).unwrap_or(usize::MAX)).into()
    }

    /// Whether it is memory, so that [`Source::whole`] costs nothing.
    pub fn is_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }
}

/// The plain call, which a confined process may make; `File::metadata` uses one that takes paths as well.
#[cfg(unix)]
fn length(file: &File) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    u64::try_from(stat.st_size).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(not(unix))]
fn length(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

#[cfg(unix)]
fn read_file(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;
    file.read_at(into, at)
}

#[cfg(windows)]
fn read_file(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    use std::os::windows::fs::FileExt;
    file.seek_read(into, at)
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl parquet::file::reader::Length for Source {
    fn len(&self) -> u64 {
        self.len
    }
}

impl parquet::file::reader::ChunkReader for Source {
    type T = io::BufReader<Source>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let mut clone = self.clone();
        clone.at = start;
        Ok(io::BufReader::new(clone))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // Lengths come from the file: one beyond its end is refused before anything is allocated.
        let bytes = self.piece(start, length);
        bytes
            .map(Bytes::from)
            .ok_or_else(|| parquet::errors::ParquetError::EOF("piece beyond the end".to_owned()))
    }
}
