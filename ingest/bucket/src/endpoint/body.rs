//! Request bodies, guarded: they may not stall, and their chunks stay small.
//!
//! `s3s` collects a whole chunk of the `aws-chunked` encoding in memory before it gives out a byte of it, and some clients send an object of
//! gigabytes as one chunk (it even fails above 4 GiB). Chunks without signatures are cut here into the pieces they arrive in, which changes
//! nothing else; a signed chunk cannot be cut, so one that is too large is refused.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
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
/// The longest line ahead of a chunk.
const LONGEST_LINE: usize = 1024;

/// See the module.
pub(crate) struct Guarded {
    /// Gone only when this is dropped.
    inner: Option<Incoming>,
    /// Where a body goes that nobody wants to read any further.
    rest: Option<oneshot::Sender<Incoming>>,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer runs. It does only while somebody waits for bytes: a slow disk is not the client's fault.
    waiting: bool,
    framing: Option<Framing>,
    out: VecDeque<Bytes>,
}

impl Guarded {
    /// Also gives a way to get back what is not read.
    pub(crate) fn new(inner: Incoming, headers: &HeaderMap, idle: Duration) -> (Self, oneshot::Receiver<Incoming>) {
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
            timer: Box::pin(tokio::time::sleep(idle)),
            waiting: false,
            framing,
            out: VecDeque::new(),
        };
        (guarded, left)
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
                if !this.waiting {
                    this.waiting = true;
                    this.timer.as_mut().reset(Instant::now() + this.idle);
                }
                ready!(this.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, STALLED).into())));
            };
            this.waiting = false;
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
        self.out.is_empty() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) if self.framing.is_none() => inner.size_hint(),
            _ => SizeHint::new(),
        }
    }
}

/// Follows the `aws-chunked` encoding. What it cannot follow it passes on unchanged: to refuse it is the reader's part.
struct Framing {
    signed: bool,
    state: State,
}

enum State {
    /// In the line ahead of a chunk.
    Line(Vec<u8>),
    /// In a chunk with this many bytes to come.
    Data(u64),
    /// In the line end behind a chunk, with this many bytes to come.
    End(usize),
    /// Trailers, or something unknown.
    Rest,
}

impl Framing {
    fn new(signed: bool) -> Self {
        Self {
            signed,
            state: State::Line(Vec::new()),
        }
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
                            out.push_back(Bytes::from(std::mem::take(line)));
                            self.state = State::Rest;
                        }
                        continue;
                    }
                    let line = std::mem::take(line);
                    self.state = match chunk_size(&line) {
                        Some(size) if size > LARGEST_SIGNED && self.signed => {
                            return Err(io::Error::new(io::ErrorKind::InvalidData, CHUNK_TOO_LARGE));
                        }
                        Some(size) if size > 0 => State::Data(size),
                        _ => State::Rest,
                    };
                    if self.signed || matches!(self.state, State::Rest) {
                        out.push_back(Bytes::from(line));
                    }
                }
                State::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let piece = bytes.split_to(here);
                    *left -= here as u64;
                    if self.signed {
                        out.push_back(piece);
                    } else {
                        out.extend([Bytes::from(format!("{here:x}\r\n")), piece, Bytes::from_static(b"\r\n")]);
                    }
                    if *left == 0 {
                        self.state = State::End(2);
                    }
                }
                State::End(left) => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if bytes.first() != Some(&expected) {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "FormatError"));
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
    fn a_signed_chunk_may_not_be_too_large() {
        assert!(run(true, b"1000000;chunk-signature=a\r\n", 9).is_ok());
        assert!(run(true, b"1000001;chunk-signature=a\r\n", 9).is_err());
        assert!(run(false, b"140000000\r\n", 9).is_ok());
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_reader() {
        for input in [
            &b"zz\r\nabc"[..],
            b"5;x\nhello",
            b"\r\n\r\n",
            b"ffffffffffffffffff\r\nabc",
        ] {
            let passed = run(false, input, 3).unwrap();
            assert!(passed == input || input.starts_with(b"5"), "{input:?} {passed:?}");
        }
        assert!(
            run(false, b"2\r\nabX\r\n", 100).is_err(),
            "bytes behind a chunk that are no line end"
        );
    }
}
