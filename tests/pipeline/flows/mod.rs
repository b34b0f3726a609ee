//! One story a file.

mod bom;
mod commands;
mod drop;
mod errors;
mod folder;
mod foreign;
mod large;
mod people;
mod scan;
mod secrets;

use crate::{Test, test, test_with};

/// All of them.
pub const TESTS: &[Test] = &[
    test("flows::drop::a_document_goes_through_and_comes_back", drop::round_trip),
    test("flows::drop::the_landing_copy_goes_when_policy_says_so", drop::retire),
    test("flows::drop::an_overwrite_loses_nothing", drop::overwrite),
    test("flows::drop::rows_are_there_for_sqlite3", drop::rows),
    test("flows::commands::retrieve_gives_ranges", commands::ranges),
    test(
        "flows::commands::the_same_command_twice_is_done_once",
        commands::idempotent,
    ),
    test("flows::commands::outbox_objects_expire", commands::expiry),
    test("flows::commands::quarantined_documents_stay_in", commands::quarantine),
    test("flows::errors::commands_are_refused_with_codes", errors::commands),
    test("flows::errors::another_tenant_reaches_nothing", errors::tenants),
    test("flows::errors::damaged_envelopes_are_refused", errors::damaged),
    test("flows::errors::bad_uploads_leave_nothing", errors::uploads),
    test("flows::folder::files_copied_into_the_inbox_go_through", folder::copy),
    test_with(
        "flows::foreign::versitygw_as_landing_place",
        "COFFERDAM_VERSITYGW",
        "versitygw",
        foreign::versitygw,
    ),
    test("flows::people::every_command_works_as_shown", people::commands),
    test("flows::people::keys_open_sealed_objects_without_us", people::keys),
    test("flows::scan::nothing_is_printed_in_clear", scan::nothing_in_clear),
    test("flows::scan::many_findings_inside_are_kept", scan::many_inside),
    test("flows::scan::what_is_inside_is_scanned", scan::inside),
    test("flows::scan::records_are_documents_of_their_own", scan::records),
    test("flows::scan::rows_of_a_parquet_file_are_records", scan::parquet),
    test("flows::bom::files_are_signed_without_a_server", bom::files),
    test("flows::bom::a_split_is_signed_and_nothing_is_lost", bom::split),
    test("flows::bom::an_instance_is_asked_for_all_of_a_batch", bom::instance),
    test("flows::secrets::plaintext_is_found_nowhere_else", secrets::nowhere),
    test(
        "flows::secrets::what_was_found_is_written_nowhere",
        secrets::found_is_not_told,
    ),
    test("flows::large::five_gibibytes_in_bounded_memory", large::five_gibibytes),
];
