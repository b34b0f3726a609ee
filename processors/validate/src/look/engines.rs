//! The engines with their packs, loaded once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cofferdam_scan::hit::Hit;
use cofferdam_scan::injection::language::Language;
use cofferdam_scan::injection::{Injection, InjectionError};
use cofferdam_scan::phi::pack::PackSource;
use cofferdam_scan::phi::{PackError, Phi, pack as phi_pack};
use cofferdam_scan::reading::{self, Field, Notation};
use cofferdam_scan::secrets::{self, DecodeLimits, Decoded, decoded_runs};
use cofferdam_schemas::{Finding, Severity};

use super::labels::Known;
use super::{Gather, Shelf};
use crate::error::ValidateError;
use crate::scan::Signatures;
use crate::yara::{Yara, YaraError};

/// What stands in place of a name that tells something.
const HIDDEN: &str = "(name withheld)";

/// Which packs are loaded besides those built in.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Packs {
    /// Files with recognizers of personal data, in the form of `rules/phi.toml`.
    pub phi: Vec<PathBuf>,
    /// Files with rules for secrets, in the form of gitleaks' configuration.
    pub secrets: Vec<PathBuf>,
    /// Files with rules for injections, in the form of `rules/injection.toml`.
    pub injection: Vec<PathBuf>,
    /// A file with byte signatures, in the form of `rules/signatures.toml`.
    pub signatures: Option<PathBuf>,
    /// Files or folders of YARA rules; only in a program that was built with the feature `yara`.
    pub yara: Vec<PathBuf>,
    /// Rules that are not reported, for example `phi/url`.
    pub silence: BTreeSet<String>,
    /// Engines that are left out: `phi`, `injection`, `secrets`, `yara`.
    pub without: BTreeSet<String>,
}

impl Packs {
    /// These and further ones. Signatures of the further ones take the place of these.
    pub fn and(&self, further: Packs) -> Packs {
        let mut all = self.clone();
        all.phi.extend(further.phi);
        all.secrets.extend(further.secrets);
        all.injection.extend(further.injection);
        all.yara.extend(further.yara);
        all.signatures = further.signatures.or(all.signatures);
        all.silence.extend(further.silence);
        all.without.extend(further.without);
        all
    }
}

/// One rule, for a list.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RuleInfo {
    /// Its name.
    pub name: String,
    /// How grave what it finds is.
    pub severity: Severity,
    /// What it finds.
    pub what: String,
    /// What is behind it.
    pub citation: Option<String>,
}

