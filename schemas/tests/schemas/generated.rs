//! The generated documents are what the code says, and they describe what really travels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use cofferdam_schemas::generate::{self, WireType};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

/// Those of messages and those of files.
fn types() -> impl Iterator<Item = WireType> {
    generate::wire_types().into_iter().chain(generate::file_types())
}

/// Writes what is generated, and a golden message for a type that has none yet, if asked to.
fn bless() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("COFFERDAM_BLESS").is_none() {
            return;
        }
        let (generated, golden) = (folder("generated"), folder("tests/golden"));
        fs::create_dir_all(&generated).unwrap();
        fs::create_dir_all(&golden).unwrap();
        for name in files(&generated).keys() {
            fs::remove_file(generated.join(name)).unwrap();
        }
        for document in generate::documents() {
            fs::write(generated.join(document.path), document.text).unwrap();
        }
        for wire in types() {
            let path = golden.join(golden_name(&wire));
            if !path.exists() {
                fs::write(path, format!("{:#}\n", wire.example)).unwrap();
            }
        }
    });
}

fn golden_name(wire: &WireType) -> String {
    format!("{}.v1.json", wire.name)
}

#[test]
fn what_is_checked_in_is_what_the_types_say() {
    bless();
    let wanted: BTreeMap<_, _> = generate::documents()
        .into_iter()
        .map(|document| (document.path, document.text))
        .collect();
    let found = files(&folder("generated"));
    let hint = "run it again with COFFERDAM_BLESS=1 and look at the difference";
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>(),
        "{hint}"
    );
    for (name, text) in &wanted {
        assert!(
            found[name] == *text,
            "schemas/generated/{name} is not what the types say: {hint}"
        );
    }
}

fn validator(wire: &WireType) -> jsonschema::Validator {
    let schema = wire.schema();
    assert!(jsonschema::meta::is_valid(&schema), "{} is no JSON Schema", wire.name);
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

#[test]
fn every_example_is_valid_and_comes_back() {
    for wire in types() {
        let validator = validator(&wire);
        let errors: Vec<String> = validator
            .iter_errors(&wire.example)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", wire.name);
        assert_eq!(wire.reread(&wire.example).unwrap(), wire.example, "{}", wire.name);
    }
}

/// Every place of a value, with one thing done to it.
fn spoiled(value: &Value) -> Vec<(String, Value)> {
    fn walk(value: &Value, path: &str, all: &mut Vec<(String, Value)>) {
        // No text, no object, no list, no truth, no size.
        let nonsense = Value::from(-0.5);
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    let here = format!("{path}/{key}");
                    all.push((here.clone(), nonsense.clone()));
                    walk(inner, &here, all);
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    walk(inner, &format!("{path}/{at}"), all);
                }
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    walk(value, "", &mut places);
    let put = |(path, nonsense): (String, Value)| {
        let mut copy = value.clone();
        let pointer = path.clone();
        *copy.pointer_mut(&pointer)? = nonsense;
        Some((path, copy))
    };
    places.into_iter().filter_map(put).collect()
}

#[test]
fn schema_and_type_refuse_the_same() {
    let mut refused = 0;
    for wire in types() {
        let validator = validator(&wire);
        for (path, value) in spoiled(&wire.example) {
            let (schema, code) = (validator.is_valid(&value), wire.reread(&value).is_ok());
            assert_eq!(
                schema, code,
                "{} {path}: the schema says {schema}, the type {code}",
                wire.name
            );
            refused += usize::from(!code);
        }
        // A field that must be there.
        for key in wire.example.as_object().unwrap().keys() {
            let mut value = wire.example.clone();
            value.as_object_mut().unwrap().remove(key);
            assert_eq!(
                validator.is_valid(&value),
                wire.reread(&value).is_ok(),
                "{} without {key}",
                wire.name
            );
        }
    }
    assert!(refused > 100, "only {refused} values were refused");
}

#[test]
fn requests_refuse_unknown_fields_and_events_ignore_them() {
    for wire in types() {
        let mut value = wire.example.clone();
        value
            .as_object_mut()
            .unwrap()
            .insert("added_later".to_owned(), Value::from(1));
        let request = [
            "retrieve-request",
            "delete-request",
            "release-request",
            "destroy-request",
            "selector",
            "objects-query",
            "command-query",
        ]
        .contains(&wire.name);
        assert_eq!(
            (validator(&wire).is_valid(&value), wire.reread(&value).is_ok()),
            (!request, !request),
            "{}",
            wire.name
        );
    }
}

/// Messages as they were written when each type was made. They are never written anew: a change that breaks one needs a new type.
#[test]
fn yesterdays_messages_are_still_read() {
    bless();
    let golden = files(&folder("tests/golden"));
    let types: BTreeMap<_, _> = types().map(|wire| (golden_name(&wire), wire)).collect();
    assert_eq!(
        golden.keys().collect::<Vec<_>>(),
        types.keys().collect::<Vec<_>>(),
        "one golden message for every type"
    );
    for (name, text) in golden {
        let value: Value = serde_json::from_str(&text).unwrap();
        let wire = &types[&name];
        assert!(validator(wire).is_valid(&value), "{name}");
        assert_eq!(wire.reread(&value).unwrap(), value, "{name}");
    }
}

fn references(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                all.insert(target.clone());
            }
            map.values().for_each(|inner| references(inner, all));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, all)),
        _ => {}
    }
}

#[test]
fn the_asyncapi_document_hangs_together() {
    bless();
    let text = fs::read_to_string(folder("generated/asyncapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    for target in &targets {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    for place in ["messages", "parameters", "schemas"] {
        for name in document["components"][place].as_object().unwrap().keys() {
            assert!(
                targets.contains(&format!("#/components/{place}/{name}")),
                "{place}/{name} is used nowhere"
            );
        }
    }
    for name in document["channels"].as_object().unwrap().keys() {
        let direct = format!("#/channels/{name}");
        assert!(targets.contains(&direct), "no operation on channel {name}");
    }
    // Every address lies within the subjects of its stream.
    for (name, channel) in document["channels"].as_object().unwrap() {
        let Some(stream) = channel.get("x-jetstream-stream") else {
            continue;
        };
        let address = channel["address"].as_str().unwrap();
        let within = |subject: &Value| address.starts_with(subject.as_str().unwrap().trim_end_matches('>'));
        assert!(
            stream["subjects"].as_array().unwrap().iter().any(within),
            "{name}: {address} is not in {stream}"
        );
    }
}
