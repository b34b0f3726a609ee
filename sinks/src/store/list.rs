//! Listings: newest first, by keyset cursor, looking at a limited number of rows a call.

use cofferdam_schemas::{ObjectId, ObjectState, Outcome, TenantName};

use super::cursor::Cursor;
use super::engine::{Engine, Record, Select};
use super::merge;
use super::rows::{Filter, Page};
use super::tables::{TableStore, partition};
use super::{encode, engine::Mutation};
use crate::error::StoreError;
use crate::schema::TableId;

/// Rows one call looks at before it answers with what it has and a cursor.
const LOOK_AT: usize = 5_000;
/// Most objects under a prefix that are found by their keys.
const FEW: usize = 1_000;
/// Rows of one read.
const CHUNK: usize = 256;
/// Days of one read.
const DAYS: usize = 64;

fn matches(filter: &Filter, row: &Record) -> Result<bool, StoreError> {
    let bucket = filter
        .bucket
        .as_ref()
        .is_none_or(|bucket| row.text("bucket").is_ok_and(|text| text == bucket.as_str()));
    Ok(bucket
        && row
            .text("object_key")?
            .starts_with(filter.prefix.as_deref().unwrap_or_default()))
}

/// Objects under a prefix, found by their keys. `None` when there is no prefix, or too many are under it to be brought into the listing's order: then
/// they are soon met where all are listed.
pub(super) async fn few<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Option<Page>, StoreError> {
    let Some(prefix) = filter.prefix.as_deref().filter(|prefix| !prefix.is_empty()) else {
        return Ok(None);
    };
    let buckets = match &filter.bucket {
        Some(bucket) => vec![bucket.clone()],
        None => store.buckets(tenant).await?,
    };
    let mut found = Vec::new();
    for bucket in buckets {
        let selects = (0..store.shards()).map(|shard| Select {
            table: TableId::KeysByBucket,
            partition: vec![tenant.as_str().into(), bucket.as_str().into(), shard.into()],
            // Before everything with a key that is the prefix itself.
            after: Some(vec![prefix.into(), i64::MIN.into(), ObjectId(uuid::Uuid::nil()).into()]),
            limit: FEW + 1,
        });
        for rows in store.engine.read(selects.collect()).await? {
            for row in rows {
                if !row.text("object_key")?.starts_with(prefix) {
                    break;
                }
                found.push(Cursor {
                    last_modified: row.time("last_modified")?,
                    object: row.object("object_id")?,
                });
            }
        }
        if found.len() > FEW {
            return Ok(None);
        }
    }
    found.retain(|position| after.is_none_or(|after| *position < after));
    found.sort_by(|one, other| other.cmp(one));
    let mut page = Page::default();
    for chunk in found.chunks(CHUNK) {
        let ids: Vec<ObjectId> = chunk.iter().map(|position| position.object).collect();
        for row in store.objects(tenant, &ids).await? {
            if filter.state.is_none_or(|state| row.state == state) {
                page.rows.push(row);
            }
            if page.rows.len() >= limit {
                page.next = page.rows.last().map(super::ObjectRow::cursor);
                return Ok(Some(page));
            }
        }
    }
    Ok(Some(page))
}

/// Every object.
pub(super) async fn all<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut looked_at = 0;
    let mut after = after;
    // Days are read behind a position, so the cursor's own day is found behind the day after it.
    let mut days_after = after.map(|cursor| Cursor::day(cursor.last_modified).saturating_add(1));
    loop {
        let mut select = Select::new(TableId::DaysByTenant, vec![tenant.as_str().into()], DAYS);
        select.after = days_after.map(|day| vec![day.into()]);
        let days = store
            .engine
            .read(vec![select])
            .await?
            .into_iter()
            .flatten()
            .map(|row| row.int("day"))
            .collect::<Result<Vec<_>, _>>()?;
        for day in &days {
            loop {
                // Behind a position of another day nothing is left out.
                let here = after.filter(|cursor| Cursor::day(cursor.last_modified) == *day);
                let (chunk, whole) = chunk(store, tenant, *day, here).await?;
                looked_at += chunk.len();
                for (position, row) in page_rows(store, tenant, filter, &chunk).await? {
                    page.rows.push(row);
                    if page.rows.len() >= limit {
                        page.next = Some(position);
                        return Ok(page);
                    }
                }
                after = chunk.last().map(|(position, _)| *position).or(after);
                if whole {
                    break;
                }
                if looked_at >= LOOK_AT {
                    page.next = after;
                    return Ok(page);
                }
            }
            if looked_at >= LOOK_AT {
                page.next = after;
                return Ok(page);
            }
        }
        match days.last() {
            Some(day) if days.len() == DAYS => days_after = Some(*day),
            Some(_) | None => return Ok(page),
        }
    }
}

