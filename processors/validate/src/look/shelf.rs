//! Engines that were loaded once, for all that have the same packs.

use std::path::PathBuf;
use std::sync::Arc;

use cofferdam_scan::injection::Injection;
use cofferdam_scan::phi::Phi;
use cofferdam_scan::secrets;

use super::EngineError;
use crate::scan::Signatures;
use crate::yara::Yara;

/// What tenants with packs of their own have in common with others: models and rules take megabytes and seconds.
#[derive(Default)]
pub struct Shelf {
    pub(super) phi: Kept<Vec<PathBuf>, Phi>,
    pub(super) injection: Kept<Vec<PathBuf>, Injection>,
    /// By packs and silenced rules, which are not even compiled.
    pub(super) secrets: Kept<(Vec<PathBuf>, Vec<String>), secrets::Packs>,
    pub(super) signatures: Kept<Option<PathBuf>, Signatures>,
    pub(super) yara: Kept<Vec<PathBuf>, Option<Yara>>,
}

/// Values by what they were made of.
pub(super) struct Kept<K, T>(Vec<(K, Arc<T>)>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, T> Kept<K, T> {
    /// The value there is, or one that is made now.
    pub(super) fn get(
        &mut self,
        key: K,
        make: impl FnOnce(&K) -> Result<T, EngineError>,
    ) -> Result<Arc<T>, EngineError> {
        if let Some((_, value)) = self.0.iter().find(|(known, _)| *known == key) {
            return Ok(value.clone());
        }
        let made = Arc::new(make(&key)?);
        self.0.push((key, made.clone()));
        Ok(made)
    }
}
