//! A processor's access to the bytes of the document.

use std::ops::Range;
use std::sync::Arc;

use cofferdam_schemas::ObjectRef;
use cofferdam_seams::{Locator, ObjectBody, ObjectError, ObjectMeta, ObjectStore};

/// The landing object a job is about. Reading it is conditional on the version and entity tag of the event, so that a document replaced meanwhile is
/// noticed as [`ObjectError::PreconditionFailed`] or [`ObjectError::NotFound`], which the shell turns into "superseded".
#[derive(Clone)]
pub struct Document {
    store: Arc<dyn ObjectStore>,
    at: Locator,
}

impl Document {
    /// The object an event speaks of, in its landing store.
    pub fn new(store: Arc<dyn ObjectStore>, object: &ObjectRef) -> Self {
        Self {
            store,
            at: Locator::from(object),
        }
    }

    /// What the store says about it now.
    pub async fn head(&self) -> Result<ObjectMeta, ObjectError> {
        self.store.head(&self.at).await
    }

    /// All of its bytes, as a stream.
    pub async fn read(&self) -> Result<ObjectBody, ObjectError> {
        self.store.get(&self.at, None).await
    }

    /// A range of its bytes, cut to its end.
    pub async fn read_range(&self, range: Range<u64>) -> Result<ObjectBody, ObjectError> {
        self.store.get(&self.at, Some(range)).await
    }
}
