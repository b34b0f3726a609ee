//! Request bodies, guarded: they may neither stall nor drip, and neither their chunks nor their pieces can fill the memory.
//!
//! `s3s` collects a whole chunk of the `aws-chunked` encoding in memory before it gives out a byte of it, and some clients send an object of
//! gigabytes as one chunk (it even fails above 4 GiB). Chunks without signatures are cut here into the pieces they arrive in, which changes
//! nothing else; a signed chunk cannot be cut, so one that is too large is refused. What it collects are the pieces as they arrive, with some hundred bytes
//! of bookkeeping each, and it reads the fields of a form from their beginning again with every piece. So small pieces are put together.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use s3s::StdError;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::s3::errors::{CHUNK_TOO_LARGE, STALLED};

/// The largest signed chunk that is taken.
const LARGEST_SIGNED: u64 = 16 * 1024 * 1024;
/// How much of an unwanted body is read, and for how long.
const MOST_DRAINED: u64 = 8 * 1024 * 1024;
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// The slowest a body may come in the long run, in bytes a second. Faster pieces earn back the time that slow ones took.
const SLOWEST: f64 = 1024.0;
/// Pieces smaller than this are put together, up to `GATHERED`, where many would cost much.
const SMALL: usize = 4 * 1024;
const GATHERED: usize = 64 * 1024;
/// The longest line ahead of a chunk.
const LONGEST_LINE: usize = 1024;

/// See the module.
pub(crate) struct Guarded {
    /// Gone only when this is dropped.
    inner: Option<Incoming>,
    /// Where a body goes that nobody wants to read any further.
    rest: Option<oneshot::Sender<Incoming>>,
    /// The most that may be waited for bytes.
    idle: Duration,
    /// How much of that is left.
    patience: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when the timer runs. It does only while somebody waits for bytes: a slow disk is not the client's fault.
    waiting: Option<Instant>,
    framing: Option<Framing>,
    /// The pieces of a form, not passed on yet.
    form: Option<BytesMut>,
    out: VecDeque<Bytes>,
}

impl Guarded {
    /// Also gives a way to get back what is not read.
    pub(crate) fn new(
        inner: Incoming,
        headers: &HeaderMap,
        form: bool,
        idle: Duration,
    ) -> (Self, oneshot::Receiver<Incoming>) {
        let kind = headers
            .get("x-amz-content-sha256")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let framing = kind
            .starts_with("STREAMING-")
            .then(|| Framing::new(kind != "STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
        let (rest, left) = oneshot::channel();
        let guarded = Self {
            inner: Some(inner),
            rest: Some(rest),
            idle,
            patience: idle,
            timer: Box::pin(tokio::time::sleep(idle)),
            waiting: None,
            framing,
            form: form.then(BytesMut::new),
            out: VecDeque::new(),
        };
        (guarded, left)
    }
}

impl Guarded {
    /// Bytes came: takes off what was waited for them, and gives back what so many bytes may take.
    fn earn(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
        }
        let worth = Duration::from_secs_f64(bytes as f64 / SLOWEST);
        self.patience = self.patience.saturating_add(worth).min(self.idle);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let (Some(inner), Some(rest)) = (self.inner.take(), self.rest.take())
            && !inner.is_end_stream()
        {
            // Whoever no longer cares has dropped the other end.
            let _ = rest.send(inner);
        }
    }
}

/// Reads on for a while and forgets what it reads. A client that is still sending when its connection is closed never sees the answer.
pub(crate) async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = MOST_DRAINED;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let size = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(LONGEST_DRAIN, read).await;
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            let Poll::Ready(next) = Pin::new(inner).poll_frame(cx) else {
                if this.waiting.is_none() {
                    let now = Instant::now();
                    this.waiting = Some(now);
                    this.timer.as_mut().reset(now + this.patience);
                }
                ready!(this.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, STALLED).into())));
            };
            let came = match &next {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => 0,
            };
            this.earn(came);
            if let Some(form) = &mut this.form {
                match next {
                    Some(Ok(frame)) => {
                        form.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                        if form.len() >= GATHERED {
                            this.out.push_back(form.split().freeze());
                        }
                        continue;
                    }
                    None if !form.is_empty() => {
                        this.out.push_back(form.split().freeze());
                        continue;
                    }
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                }
            }
            let Some(framing) = &mut this.framing else {
                return Poll::Ready(next.map(|frame| frame.map_err(StdError::from)));
            };
            match next {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data()
                        && let Err(error) = framing.take(bytes, &mut this.out)
                    {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let held = self.form.as_ref().is_some_and(|form| !form.is_empty());
        self.out.is_empty() && !held && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) if self.framing.is_none() && self.form.is_none() => inner.size_hint(),
            _ => SizeHint::new(),
        }
    }
}

