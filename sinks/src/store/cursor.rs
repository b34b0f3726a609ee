//! Where a listing goes on: the position of the last row, not a state of the database, so that it survives restarts.

use std::fmt;
use std::str::FromStr;

use cofferdam_schemas::{ObjectId, Timestamp};
use uuid::Uuid;

use crate::error::StoreError;

/// A position in a listing: rows older than it follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The last row's last-modified time.
    pub last_modified: Timestamp,
    /// Its id.
    pub object: ObjectId,
}

impl Cursor {
    /// Days since 1970, the partition of the listing.
    pub(crate) fn day(last_modified: Timestamp) -> i64 {
        last_modified.unix_millis().div_euclid(86_400_000)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last_modified.unix_millis(), self.object.0.simple())
    }
}

impl FromStr for Cursor {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let (millis, id) = text.split_once('.').ok_or(StoreError::InvalidCursor)?;
        let millis = millis.parse().map_err(|_| StoreError::InvalidCursor)?;
        let id = Uuid::try_parse(id).map_err(|_| StoreError::InvalidCursor)?;
        Ok(Self {
            last_modified: Timestamp::from_unix_millis(millis),
            object: ObjectId(id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let cursor = Cursor {
            last_modified: Timestamp::from_unix_millis(-5),
            object: ObjectId(Uuid::from_u128(77)),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for wrong in ["", ".", "5", "5.", "x.00000000000000000000000000000000", "5.zz"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
        assert_eq!(Cursor::day(Timestamp::from_unix_millis(-1)), -1);
        assert_eq!(Cursor::day(Timestamp::from_unix_millis(86_400_000)), 1);
    }
}
