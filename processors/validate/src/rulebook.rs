//! What applies to the documents of each tenant: packs, policy, schemas.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cofferdam_inside::inside::Limits;
use cofferdam_scan::structure::schema::{Others, RawSchemas, RawSelect, Schemas, Selected};
use cofferdam_schemas::TenantName;

use crate::child::Children;
use crate::config::{Plan, Policy};
use crate::look::{EngineError, Engines, Packs, Shelf};

/// What applies to the documents of one tenant, schemas excepted.
pub struct Rulebook {
    pub policy: Policy,
    pub engines: Arc<Engines>,
    pub children: Arc<Children>,
    /// Packs, models and policy, each with what tells its content from another: the same versions conclude the same.
    pub versions: BTreeMap<String, String>,
}

/// Those of all tenants.
pub struct Rulebooks {
    general: Rulebook,
    tenants: BTreeMap<TenantName, Rulebook>,
    schemas: Schemas,
}

impl Rulebooks {
    /// Loads every pack once, whoever uses it.
    ///
    /// # Errors
    /// When a pack or schema is refused; the error names it and the line, rule or key.
    pub fn load(plan: Plan) -> Result<Self, EngineError> {
        let Plan {
            packs,
            policy,
            schemas,
            tenants,
            hash_key: _,
            cache_documents: _,
        } = plan;
        let mut shelf = Shelf::default();
        let mut loaded: Vec<(Packs, Arc<Engines>, Arc<Children>)> = Vec::new();
        let mut book = |packs: Packs, policy: Policy| -> Result<Rulebook, EngineError> {
            let known = loaded.iter().find(|(known, ..)| *known == packs);
            let (engines, children) = match known {
                Some((_, engines, children)) => (engines.clone(), children.clone()),
                None => {
                    let engines = Arc::new(Engines::load_from(&packs, &mut shelf)?);
                    let children = Children::new(&packs, &engines, Limits::default()).map_err(own_program)?;
                    let children = Arc::new(children);
                    loaded.push((packs, engines.clone(), children.clone()));
                    (engines, children)
                }
            };
            let mut versions = engines.versions().clone();
            versions.insert("policy".to_owned(), policy.version());
            Ok(Rulebook {
                policy,
                engines,
                children,
                versions,
            })
        };
        let general = book(packs, policy)?;
        let tenants = tenants
            .into_iter()
            .map(|(name, (packs, policy))| Ok((name, book(packs, policy)?)))
            .collect::<Result<_, EngineError>>()?;
        Ok(Self {
            general,
            tenants,
            schemas: schemas.as_deref().map(load_schemas).transpose()?.unwrap_or_default(),
        })
    }

    /// The rules for a tenant; those for all where it has none of its own, and where there is no tenant.
    pub fn of(&self, tenant: Option<&TenantName>) -> &Rulebook {
        tenant
            .and_then(|tenant| self.tenants.get(tenant))
            .unwrap_or(&self.general)
    }

    /// What a document has to conform to. Without a tenant only the schemas for all apply.
    pub fn schemas(&self, tenant: Option<&TenantName>, key: &str) -> Selected {
        self.schemas.find(tenant.map_or("", |tenant| tenant.as_str()), key)
    }

    /// Takes a JSON Schema (`.json`) and a table contract (`.toml`) for all documents of their kinds, instead of the schemas there are.
    ///
    /// # Errors
    /// When one cannot be read or is not valid.
    pub fn replace_schemas(&mut self, paths: &[PathBuf]) -> Result<(), EngineError> {
        let select = |path: &PathBuf| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let table = path.extension().is_some_and(|extension| extension == "toml");
            RawSelect {
                tenant: "*".to_owned(),
                prefix: String::new(),
                json: None,
                json_file: (!table).then(|| path.clone()),
                table: None,
                table_file: table.then_some(path),
                others: Others::Allow,
            }
        };
        let raw = RawSchemas {
            schema: paths.iter().map(select).collect(),
        };
        self.schemas = raw.plan(Path::new("/")).map_err(|error| EngineError::Schemas {
            path: paths.first().cloned().unwrap_or_default(),
            message: error.to_string(),
        })?;
        Ok(())
    }

    /// Names that rules or schemas are for and that are no tenant's.
    pub fn strangers(&self, known: &[TenantName]) -> Vec<String> {
        let named = self
            .tenants
            .keys()
            .map(|name| name.as_str())
            .chain(self.schemas.tenants());
        let mut strangers: Vec<String> = named
            .filter(|name| !known.iter().any(|known| known.as_str() == *name))
            .map(str::to_owned)
            .collect();
        strangers.sort();
        strangers.dedup();
        strangers
    }
}

fn own_program(source: io::Error) -> EngineError {
    EngineError::Read {
        path: PathBuf::from("/proc/self/exe"),
        source,
    }
}

/// Reads a file of schemas: `[[schema]]` tables.
fn load_schemas(path: &Path) -> Result<Schemas, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|source| EngineError::Read {
        path: path.to_owned(),
        source,
    })?;
    let refused = |message: String| EngineError::Schemas {
        path: path.to_owned(),
        message,
    };
    let raw: RawSchemas = toml::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    raw.plan(folder).map_err(|error| refused(error.to_string()))
}
