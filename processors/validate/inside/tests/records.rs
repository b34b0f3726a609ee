//! Rows of Parquet files as records, through the real child.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use cofferdam_inside::inside::records::{Ask, Part, read};
use cofferdam_inside::inside::{Limits, Source};
use cofferdam_inside::records::{Broken, Fields, RECORD_BYTES, Record, Records, RecordsError, pool_of};
use cofferdam_inside::sandbox::{Breach, Pool, Settings, Spool};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const WORKER: &str = env!("CARGO_BIN_EXE_inside-worker");

fn pool() -> Arc<Pool> {
    Arc::new(pool_of(WORKER.into()))
}

/// A row: its text, which may be missing, and its label.
type Row = (Option<String>, String);

fn parquet(groups: &[Vec<Row>]) -> Vec<u8> {
    let schema = "message rows { required int64 id; optional binary text (UTF8); required group about { required binary label (UTF8); } }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut out = Vec::new();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut file = SerializedFileWriter::new(&mut out, schema, Arc::new(properties)).unwrap();
    for rows in groups {
        let mut group = file.next_row_group().unwrap();
        let ids: Vec<i64> = (0..rows.len() as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let texts: Vec<ByteArray> = rows
            .iter()
            .filter_map(|row| row.0.as_deref().map(ByteArray::from))
            .collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.0.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        let labels: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row.1.as_str())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&labels, None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    file.close().unwrap();
    out
}

fn rows(count: usize, size: usize) -> Vec<Row> {
    let text = |at: usize| (at % 7 != 3).then(|| format!("{at} {}", "x".repeat(size)));
    (0..count).map(|at| (text(at), format!("l{}", at % 3))).collect()
}

fn spool(bytes: &[u8]) -> File {
    let mut spool = Spool::in_memory().unwrap();
    spool.write_all(bytes).unwrap();
    spool.finish().unwrap()
}

fn fields(text: Option<&str>, label: Option<&str>) -> Fields {
    Fields {
        text: text.map(str::to_owned),
        label: label.map(str::to_owned),
    }
}

async fn all(records: &mut Records, most: usize) -> (Vec<Record>, Option<RecordsError>) {
    let mut list = Vec::new();
    loop {
        match records.block(most).await {
            Ok(block) if block.is_empty() => return (list, None),
            Ok(block) => {
                assert!(block.len() <= most);
                list.extend(block);
            }
            Err(error) => return (list, Some(error)),
        }
    }
}

/// Several row groups, several answers of the child, blocks of a size that fits neither.
#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_order_and_none_is_lost() {
    let groups = [rows(30_000, 20), rows(1, 5), rows(11_000, 900)];
    let file = spool(&parquet(&groups));
    let mut records = Records::open(pool(), file, "a.parquet", fields(Some("text"), Some("about.label")))
        .await
        .unwrap();
    assert_eq!(records.rows(), 41_001);
    let names: Vec<_> = records.columns().iter().map(|column| column.path.as_str()).collect();
    assert_eq!(names, ["id", "text", "about.label"]);
    let (found, error) = all(&mut records, 777).await;
    assert!(error.is_none() && records.problems().is_empty(), "{error:?}");
    assert_eq!(found.len(), 41_001);
    let wanted = groups.iter().flatten();
    for (row, (found, (text, label))) in (0..).zip(found.iter().zip(wanted)) {
        let wanted = Record {
            row,
            text: text.clone().unwrap_or_default(),
            label: Some(label.clone()),
            broken: None,
        };
        assert_eq!(*found, wanted);
    }
    // There is no more, however often one asks.
    assert_eq!(records.block(10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_all_texts_are_read_and_a_wrong_name_is_told() {
    let bytes = parquet(&[rows(2, 1)]);
    let mut records = Records::open(pool(), spool(&bytes), "a.parquet", Fields::default())
        .await
        .unwrap();
    let (found, _) = all(&mut records, 10).await;
    assert_eq!(found[1].text, "1 x\nl1");
    let mut numbers = Records::open(pool(), spool(&bytes), "a.parquet", fields(Some("id"), None))
        .await
        .unwrap();
    assert_eq!(all(&mut numbers, 10).await.0[1].text, "1");
    match Records::open(pool(), spool(&bytes), "a.parquet", fields(Some("tex"), None)).await {
        Err(error @ RecordsError::NoColumn { .. }) => {
            assert_eq!(
                error.to_string(),
                "there is no column \"tex\"; there are id, text, about.label"
            );
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    let empty = Records::open(pool(), spool(&parquet(&[])), "a.parquet", fields(Some("text"), None)).await;
    assert_eq!(empty.unwrap().block(10).await.unwrap(), []);
    for bytes in [&b"PAR1 this is none PAR1"[..], b"", b"PARE....PARE"] {
        let refused = Records::open(pool(), spool(bytes), "a.parquet", Fields::default()).await;
        assert!(
            matches!(refused, Err(RecordsError::Broken { row: 0 })),
            "{:?}",
            refused.map(|_| ())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_is_said_to_be() {
    let mut list = rows(3, 5);
    list[1].0 = Some("y".repeat(RECORD_BYTES as usize + 1));
    let mut records = Records::open(
        pool(),
        spool(&parquet(&[list])),
        "a.parquet",
        fields(Some("text"), None),
    )
    .await
    .unwrap();
    let (found, error) = all(&mut records, 10).await;
    assert!(error.is_none());
    let broken: Vec<_> = found.iter().map(|record| (record.text.len(), record.broken)).collect();
    assert_eq!(broken, [(7, None), (0, Some(Broken::TooLong)), (7, None)]);
}

/// What stands before the damage is given; then the damage is said.
#[tokio::test(flavor = "multi_thread")]
async fn records_before_the_damage_are_kept() {
    let mut bytes = parquet(&[rows(500, 10), rows(500, 10)]);
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).unwrap();
    let at = file.metadata().row_group(1).column(1).data_page_offset() as usize;
    bytes[at..at + 20].fill(0xff);
    let mut records = Records::open(pool(), spool(&bytes), "a.parquet", fields(Some("text"), None))
        .await
        .unwrap();
    let (found, error) = all(&mut records, 64).await;
    assert_eq!(found.len(), 500);
    assert!(matches!(error, Some(RecordsError::Broken { row: 500 })), "{error:?}");
    assert!(!records.problems().is_empty());
    assert_eq!(records.block(10).await.unwrap(), []);
}

/// A page that does not fit into the child's memory: the records before it are kept, and the breach is said.
#[tokio::test(flavor = "multi_thread")]
async fn records_before_a_breach_are_kept() {
    let huge = vec![(Some("z".repeat(90 << 20)), "l".to_owned())];
    let bytes = parquet(&[rows(500, 10), huge]);
    let mut settings = Settings::of(WORKER.into(), "__parquet-records");
    settings.bounds.data = 40 << 20;
    let pool = Arc::new(Pool::new(settings));
    let mut records = Records::open(pool.clone(), spool(&bytes), "a.parquet", fields(Some("text"), None))
        .await
        .unwrap();
    let (found, error) = all(&mut records, 64).await;
    assert_eq!(found.len(), 500);
    let memory = |error: &RecordsError| {
        matches!(
            error,
            RecordsError::Breach {
                row: 500,
                breach: Breach::Memory
            }
        )
    };
    assert!(error.as_ref().is_some_and(memory), "{error:?}");
    // The next file is not affected.
    let next = Records::open(pool, spool(&parquet(&[rows(2, 1)])), "b.parquet", Fields::default()).await;
    assert_eq!(all(&mut next.unwrap(), 10).await.0.len(), 2);
}

/// Files of the shared data give as many records as they say they have rows.
#[test]
fn samples_give_their_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/formats/parquet/good");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ask = Ask {
            name: "a.parquet".to_owned(),
            fields: Fields::default(),
            from: 0,
            records: u64::MAX,
            bytes: u64::MAX,
            record_bytes: u64::MAX,
            limits: Limits::default(),
        };
        let source = Source::file(File::open(&path).unwrap()).unwrap();
        let mut parts = Vec::new();
        read(&source, &ask, &mut |part| {
            parts.push(part);
            true
        });
        // The parser does not read this one, as its manifest says.
        if path.ends_with("dict-page-offset-zero.parquet") {
            continue;
        }
        let Some(Part::Columns { columns, rows }) = parts.first() else {
            panic!("{}: {parts:?}", path.display());
        };
        let texts = columns.iter().any(|column| column.physical == "BYTE_ARRAY");
        let records = parts.iter().filter(|part| matches!(part, Part::Record(_))).count() as u64;
        let wanted = if texts { *rows } else { 0 };
        assert_eq!(records, wanted, "{}: {:?}", path.display(), parts.last());
    }
}
