//! `cofferdam keys`. Works on the files alone: no instance needs to run.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;
use cofferdam_encrypt::keys::KeyRing;
use cofferdam_processor::Registration;
use cofferdam_schemas::TenantName;
use secrecy::ExposeSecret;

use super::rm::confirm;
use crate::args::{ExportKey, Global, Keys};
use crate::config::{self, Plan};
use crate::output::{Exit, Failure, Table, json_line};

fn ring(plan: &Plan) -> Result<KeyRing, Failure> {
    let keys = key_plan(plan)?;
    let path = keys.keys.ring(&plan.data_dir);
    if !path.exists() {
        return Err(Failure::text(
            Exit::Failure,
            format!(
                "no key ring at {}: `cofferdam up` makes it at its first start; or name its data directory with --data",
                path.display()
            ),
        ));
    }
    let protection = keys
        .keys
        .protection(&plan.data_dir, &plan.config_dir)
        .context("the key ring cannot be opened")?;
    Ok(KeyRing::open(&path, &protection).context("the key ring cannot be opened")?)
}

/// Where the keys are, from the table of the processor that uses them.
pub fn key_plan(plan: &Plan) -> Result<cofferdam_encrypt::Plan, Failure> {
    let table = plan.raw.processors.get("encrypt").cloned().unwrap_or_default();
    let config: cofferdam_encrypt::Config = toml::Value::Table(table)
        .try_into()
        .map_err(|error| Failure::new(Exit::Config, anyhow::Error::from(error)))?;
    cofferdam_encrypt::Plan::try_from(config).map_err(|error| Failure::new(Exit::Config, error))
}

/// Shows or exports.
pub fn run(global: &Global, processors: &[Registration], command: &Keys) -> Result<Exit, Failure> {
    let plan = config::load(global, processors).map_err(|problems| Failure::new(Exit::Config, problems))?;
    let ring = ring(&plan)?;
    match command {
        Keys::Show { full } => show(global, &ring, *full),
        Keys::Export {
            tenant,
            key,
            yes,
            output,
        } => {
            let name = TenantName::new(tenant.clone())?;
            let keys = ring
                .tenant(&name)
                .ok_or_else(|| Failure::text(Exit::Failure, format!("tenant {name} has no keys in this ring")))?;
            let (pair, which) = match key {
                ExportKey::Tenant => (&keys.kem, "tenant key"),
                ExportKey::Recovery => (&keys.recovery, "recovery key"),
            };
            if !yes
                && !confirm(&format!(
                    "print the secret {which} of {name}? Whoever has it opens every document of this tenant."
                ))?
            {
                return Err(Failure::text(Exit::Failure, "not exported"));
            }
            let text = format!(
                "# Cofferdam {which} of tenant {name}, epoch {}\n# public key: {}\n{}\n",
                pair.epoch(),
                pair.recipient(),
                pair.identity().expose_secret()
            );
            match output {
                None => std::io::stdout().write_all(text.as_bytes())?,
                Some(path) => {
                    let file = std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(path);
                    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
                    file.write_all(text.as_bytes())?;
                    file.sync_all()?;
                    eprintln!("{which} of {name} is in {}", path.display());
                }
            }
            Ok(Exit::Ok)
        }
    }
}

fn show(global: &Global, ring: &KeyRing, full: bool) -> Result<Exit, Failure> {
    let keys = ring.public_keys();
    if global.json {
        json_line(&keys)?;
        return Ok(Exit::Ok);
    }
    let cut = |text: &str| {
        if full {
            text.to_owned()
        } else {
            format!("{}…", text.chars().take(40).collect::<String>())
        }
    };
    let mut table = Table::new(&["tenant", "key", ">epoch", "made", "key id", "recipient"]);
    for tenant in &keys.tenants {
        for (name, list) in [("tenant", &tenant.kem), ("recovery", &tenant.recovery)] {
            for key in list {
                table.row([
                    tenant.tenant.to_string(),
                    name.to_owned(),
                    key.epoch.to_string(),
                    key.created.to_string(),
                    key.key_id.to_string(),
                    cut(&key.recipient),
                ]);
            }
        }
    }
    for signer in &keys.signers {
        table.row([
            "-".to_owned(),
            "signer".to_owned(),
            String::new(),
            signer.not_before.to_string(),
            signer.key_id.to_string(),
            cut(&signer.public),
        ]);
    }
    print!("{table}");
    println!("ring: {}", ring.path().display());
    Ok(Exit::Ok)
}
