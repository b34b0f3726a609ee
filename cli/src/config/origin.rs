//! `cofferdam config show`: what is in force, and where it comes from.

use figment::Figment;
use figment::value::{Dict, Value};

use super::Raw;

/// `key = value` lines, with the origin of each when asked. Secrets stand in files, so nothing here needs hiding.
pub fn show(figment: &Figment, origin: bool) -> Result<Vec<(String, String, Option<String>)>, figment::Error> {
    let raw: Raw = figment.extract()?;
    let dict = match Value::serialize(raw)? {
        Value::Dict(_, dict) => dict,
        other => return Err(figment::Error::from(format!("not a table: {other:?}"))),
    };
    let mut rows = Vec::new();
    walk(&dict, "", &mut rows);
    Ok(rows
        .into_iter()
        .map(|(key, value)| {
            let from = origin.then(|| {
                let metadata = figment.find_metadata(&key);
                let from = metadata.map(|m| {
                    m.source
                        .as_ref()
                        .map_or_else(|| m.name.to_string(), ToString::to_string)
                });
                from.filter(|from| !from.contains("Raw") && !from.ends_with(".rs"))
                    .unwrap_or_else(|| "default".to_owned())
            });
            (key, value, from)
        })
        .collect())
}

fn walk(dict: &Dict, prefix: &str, rows: &mut Vec<(String, String)>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => walk(inner, &key, rows),
            Value::Empty(..) => {}
            other => rows.push((key, serde_json::to_string(other).unwrap_or_default())),
        }
    }
}
