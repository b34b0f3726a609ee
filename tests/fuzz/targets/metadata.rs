//! Private metadata: JSON by somebody who has the data key, and is not trusted otherwise.

use cofferdam_encrypt::crypto::PrivateMetadata;

pub fn run(data: &[u8]) {
    let Ok(metadata) = serde_json::from_slice::<PrivateMetadata>(data) else {
        return;
    };
    let written = serde_json::to_vec(&metadata).expect("text can be written as JSON");
    let again: PrivateMetadata = serde_json::from_slice(&written).expect("what was written can be read");
    assert!(again == metadata);
    assert_eq!(format!("{metadata:?}"), "PrivateMetadata(..)");
}
