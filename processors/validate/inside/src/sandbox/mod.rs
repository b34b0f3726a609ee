//! A pool of child processes of our own binary in which documents are looked at.
//!
//! Parsers of hostile files abort on memory and overflow the stack, which nothing inside a process can stop. So they run in a child
//! that may do nothing but compute: it is handed the document as an open descriptor, has its memory, time and files limited, can open
//! nothing and talk to nobody but its parent. What it sends back is treated as hostile too. A child that breaches is killed and
//! replaced, and the breach is a verdict on the one document. What it had sent until then is kept, so a scan sends what it finds when it
//! finds it, and not at its end.
//!
//! The host calls [`worker_main`] when it was started with the argument it gave in [`Settings::args`]; everything else goes through a
//! [`Pool`]. Only Unix is supported; system-call filters and the per-document limit on processor time need Linux, and
//! [`InForce`] says what holds.

mod answer;
mod confine;
mod frame;
mod pool;
mod spool;
mod worker;

pub use answer::{AnswerBounds, AnswerFault, Answered, read_answer};
pub use confine::{Bounds, InForce};
pub use pool::{Breach, Failure, Pool, Report, Settings};
pub use spool::Spool;
pub use worker::{Emitter, worker_main};
