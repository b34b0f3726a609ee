//! `cofferdam health`.

use std::time::Duration;

use crate::args::Global;
use crate::client::data_dir;
use crate::instance::RunFile;
use crate::output::{Exit, Failure, json_line};

/// Asks `/readyz`.
pub async fn run(global: &Global) -> Result<Exit, Failure> {
    let run = RunFile::read(&data_dir(global)).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(format!("{}/readyz", run.http)).send().await;
    let answer = answer.map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            anyhow::Error::from(error).context(format!(
                "the instance (pid {}) does not answer at {}",
                run.pid, run.http
            )),
        )
    })?;
    let ready = answer.status().is_success();
    let body = answer.text().await?;
    if global.json {
        json_line(
            &serde_json::from_str::<serde_json::Value>(&body)
                .unwrap_or_else(|_| serde_json::json!({"ready": ready, "text": body})),
        )?;
    } else if let Some(checks) = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|v| v["checks"].as_object().cloned())
    {
        for (name, state) in checks {
            println!("{name}: {}", state.as_str().unwrap_or_default());
        }
    } else {
        println!("{}", body.trim());
    }
    Ok(if ready { Exit::Ok } else { Exit::Unavailable })
}
