//! What a child sends for one document, as its parent reads it: all of it hostile.

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame::FromChild;
use super::pool::Breach;

/// Bounds of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerBounds {
    /// Bytes of the longest result. Nothing longer is allocated.
    pub frame_bytes: u32,
    /// Results.
    pub frames: u64,
    /// Bytes of all results together.
    pub result_bytes: u64,
}

/// How an answer ended that its child ended itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Results that were handed over.
    pub items: u64,
    /// Results that were too long to be sent.
    pub dropped: u64,
}

/// What went wrong while an answer was read. What was handed over before it is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// The child said so, or said what it may not.
    Breach(Breach),
    /// The child closed the connection: its death tells why.
    Closed,
}

/// Reads one answer to its end and hands each result to `take` as it comes.
///
/// # Errors
/// When the child says what it may not, or ends.
pub async fn read_answer<S: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    bounds: AnswerBounds,
    take: &mut impl FnMut(S),
) -> Result<Answered, AnswerFault> {
    let (mut items, mut bytes) = (0u64, 0u64);
    loop {
        let frame = read_frame(from, bounds.frame_bytes).await?;
        bytes = bytes.saturating_add(frame.len() as u64);
        match serde_json::from_slice::<FromChild<S>>(&frame) {
            Ok(FromChild::Item(item)) => {
                if items >= bounds.frames || bytes > bounds.result_bytes {
                    return Err(AnswerFault::Breach(Breach::Flood));
                }
                items += 1;
                take(item);
            }
            Ok(FromChild::Done { dropped }) => return Ok(Answered { items, dropped }),
            Ok(FromChild::Panicked) => return Err(AnswerFault::Breach(Breach::Panic)),
            Ok(FromChild::Ready(_)) | Err(_) => return Err(AnswerFault::Breach(Breach::Protocol)),
        }
    }
}

/// The next frame. Its length is checked before anything is allocated.
pub(super) async fn read_frame(from: &mut (impl AsyncRead + Unpin), limit: u32) -> Result<Vec<u8>, AnswerFault> {
    let length = from.read_u32_le().await.map_err(|_| AnswerFault::Closed)?;
    if length > limit {
        return Err(AnswerFault::Breach(Breach::Protocol));
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await.map_err(|_| AnswerFault::Closed)?;
    Ok(body)
}
