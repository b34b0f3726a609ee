//! Frames between parent and child: four bytes of length, little end first, and so many bytes of JSON.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::confine::{Bounds, InForce};

/// Longest request. Requests come from the parent, so this only catches mistakes.
pub(super) const REQUEST: u32 = 1 << 20;

/// The first frame to the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub bounds: Bounds,
    pub parent: u32,
    pub frame_bytes: u32,
    /// Bytes of material that follow this frame.
    pub material: u64,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromChild<S> {
    /// It is confined and ready.
    Ready(InForce),
    /// One result.
    Item(S),
    /// There are no more; so many were too long to be sent.
    Done { dropped: u64 },
    /// The scan panicked. The child goes on, but is replaced.
    Panicked,
}

/// Writes a frame with one call, so that nothing is lost in a buffer when the process dies.
pub(super) fn write(to: &mut impl Write, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    to.write_all(&frame)
}

/// Reads the body of a frame whose length was read.
pub(super) fn body(from: &mut impl Read, length: [u8; 4], limit: u32) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes(length);
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    Ok(body)
}
