//! Every target's program: which one it is, its name says.
#![no_main]

#[path = "targets/age_keys.rs"]
mod age_keys;
#[path = "targets/dialects.rs"]
mod dialects;
#[path = "targets/envelope.rs"]
mod envelope;
#[path = "targets/events.rs"]
mod events;
#[path = "targets/metadata.rs"]
mod metadata;
#[path = "targets/recipients.rs"]
mod recipients;
#[path = "targets/s3_requests.rs"]
mod s3_requests;
#[path = "targets/signature.rs"]
mod signature;
#[path = "targets/subjects.rs"]
mod subjects;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match env!("CARGO_BIN_NAME").as_bytes() {
        b"age_keys" => age_keys::run(data),
        b"dialects" => dialects::run(data),
        b"envelope" => envelope::run(data),
        b"events" => events::run(data),
        b"metadata" => metadata::run(data),
        b"recipients" => recipients::run(data),
        b"s3_requests" => s3_requests::run(data),
        b"signature" => signature::run(data),
        b"subjects" => subjects::run(data),
        _ => panic!("no such target"),
    }
});
