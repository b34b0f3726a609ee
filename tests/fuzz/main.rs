//! Every target's program: which one it is, its name says.
#![no_main]

#[path = "targets/age_keys.rs"]
mod age_keys;
#[path = "targets/envelope.rs"]
mod envelope;
#[path = "targets/metadata.rs"]
mod metadata;
#[path = "targets/recipients.rs"]
mod recipients;
#[path = "targets/signature.rs"]
mod signature;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match env!("CARGO_BIN_NAME").as_bytes() {
        b"age_keys" => age_keys::run(data),
        b"envelope" => envelope::run(data),
        b"metadata" => metadata::run(data),
        b"recipients" => recipients::run(data),
        b"signature" => signature::run(data),
        _ => panic!("no such target"),
    }
});
