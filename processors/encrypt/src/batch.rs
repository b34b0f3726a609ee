//! Signing in batches: statements that arrive while a signature is computed are signed together.
//!
//! A signature costs more than everything else about a small document. Under load one signature therefore serves up to 256 documents ([`SignatureAlg::Batch`]).
//! Whoever is about to seal a document takes a [`Turn`] first, so that it is known how many statements are on their way. A statement that is alone is signed by itself
//! at once, as without batches; one that is not waits until the others that are on their way have come, five milliseconds at most.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cofferdam_envelope::{BATCH_MAX, SignatureAlg, label};
use cofferdam_schemas::KeyId;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::composite::CompositeSigner;
use crate::error::{CryptoError, SignError};
use crate::merkle::{Tree, leaf};
use crate::traits::{Signature, Signer};

/// How long the first statement of a batch waits for others, from its arrival.
const LINGER: Duration = Duration::from_millis(5);
const MOST: usize = BATCH_MAX as usize;

/// Signs statements together, 1 to 256 of them, in the order given: a single one by itself, several with [`SignatureAlg::Batch`]. Takes about as long as one signature.
pub fn sign_together(signer: &CompositeSigner, statements: &[&[u8]]) -> Result<Vec<Signature>, CryptoError> {
    if let [alone] = statements {
        let bytes = signer.sign_with_context(label::ORIGIN_CONTEXT, alone)?;
        return Ok(vec![Signature::alone(SignatureAlg::MlDsa65Ed25519, bytes)]);
    }
    let leaves = statements.iter().map(|statement| leaf(statement)).collect();
    let tree = Tree::new(leaves).ok_or(CryptoError::Limit)?;
    let message = label::batch(tree.size(), &tree.root(), &signer.key_id().0);
    let bytes = signer.sign_with_context(label::BATCH_CONTEXT, &message)?;
    let one = |index| Signature {
        alg: SignatureAlg::Batch,
        inclusion: Some(tree.inclusion(index)),
        bytes: bytes.clone(),
    };
    Ok((0..tree.size()).map(one).collect())
}

type Answer = oneshot::Sender<Result<Signature, CryptoError>>;

/// A statement that waits.
struct Waiting {
    statement: Vec<u8>,
    since: Instant,
    answer: Answer,
}

#[derive(Default)]
struct State {
    /// Whether somebody signs. Who does takes care of the queue before leaving.
    busy: bool,
    /// Turns whose statement has not come yet.
    coming: usize,
    queue: VecDeque<Waiting>,
}

impl State {
    /// Whether there is nobody to wait for.
    fn together(&self) -> bool {
        self.coming == 0 || self.queue.len() >= MOST
    }
}

struct Shared {
    signer: Arc<CompositeSigner>,
    state: Mutex<State>,
    /// Told when there is nobody to wait for.
    together: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs in batches what is asked of it at the same time. Cheap to clone; all clones are one. Works within a tokio runtime.
#[derive(Clone)]
pub struct BatchSigner(Arc<Shared>);

impl BatchSigner {
    /// Signs with this key.
    pub fn new(signer: Arc<CompositeSigner>) -> Self {
        Self(Arc::new(Shared {
            signer,
            state: Mutex::default(),
            together: Notify::new(),
        }))
    }

    /// Announces a statement that will come soon, and signs it.
    pub fn turn(&self) -> Turn {
        self.0.state().coming += 1;
        Turn {
            batch: self.clone(),
            announced: AtomicBool::new(true),
        }
    }

    /// Stops being busy, or hands the queue to a task of its own: whoever asks may go away at any time, and the others are still served.
    fn leave(&self) {
        let mut state = self.0.state();
        state.busy = !state.queue.is_empty();
        if state.busy {
            tokio::spawn(self.clone().serve());
        }
    }

    /// Waits until those who are on their way have come, or the first in the queue has waited long enough.
    async fn gather(&self) {
        loop {
            let until = {
                let state = self.0.state();
                let first = state.queue.front().map(|first| first.since + LINGER);
                first.filter(|_| !state.together())
            };
            let Some(until) = until else { return };
            // A notification from before only makes it look once more.
            if tokio::time::timeout_at(until, self.0.together.notified())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Signs batch after batch until nobody waits.
    async fn serve(self) {
        loop {
            self.gather().await;
            let batch: Vec<Waiting> = {
                let mut state = self.0.state();
                let count = state.queue.len().min(MOST);
                state.queue.drain(..count).collect()
            };
            let signer = self.0.signer.clone();
            let signing = tokio::task::spawn_blocking(move || {
                // Who does not wait any more needs no leaf.
                let batch: Vec<Waiting> = batch.into_iter().filter(|one| !one.answer.is_closed()).collect();
                let statements: Vec<&[u8]> = batch.iter().map(|one| &one.statement[..]).collect();
                if statements.is_empty() {
                    return;
                }
                let signed = sign_together(&signer, &statements);
                let mut signatures = signed.map(Vec::into_iter);
                for one in batch {
                    let signature = match &mut signatures {
                        Ok(signatures) => signatures.next().ok_or(CryptoError::Limit),
                        Err(error) => Err(*error),
                    };
                    // An error here: nobody waits for it.
                    let _ = one.answer.send(signature);
                }
            });
            // When the runtime goes down, or signing panicked, the answers of this batch are dropped, and those who wait are told so.
            let _ = signing.await;
            let mut state = self.0.state();
            if state.queue.is_empty() {
                state.busy = false;
                break;
            }
        }
    }
}

/// Hands the queue on, however the signing ends.
struct Leave<'a>(&'a BatchSigner);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[async_trait]
impl Signer for BatchSigner {
    fn key_id(&self) -> KeyId {
        self.0.signer.key_id()
    }
    fn alg(&self) -> SignatureAlg {
        self.0.signer.alg()
    }
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.signer.sign(statement).await
    }

