//! Recipients: one encoding, limits, and no stanza twice.

use cofferdam_envelope::{RECIPIENTS_MAX_LEN, Recipients, STANZAS_MAX, StanzaAlg};

pub fn run(data: &[u8]) {
    let Ok(recipients) = Recipients::parse(data) else {
        return;
    };
    assert_eq!(recipients.to_bytes().as_deref(), Ok(data));
    assert!(data.len() <= RECIPIENTS_MAX_LEN);
    let stanzas = &recipients.stanzas;
    assert!(!stanzas.is_empty() && stanzas.len() <= STANZAS_MAX);
    let mut names: Vec<_> = stanzas.iter().map(|s| (s.role.id(), s.alg, s.key_id)).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), stanzas.len());
    for stanza in stanzas {
        let prescribed = StanzaAlg::from_id(stanza.alg).and_then(StanzaAlg::body_len);
        assert!(prescribed.is_none_or(|len| len == stanza.body.len()));
        assert_eq!(stanza.enc_and_ct().is_some(), prescribed.is_some());
    }
}
