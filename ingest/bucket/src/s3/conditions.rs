//! Conditions of reads (RFC 9110, section 13) and writes.

use cofferdam_schemas::Timestamp;
use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use crate::index::write::Conditions;

/// Conditions of a read, or on the source of a copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadConditions {
    pub(crate) matches: Option<ETagCondition>,
    pub(crate) none_match: Option<ETagCondition>,
    pub(crate) modified_since: Option<s3s::dto::Timestamp>,
    pub(crate) unmodified_since: Option<s3s::dto::Timestamp>,
}

/// What conditions say about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    NotModified,
    Failed(&'static str),
}

impl ReadConditions {
    pub(crate) fn judge(&self, etag: &str, modified: Timestamp) -> Verdict {
        // HTTP dates have seconds.
        let modified = modified.unix_millis().div_euclid(1000);
        let after = |at: &s3s::dto::Timestamp| modified > OffsetDateTime::from(at.clone()).unix_timestamp();
        let names = |condition: &ETagCondition| condition.as_etag().is_none_or(|named| named.value() == etag);
        match &self.matches {
            Some(condition) if !names(condition) => return Verdict::Failed("If-Match"),
            // A matching entity tag outweighs the date.
            Some(_) => {}
            None if self.unmodified_since.as_ref().is_some_and(after) => return Verdict::Failed("If-Unmodified-Since"),
            None => {}
        }
        match &self.none_match {
            Some(condition) if names(condition) => Verdict::NotModified,
            Some(_) => Verdict::Go,
            None if self.modified_since.as_ref().is_some_and(|at| !after(at)) => Verdict::NotModified,
            None => Verdict::Go,
        }
    }
}

/// Conditions of a write.
pub(crate) fn of_write(matches: Option<ETagCondition>, none_match: Option<ETagCondition>) -> S3Result<Conditions> {
    match &none_match {
        None | Some(ETagCondition::Any) => {}
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(NotImplemented, "If-None-Match of a write can only be *"));
        }
    }
    let matches = matches.map(|condition| condition.into_etag().map(s3s::dto::ETag::into_value));
    Ok(Conditions {
        absent: none_match.is_some(),
        matches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(conditions: &ReadConditions, expected: Verdict) {
        assert_eq!(conditions.judge("tag", Timestamp::from_unix_millis(10_500)), expected);
    }

    fn tag(text: &str) -> Option<ETagCondition> {
        text.parse().ok()
    }

    fn at(seconds: i64) -> Option<s3s::dto::Timestamp> {
        OffsetDateTime::from_unix_timestamp(seconds).ok().map(Into::into)
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        let none = ReadConditions::default;
        check(&none(), Verdict::Go);
        check(
            &ReadConditions {
                matches: tag("\"other\""),
                ..none()
            },
            Verdict::Failed("If-Match"),
        );
        check(
            &ReadConditions {
                matches: tag("*"),
                ..none()
            },
            Verdict::Go,
        );
        check(
            &ReadConditions {
                matches: tag("\"tag\""),
                unmodified_since: at(1),
                ..none()
            },
            Verdict::Go,
        );
        check(
            &ReadConditions {
                unmodified_since: at(1),
                ..none()
            },
            Verdict::Failed("If-Unmodified-Since"),
        );
        check(
            &ReadConditions {
                unmodified_since: at(10),
                ..none()
            },
            Verdict::Go,
        );
        check(
            &ReadConditions {
                none_match: tag("\"tag\""),
                ..none()
            },
            Verdict::NotModified,
        );
        check(
            &ReadConditions {
                none_match: tag("W/\"tag\""),
                ..none()
            },
            Verdict::NotModified,
        );
        check(
            &ReadConditions {
                none_match: tag("\"other\""),
                modified_since: at(99),
                ..none()
            },
            Verdict::Go,
        );
        check(
            &ReadConditions {
                modified_since: at(10),
                ..none()
            },
            Verdict::NotModified,
        );
        check(
            &ReadConditions {
                modified_since: at(9),
                ..none()
            },
            Verdict::Go,
        );
    }
}
