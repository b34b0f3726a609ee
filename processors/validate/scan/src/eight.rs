//! Eight bytes at once, the first one lowest.

/// One of each byte.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
pub(crate) const HIGH: u64 = EACH << 7;

/// The highest bit of each byte that is `from` to `to`, both ASCII. A byte beyond ASCII counts as what it is without its own highest bit.
#[inline]
pub(crate) fn within(eight: u64, from: u8, to: u8) -> u64 {
    // Adding carries into the highest bit from `from` on, and from what follows `to` on; never into the next byte.
    let low = eight & !HIGH;
    let least = low + EACH * u64::from(0x80 - from);
    let beyond = low + EACH * u64::from(0x7f - to);
    least & !beyond & HIGH
}

/// The same bytes with ASCII capitals in lower case.
#[inline]
pub(crate) fn lower(eight: u64) -> u64 {
    eight | (within(eight, b'A', b'Z') & !eight) >> 2
}

/// Eight bytes of `rest` from `at` on; zeros behind its end.
#[inline]
pub(crate) fn eight(rest: &[u8], at: usize) -> u64 {
    let rest = rest.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => few(rest),
    }
}

/// At most seven bytes, with zeros behind them.
#[inline]
pub(crate) fn few(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    // Where two parts overlap they say the same.
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (count - 4))
        }
        _ => match *bytes {
            [a, .., c] => {
                u64::from(a) | u64::from(bytes[count / 2]) << (8 * (count / 2)) | u64::from(c) << (8 * (count - 1))
            }
            [a] => u64::from(a),
            [] => 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_are_told_as_each_is(bytes: [u8; 8], from in 0u8..128, to in 0u8..128) {
            let all = u64::from_le_bytes(bytes);
            let told = within(all, from, to).to_le_bytes();
            let small = lower(all).to_le_bytes();
            for (at, byte) in bytes.iter().enumerate() {
                prop_assert_eq!(told[at] == 0x80, (from..=to).contains(&(byte & 0x7f)));
                prop_assert_eq!(small[at], byte.to_ascii_lowercase());
            }
            for length in 0..8 {
                let mut padded = bytes;
                padded[length..].fill(0);
                prop_assert_eq!(few(&bytes[..length]).to_le_bytes(), padded);
            }
            prop_assert_eq!(eight(&bytes[..5], 2).to_le_bytes(), [bytes[2], bytes[3], bytes[4], 0, 0, 0, 0, 0]);
        }
    }
}