/// The next rows of a day over all shards, and whether the day ends with them.
async fn chunk<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    day: i64,
    after: Option<Cursor>,
) -> Result<(Vec<(Cursor, Record)>, bool), StoreError> {
    let selects = (0..store.shards()).map(|shard| Select {
        table: TableId::ObjectsByDay,
        partition: vec![tenant.as_str().into(), day.into(), shard.into()],
        after: after.map(|cursor| vec![cursor.last_modified.into(), cursor.object.into()]),
        limit: CHUNK,
    });
    let mut rows = Vec::new();
    let mut whole = true;
    for shard in store.engine.read(selects.collect()).await? {
        whole &= shard.len() < CHUNK;
        for row in shard {
            rows.push((
                Cursor {
                    last_modified: row.time("last_modified")?,
                    object: row.object("object_id")?,
                },
                row,
            ));
        }
    }
    rows.sort_by(|(a, _), (b, _)| b.cmp(a));
    // What is behind the first CHUNK of the merged rows may have predecessors in a shard that was cut: read it again next time.
    whole &= rows.len() <= CHUNK;
    rows.truncate(CHUNK);
    Ok((rows, whole))
}

async fn page_rows<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    filter: &Filter,
    chunk: &[(Cursor, Record)],
) -> Result<Vec<(Cursor, super::ObjectRow)>, StoreError> {
    let mut ids = Vec::<ObjectId>::new();
    for (position, row) in chunk {
        if matches(filter, row)? {
            ids.push(position.object);
        }
    }
    let rows = store.objects(tenant, &ids).await?;
    let wanted = rows
        .into_iter()
        .filter(|row| filter.state.is_none_or(|state| row.state == state));
    Ok(wanted.map(|row| (row.cursor(), row)).collect())
}

/// Objects whose state is "dead", by the index of failures. A row whose failure was overcome is removed on the way.
pub(super) async fn dead<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut overcome = Vec::new();
    // All processors of an id come before ("", the smallest name, stands last in descending order).
    let mut after = after.map(|cursor| vec![cursor.object.into(), "".into()]);
    let mut looked_at = 0;
    loop {
        let mut select = Select::new(TableId::DeadLetters, vec![tenant.as_str().into()], CHUNK);
        select.after = after.clone();
        let rows: Vec<Record> = store.engine.read(vec![select]).await?.into_iter().flatten().collect();
        looked_at += rows.len();
        let mut ids = Vec::new();
        for row in &rows {
            if matches(filter, row)? {
                ids.push(row.object("object_id")?);
            }
        }
        ids.dedup();
        for row in store.objects(tenant, &ids).await? {
            if row.state == ObjectState::Dead {
                // A chunk may end between two processors of one object.
                if page.rows.last().is_none_or(|last| last.object.id != row.object.id) {
                    page.rows.push(row);
                }
            } else {
                overcome.extend(ended(store, tenant, &row.object.id).await?);
            }
            if page.rows.len() >= limit {
                break;
            }
        }
        after = rows
            .last()
            .map(|row| Ok::<_, StoreError>(vec![row.object("object_id")?.into(), row.text("processor")?.into()]))
            .transpose()?;
        let last = rows.last().map(|row| row.object("object_id")).transpose()?;
        let full = page.rows.len() >= limit;
        if full || looked_at >= LOOK_AT {
            page.next = match (full, page.rows.last(), last) {
                (true, Some(row), _) => Some(row.cursor()),
                // The index is ordered by id alone, and its cursor uses nothing else.
                (_, _, Some(object)) => Some(Cursor {
                    last_modified: cofferdam_schemas::Timestamp::from_unix_millis(0),
                    object,
                }),
                (_, _, None) => None,
            };
        }
        if page.next.is_some() || rows.len() < CHUNK {
            break;
        }
    }
    if !overcome.is_empty() {
        store.engine.write(overcome).await?;
    }
    Ok(page)
}

/// The removal of a version's failures that a later result of the same processor has overcome.
async fn ended<E: Engine>(
    store: &TableStore<E>,
    tenant: &TenantName,
    object: &ObjectId,
) -> Result<Vec<Mutation>, StoreError> {
    let rows = store
        .engine
        .read(vec![merge::results_select(&partition(tenant, object))])
        .await?
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let results = merge::results(&rows)?;
    let counting: Vec<_> = merge::counting(&results)
        .filter(|result| result.outcome != Outcome::Dead)
        .collect();
    let failures = results.iter().filter(|result| result.outcome == Outcome::Dead);
    Ok(failures
        .filter_map(|failure| {
            counting
                .iter()
                .find(|result| result.processor == failure.processor && result.finished_at > failure.finished_at)
        })
        .map(|result| encode::overcome(tenant, object, result.processor.as_str(), result.finished_at))
        .collect())
}
