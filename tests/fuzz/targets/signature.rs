//! Signature blocks, places in batches included.

use cofferdam_envelope::{
    BATCH_MAX, Inclusion, PATH_MAX, SIGNATURE_BLOCK_MAX_LEN, SignatureAlg, SignatureBlock, geometry,
};

pub fn run(data: &[u8]) {
    let Ok(block) = SignatureBlock::parse(data) else { return };
    assert_eq!(block.to_bytes().as_deref(), Ok(data));
    assert!(data.len() <= SIGNATURE_BLOCK_MAX_LEN);
    assert_eq!(block.signature.len(), block.alg.signature_len());
    assert!(geometry::plaintext_len(block.payload_len).is_ok());
    assert_eq!(block.inclusion.is_some(), block.alg == SignatureAlg::Batch);
    if let Some(place) = &block.inclusion {
        assert!(place.index < place.size && place.size <= BATCH_MAX && place.path.len() <= PATH_MAX);
        assert_eq!(place.path.len(), Inclusion::path_len(place.index, place.size));
    }
}
