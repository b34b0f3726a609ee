//! `cofferdam ls`.

use cofferdam_schemas::ObjectState;
use cofferdam_schemas::query::{ObjectsAnswer, ObjectsQuery};

use crate::args::{Global, Ls};
use crate::client::Session;
use crate::output::{Exit, Failure, Table, bytes, json_line, printable};

/// Objects asked for at once.
const PAGE: u32 = 200;

/// Lists, newest first.
pub async fn run(global: &Global, args: &Ls) -> Result<Exit, Failure> {
    let state = args.state.as_deref().map(|state| {
        let known = || ObjectState::ALL.map(ObjectState::as_str).join(", ");
        ObjectState::parse(state)
            .ok_or_else(|| Failure::text(Exit::Failure, format!("--state {state}: is one of {}", known())))
    });
    let listing = Listing {
        state: state.transpose()?,
        prefix: args.prefix.clone(),
        limit: args.limit,
    };
    list(global, &listing).await?;
    Ok(Exit::Ok)
}

/// What is listed.
pub struct Listing {
    /// Only this state.
    pub state: Option<ObjectState>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// How many at most; 0 for all.
    pub limit: usize,
}

/// Prints a listing; returns how many there were.
pub async fn list(global: &Global, listing: &Listing) -> Result<usize, Failure> {
    let session = Session::open(global).await?;
    let mut table = Table::new(&["accepted", "state", "verdict", "type", ">size", "key", "id"]);
    let (mut cursor, mut seen) = (None, 0);
    let limit = if listing.limit == 0 { usize::MAX } else { listing.limit };
    while seen < limit {
        let page = u32::try_from(limit - seen).unwrap_or(PAGE).min(PAGE);
        let query = ObjectsQuery {
            state: listing.state,
            prefix: listing.prefix.clone(),
            bucket: None,
            limit: Some(page),
            cursor: cursor.take(),
        };
        let answer: ObjectsAnswer = session.ask("q.objects", &query).await?;
        for object in answer.objects {
            seen += 1;
            if global.json {
                json_line(&object)?;
                continue;
            }
            let verdict = object.verdict.map(|verdict| verdict.as_str()).unwrap_or("-");
            let found = object.detected_type.clone().unwrap_or_else(|| "-".to_owned());
            let when = object.last_modified.to_string()[..19].replace('T', " ");
            table.row([
                when,
                object.state.to_string(),
                verdict.to_owned(),
                found,
                bytes(object.size),
                printable(object.key.as_str()),
                object.id.to_string(),
            ]);
        }
        cursor = answer.next;
        if cursor.is_none() {
            break;
        }
    }
    if !global.json {
        print!("{table}");
        if cursor.is_some() {
            eprintln!("there are more; say -n 0 for all");
        }
    }
    Ok(seen)
}
