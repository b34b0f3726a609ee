//! Faults: the process or its server is killed while documents go through, the power is cut, messages come again.

mod again;
pub mod crash;
mod hostile_config;
mod hostile_tenants;
mod kill;
pub mod power;

use crate::{Test, test};

/// All of them.
pub const TESTS: &[Test] = &[
    test("faults::again::an_event_that_comes_again_changes_nothing", again::event),
    test(
        "faults::hostile_config::refused_with_78",
        hostile_config::refused_with_78,
    ),
    test(
        "faults::hostile_tenants::shared_landing_bucket",
        hostile_tenants::shared_landing_bucket,
    ),
    test("faults::kill::process_killed_under_load", kill::process),
    test("faults::kill::server_killed_under_load", kill::server),
];