/// Follows the `aws-chunked` encoding. What it cannot follow it refuses.
struct Framing {
    signed: bool,
    state: State,
    /// Small pieces of a signed chunk, not passed on yet.
    small: BytesMut,
}

enum State {
    /// In the line ahead of a chunk.
    Line(Vec<u8>),
    /// In a chunk with this many bytes to come.
    Data(u64),
    /// In the line end behind a chunk, with this many bytes to come.
    End(usize),
    /// Behind the last chunk: trailers.
    Rest,
}

impl Framing {
    fn new(signed: bool) -> Self {
        Self {
            signed,
            state: State::Line(Vec::new()),
            small: BytesMut::new(),
        }
    }

    /// Passes on a piece of a signed chunk; `last` in its chunk.
    fn piece(&mut self, piece: Bytes, last: bool, out: &mut VecDeque<Bytes>) {
        if piece.len() < SMALL {
            // Copied, so that it does not hold on to all that was read with it.
            self.small.extend_from_slice(&piece);
            if self.small.len() >= GATHERED || last {
                out.push_back(self.small.split().freeze());
            }
            return;
        }
        if !self.small.is_empty() {
            out.push_back(self.small.split().freeze());
        }
        out.push_back(piece);
    }

    fn take(&mut self, mut bytes: Bytes, out: &mut VecDeque<Bytes>) -> io::Result<()> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Rest => {
                    out.push_back(std::mem::take(&mut bytes));
                }
                State::Line(line) => {
                    let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
                    line.extend_from_slice(&bytes.split_to(end));
                    if line.last() != Some(&b'\n') {
                        if line.len() > LONGEST_LINE {
                            return Err(unclear());
                        }
                        continue;
                    }
                    let line = std::mem::take(line);
                    self.state = match chunk_size(&line) {
                        Some(size) if size > LARGEST_SIGNED && self.signed => {
                            return Err(io::Error::new(io::ErrorKind::InvalidData, CHUNK_TOO_LARGE));
                        }
                        // The reader takes eight digits and forgets the rest.
                        Some(_) if self.signed && line.iter().take(9).all(u8::is_ascii_hexdigit) => {
                            return Err(unclear());
                        }
                        Some(0) => State::Rest,
                        Some(size) => State::Data(size),
                        // The reader is less strict, and might see a size here that was never held against the limit.
                        None => return Err(unclear()),
                    };
                    if self.signed || matches!(self.state, State::Rest) {
                        out.push_back(Bytes::from(line));
                    }
                }
                State::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let piece = bytes.split_to(here);
                    *left -= here as u64;
                    let last = *left == 0;
                    if last {
                        self.state = State::End(2);
                    }
                    if self.signed {
                        self.piece(piece, last, out);
                    } else {
                        out.extend([Bytes::from(format!("{here:x}\r\n")), piece, Bytes::from_static(b"\r\n")]);
                    }
                }
                State::End(left) => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if bytes.first() != Some(&expected) {
                        return Err(unclear());
                    }
                    bytes.advance(1);
                    *left -= 1;
                    if *left == 0 {
                        if self.signed {
                            out.push_back(Bytes::from_static(b"\r\n"));
                        }
                        self.state = State::Line(Vec::new());
                    }
                }
            }
        }
        Ok(())
    }
}

