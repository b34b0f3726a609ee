//! What a child sends to its parent, and the records of a Parquet file that it reads for it.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use cofferdam_inside::inside::records::{Ask, Fields, Part, Record, read};
use cofferdam_inside::inside::{Limits, Problem, Source};
use cofferdam_inside::sandbox::{AnswerBounds, AnswerFault, Answered, read_answer};
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};

/// Gives so many bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl AsyncRead for Drip<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let count = self.1.min(self.0.len()).min(into.remaining());
        let (now, later) = self.0.split_at(count);
        into.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

/// Bytes: the longest frame in 4 bytes, most frames, most bytes in 16; the frames.
pub fn answer(data: &[u8]) {
    let Some((&[frame, frames, bytes], data)) = data.split_first_chunk() else {
        return;
    };
    let bounds = AnswerBounds {
        frame_bytes: u32::from(frame) * 4,
        frames: frames.into(),
        result_bytes: u64::from(bytes) * 16,
    };
    let run = |step: usize| {
        let (mut items, mut from) = (Vec::new(), Drip(data, step));
        let mut take = |item: Value| items.push(item);
        let ended = {
            let reading = pin!(read_answer(&mut from, bounds, &mut take));
            match reading.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ended) => ended,
                Poll::Pending => panic!("everything is there"),
            }
        };
        (items, ended)
    };
    let (items, ended) = run(usize::MAX);
    assert!(items.len() as u64 <= bounds.frames);
    let written: usize = items.iter().map(|item| item.to_string().len()).sum();
    // As it is written here it may be longer: a number, and letters that were escaped.
    assert!(written as u64 <= bounds.result_bytes * 32);
    match ended {
        Ok(Answered { items: count, .. }) => assert_eq!(count, items.len() as u64),
        // Nothing is left over to be waited for.
        Err(AnswerFault::Closed | AnswerFault::Breach(_)) => {}
    }
    assert_eq!(run(1), (items, ended));
}

fn ask(from: u64, records: u64) -> Ask {
    Ask {
        name: "a.parquet".to_owned(),
        fields: Fields::default(),
        from,
        records,
        bytes: u64::MAX,
        record_bytes: 4_096,
        limits: Limits {
            total_bytes: 1 << 20,
            ratio: 50,
            ratio_floor: 64 << 10,
            cells: 2_000,
            text_bytes: 128 << 10,
            problems: 20,
            seconds: 3_600,
            ..Limits::default()
        },
    }
}

fn one(data: &[u8], ask: &Ask) -> (Vec<Record>, Vec<Problem>, u64, bool) {
    let (mut records, mut problems, mut end) = (Vec::new(), Vec::new(), None);
    let mut columns = 0;
    read(&Source::memory(data.to_vec()), ask, &mut |part| {
        assert!(end.is_none(), "more after the end");
        match part {
            Part::Columns { .. } => {
                columns += 1;
                assert!(records.is_empty());
            }
            Part::Record(record) => records.push(record),
            Part::Problem(problem) => problems.push(problem),
            Part::End { next, done } => end = Some((next, done)),
        }
        true
    });
    let (next, done) = end.expect("an end");
    assert!(columns <= 1 && (columns == 1 || records.is_empty()));
    assert!(records.len() as u64 <= ask.records);
    for (row, record) in (ask.from..).zip(&records) {
        assert_eq!(record.row, row);
        assert!((record.text.len() + record.label.as_ref().map_or(0, String::len)) as u64 <= ask.record_bytes);
    }
    assert_eq!(next, ask.from + records.len() as u64);
    (records, problems, next, done)
}

/// Byte: records of one reading; a Parquet file. Reading on gives what reading at once gives.
pub fn records(data: &[u8]) {
    let Some((step, data)) = data.split_first() else { return };
    let (all, problems, next, done) = one(data, &ask(0, 1_000));
    assert_eq!(one(data, &ask(0, 1_000)), (all.clone(), problems.clone(), next, done));
    if !problems.is_empty() || !done {
        return;
    }
    let mut parts = Vec::new();
    let mut from = 0;
    loop {
        let (more, problems, next, ended) = one(data, &ask(from, u64::from(*step) + 1));
        assert!(problems.is_empty(), "{problems:?}");
        parts.extend(more);
        assert!(ended || next > from, "no end");
        from = next;
        if ended {
            break;
        }
    }
    assert_eq!(parts, all);
}
