//! Text around blocks of Base64.

use std::ops::Range;

use crate::mapped::{Builder, Mapped};

/// Letters of a line of a block: writers break lines at 64 (RFC 7468) or 76 (RFC 2045); the last is shorter.
const LINE: usize = 60;
/// Lines of a block, at least.
const LINES: usize = 3;

/// The text without its blocks; none where there are none.
pub(super) fn read(text: &str) -> Option<Mapped> {
    let whole = Mapped::identity(text);
    let mut out = Builder::new(&whole);
    let mut block: Option<(Range<usize>, usize)> = None;
    let mut leave_out = |block: Option<(Range<usize>, usize)>| {
        if let Some((bytes, _)) = block.filter(|(_, lines)| *lines >= LINES) {
            out.replace(bytes, "\n");
        }
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let letters = line.trim_end();
        let encoded = !letters.is_empty()
            && letters
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        let end = at + line.len();
        match &mut block {
            Some((bytes, lines)) if encoded => {
                bytes.end = end;
                *lines += 1;
                // Only the last is shorter.
                if letters.len() < LINE {
                    leave_out(block.take());
                }
            }
            _ => {
                leave_out(block.take());
                block = (encoded && letters.len() >= LINE).then_some((at..end, 1));
            }
        }
        at = end;
    }
    leave_out(block);
    out.finish()
}
