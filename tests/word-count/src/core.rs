//! Counting, as `wc` does in the C locale: a word is a run of bytes that are not ASCII white space.

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) words: u64,
    /// Line feeds.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// Counts a document chunk by chunk; how it is cut makes no difference.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    counts: Counts,
    in_word: bool,
}

impl Counter {
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        self.counts.bytes += chunk.len() as u64;
        for byte in chunk {
            // Vertical tab is white space to `wc`, though not to `is_ascii_whitespace`.
            let space = byte.is_ascii_whitespace() || *byte == 0x0b;
            self.counts.words += u64::from(!space && !self.in_word);
            self.counts.lines += u64::from(*byte == b'\n');
            self.in_word = !space;
        }
    }

    pub(crate) fn finish(self) -> Counts {
        self.counts
    }
}
