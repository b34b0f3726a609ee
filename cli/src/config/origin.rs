//! `cofferdam config show`: what is in force, and where it comes from.

use figment::value::{Dict, Value};
use figment::{Figment, Source};

use super::Raw;

/// A setting, its value, and where that comes from if that was asked.
pub type Setting = (String, String, Option<String>);

/// Every setting. Secrets stand in files, so nothing here needs hiding.
pub fn show(figment: &Figment, origin: bool) -> Result<Vec<Setting>, Box<figment::Error>> {
    let raw: Raw = figment.extract().map_err(Box::new)?;
    let dict = match Value::serialize(raw).map_err(Box::new)? {
        Value::Dict(_, dict) => dict,
        other => return Err(Box::new(format!("not a table: {other:?}").into())),
    };
    let mut rows = Vec::new();
    walk(&dict, "", &mut rows);
    Ok(rows
        .into_iter()
        .map(|(key, value)| {
            let from = origin.then(|| origin_of(figment, &key));
            (key, value, from)
        })
        .collect())
}

/// Where a value comes from, in a user's words. What stands in our code is a default, but for `--data`, which is layered by itself.
fn origin_of(figment: &Figment, key: &str) -> String {
    let Some(metadata) = figment.find_metadata(key) else {
        return "default".to_owned();
    };
    match &metadata.source {
        Some(Source::Code(_)) if key == "data_dir" && metadata.name != std::any::type_name::<Raw>() => {
            "--data".to_owned()
        }
        Some(Source::Code(_)) => "default".to_owned(),
        Some(source) => source.to_string(),
        None => metadata.name.to_string(),
    }
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
