//! Faults: the process or its server is killed while documents go through.

mod hostile_config;
mod hostile_tenants;
mod kill;

use crate::{Test, test};

/// All of them.
pub const TESTS: &[Test] = &[
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
