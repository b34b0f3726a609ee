//! All targets in one program. `TARGET` says which one runs; without it their names are printed.
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

use std::sync::OnceLock;

type Target = fn(&[u8]);

/// Every target by its name. `cargo xtask fuzz` runs each.
const TARGETS: &[(&str, Target)] = &[
    ("age_keys", age_keys::run),
    ("dialects", dialects::run),
    ("envelope", envelope::run),
    ("events", events::run),
    ("inside_answer", inside::answer),
    ("inside_any", inside::any),
    ("inside_bzip2", inside::bzip2),
    ("inside_dicom", inside::dicom),
    ("inside_docx", inside::docx),
    ("inside_gzip", inside::gzip),
    ("inside_mail", inside::mail),
    ("inside_ods", inside::ods),
    ("inside_ole", inside::ole),
    ("inside_parquet", inside::parquet),
    ("inside_pdf", inside::pdf),
    ("inside_picture", inside::picture),
    ("inside_records", inside::records),
    ("inside_shape", inside::shape),
    ("inside_shapefile", inside::shapefile),
    ("inside_sqlite", inside::sqlite),
    ("inside_tar", inside::tar),
    ("inside_vba", inside::vba),
    ("inside_word", inside::word),
    ("inside_xls", inside::xls),
    ("inside_xlsx", inside::xlsx),
    ("inside_xz", inside::xz),
    ("inside_zip", inside::zip),
    ("inside_zstd", inside::zstd),
    ("metadata", metadata::run),
    ("recipients", recipients::run),
    ("s3_requests", s3_requests::run),
    ("scan_csv", scan::csv),
    ("scan_document_schema", scan::document_schema),
    ("scan_expressions", scan::expressions),
    ("scan_geojson", scan::geojson),
    ("scan_injection", scan::injection),
    ("scan_injection_pack", scan::injection_pack),
    ("scan_json", scan::json),
    ("scan_json_lines", scan::json_lines),
    ("scan_phi", scan::phi),
    ("scan_phi_pack", scan::phi_pack),
    ("scan_reading", scan::reading),
    ("scan_poison", scan::poison),
    ("scan_secrets", scan::secrets),
    ("scan_secrets_pack", scan::secrets_pack),
    ("scan_table_contract", scan::table_contract),
    ("scan_text", scan::text),
    ("scan_weights", scan::weights),
    ("signature", signature::run),
    ("subjects", subjects::run),
];

static CHOSEN: OnceLock<Target> = OnceLock::new();

/// Finds the target that is asked for, before the first bytes.
fn choose() {
    // The engines contain panics of the parsers they use, which is no crash. One that comes out of a target still is.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(name, _)| *name == wanted) else {
        for (name, _) in TARGETS {
            println!("{name}");
        }
        std::process::exit(i32::from(!wanted.is_empty()));
    };
    // Engines load once, which under a sanitizer takes longer than a single input may.
    target(&[]);
    let _ = CHOSEN.set(*target);
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        target(data);
    }
});
