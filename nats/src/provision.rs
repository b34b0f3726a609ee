//! Making the broker agree with the topology: compare, then create or update, then compare what came back.
//!
//! Never get-or-create: that takes an existing stream with other settings for a good one. A setting of ours that
//! differs is put right in place where the server can do that; where it cannot, nothing is deleted and the error names
//! setting, wanted and found value and what to do. Settings that the topology says nothing about are left as they are.

use serde_json::{Map, Value, json};

use crate::bus::Bus;
use crate::bus::{NO_CONSUMER, NO_STREAM};
use crate::error::{Drift, NatsError};
use crate::topology::{ConsumerSpec, StreamSpec, Topology};

/// What provisioning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Streams and consumers that were made.
    pub created: Vec<String>,
    /// Streams and consumers that had other settings and were changed.
    pub updated: Vec<String>,
    /// The settings that differed.
    pub drift: Vec<Drift>,
}

impl Report {
    /// Nothing had to be done.
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.updated.is_empty() && self.drift.is_empty()
    }
}

/// Creates what is missing and updates what differs: first every stream, then every consumer, so that all consumers
/// exist before the first publish. Doing it again changes nothing.
///
/// # Errors
/// [`NatsError::Drift`] lists everything that cannot be put right in place, after all that can has been; the system
/// must not run on it.
pub async fn provision(bus: &Bus, topology: &Topology) -> Result<Report, NatsError> {
    let mut report = Report::default();
    let mut stuck = Vec::new();
    for item in items(topology)? {
        item.settle(bus, &mut report, &mut stuck).await?;
    }
    if stuck.is_empty() {
        Ok(report)
    } else {
        Err(NatsError::Drift(stuck))
    }
}

/// Every setting that differs, and every stream and consumer that is missing, without changing anything.
pub async fn check(bus: &Bus, topology: &Topology) -> Result<Vec<Drift>, NatsError> {
    let mut drift = Vec::new();
    for item in items(topology)? {
        match item.found(bus).await? {
            Some(found) => drift.extend(item.differences(&found, "run provisioning")),
            None => drift.push(Drift {
                what: item.what.clone(),
                field: "presence".into(),
                wanted: "there".into(),
                found: "missing".into(),
                remedy: "run provisioning".into(),
            }),
        }
    }
    Ok(drift)
}

/// A stream or consumer to be.
struct Item {
    what: String,
    info: String,
    create: String,
    update: String,
    /// The wanted settings by their names in the API.
    wanted: Map<String, Value>,
    consumer_of: Option<&'static str>,
}

fn items(topology: &Topology) -> Result<Vec<Item>, NatsError> {
    let streams = topology.streams.iter().map(stream_item);
    streams.chain(topology.consumers.iter().map(consumer_item)).collect()
}

fn stream_item(spec: &StreamSpec) -> Result<Item, NatsError> {
    let what = format!("stream {}", spec.name);
    Ok(Item {
        wanted: settings(&what, &spec.config)?,
        what,
        info: format!("STREAM.INFO.{}", spec.name),
        create: format!("STREAM.CREATE.{}", spec.name),
        update: format!("STREAM.UPDATE.{}", spec.name),
        consumer_of: None,
    })
}

fn consumer_item(spec: &ConsumerSpec) -> Result<Item, NatsError> {
    let what = format!("consumer {}/{}", spec.stream, spec.name);
    // The server wants a single filter repeated in the call's subject, so that permissions can name it.
    let filter = if spec.config.filter_subject.is_empty() {
        String::new()
    } else {
        format!(".{}", spec.config.filter_subject)
    };
    let create = format!("CONSUMER.CREATE.{}.{}{filter}", spec.stream, spec.name);
    let mut wanted = settings(&what, &spec.config)?;
    // Left out by the client when empty, but a filter or backoff that somebody added is drift.
    for (name, empty) in [
        ("filter_subject", json!("")),
        ("filter_subjects", json!([])),
        ("backoff", json!([])),
        ("headers_only", json!(false)),
    ] {
        wanted.entry(name).or_insert(empty);
    }
    Ok(Item {
        wanted,
        what,
        info: format!("CONSUMER.INFO.{}.{}", spec.stream, spec.name),
        create: create.clone(),
        update: create,
        consumer_of: Some(spec.stream),
    })
}

/// Settings as the API names them, without those that are absent.
fn settings(what: &str, config: &impl serde::Serialize) -> Result<Map<String, Value>, NatsError> {
    let value = serde_json::to_value(config).map_err(|source| NatsError::Client {
        what: format!("writing the settings of {what}"),
        source: Box::new(source),
    })?;
    let Value::Object(mut settings) = value else {
        return Ok(Map::new());
    };
    settings.retain(|_, value| !value.is_null());
    Ok(settings)
}

