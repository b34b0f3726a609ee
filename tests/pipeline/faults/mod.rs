//! Faults: the process or its server is killed while documents go through.

mod kill;

use crate::{Test, test};

/// All of them.
pub const TESTS: &[Test] = &[
    test("faults::kill::process_killed_under_load", kill::process),
    test("faults::kill::server_killed_under_load", kill::server),
];
