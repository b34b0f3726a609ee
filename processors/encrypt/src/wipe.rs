//! Large buffers of plaintext, cleared at the speed of memory.
//!
//! `zeroize` writes byte after byte, which for a whole chunk takes longer than opening it. Here the clearing is an ordinary fill that the compiler is kept from leaving out.

use std::ops::{Deref, DerefMut};

use zeroize::optimization_barrier;

/// Fills with zeros, also when nobody reads them afterwards.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

/// A buffer that is wiped, its spare room included, when it is dropped. Give it its capacity first: growing leaves copies behind.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Empties it, and wipes what it held.
    pub(crate) fn clear(&mut self) {
        wipe(&mut self.0);
        self.0.clear();
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.clear();
        // Up to the capacity, so that nothing is allocated anew.
        self.0.resize(self.0.capacity(), 0);
        optimization_barrier(&self.0[..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearing_keeps_the_room_and_leaves_zeros() {
        let mut buffer = Wiped::with_capacity(100);
        buffer.extend_from_slice(&[7; 60]);
        let (at, room) = (buffer.as_ptr(), buffer.capacity());
        buffer.clear();
        assert!(buffer.is_empty() && buffer.as_ptr() == at && buffer.capacity() == room);
        buffer.resize(60, 1);
        wipe(&mut buffer[10..]);
        assert_eq!(buffer[..], [&[1; 10][..], &[0; 50]].concat());
    }
}
