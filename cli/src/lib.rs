//! The `cofferdam` program as a library: composition, and the people's commands.
//!
//! It knows every other crate and decides nothing. A program with one more processor is `cofferdam::main(list)` with a longer list; see `tests/word-count`.

mod args;
mod bom;
mod client;
mod compose;
mod config;
mod http;
mod instance;
mod output;
mod people;
mod scan;
mod telemetry;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cofferdam_processor::Registration;

use args::{Cli, Command, ConfigCommand, Global};
use output::{Exit, Failure, Table, json_line};

/// Runs the program with these processors.
pub fn main(processors: Vec<Registration>) -> ExitCode {
    // Before any thread is there: a child process in which documents are opened does nothing else.
    if let Some(ended) = cofferdam_validate::child_main().or_else(cofferdam_inside::records::child_main) {
        return if ended.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let cli = Cli::parse();
    let json = cli.global.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Failure::new(Exit::Failure, anyhow::Error::from(error).context("no runtime")).print(json);
            return Exit::Failure.into();
        }
    };
    let end = runtime.block_on(run(cli, processors));
    // Blocking reads of standard input and the like must not hold the end up.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match end {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(json);
            failure.exit.into()
        }
    }
}

async fn run(cli: Cli, processors: Vec<Registration>) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Up(up) => compose::up(global, up, processors).await,
        Command::Run(run) => compose::run(global, run, processors).await,
        Command::Put(put) => people::put::run(global, put).await,
        Command::Get(get) => people::get::run(global, get).await,
        Command::Ls(ls) => people::ls::run(global, ls).await,
        Command::Rm(rm) => people::rm::run(global, rm).await,
        Command::Quarantine { command } => people::quarantine::run(global, command).await,
        Command::Watch(watch) => people::watch::run(global, watch).await,
        Command::Status(status) => people::status::run(global, status).await,
        Command::Scan(args) => scan::run(global, args).await,
        Command::Bom { command } => bom::run(global, command).await,
        Command::Rules { command } => scan::rules::run(global, command),
        Command::Keys { command } => people::keys::run(global, &processors, command),
        Command::Config { command } => configuration(global, &processors, command),
        Command::Dlq { command } => people::dlq::run(global, command).await,
        Command::Health => people::health::run(global).await,
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "cofferdam", &mut std::io::stdout());
            Ok(Exit::Ok)
        }
    }
}

fn configuration(global: &Global, processors: &[Registration], command: &ConfigCommand) -> Result<Exit, Failure> {
    let wrong = |problems: config::Problems| Failure::new(Exit::Config, problems);
    let plan = config::load(global, processors).map_err(wrong)?;
    match command {
        ConfigCommand::Check => {
            if global.json {
                json_line(&serde_json::json!({"valid": true}))?;
            } else {
                println!("configuration is valid; data in {}", plan.data_dir.display());
            }
        }
        ConfigCommand::Show { origin } => {
            let (figment, _) = config::layers(global).map_err(wrong)?;
            let rows = config::show(&figment, *origin).map_err(|error| Failure::new(Exit::Config, error))?;
            if global.json {
                json_line(&serde_json::to_value(&plan.raw)?)?;
            } else {
                let mut table = Table::new(if *origin {
                    &["key", "value", "from"]
                } else {
                    &["key", "value"]
                });
                for (key, value, from) in rows {
                    table.row([Some(key), Some(value), from].into_iter().flatten());
                }
                print!("{table}");
            }
        }
    }
    Ok(Exit::Ok)
}
