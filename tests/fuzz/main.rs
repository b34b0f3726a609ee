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
#[path = "targets/inside/mod.rs"]
mod inside;
#[path = "targets/metadata.rs"]
mod metadata;
#[path = "targets/recipients.rs"]
mod recipients;
#[path = "targets/s3_requests.rs"]
mod s3_requests;
#[path = "targets/scan/mod.rs"]
mod scan;
#[path = "targets/signature.rs"]
mod signature;
#[path = "targets/subjects.rs"]
mod subjects;

libfuzzer_sys::fuzz_target!(
    // The engines contain panics of the parsers they use, which is no crash. One that comes out of a target still is.
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |data: &[u8]| {
        match env!("CARGO_BIN_NAME").as_bytes() {
            b"age_keys" => age_keys::run(data),
            b"dialects" => dialects::run(data),
            b"envelope" => envelope::run(data),
            b"events" => events::run(data),
            b"inside_answer" => inside::answer(data),
            b"inside_any" => inside::any(data),
            b"inside_bzip2" => inside::bzip2(data),
            b"inside_docx" => inside::docx(data),
            b"inside_gzip" => inside::gzip(data),
            b"inside_ods" => inside::ods(data),
            b"inside_ole" => inside::ole(data),
            b"inside_parquet" => inside::parquet(data),
            b"inside_pdf" => inside::pdf(data),
            b"inside_picture" => inside::picture(data),
            b"inside_records" => inside::records(data),
            b"inside_shape" => inside::shape(data),
            b"inside_shapefile" => inside::shapefile(data),
            b"inside_tar" => inside::tar(data),
            b"inside_vba" => inside::vba(data),
            b"inside_word" => inside::word(data),
            b"inside_xls" => inside::xls(data),
            b"inside_xlsx" => inside::xlsx(data),
            b"inside_xz" => inside::xz(data),
            b"inside_zip" => inside::zip(data),
            b"inside_zstd" => inside::zstd(data),
            b"metadata" => metadata::run(data),
            b"recipients" => recipients::run(data),
            b"s3_requests" => s3_requests::run(data),
            b"scan_csv" => scan::csv(data),
            b"scan_document_schema" => scan::document_schema(data),
            b"scan_expressions" => scan::expressions(data),
            b"scan_geojson" => scan::geojson(data),
            b"scan_injection" => scan::injection(data),
            b"scan_injection_pack" => scan::injection_pack(data),
            b"scan_json" => scan::json(data),
            b"scan_json_lines" => scan::json_lines(data),
            b"scan_phi" => scan::phi(data),
            b"scan_phi_pack" => scan::phi_pack(data),
            b"scan_poison" => scan::poison(data),
            b"scan_secrets" => scan::secrets(data),
            b"scan_secrets_pack" => scan::secrets_pack(data),
            b"scan_table_contract" => scan::table_contract(data),
            b"scan_text" => scan::text(data),
            b"scan_weights" => scan::weights(data),
            b"signature" => signature::run(data),
            b"subjects" => subjects::run(data),
            _ => panic!("no such target"),
        }
    }
);
