//! Eight bytes at once.

/// One of each byte of a word of eight.
pub(super) const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
pub(super) const HIGH: u64 = EACH << 7;

/// The highest bit of each byte that is `from` to `to`, all being ASCII.
#[inline]
pub(super) fn within(eight: u64, from: u8, to: u8) -> u64 {
    let least = eight + EACH * u64::from(0x80 - from);
    let beyond = eight + EACH * u64::from(0x7f - to);
    (least ^ beyond) & HIGH
}

/// Eight bytes, the first one lowest; zeros behind the end of the text.
#[inline]
pub(super) fn eight(rest: &[u8], at: usize) -> u64 {
    match rest.get(at..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => (0..8).rev().fold(0, |all, back| {
            (all << 8) | u64::from(rest.get(at + back).copied().unwrap_or(0))
        }),
    }
}