/// Why the engines do not load.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file is not readable.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A pack of recognizers is refused.
    #[error(transparent)]
    Phi(#[from] PackError),
    /// A pack of rules for secrets is refused.
    #[error(transparent)]
    Secrets(#[from] secrets::Refusal),
    /// Rules or model for injections are refused.
    #[error(transparent)]
    Injection(#[from] InjectionError),
    /// The byte signatures are refused.
    #[error(transparent)]
    Signatures(#[from] ValidateError),
    /// YARA rules are refused.
    #[error(transparent)]
    Yara(#[from] YaraError),
    /// The schemas are refused.
    #[error("schemas in {} are not valid: {message}", path.display())]
    Schemas {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// There is no such engine.
    #[error("there is no engine {0:?}; there are phi, injection, secrets and yara")]
    Unknown(String),
}

/// What the engines tell of a window besides what they found.
pub(super) enum Told {
    Score(&'static str, f32),
    Limit(&'static str),
}

impl Told {
    /// Notes it for the document.
    pub(super) fn to(self, gather: &mut Gather) {
        match self {
            Self::Score(name, value) => gather.score(name, value),
            Self::Limit(name) => gather.limit(name, 1),
        }
    }
}

/// All engines. Shared by every document and thread.
pub struct Engines {
    phi: Option<Arc<Phi>>,
    injection: Option<Arc<Injection>>,
    secrets: Option<Arc<secrets::Packs>>,
    signatures: Arc<Signatures>,
    yara: Arc<Option<Yara>>,
    silence: BTreeSet<String>,
    versions: BTreeMap<String, String>,
}

fn read(path: &Path) -> Result<String, EngineError> {
    std::fs::read_to_string(path).map_err(|source| EngineError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Packs with their names.
fn texts(paths: &[PathBuf]) -> Result<Vec<(String, String)>, EngineError> {
    let one = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
    paths.iter().map(one).collect()
}

fn sources(texts: &[(String, String)]) -> impl Iterator<Item = PackSource<'_>> {
    texts.iter().map(|(name, text)| PackSource { name, text })
}

fn phi(paths: &[PathBuf]) -> Result<Phi, EngineError> {
    let texts = texts(paths)?;
    let all: Vec<_> = phi_pack::BUILT_IN.into_iter().chain(sources(&texts)).collect();
    Ok(Phi::load(&all)?)
}

fn injection(paths: &[PathBuf]) -> Result<Injection, EngineError> {
    let texts = texts(paths)?;
    Ok(Injection::with_packs(&sources(&texts).collect::<Vec<_>>())?)
}

fn secrets(paths: &[PathBuf], silent: &[String]) -> Result<secrets::Packs, EngineError> {
    let mut sources = vec![secrets::own(), secrets::gitleaks()];
    for path in paths {
        sources.push(secrets::PackSource {
            name: path.display().to_string(),
            text: read(path)?,
            ignore_paths: false,
            check: true,
        });
    }
    Ok(secrets::Packs::load(&sources, silent)?)
}

impl Engines {
    /// Loads the packs; every pack's own examples are tried.
    ///
    /// # Errors
    /// When a pack is refused, with its name and the line or rule.
    pub fn load(packs: &Packs) -> Result<Self, EngineError> {
        Self::load_from(packs, &mut Shelf::default())
    }

    /// The same, taking from the shelf what is there already, and leaving there what is not.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(packs: &Packs, shelf: &mut Shelf) -> Result<Self, EngineError> {
        let yara = match packs.without.contains("yara") {
            true => Arc::new(None),
            false => shelf.yara.get(packs.yara.clone(), |paths| Ok(Yara::compile(paths)?))?,
        };
        Self::with_yara(packs, yara, shelf)
    }

    /// The same in a child process, with the YARA rules that its parent compiled.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_in_child(packs: &Packs, compiled: &[u8]) -> Result<Self, EngineError> {
        let yara = Arc::new(Yara::load(compiled)?);
        Self::with_yara(packs, yara, &mut Shelf::default())
    }

    fn with_yara(packs: &Packs, yara: Arc<Option<Yara>>, shelf: &mut Shelf) -> Result<Self, EngineError> {
        if let Some(unknown) = packs
            .without
            .iter()
            .find(|name| !super::ENGINES.contains(&name.as_str()))
        {
            return Err(EngineError::Unknown(unknown.clone()));
        }
        let with = |name: &str| !packs.without.contains(name);
        let silent = packs.silence.iter().filter(|rule| rule.starts_with("secrets/"));
        let silent: Vec<String> = silent.cloned().collect();
        let mut engines = Self {
            phi: with("phi")
                .then(|| shelf.phi.get(packs.phi.clone(), |paths| phi(paths)))
                .transpose()?,
            injection: with("injection")
                .then(|| shelf.injection.get(packs.injection.clone(), |paths| injection(paths)))
                .transpose()?,
            secrets: with("secrets")
                .then(|| {
                    let key = (packs.secrets.clone(), silent);
                    shelf.secrets.get(key, |(paths, silent)| secrets(paths, silent))
                })
                .transpose()?,
            signatures: shelf
                .signatures
                .get(packs.signatures.clone(), |path| Ok(Signatures::load(path.as_deref())?))?,
            yara,
            silence: packs.silence.clone(),
            versions: BTreeMap::new(),
        };
        engines.versions = engines.named();
        Ok(engines)
    }

    /// Compiles every pattern and tries every example, those of the built-in packs too.
    ///
    /// # Errors
    /// What is wrong, with pack and line.
    pub fn check(&self) -> Result<(), EngineError> {
        match &self.secrets {
            Some(secrets) => Ok(secrets.check()?),
            None => Ok(()),
        }
    }

    /// What packs ask for and these engines do not do.
    pub fn unsupported(&self) -> Vec<String> {
        self.secrets
            .as_ref()
            .map_or_else(Vec::new, |secrets| secrets.unsupported().to_vec())
    }

    /// All rules that are reported.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let mut rules = Vec::new();
        let mut add = |name: &str, severity: Severity, what: &str, citation: Option<&str>| {
            rules.push(RuleInfo {
                name: name.to_owned(),
                severity,
                what: what.to_owned(),
                citation: citation.map(str::to_owned),
            });
        };
        for rule in self.phi.iter().flat_map(|phi| phi.recognizers()) {
            add(&rule.rule, rule.severity, &rule.message, rule.citation.as_deref());
        }
        for (name, severity, what) in self.secrets.iter().flat_map(|secrets| secrets.rules()) {
            add(name, severity, what, None);
        }
        for (name, severity, what, citation) in self.injection.iter().flat_map(|injection| injection.rules()) {
            add(name, severity, what, citation);
        }
        for (name, severity, what, citation) in self.signatures.rules() {
            add(name, severity, what, citation);
        }
        rules.extend(self.yara().into_iter().flat_map(Yara::rules));
        rules.retain(|rule| self.reports(&rule.name));
        rules.sort_by(|one, other| one.name.cmp(&other.name));
        rules
    }

    /// The words and letters of the languages that the engine for injections knows, for looking at sets of records.
    pub fn language(&self) -> Option<Language> {
        self.injection.as_deref().map(Injection::language)
    }

    /// The byte signatures.
    pub fn signatures(&self) -> &Arc<Signatures> {
        &self.signatures
    }

    /// The YARA rules, where there are any.
    pub fn yara(&self) -> Option<&Yara> {
        self.yara.as_ref().as_ref()
    }

    /// What is dubious about packs that are valid all the same.
    pub fn warnings(&self) -> &[String] {
        self.yara().map_or(&[], Yara::warnings)
    }

    /// The engine for personal data.
    pub fn recognizers(&self) -> Option<&Phi> {
        self.phi.as_deref()
    }

    /// Whether a rule is reported.
    pub fn reports(&self, rule: &str) -> bool {
        !self.silence.contains(rule)
    }

    /// The engines in use, as `checked` names them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("phi", self.phi.is_some()),
            ("injection", self.injection.is_some()),
            ("secrets", self.secrets.is_some()),
        ];
        all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name)
    }

    /// All of a document's name that bears on what is found in it.
    pub fn profile(&self, path: &str) -> Vec<u8> {
        let secrets = self.secrets.as_ref();
        let mut profile = secrets.map_or_else(Vec::new, |secrets| secrets.profile(path));
        if self.yara().is_some_and(Yara::reads_names) {
            profile.extend(path.as_bytes());
        }
        profile
    }

    /// Packs and models with what identifies their content: the same versions find the same.
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    fn named(&self) -> BTreeMap<String, String> {
        let mut versions = BTreeMap::from([("signatures".to_owned(), self.signatures.version().to_owned())]);
        if let Some(phi) = &self.phi {
            versions.insert("phi".to_owned(), phi.version().to_owned());
        }
        if let Some(injection) = &self.injection {
            versions.insert("injection".to_owned(), injection.version());
        }
        if let Some(secrets) = &self.secrets {
            let packs: Vec<String> = secrets
                .versions()
                .map(|(name, version)| format!("{name}@{version}"))
                .collect();
            versions.insert("secrets".to_owned(), packs.join(" "));
        }
        if let Some(yara) = self.yara() {
            versions.insert("yara".to_owned(), yara.version().to_owned());
        }
        if !self.silence.is_empty() {
            let silenced: Vec<&str> = self.silence.iter().map(String::as_str).collect();
            versions.insert("silenced".to_owned(), silenced.join(" "));
        }
        versions
    }

    /// Everything the engines find in one window of a text, and what there is to tell besides. A text with a notation is looked at as it stands for
    /// secrets, and as it reads for everything; what is found in one place is said once.
    pub(super) fn scan(&self, text: &str, path: &str, notation: Option<Notation>) -> (Vec<Decoded>, Vec<Told>) {
        let Some(notation) = notation else {
            return self.scan_for(ALL, text, path);
        };
        if notation == Notation::Cells {
            let injection = For {
                personal: false,
                secrets: false,
                ..ALL
            };
            let others = For {
                injection: false,
                ..ALL
            };
            let (mut all, mut told) = self.scan_for(others, text, path);
            let (more, scores) = self.scan_for(injection, &reading::sentences(text), path);
            all.extend(more);
            told.extend(scores);
            return (all, told);
        }
        let mut known = Known::default();
        let reading = reading::read(notation, text, &mut |of, name| {
            known.hint(self.recognizers()?, of, name)
        });
        // Names and numbers of the notation are nobody's, and neither they nor what is encoded is language.
        let raw = For {
            personal: reading.text.is_none(),
            injection: reading.text.is_none(),
            secrets: true,
        };
        let (mut all, mut told) = self.scan_for(raw, text, path);
        let fields = self.scan_fields(&reading.fields);
        let named = Cover::of(&fields);
        all.retain(|found| !named.touches(&found.hit));
        let aside = For { secrets: false, ..ALL };
        for (form, what) in [(reading.text, ALL), (reading.aside, aside)] {
            let Some(form) = form else { continue };
            let (mut read, more) = self.scan_for(what, &form.text, path);
            told.extend(more);
            let covered = Cover::of(all.iter().map(|found| &found.hit));
            for found in &mut read {
                found.hit.span = form.origin(found.hit.span.clone());
            }
            // What lies between marks alone is nowhere in the document.
            read.retain(|Decoded { hit, .. }| !hit.span.is_empty() && !named.touches(hit) && !covered.touches(hit));
            all.extend(read);
        }
        all.extend(fields.into_iter().map(plain));
        (all, told)
    }

    /// What is found in values whose fields say what they are.
    fn scan_fields(&self, fields: &[Field]) -> Vec<Hit> {
        let mut found = Vec::new();
        let Some(phi) = self.recognizers() else { return found };
        for field in fields {
            let before = found.len();
            phi.scan_labelled(&field.value, field.hint, &mut found);
            for hit in &mut found[before..] {
                hit.span = field.origin(hit.span.clone());
            }
        }
        found.retain(|hit| self.reports(&hit.rule));
        found
    }

    fn scan_for(&self, what: For, text: &str, path: &str) -> (Vec<Decoded>, Vec<Told>) {
        let mut hits = Vec::new();
        let mut told = Vec::new();
        if let Some(phi) = self.phi.as_ref().filter(|_| what.personal) {
            phi.scan(text, None, &mut hits);
        }
        if let Some(injection) = self.injection.as_ref().filter(|_| what.injection) {
            let score = injection.scan(text, &mut hits);
            told.push(Told::Score("injection", score.document));
        }
        let mut decoded = Vec::new();
        if what.secrets {
            let mut reached = self.hidden(text, path, &mut decoded);
            if let Some(secrets) = &self.secrets {
                reached.add(secrets.scan(text, Some(path), &mut hits));
            }
            told.extend(reached.names().into_iter().map(Told::Limit));
        }
        let mut all: Vec<Decoded> = hits.into_iter().map(plain).chain(decoded).collect();
        all.retain(|found| self.reports(&found.hit.rule));
        (all, told)
    }

    /// Names of columns and members come from the document. Where such a name is itself something that would be a finding, it is not repeated: of a table
    /// without a header the first row would stand there.
    pub fn hide_in_names(&self, findings: &mut [Finding]) {
        let mut known: HashMap<String, bool> = HashMap::new();
        for finding in findings {
            let Some(name) = &mut finding.field else { continue };
            let tells = match known.get(name.as_str()) {
                Some(tells) => *tells,
                None => {
                    // A pointer's parts stand alone: what is a number in one is none with its neighbours.
                    let parts = name.split('/').filter(|part| !part.is_empty());
                    let tells = parts.map(|part| part.replace("~1", "/")).any(|part| self.tells(&part));
                    known.insert(name.clone(), tells);
                    tells
                }
            };
            if tells {
                *name = HIDDEN.to_owned();
            }
        }
    }

    /// Whether a text holds personal data or a secret.
    fn tells(&self, text: &str) -> bool {
        let mut hits = Vec::new();
        if let Some(phi) = &self.phi {
            phi.scan(text, None, &mut hits);
        }
        if let Some(secrets) = &self.secrets {
            // A name is far shorter than any limit.
            let _ = secrets.scan(text, None, &mut hits);
        }
        !hits.is_empty()
    }

    /// Secrets and byte signatures in what is written as Base64, hexadecimal or percent signs.
    fn hidden(&self, text: &str, path: &str, out: &mut Vec<Decoded>) -> secrets::Reached {
        let mut reached = secrets::Reached::default();
        let mut runs = decoded_runs(text, &DecodeLimits::default());
        for run in &mut runs {
            if let Some(secrets) = &self.secrets {
                reached.add(secrets.scan_run(&run, Some(path), out));
            }
            let hits = self.signatures.hits(&run.bytes, run.span.clone());
            out.extend(hits.into_iter().map(|hit| Decoded {
                hit,
                chain: run.chain.clone(),
            }));
        }
        reached.decoding |= runs.limit_reached();
        reached
    }
}

/// What a text is looked at for.
#[derive(Clone, Copy)]
struct For {
    personal: bool,
    injection: bool,
    /// Secrets, and signatures in what is encoded.
    secrets: bool,
}

const ALL: For = For {
    personal: true,
    injection: true,
    secrets: true,
};

fn plain(hit: Hit) -> Decoded {
    Decoded {
        hit,
        chain: secrets::Chain::default(),
    }
}

/// Where something was found, by category: spans that touch are one.
struct Cover<'h>(HashMap<&'h str, Vec<Range<usize>>>);

impl<'h> Cover<'h> {
    fn of(hits: impl IntoIterator<Item = &'h Hit>) -> Self {
        let mut all: HashMap<&str, Vec<Range<usize>>> = HashMap::new();
        for hit in hits {
            all.entry(category(hit)).or_default().push(hit.span.clone());
        }
        for spans in all.values_mut() {
            spans.sort_by_key(|span| span.start);
            spans.dedup_by(|next, last| {
                let touches = next.start <= last.end;
                if touches {
                    last.end = last.end.max(next.end);
                }
                touches
            });
        }
        Self(all)
    }

    /// Whether something of its category was found on some of its bytes.
    fn touches(&self, hit: &Hit) -> bool {
        self.0.get(category(hit)).is_some_and(|spans| {
            let after = spans.partition_point(|span| span.end <= hit.span.start);
            spans.get(after).is_some_and(|span| span.start < hit.span.end)
        })
    }
}

fn category(hit: &Hit) -> &str {
    hit.rule.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tenants that differ in one thing have the rest in common: a model is there once.
    #[test]
    fn what_is_the_same_is_loaded_once() {
        let mut shelf = Shelf::default();
        let mut load = |packs: Packs| Engines::load_from(&packs, &mut shelf).unwrap();
        let all = load(Packs::default());
        let quiet = load(Packs {
            silence: ["phi/url".to_owned(), "secrets/aws-access-token".to_owned()].into(),
            without: ["phi".to_owned()].into(),
            ..Packs::default()
        });
        let injections = (all.injection.unwrap(), quiet.injection.unwrap());
        assert!(Arc::ptr_eq(&injections.0, &injections.1));
        assert!(Arc::ptr_eq(&all.signatures, &quiet.signatures));
        assert!(quiet.phi.is_none() && all.phi.is_some());
        // What is silenced of these is not compiled, so they are others.
        assert!(!Arc::ptr_eq(&all.secrets.unwrap(), &quiet.secrets.unwrap()));
    }
}
