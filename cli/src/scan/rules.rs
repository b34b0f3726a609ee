//! `cofferdam rules`: the packs, seen and tried.

use std::io::Read as _;

use cofferdam_validate::{Config, Engines, Files, Packs, Plan};

use crate::args::{Global, Rules};
use crate::output::{Exit, Failure, Table, json_line, printable};

/// Runs the command.
pub fn run(global: &Global, command: &Rules) -> Result<Exit, Failure> {
    match command {
        Rules::Ls { prefix } => list(global, prefix.as_deref().unwrap_or("")),
        Rules::Test { text } => test(global, text.as_deref()),
        Rules::Check {
            phi,
            secrets,
            injection,
            signatures,
            yara,
        } => {
            let packs = Packs {
                phi: phi.clone(),
                secrets: secrets.clone(),
                injection: injection.clone(),
                signatures: signatures.clone(),
                yara: yara.clone(),
                ..Packs::default()
            };
            check(global, &packs)
        }
    }
}

fn load(packs: &Packs) -> Result<Engines, Failure> {
    Engines::load(packs).map_err(|error| Failure::new(Exit::Config, error))
}

fn list(global: &Global, prefix: &str) -> Result<Exit, Failure> {
    let rules = load(&Packs::default())?.rules();
    let rules = rules.into_iter().filter(|rule| rule.name.starts_with(prefix));
    if global.json {
        for rule in rules {
            json_line(&rule)?;
        }
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["rule", "severity", "what", "citation"]);
    for rule in rules {
        table.row([
            rule.name,
            rule.severity.as_str().to_owned(),
            rule.what,
            rule.citation.unwrap_or_default(),
        ]);
    }
    print!("{table}");
    Ok(Exit::Ok)
}

fn test(global: &Global, text: Option<&str>) -> Result<Exit, Failure> {
    let text = match text {
        Some(text) => text.to_owned(),
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    let plan: Plan = Config::default()
        .plan()
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let files = Files::new(plan, None).map_err(|error| Failure::new(Exit::Config, error))?;
    let conclusion = files.scan_text(&text, "text");
    if global.json {
        json_line(&super::document("-", &conclusion))?;
        return Ok(Exit::Ok);
    }
    for finding in &conclusion.findings {
        let span = finding.span.map(|span| format!("{}-{}", span.start, span.end));
        println!(
            "{} {} {:.2} {}",
            span.unwrap_or_default(),
            finding.rule,
            finding.confidence,
            printable(finding.masked.as_deref().unwrap_or_default())
        );
    }
    if conclusion.findings.is_empty() {
        println!("no rule finds anything");
    }
    Ok(Exit::Ok)
}

fn check(global: &Global, packs: &Packs) -> Result<Exit, Failure> {
    let engines = load(packs)?;
    engines.check().map_err(|error| Failure::new(Exit::Config, error))?;
    let (versions, unsupported, warnings) = (engines.versions(), engines.unsupported(), engines.warnings());
    if global.json {
        json_line(&serde_json::json!({
            "valid": true, "versions": versions, "unsupported": unsupported, "warnings": warnings
        }))?;
    } else {
        for (engine, version) in versions {
            println!("{engine}: {version}");
        }
        for line in unsupported {
            println!("not used: {line}");
        }
        for warning in warnings {
            println!("{warning}");
        }
        println!(
            "{} rules, every pattern compiles and every example holds",
            engines.rules().len()
        );
    }
    Ok(Exit::Ok)
}