/// In the reader's words, so that both are told alike.
fn unclear() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "FormatError")
}

/// The size in the line ahead of a chunk: hex digits up to a semicolon or the line's end.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .position(|b| !b.is_ascii_hexdigit())
        .map_or(line, |end| &line[..end]);
    let rest = &line[digits.len()..];
    if !(rest.starts_with(b";") || rest == b"\r\n") {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(signed: bool, input: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let (mut framing, mut out) = (Framing::new(signed), VecDeque::new());
        for piece in input.chunks(step) {
            framing.take(Bytes::copy_from_slice(piece), &mut out)?;
        }
        Ok(out.into_iter().flatten().collect())
    }

    #[test]
    fn signed_chunks_pass_unchanged() {
        let input = b"5;chunk-signature=abc\r\nhello\r\n3;chunk-signature=def\r\nyou\r\n0;chunk-signature=0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        for step in [1, 2, 7, 1000] {
            assert_eq!(run(true, input, step).unwrap(), input, "{step}");
        }
    }

    #[test]
    fn large_unsigned_chunks_are_cut_and_nothing_else_changes() {
        let input = b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(run(false, input, 1000).unwrap(), input);
        let cut = String::from_utf8(run(false, input, 5).unwrap()).unwrap();
        assert_eq!(
            cut,
            "2\r\nhe\r\n5\r\nllo w\r\n4\r\norld\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
        );
    }

    #[test]
    fn small_pieces_of_a_signed_chunk_are_put_together() {
        let body = [b"30d40;chunk-signature=a\r\n", &[7; 200_000][..], b"\r\n"].concat();
        for step in [1, 3, 4096, 5000] {
            let (mut framing, mut out) = (Framing::new(true), VecDeque::new());
            for piece in body.chunks(step) {
                framing.take(Bytes::copy_from_slice(piece), &mut out).unwrap();
            }
            assert!(out.len() < 60, "{step}: {} pieces", out.len());
            assert_eq!(out.into_iter().flatten().collect::<Vec<u8>>(), body, "{step}");
        }
    }

    #[test]
    fn a_signed_chunk_may_not_be_too_large() {
        assert!(run(true, b"1000000;chunk-signature=a\r\n", 9).is_ok());
        assert!(run(true, b"1000001;chunk-signature=a\r\n", 9).is_err());
        assert!(run(false, b"140000000\r\n", 9).is_ok());
    }

    /// What was wrong: lines that could not be read were passed on, and the reader saw sizes in some of them (`FFFFFFF0 ` with a blank, or digits after the
    /// eighth) that nothing had compared with the limit: it would have collected gigabytes in memory.
    #[test]
    fn found_lines_that_are_not_clear_are_refused() {
        let long = format!("5;{}\r\nhello\r\n", "x".repeat(2000));
        for input in [
            "zz\r\nabc",
            "5x\nhello",
            "5 \r\nhello\r\n",
            "FFFFFFF0 \r\nhello",
            "fffffff0g;chunk-signature=a\r\nhello",
            "\r\n\r\n",
            ";chunk-signature=a\r\n",
            "-5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5\nhello\n",
            "ffffffffffffffffff\r\nabc",
            &long,
            "2\r\nabX\r\n",
        ] {
            for (signed, step) in [(false, 3), (false, 1000), (true, 3), (true, 1000)] {
                assert!(run(signed, input.as_bytes(), step).is_err(), "{signed} {input:?}");
            }
        }
        assert!(run(true, b"000000005;chunk-signature=a\r\n", 9).is_err());
        assert!(run(false, b"000000005\r\nhello\r\n", 9).is_ok());
    }
}
