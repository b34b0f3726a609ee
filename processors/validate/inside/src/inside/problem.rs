//! What is wrong with a container, or could not be looked at.

use std::borrow::Cow;

use cofferdam_schemas::Severity;
use serde::{Deserialize, Serialize};

use super::limits::LimitName;
use super::place::Place;
use super::rules::Rule;

/// What a problem means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It is what it is said to be, but broken, cut off or lying about itself.
    Damaged,
    /// It is sound, and can do harm or hides something.
    Danger,
    /// A bound was reached: something was not looked at, so the verdict is `incomplete`.
    Limit,
    /// Something cannot be looked at by this engine, for example because it is encrypted.
    NotChecked,
}

/// A bound that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which.
    pub name: LimitName,
    /// Its value, in its own unit.
    pub value: u64,
    /// Bytes that were not looked at, as far as that is known.
    pub bytes_not_looked_at: Option<u64>,
}

/// One problem. It holds nothing of the content but names in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What it means.
    pub class: Class,
    /// `<category>/<name>`.
    pub rule: Cow<'static, str>,
    /// How grave.
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f32,
    /// The path inside.
    pub place: Place,
    /// Byte of the document or member at `place`, where there is one.
    pub offset: Option<u64>,
    /// One sentence for a person.
    pub message: Cow<'static, str>,
    /// What to do about it.
    pub remediation: Option<Cow<'static, str>>,
    /// The standard behind it.
    pub citation: Option<Cow<'static, str>>,
    /// The bound, for class [`Class::Limit`].
    pub limit: Option<Reached>,
}

impl Problem {
    pub(crate) fn of(rule: &Rule, place: &Place) -> Self {
        let some = |text: &'static str| (!text.is_empty()).then_some(Cow::Borrowed(text));
        Self {
            class: rule.class,
            rule: Cow::Borrowed(rule.name),
            severity: rule.severity,
            confidence: rule.confidence,
            place: place.clone(),
            offset: None,
            message: Cow::Borrowed(rule.message),
            remediation: some(rule.remediation),
            citation: some(rule.citation),
            limit: None,
        }
    }
}
