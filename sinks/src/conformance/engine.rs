//! What a backend does with rows. Uses the real tables, since there are no others.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::fixture::tenant;
use crate::schema::TableId;
use crate::store::{Change, Engine, Mutation, Record, Select, Value};

const T: i64 = 1_704_164_645_000_000;

fn deletion_row(tenant: &str, id: u128, millis: Option<i64>) -> Record {
    let record = Record::new(TableId::ObjectDeletions)
        .with("tenant", tenant)
        .with("object_id", cofferdam_schemas::ObjectId(Uuid::from_u128(id)));
    record.with("deleted_at", millis)
}

fn failure(tenant: &str, id: u128, processor: &str, code: Option<&str>) -> Record {
    Record::new(TableId::DeadLetters)
        .with("tenant", tenant)
        .with("object_id", cofferdam_schemas::ObjectId(Uuid::from_u128(id)))
        .with("processor", processor)
        .with("error_code", code)
}

/// Microseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

async fn put(engine: &dyn Engine, record: Record, written_at: i64) {
    engine
        .write(vec![Mutation {
            change: Change::Put(record),
            written_at,
        }])
        .await
        .unwrap();
}

async fn delete(engine: &dyn Engine, record: Record, written_at: i64) {
    engine
        .write(vec![Mutation {
            change: Change::Delete(record),
            written_at,
        }])
        .await
        .unwrap();
}

