//! The envelope's bytes, and what is refused.

use cofferdam_schemas::dsse::{DsseError, Envelope, IN_TOTO, MOST_BYTES, MOST_SIGNATURES, Signature, pae};

/// The example of the DSSE specification (protocol.md, "Test vectors").
#[test]
fn what_is_signed_is_as_specified() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    // Lengths are bytes, not characters, and nothing is escaped.
    assert_eq!(pae("\u{e9}", b"\n 1 "), "DSSEv1 2 \u{e9} 4 \n 1 ".as_bytes());
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn types_and_payloads_do_not_run_into_each_other() {
    assert_ne!(pae("a 1", b"b"), pae("a", b"1 b"));
    assert_ne!(pae("a", b"b c"), pae("a b", b"c"));
}

#[test]
fn an_envelope_comes_back() {
    let envelope = Envelope::new(
        IN_TOTO,
        b"{\"a\":1}\xff\xfe",
        vec![Signature::new("key/ed25519".to_owned(), &[0xfb; 64])],
    );
    let bytes = envelope.write().unwrap();
    let back = Envelope::read(&bytes).unwrap();
    assert_eq!(back, envelope);
    assert_eq!(back.payload().unwrap(), b"{\"a\":1}\xff\xfe");
    assert_eq!(back.signatures[0].bytes().unwrap(), [0xfb; 64]);
}

/// The example envelope of the specification, its signature without a key id and once in the URL-safe alphabet.
#[test]
fn others_envelopes_are_read() {
    let text = r#"{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld","signatures":
        [{"sig":"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}], "comment": {"by": [1]}}"#;
    let envelope = Envelope::read(text.as_bytes()).unwrap();
    assert_eq!(envelope.payload().unwrap(), b"hello world");
    let standard = envelope.signatures[0].bytes().unwrap();
    let other = Envelope::read(text.replace('+', "-").replace("/O", "_O").as_bytes()).unwrap();
    assert_eq!(standard.len(), 64);
    assert_eq!(other.signatures[0].bytes().unwrap(), standard);
}

#[track_caller]
fn refused(text: &str) {
    assert!(
        Envelope::read(text.as_bytes()).is_err(),
        "{}",
        text.chars().take(200).collect::<String>()
    );
}

#[test]
fn hostile_envelopes_are_refused() {
    let good = r#"{"payload":"e30=","payloadType":"t","signatures":[{"keyid":"k","sig":"AA=="}]}"#;
    Envelope::read(good.as_bytes()).unwrap();
    refused("");
    refused("{}");
    refused("[]");
    refused(&format!("{good}x"));
    for (once, twice) in [
        (r#""payload":"e30=","#, r#""payload":"e30=","payload":"e30=","#),
        (r#""payloadType":"t","#, r#""payloadType":"t","payloadType":"u","#),
        (r#""signatures":"#, r#""signatures":[],"signatures":"#),
        (r#""sig":"AA==""#, r#""sig":"AA==","sig":"AQ==""#),
        (r#""payload":"e30=""#, r#""payload":1"#),
        (r#"[{"keyid":"k","sig":"AA=="}]"#, "{}"),
    ] {
        refused(&good.replacen(once, twice, 1));
    }
    refused(&"[".repeat(100_000));
    refused(&format!(r#"{{"signatures":{}"#, "[".repeat(100_000)));
    let many = [r#"{"sig":""}"#; MOST_SIGNATURES + 1].join(",");
    refused(&format!(r#"{{"payload":"","payloadType":"t","signatures":[{many}]}}"#));
    let spaces = vec![b' '; MOST_BYTES + 1];
    assert!(matches!(Envelope::read(&spaces), Err(DsseError::TooLong)));
    for payload in ["e30", "e30=\\n", " e30=", "e31=", "e3-="] {
        let text = good.replacen("e30=", payload, 1);
        assert!(
            matches!(
                Envelope::read(text.as_bytes()).unwrap().payload(),
                Err(DsseError::Base64(_))
            ),
            "{payload}"
        );
    }
}
