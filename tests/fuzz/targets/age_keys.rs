//! Keys as people hold them: Bech32 of age's post-quantum identities and recipients. What is read is written again as the same text.

use cofferdam_encrypt::keys::age;
use secrecy::{ExposeSecret, SecretString};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(seed) = age::parse_identity(&SecretString::from(text.to_owned())) {
        assert_eq!(age::identity(&seed).expose_secret(), text);
    }
    if let Ok(public) = age::parse_recipient(text) {
        assert_eq!(age::recipient(&public), text);
    }
}