async fn read(engine: &dyn Engine, select: Select) -> Vec<Record> {
    let mut answers = engine.read(vec![select]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

async fn one(engine: &dyn Engine, tenant: &str, id: u128) -> Option<i64> {
    let rows = read(
        engine,
        Select::new(
            TableId::ObjectDeletions,
            vec![tenant.into(), Value::Uuid(Uuid::from_u128(id))],
            1,
        ),
    )
    .await;
    rows.first().map(|row| row.int("deleted_at").unwrap())
}

/// By timestamp, not by arrival.
pub async fn later_write_wins(engine: &dyn Engine) {
    let tenant = tenant();
    for (value, written_at) in [(2, T + 2), (1, T + 1), (4, T + 4), (3, T + 3)] {
        put(engine, deletion_row(tenant.as_str(), 1, Some(value)), written_at).await;
    }
    assert_eq!(one(engine, tenant.as_str(), 1).await, Some(4));
}

/// The same bytes under the same timestamp, any number of times, also between other writes.
pub async fn equal_timestamps_are_a_redelivery(engine: &dyn Engine) {
    let tenant = tenant();
    let row = deletion_row(tenant.as_str(), 1, Some(7));
    for _ in 0..3 {
        put(engine, row.clone(), T).await;
        assert_eq!(one(engine, tenant.as_str(), 1).await, Some(7));
    }
    put(engine, deletion_row(tenant.as_str(), 1, Some(8)), T + 1).await;
    put(engine, row, T).await;
    assert_eq!(one(engine, tenant.as_str(), 1).await, Some(8));
}

/// A deletion hides what was written before it, even if that arrives later; a tie goes to the deletion.
pub async fn deletion_shadows_older_writes(engine: &dyn Engine) {
    let tenant = tenant();
    // Deletions are remembered for a while only, so this has to be a recent one.
    let t = now();
    let select = || Select::new(TableId::DeadLetters, vec![tenant.as_str().into()], 10);
    let row = |code| failure(tenant.as_str(), 1, "validate", Some(code));
    delete(engine, row("x"), t + 10).await;
    put(engine, row("older"), t + 5).await;
    put(engine, row("same time"), t + 10).await;
    assert!(read(engine, select()).await.is_empty());
    put(engine, row("newer"), t + 11).await;
    assert_eq!(read(engine, select()).await[0].text("error_code").unwrap(), "newer");
    delete(engine, row("x"), t + 9).await;
    assert_eq!(read(engine, select()).await.len(), 1, "an older deletion does nothing");
    delete(engine, row("x"), t + 11).await;
    engine.maintain().await.unwrap();
    put(engine, row("newer"), t + 11).await;
    assert!(
        read(engine, select()).await.is_empty(),
        "a tie goes to the deletion, also after housekeeping"
    );
    put(engine, row("again"), t + 12).await;
    assert_eq!(read(engine, select()).await.len(), 1);
}

/// A time to live counts from the write timestamp, is looked at when reading, and a row that was written late is gone at once.
pub async fn rows_expire(engine: &dyn Engine) {
    let tenant = tenant();
    let time_to_live = crate::schema::table(TableId::Commands).time_to_live.unwrap() * 1_000_000;
    let command = |id: &str| {
        Record::new(TableId::Commands)
            .with("tenant", tenant.as_str())
            .with("command_id", id)
            .with("verb", "retrieve")
    };
    let find = async |id: &str| {
        !read(
            engine,
            Select::new(TableId::Commands, vec![tenant.as_str().into(), id.into()], 1),
        )
        .await
        .is_empty()
    };
    put(engine, command("late"), now() - time_to_live - 2_000_000).await;
    assert!(!find("late").await);
    put(engine, command("soon"), now() - time_to_live + 4_000_000).await;
    assert!(find("soon").await);
    let waited = SystemTime::now();
    while find("soon").await {
        assert!(
            waited.elapsed().unwrap() < Duration::from_secs(15),
            "row does not expire"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    engine.maintain().await.unwrap();
    assert!(!find("soon").await);
    put(engine, command("soon"), now()).await;
    assert!(find("soon").await, "a newer write lives again");
}

/// A row is written whole: a column that has no value any more is empty, not as it was.
pub async fn null_replaces_a_value(engine: &dyn Engine) {
    let tenant = tenant();
    put(engine, failure(tenant.as_str(), 1, "validate", Some("damaged")), T).await;
    put(engine, failure(tenant.as_str(), 1, "validate", None), T + 1).await;
    let rows = read(
        engine,
        Select::new(TableId::DeadLetters, vec![tenant.as_str().into()], 10),
    )
    .await;
    assert_eq!(rows[0].maybe_text("error_code").unwrap(), None);
}

/// Descending where the table says so, behind a position exactly, as many as asked for.
pub async fn clustering_order_and_paging(engine: &dyn Engine) {
    let tenant = tenant();
    for id in [3_u128, 1, 2] {
        for processor in ["b", "a", "c"] {
            put(engine, failure(tenant.as_str(), id, processor, None), T).await;
        }
    }
    let all: Vec<(u128, &str)> = [3, 2, 1]
        .into_iter()
        .flat_map(|id| ["c", "b", "a"].map(|processor| (id, processor)))
        .collect();
    for limit in [1, 2, 4, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let select = Select {
                table: TableId::DeadLetters,
                partition: vec![tenant.as_str().into()],
                after: after.clone(),
                limit,
            };
            let rows = read(engine, select).await;
            assert!(rows.len() <= limit);
            let Some(last) = rows.last() else { break };
            after = Some(vec![
                last.object("object_id").unwrap().into(),
                last.text("processor").unwrap().into(),
            ]);
            seen.extend(rows.iter().map(|row| {
                (
                    row.object("object_id").unwrap().0.as_u128(),
                    row.text("processor").unwrap().to_owned(),
                )
            }));
        }
        let seen: Vec<(u128, &str)> = seen.iter().map(|(id, processor)| (*id, processor.as_str())).collect();
        assert_eq!(seen, all, "{limit} at a time");
    }
    for (n, day) in [5, -3, 9].into_iter().enumerate() {
        let row = Record::new(TableId::DaysByTenant)
            .with("tenant", tenant.as_str())
            .with("day", i64::from(day));
        put(engine, row, T + n as i64).await;
    }
    let days = read(
        engine,
        Select::new(TableId::DaysByTenant, vec![tenant.as_str().into()], 10),
    )
    .await;
    assert_eq!(
        days.iter().map(|row| row.int("day").unwrap()).collect::<Vec<_>>(),
        [9, 5, -3]
    );
}

/// Another partition is another world, also when one name begins with the other. Answers come in the order of the questions.
pub async fn partitions_are_apart(engine: &dyn Engine) {
    let (one_tenant, other) = (tenant(), tenant());
    let longer = format!("{one_tenant}x");
    put(engine, deletion_row(one_tenant.as_str(), 1, Some(1)), T).await;
    put(engine, deletion_row(one_tenant.as_str(), 2, Some(2)), T).await;
    put(engine, deletion_row(&longer, 1, Some(3)), T).await;
    assert_eq!(one(engine, one_tenant.as_str(), 1).await, Some(1));
    assert_eq!(one(engine, &longer, 1).await, Some(3));
    assert_eq!(one(engine, other.as_str(), 1).await, None);
    let selects = [2_u128, 9, 1].map(|id| {
        Select::new(
            TableId::ObjectDeletions,
            vec![one_tenant.as_str().into(), Value::Uuid(Uuid::from_u128(id))],
            1,
        )
    });
    let answers = engine.read(selects.to_vec()).await.unwrap();
    let values: Vec<Option<i64>> = answers
        .iter()
        .map(|rows| rows.first().map(|row| row.int("deleted_at").unwrap()))
        .collect();
    assert_eq!(values, [Some(2), None, Some(1)]);
}
