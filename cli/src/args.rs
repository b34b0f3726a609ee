//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Drop a file; it is sealed, checked and recorded, every step is an event, and it comes back.
#[derive(Debug, Parser)]
#[command(name = "cofferdam", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file. Without it: `cofferdam.toml` here if there is one, else the defaults.
    #[arg(long, short, global = true, env = "COFFERDAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory of the instance to start or to talk to.
    #[arg(long, global = true, env = "COFFERDAM_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON instead of text: one value, or one line an item.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything in one process tree and keep it running.
    Up(Up),
    /// Run one service over a NATS server that is already there.
    Run(Run),
    /// Upload files and follow each to its end.
    Put(Put),
    /// Bring a document back.
    Get(Get),
    /// List documents, newest first.
    Ls(Ls),
    /// Delete a document: its sealed copy, and the landing copy if it is still there.
    Rm(Rm),
    /// Look at what was quarantined, and decide about it.
    Quarantine {
        #[command(subcommand)]
        command: Quarantine,
    },
    /// Show what happens, as it happens.
    Watch(Watch),
    /// Show one document's way through.
    Status(Status),
    /// Scan files here, with no server: what they are, whether they are whole, and what is dangerous in them. Exits 0 when all pass, 4 when
    /// something is for review, 5 when something was not looked at in full, 3 when something should be quarantined.
    Scan(Scan),
    /// Make and verify signed bills of materials: documents, hashes, verdicts, versions of the rules. Verifying needs one public key file and no server.
    Bom {
        #[command(subcommand)]
        command: Bom,
    },
    /// List, try and check the rules that `scan` and the processor `validate` use.
    Rules {
        #[command(subcommand)]
        command: Rules,
    },
    /// Show or export the keys.
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Check or show the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at and replay what could not be processed.
    Dlq {
        #[command(subcommand)]
        command: Dlq,
    },
    /// Ask an instance whether it is ready; exits 0 or 69.
    Health,
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct Up {
    /// Leave these services to other processes (`cofferdam run …`), separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "SERVICE")]
    pub without: Vec<String>,
    /// Say nothing but errors; `run.json` tells the rest.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// The service: a processor's name, or one of provision, normalise, gateway, join, sink, query, dlq.
    pub service: String,
}

#[derive(Debug, Args)]
pub struct Put {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The key, for a single file; otherwise the file's name is the key.
    #[arg(long)]
    pub key: Option<String>,
    /// The landing bucket.
    #[arg(long)]
    pub bucket: Option<String>,
    /// The media type to declare.
    #[arg(long)]
    pub content_type: Option<String>,
    /// Do not wait for the end.
    #[arg(long)]
    pub no_wait: bool,
    /// Give up waiting after so many seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Scan {
    /// Files and folders; folders with everything below them, links excepted.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Take each record of a JSON-lines, CSV or Parquet file as a document of its own, and look for duplicates and poison across them.
    #[arg(long)]
    pub records: bool,
    /// With `--records`: the field whose text is scanned (`a.b` goes deeper). Without it: all text of a record.
    #[arg(long, value_name = "NAME", requires = "records")]
    pub field: Option<String>,
    /// With `--records`: the field that holds the label of a training example.
    #[arg(long, value_name = "NAME", requires = "records")]
    pub label: Option<String>,
    /// With `--records`: write clean, review and quarantine files here, every record in exactly one of them, and a signed `bom.json`.
    #[arg(long, value_name = "DIR", requires = "records")]
    pub split: Option<PathBuf>,
    #[command(flatten)]
    pub key: SigningKey,
    /// Print one SARIF 2.1.0 document.
    #[arg(long, conflicts_with = "json", conflicts_with = "records")]
    pub sarif: bool,
    /// A JSON Schema (`.json`) that JSON documents, or a table contract (`.toml`) that tables have to conform to. May be given once for each.
    #[arg(long, value_name = "FILE", conflicts_with = "records")]
    pub schema: Vec<PathBuf>,
    /// A TOML file with the keys of `[processors.validate]`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Findings listed per document; further ones are counted.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub max_findings: usize,
    /// Rules that are not reported, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub silence: Vec<String>,
    /// A file or folder of YARA rules, besides those built in; may be given several times. Only in a program that was built with the feature `yara`.
    #[arg(long, value_name = "PATH", conflicts_with = "records")]
    pub yara: Vec<PathBuf>,
    /// Engines to leave out: phi, injection, secrets, yara; separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    pub without: Vec<String>,
    /// A file whose bytes key the hashes of values found. Without it only values too long to be guessed are hashed.
    #[arg(long, value_name = "FILE")]
    pub hash_key: Option<PathBuf>,
}

