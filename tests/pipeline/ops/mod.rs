//! Starting, stopping, being watched.

mod lifecycle;
mod roles;
mod telemetry;
mod word_count;

use crate::{Test, test, test_with};

/// All of them.
pub const TESTS: &[Test] = &[
    test("ops::lifecycle::a_second_start_resumes", lifecycle::resume),
    test("ops::lifecycle::a_second_instance_is_refused", lifecycle::second),
    test("ops::lifecycle::taken_ports_are_avoided", lifecycle::ports),
    test("ops::lifecycle::run_file_is_private_and_complete", lifecycle::run_file),
    test_with(
        "ops::roles::one_process_a_service",
        "COFFERDAM_VERSITYGW",
        "versitygw",
        roles::distributed,
    ),
    test_with(
        "ops::roles::broken_links_lose_nothing",
        "COFFERDAM_VERSITYGW",
        "versitygw",
        roles::broken_links,
    ),
    test("ops::telemetry::one_trace_from_upload_to_row", telemetry::trace),
    test("ops::telemetry::metrics_and_probes", telemetry::metrics),
    test("ops::word_count::a_new_processor_is_one_line", word_count::appears),
];