    async fn sign_any(&self, statement: &[u8]) -> Result<Signature, SignError> {
        let answer = {
            let mut state = self.0.state();
            if state.busy || state.coming > 0 {
                let (send, answer) = oneshot::channel();
                state.queue.push_back(Waiting {
                    statement: statement.to_vec(),
                    since: Instant::now(),
                    answer: send,
                });
                if state.together() {
                    self.0.together.notify_one();
                }
                if !state.busy {
                    state.busy = true;
                    tokio::spawn(self.clone().serve());
                }
                Some(answer)
            } else {
                state.busy = true;
                None
            }
        };
        match answer {
            // The task that serves the queue is gone: the runtime ends, or it panicked.
            Some(answer) => Ok(answer.await.map_err(|gone| SignError::Unavailable(Box::new(gone)))??),
            None => {
                let _leave = Leave(self);
                let bytes = self.0.signer.sign_with_context(label::ORIGIN_CONTEXT, statement)?;
                Ok(Signature::alone(self.alg(), bytes))
            }
        }
    }
}

/// One statement that was announced: signs as its [`BatchSigner`] does, once. Dropped before that, nobody waits for it any more.
pub struct Turn {
    batch: BatchSigner,
    announced: AtomicBool,
}

impl Turn {
    fn arrive(&self) {
        if self.announced.swap(false, Ordering::Relaxed) {
            let mut state = self.batch.0.state();
            state.coming -= 1;
            if state.together() {
                self.batch.0.together.notify_one();
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.arrive();
    }
}

#[async_trait]
impl Signer for Turn {
    fn key_id(&self) -> KeyId {
        self.batch.key_id()
    }
    fn alg(&self) -> SignatureAlg {
        self.batch.alg()
    }
    async fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        self.arrive();
        self.batch.sign(statement).await
    }
    async fn sign_any(&self, statement: &[u8]) -> Result<Signature, SignError> {
        self.arrive();
        self.batch.sign_any(statement).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> BatchSigner {
        BatchSigner::new(Arc::new(CompositeSigner::from_seeds(&[1; 32], &[2; 32])))
    }

    /// Whether a signature holds for a statement, and in a batch of what size.
    #[track_caller]
    fn holds(signer: &BatchSigner, statement: &[u8], signature: &Signature) -> u16 {
        let key = signer.0.signer.verify_key();
        let inclusion = signature.inclusion.as_ref();
        assert!(key.verify_statement(statement, inclusion, &signature.bytes));
        assert!(!key.verify_statement(b"another", inclusion, &signature.bytes));
        inclusion.map_or(1, |inclusion| inclusion.size)
    }

    #[tokio::test]
    async fn alone_is_signed_by_itself() {
        let signer = signer();
        for _ in 0..3 {
            let made = signer.sign_any(b"statement").await.unwrap();
            assert_eq!(made.alg, SignatureAlg::MlDsa65Ed25519);
            assert_eq!(holds(&signer, b"statement", &made), 1);
        }
        assert!(!signer.0.state().busy);
    }

    /// More than a batch holds, all at once; and some of those who asked go away.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn those_who_come_together_are_signed_together() {
        let signer = signer();
        let asked: Vec<_> = (0..600u32)
            .map(|n| {
                let signer = signer.clone();
                tokio::spawn(async move { (n, signer.sign_any(&n.to_be_bytes()).await) })
            })
            .collect();
        for gone in asked.iter().skip(5).step_by(7) {
            gone.abort();
        }
        let (mut served, mut largest) = (0, 0);
        for one in asked {
            if let Ok((n, made)) = one.await {
                largest = largest.max(holds(&signer, &n.to_be_bytes(), &made.unwrap()));
                served += 1;
            }
        }
        assert!(
            served >= 500 && (2..=BATCH_MAX).contains(&largest),
            "{served}, {largest}"
        );
        // Afterwards it serves a single one at once again.
        let again = signer.sign_any(b"again").await.unwrap();
        assert!(holds(&signer, b"again", &again) <= BATCH_MAX);
    }

    /// Who is announced is waited for; who turns back is not.
    #[tokio::test]
    async fn those_who_are_announced_are_waited_for() {
        let signer = signer();
        let [one, two, gone] = [(); 3].map(|()| signer.turn());
        let waits = tokio::spawn(async move { one.sign_any(b"1").await.unwrap() });
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(gone);
        let second = two.sign_any(b"2").await.unwrap();
        let first = waits.await.unwrap();
        assert_eq!((holds(&signer, b"1", &first), holds(&signer, b"2", &second)), (2, 2));
        assert_eq!(signer.0.state().coming, 0);
        // One who does not come is waited for no longer than that.
        let (_never, last) = (signer.turn(), signer.turn());
        let began = Instant::now();
        let made = last.sign_any(b"3").await.unwrap();
        assert_eq!(holds(&signer, b"3", &made), 1);
        assert!(began.elapsed() >= LINGER, "{:?}", began.elapsed());
    }

    #[test]
    fn together_is_limited() {
        let signer = signer().0.signer.clone();
        assert!(sign_together(&signer, &[]).is_err());
        assert!(sign_together(&signer, &[b"x".as_slice(); 257]).is_err());
        assert_eq!(sign_together(&signer, &[b"x".as_slice(); 256]).unwrap().len(), 256);
    }
}