/// Names the key that signs bills of materials.
#[derive(Debug, Clone, Args)]
pub struct SigningKey {
    /// The private key that signs bills of materials, made at its first use. Without it: `bom.key` in ~/.config/cofferdam.
    #[arg(long, env = "COFFERDAM_BOM_KEY", value_name = "FILE")]
    pub bom_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Bom {
    /// Make a key: `bom.key`, which signs and stays here, and `bom.pub`, which others verify with. `make` does it at its first use.
    Keygen {
        /// The folder. Without it: ~/.config/cofferdam.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Sign what is known about a batch of documents: all of a running instance, or those that every condition holds for.
    Make(BomMake),
    /// Check a bill of materials. Exits 0 when it holds, 3 when it does not, 1 when it could not be checked.
    Verify(BomVerify),
}

#[derive(Debug, Args)]
pub struct BomMake {
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this landing bucket.
    #[arg(long)]
    pub bucket: Option<String>,
    /// Only documents last modified at this time or later: `2026-01-31` or `2026-01-31T08:00:00Z`, in UTC.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only documents last modified before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only these objects, by id; can be said several times.
    #[arg(long = "object", value_name = "ID", conflicts_with_all = ["prefix", "bucket", "since", "until"])]
    pub objects: Vec<String>,
    /// Only the objects whose ids stand in this file, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prefix", "bucket", "since", "until"])]
    pub objects_from: Option<PathBuf>,
    /// Take the lines that `scan --json` printed instead of asking an instance; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prefix", "bucket", "since", "until", "objects", "objects_from"])]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub key: SigningKey,
    /// Where to write it. Without it: standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the output file if it exists.
    #[arg(long, short)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct BomVerify {
    /// The bill of materials.
    #[arg(value_name = "FILE")]
    pub bom: PathBuf,
    /// The public key file, `bom.pub`, as its owner gave it to you.
    #[arg(long, value_name = "PUB")]
    pub key: PathBuf,
    /// Also hash the files it names, which lie below this folder.
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// List the rules, with severity and citation.
    Ls {
        /// Only those whose name begins so, for example `phi/`.
        prefix: Option<String>,
    },
    /// Say which rules find something in a text.
    Test {
        /// The text; without it, standard input.
        text: Option<String>,
    },
    /// Load packs, compile every pattern and try every example; a bad pack is refused with its line.
    Check {
        /// Packs of recognizers, in the form of `rules/phi.toml`.
        #[arg(long, value_name = "FILE")]
        phi: Vec<PathBuf>,
        /// Packs of rules for secrets, in the form of gitleaks' configuration.
        #[arg(long, value_name = "FILE")]
        secrets: Vec<PathBuf>,
        /// Packs of rules for injections, in the form of `rules/injection.toml`.
        #[arg(long, value_name = "FILE")]
        injection: Vec<PathBuf>,
        /// A file of byte signatures.
        #[arg(long, value_name = "FILE")]
        signatures: Option<PathBuf>,
        /// Files or folders of YARA rules.
        #[arg(long, value_name = "PATH")]
        yara: Vec<PathBuf>,
    },
}

/// Names one document.
#[derive(Debug, Clone, Args)]
pub struct Name {
    /// The key as it was dropped, or the object id.
    #[arg(value_name = "KEY|ID")]
    pub name: String,
    /// The landing bucket, where a key stands in several.
    #[arg(long)]
    pub bucket: Option<String>,
}

#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    pub name: Name,
    /// Where to write it; `-` for standard output. Without it: the key's last part, here.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only these bytes: `START-END` (END included, as in HTTP), `START-` or `-LAST`.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub range: Option<String>,
    /// Overwrite the output file if it exists.
    #[arg(long, short)]
    pub force: bool,
    /// Print the link instead of fetching.
    #[arg(long)]
    pub link: bool,
    /// Seconds until the link expires (60 to 604800).
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub expires: u32,
    /// Give up waiting after so many seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub timeout: u64,
}

#[derive(Debug, Args)]
pub struct Ls {
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this state: open, done, quarantined, released, superseded, dead, deleted.
    #[arg(long)]
    pub state: Option<String>,
    /// How many at most; 0 for all.
    #[arg(long, short = 'n', default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct Rm {
    #[command(flatten)]
    pub name: Name,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List what is quarantined.
    Ls {
        /// Only keys that begin so.
        prefix: Option<String>,
        /// How many at most; 0 for all.
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: usize,
        /// Exit 3 if there is any.
        #[arg(long)]
        fail_if_any: bool,
    },
    /// Show one, with what was found in it.
    Show {
        #[command(flatten)]
        name: Name,
    },
    /// Let one be given out after all. The reason is kept with it.
    Release(Decide),
    /// Delete one for good. The reason is kept.
    Destroy(Decide),
}

#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    pub name: Name,
    /// Why, in 1 to 500 characters.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Watch {
    /// Only events whose subject begins so, for example `validate` or `done`.
    pub filter: Option<String>,
    /// Stop after so many events.
    #[arg(long, short = 'n')]
    pub count: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub name: Name,
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Key ids and recipients (public).
    Show {
        /// Whole recipients instead of their beginnings.
        #[arg(long)]
        full: bool,
    },
    /// The secret identities, so that sealed objects can be opened without Cofferdam. Asks first.
    Export {
        /// Whose.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Which key.
        #[arg(long, value_enum, default_value_t = ExportKey::Tenant)]
        key: ExportKey,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Write to this file (mode 0600, must not exist) instead of standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportKey {
    /// The tenant's own key.
    Tenant,
    /// The tenant's recovery key.
    Recovery,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read it and report every problem; exits 0 or 78.
    Check,
    /// Print what is in force.
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters.
    Ls {
        /// Exit 3 if there is any.
        #[arg(long)]
        fail_if_any: bool,
    },
    /// Show one, with its message.
    Show {
        /// Its number in the list.
        seq: u64,
    },
    /// Publish messages again.
    Replay {
        /// Their numbers; none with `--all`.
        seq: Vec<u64>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
}
