//! Whole heads: what parses is written again as the same bytes, and its parts lie where it says.

use cofferdam_envelope::{Core, HEAD_MAX_LEN, Head, decode_context, encode_context};

pub fn run(data: &[u8]) {
    if let Ok(core) = Core::parse(data) {
        assert_eq!(core.to_bytes().as_deref(), Ok(data));
    }
    if let Ok(entries) = decode_context(data) {
        assert_eq!(encode_context(&entries).as_deref(), Ok(data));
    }
    let len = Head::len_from(data);
    let Ok(head) = Head::parse(data) else { return };
    let end = head.prefix.payload_offset();
    assert!(end <= HEAD_MAX_LEN && end <= data.len() && len == Ok(end));
    assert_eq!(head.to_bytes().as_deref(), Ok(&data[..end]));
    assert_eq!(Core::parse(&data[head.core_range.clone()]).as_ref(), Ok(&head.core));
    // No shorter object has this head.
    assert!(Head::parse(&data[..end - 1]).is_err());
}
