//! In place of YARA where it is not built in: there are never any rules.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Found, YaraError};
use crate::look::RuleInfo;

/// Compiled rules, of which there are none.
pub enum Yara {}

impl Yara {
    /// None, where none are asked for.
    ///
    /// # Errors
    /// When some are.
    pub fn compile(paths: &[PathBuf]) -> Result<Option<Self>, YaraError> {
        match paths {
            [] => Ok(None),
            _ => Err(YaraError::NotBuilt),
        }
    }

    /// None.
    ///
    /// # Errors
    /// Never.
    pub fn load(_: &[u8]) -> Result<Option<Self>, YaraError> {
        Ok(None)
    }

    /// What [`load`](Self::load) takes.
    pub fn compiled(&self) -> Arc<[u8]> {
        match *self {}
    }

    /// What identifies the rules.
    pub fn version(&self) -> &str {
        match *self {}
    }

    /// What is dubious about them.
    pub fn warnings(&self) -> &[String] {
        match *self {}
    }

    /// Whether a document's name may bear on what is found in it.
    pub fn reads_names(&self) -> bool {
        match *self {}
    }

    /// Each rule that is reported.
    pub fn rules(&self) -> Vec<RuleInfo> {
        match *self {}
    }
}

/// A scan, of which there are none.
pub struct YaraScan<'y>(&'y Yara);

impl<'y> YaraScan<'y> {
    /// At the beginning of something of this name.
    pub fn new(yara: &'y Yara, _: &str) -> Self {
        Self(yara)
    }

    /// The next bytes.
    pub fn feed(&mut self, _: &[u8]) {
        match *self.0 {}
    }

    /// There are no more.
    pub fn finish(self) -> Found {
        match *self.0 {}
    }
}
