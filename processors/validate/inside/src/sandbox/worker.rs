//! The child's side.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::confine::confine;
use super::frame::{self, FromChild, REQUEST, Setup};

/// Sends results to the parent, each at once: what was found before a breach is not lost.
pub struct Emitter<'a, S> {
    parent: &'a mut UnixStream,
    limit: u32,
    dropped: u64,
    gone: bool,
    items: PhantomData<fn(&S)>,
}

impl<S: Serialize> Emitter<'_, S> {
    /// Sends one result. False where it was too long, which the parent is told at the end, or where there is no parent any more.
    pub fn emit(&mut self, item: &S) -> bool {
        let body = serde_json::to_vec(&FromChild::Item(item)).unwrap_or_default();
        if body.is_empty() || body.len() > self.limit as usize {
            self.dropped += 1;
            return false;
        }
        if !self.gone && frame::write(self.parent, &body).is_err() {
            self.gone = true;
        }
        !self.gone
    }

    /// Whether the parent is gone, so that going on is of no use.
    pub fn is_alone(&self) -> bool {
        self.gone
    }
}

/// The whole life of a child: waits for documents on standard input, which is a socket, and looks at them with what `build` made.
/// Call it first thing in `main`, with no other thread running. `build` is given the [material](super::Settings::material) and runs before the process
/// is confined, so it may read files; it runs within the limits on memory all the same when it is used later. An error of it ends the child.
/// Returns when the parent closes the socket.
///
/// `scan` is handed the request, the document and where to put results. A panic in it is reported to the parent.
pub fn worker_main<R, S, F>(build: impl FnOnce(&[u8]) -> io::Result<F>) -> io::Result<()>
where
    R: DeserializeOwned,
    S: Serialize,
    F: FnMut(R, File, &mut Emitter<'_, S>),
{
    // Messages of panics may hold parts of the document.
    std::panic::set_hook(Box::new(|_| {}));
    let mut parent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut length = [0; 4];
    parent.read_exact(&mut length)?;
    let setup: Setup = serde_json::from_slice(&frame::body(&mut parent, length, REQUEST)?)?;
    let mut material = vec![0; usize::try_from(setup.material).map_err(|_| io::ErrorKind::InvalidData)?];
    parent.read_exact(&mut material)?;
    let mut scan = build(&material)?;
    drop(material);
    let force = confine(&setup.bounds, setup.parent);
    frame::write(&mut parent, &serde_json::to_vec(&FromChild::<()>::Ready(force))?)?;
    while let Some((request, document)) = next(&mut parent)? {
        let mut emitter = Emitter {
            parent: &mut parent,
            limit: setup.frame_bytes,
            dropped: 0,
            gone: false,
            items: PhantomData,
        };
        let request = serde_json::from_slice(&request)?;
        let done = catch_unwind(AssertUnwindSafe(|| scan(request, File::from(document), &mut emitter)));
        let last = match done {
            Ok(()) => FromChild::<()>::Done {
                dropped: emitter.dropped,
            },
            Err(_) => FromChild::Panicked,
        };
        frame::write(&mut parent, &serde_json::to_vec(&last)?)?;
    }
    Ok(())
}

/// The next request with its document; none when the parent has closed.
fn next(parent: &mut UnixStream) -> io::Result<Option<(Vec<u8>, OwnedFd)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &*parent,
        &mut [IoSliceMut::new(&mut length)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut document = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            document = descriptors.into_iter().next();
        }
    }
    parent.read_exact(&mut length[received.bytes..])?;
    let body = frame::body(parent, length, REQUEST)?;
    match document {
        Some(document) => Ok(Some((body, document))),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