impl Item {
    async fn settle(&self, bus: &Bus, report: &mut Report, stuck: &mut Vec<Drift>) -> Result<(), NatsError> {
        let Some(found) = self.found(bus).await? else {
            let made = self.send(bus, "create", &self.create, &self.wanted).await?;
            tracing::info!(what = self.what, "created");
            report.created.push(self.what.clone());
            stuck.extend(self.differences(
                &made,
                "the server took other settings than it was given; check its limits",
            ));
            return Ok(());
        };
        let drift = self.differences(&found, "");
        if drift.is_empty() {
            return Ok(());
        }
        // What the topology says nothing about stays.
        let mut merged = found.clone();
        merged.extend(self.wanted.clone());
        let updated = match self.send(bus, "update", &self.update, &merged).await {
            Ok(updated) => updated,
            Err(NatsError::Refused { description, .. }) => {
                let remedy = format!("the server says: {description}; {}", self.remedy());
                stuck.extend(drift.into_iter().map(|drift| Drift {
                    remedy: remedy.clone(),
                    ..drift
                }));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for drift in &drift {
            tracing::warn!(%drift, "setting had drifted, updated");
        }
        let left = self.differences(&updated, &format!("the server keeps the old value; {}", self.remedy()));
        report
            .drift
            .extend(drift.into_iter().filter(|d| !left.iter().any(|l| l.field == d.field)));
        report.updated.push(self.what.clone());
        stuck.extend(left);
        Ok(())
    }

    fn remedy(&self) -> String {
        match self.consumer_of {
            Some(_) => "stop its workers, delete the consumer and provision again: it starts over from the oldest message, which is safe".to_owned(),
            None => "drain it, copy what is still needed, delete the stream and provision again; or set it back by hand".to_owned(),
        }
    }

    /// The settings the server has, by name; `None` when there is no such thing.
    async fn found(&self, bus: &Bus) -> Result<Option<Map<String, Value>>, NatsError> {
        match bus
            .api::<Value>(&format!("tell about {}", self.what), &self.info, &Value::Null)
            .await
        {
            Ok(answer) => Ok(Some(config_of(answer))),
            Err(NatsError::Refused {
                code: NO_STREAM | NO_CONSUMER,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        bus: &Bus,
        action: &str,
        call: &str,
        config: &Map<String, Value>,
    ) -> Result<Map<String, Value>, NatsError> {
        let body = match self.consumer_of {
            // Strict: `create` fails if it is there with other settings, `update` if it is not there.
            Some(stream) => json!({ "stream_name": stream, "config": config, "action": action }),
            None => Value::Object(config.clone()),
        };
        Ok(config_of(
            bus.api::<Value>(&format!("{action} {}", self.what), call, &body)
                .await?,
        ))
    }

    fn differences(&self, found: &Map<String, Value>, remedy: &str) -> Vec<Drift> {
        let mut drift = Vec::new();
        for (field, wanted) in &self.wanted {
            let found = found.get(field).unwrap_or(&Value::Null);
            if !same(field, wanted, found) {
                drift.push(Drift {
                    what: self.what.clone(),
                    field: field.clone(),
                    wanted: wanted.to_string(),
                    found: found.to_string(),
                    remedy: remedy.to_owned(),
                });
            }
        }
        drift
    }
}

fn config_of(mut answer: Value) -> Map<String, Value> {
    match answer.get_mut("config").map(Value::take) {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    }
}

/// Whether a setting is as wanted. The server leaves out what is empty, zero or false, and adds metadata of its own.
fn same(field: &str, wanted: &Value, found: &Value) -> bool {
    // "No limit" is -1, 0 or left out.
    let limit = field.starts_with("max_");
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_i64() == Some(0) || (limit && n.as_i64() == Some(-1)),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    };
    match (wanted, found) {
        _ if empty(wanted) && empty(found) => true,
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(field, wanted)| same(field, wanted, found.get(field).unwrap_or(&Value::Null))),
        _ => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(wanted: Value) -> Item {
        let Value::Object(wanted) = wanted else {
            panic!("not an object")
        };
        Item {
            what: "stream X".into(),
            info: String::new(),
            create: String::new(),
            update: String::new(),
            wanted,
            consumer_of: None,
        }
    }

    #[track_caller]
    fn drifted(wanted: Value, found: Value, fields: &[&str]) {
        let Value::Object(found) = found else {
            panic!("not an object")
        };
        let names: Vec<_> = item(wanted)
            .differences(&found, "")
            .into_iter()
            .map(|d| d.field)
            .collect();
        assert_eq!(names, fields);
    }

    #[test]
    fn only_settings_of_ours_that_differ_are_drift() {
        drifted(
            json!({ "discard": "new" }),
            json!({ "discard": "new", "placement": { "tags": ["ssd"] } }),
            &[],
        );
        drifted(
            json!({ "discard": "new", "max_age": 5 }),
            json!({ "discard": "old", "max_age": 6 }),
            &["discard", "max_age"],
        );
        drifted(json!({ "discard": "new" }), json!({}), &["discard"]);
    }

    #[test]
    fn what_the_server_leaves_out_or_adds_is_no_drift() {
        drifted(
            json!({ "max_msgs": -1, "backoff": [], "headers_only": false }),
            json!({}),
            &[],
        );
        drifted(json!({ "max_consumers": -1 }), json!({ "max_consumers": 0 }), &[]);
        drifted(
            json!({ "metadata": {} }),
            json!({ "metadata": { "_nats.ver": "2.15.1" } }),
            &[],
        );
        drifted(json!({ "backoff": [] }), json!({ "backoff": [1, 2] }), &["backoff"]);
        drifted(
            json!({ "headers_only": false }),
            json!({ "headers_only": true }),
            &["headers_only"],
        );
    }

    #[test]
    fn drift_in_a_nested_setting_is_found() {
        let wanted = json!({ "republish": { "src": "a.>", "dest": "b.>", "headers_only": false } });
        drifted(
            wanted.clone(),
            json!({ "republish": { "src": "a.>", "dest": "b.>" } }),
            &[],
        );
        drifted(
            wanted,
            json!({ "republish": { "src": "a.>", "dest": "c.>" } }),
            &["republish"],
        );
    }
}
