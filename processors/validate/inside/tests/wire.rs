//! What the tests and their child say to each other.

use cofferdam_inside::inside::{Kind, Limits, Place, Problem};
use serde::{Deserialize, Serialize};

/// What the tests ask for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Look {
        name: String,
        kind: Option<Kind>,
        limits: Limits,
    },
    /// What it was handed at its start.
    Material,
    Misbehave(String),
}

/// What they get.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "what a failing test prints")]
pub enum Seen {
    Member {
        place: Place,
        kind: Kind,
        bytes: u64,
        signature: bool,
        hidden: bool,
    },
    Text {
        place: Place,
        text: String,
    },
    Row {
        place: Place,
        cells: Vec<String>,
    },
    Problem(Problem),
    Note(String),
}
