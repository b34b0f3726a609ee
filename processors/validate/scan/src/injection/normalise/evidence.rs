//! What each step of the normaliser says about the text.

use std::ops::Range;

use cofferdam_schemas::Severity;

use crate::hit::Hit;

/// Most regions told apart for one step; later ones widen the last hit.
const MOST: usize = 32;
/// Traces closer than this many bytes are one region.
const NEAR: usize = 64;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident, $rule:literal, $severity:ident, $confidence:literal, $message:literal;)*) => {
        /// A step that changed the text in a way ordinary text does not need.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step { $($(#[$doc])* $name),* }

        const STEPS: &[(&str, Severity, f32, &str)] =
            &[$(($rule, Severity::$severity, $confidence, $message)),*];
    };
}
steps! {
    /// Invisible characters inside words.
    ZeroWidth, "injection/zero-width", Medium, 0.7, "invisible characters stand inside words";
    /// U+E0020 to U+E007E outside flag emoji.
    Tags, "injection/tag-characters", High, 0.95, "text is written in invisible Unicode tag characters";
    /// Bytes hidden in variation selectors.
    Selectors, "injection/variation-selectors", High, 0.9, "data is hidden in a run of variation selectors";
    /// RLO, LRO.
    Bidi, "injection/bidi-override", Medium, 0.7, "a direction override makes text read differently from how it is stored";
    /// Letters of several scripts that look alike.
    MixedScript, "injection/mixed-script", Medium, 0.8, "words mix look-alike letters of different scripts";
    /// Full-width Latin letters.
    FullWidth, "injection/full-width", Low, 0.6, "Latin words are written in full-width letters";
    /// Mathematical, circled and small-capital letters.
    Styled, "injection/styled-letters", Low, 0.5, "words are written in mathematical or decorative letters";
    /// Marks piled on letters, letters struck through.
    Marks, "injection/stacked-marks", Low, 0.6, "combining marks are piled on letters";
    /// One letter at a time.
    Spaced, "injection/spaced-letters", Medium, 0.7, "words are spelled out one letter at a time";
    /// Digits for letters.
    Leet, "injection/leet", Medium, 0.7, "digits and signs stand in for letters in running text";
    /// Natural language in Base64.
    Base64, "injection/base64-text", Medium, 0.7, "a Base64 run holds natural language";
    /// Natural language in hexadecimal or binary digits.
    Hex, "injection/hex-text", Medium, 0.7, "a run of hexadecimal or binary digits holds natural language";
    /// Letters written as escapes without need.
    Escapes, "injection/escaped-letters", Medium, 0.6, "plain letters are written as escapes";
    /// rot13 and other shifts.
    Caesar, "injection/rotated-letters", Medium, 0.8, "a passage reads as language once its letters are shifted (rot13 or another Caesar shift)";
    /// Right to left.
    Reversed, "injection/reversed-text", Medium, 0.8, "a passage reads as language when read backwards";
    /// A limit of the normaliser.
    Limit, "injection/normaliser-limit", Info, 1.0, "more encoded text than is decoded: the rest of this span was scored as it stands";
}

/// Bytes of the original, and the traces in them.
type Region = (Range<usize>, u32);

/// Regions found by step, in bytes of the original.
#[derive(Debug, Default)]
pub struct Evidence {
    found: Vec<(Step, Vec<Region>)>,
}

impl Evidence {
    /// Notes one trace. Traces of a step come in ascending order.
    pub fn note(&mut self, step: Step, span: Range<usize>) {
        self.add(step, span, 1);
    }

    /// Adds what was found in a stretch that begins at byte `start`. Stretches come in ascending order.
    pub fn take(&mut self, other: &Self, start: usize) {
        for (step, span, n) in other.regions() {
            self.add(step, start + span.start..start + span.end, n);
        }
    }

    fn add(&mut self, step: Step, span: Range<usize>, more: u32) {
        let Some((_, regions)) = self.found.iter_mut().find(|(kind, _)| *kind == step) else {
            self.found.push((step, vec![(span, more)]));
            return;
        };
        let full = regions.len() >= MOST;
        match regions.last_mut() {
            Some((last, n)) if full || span.start <= last.end.saturating_add(NEAR) => {
                last.start = last.start.min(span.start);
                last.end = last.end.max(span.end);
                *n += more;
            }
            _ => regions.push((span, more)),
        }
    }

    /// Takes back a step that turned out to be ordinary.
    pub fn withdraw(&mut self, step: Step) {
        self.found.retain(|(kind, _)| *kind != step);
    }

    /// Traces of a step.
    pub fn count(&self, step: Step) -> u32 {
        self.regions().filter(|(kind, ..)| *kind == step).map(|(.., n)| n).sum()
    }

    /// Nothing found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Every region: step, bytes of the original, traces.
    pub fn regions(&self) -> impl Iterator<Item = (Step, Range<usize>, u32)> + '_ {
        self.found
            .iter()
            .flat_map(|(step, regions)| regions.iter().map(|(span, n)| (*step, span.clone(), *n)))
    }

    /// As hits.
    pub fn hits(&self, out: &mut Vec<Hit>) {
        for (step, span, n) in self.regions() {
            let (rule, severity, confidence, message) = STEPS[step as usize];
            out.push(Hit {
                rule: rule.into(),
                severity,
                confidence: (confidence + 0.02 * (n as f32 - 1.0)).min(confidence.max(0.98)),
                span,
                message: message.into(),
                remediation: (step != Step::Limit)
                    .then(|| "read the passage in its decoded form before the document goes to a model".into()),
                citation: Some("OWASP LLM01:2025; Unicode UTS #39; MITRE ATLAS AML.T0051".into()),
            });
        }
    }
}
