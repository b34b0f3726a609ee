//! What an engine found.

use std::borrow::Cow;
use std::ops::Range;

use cofferdam_schemas::{Finding, Severity};

/// One thing found in a text. It holds no part of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// `<category>/<name>`, at most 80 characters, unique in its pack, for example `phi/ssn`.
    pub rule: Cow<'static, str>,
    /// How grave.
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f32,
    /// Bytes of the text, on character boundaries.
    pub span: Range<usize>,
    /// One sentence for a person, without the value found.
    pub message: Cow<'static, str>,
    /// What to do about it.
    pub remediation: Option<Cow<'static, str>>,
    /// The law, standard or source behind the rule.
    pub citation: Option<Cow<'static, str>>,
}

/// Without a place: whoever knows what the text is says where it stands.
impl From<Hit> for Finding {
    fn from(hit: Hit) -> Self {
        Self {
            remediation: hit.remediation.map(Into::into),
            citation: hit.citation.map(Into::into),
            ..Self::new(hit.rule, hit.severity, hit.confidence, hit.message)
        }
    }
}
