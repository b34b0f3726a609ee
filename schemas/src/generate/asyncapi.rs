//! The AsyncAPI 3.0 document: every subject, what travels on it, and which stream keeps it.
//!
//! Payload schemas stand here once more as draft 07, which is what AsyncAPI's own schema format builds on. Its NATS binding (0.1.0) knows
//! queue groups only, so that streams are described in `x-jetstream-stream`.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::WireType;
use crate::command::{Command, CommandResult};
use crate::done::Done;
use crate::event::Verb;
use crate::result::ResultEvent;

/// The streams whose subjects are described, with their subjects: what `nats/src/topology` provisions. `RAW` carries other people's
/// notifications, `ADV` the broker's advisories, `JOB` ticks.
pub const STREAMS: [(&str, &[&str]); 8] = [
    ("RAW", &["raw.s3.>"]),
    ("EVT", &["evt.v1.>"]),
    ("CMD", &["cmd.v1.>"]),
    ("RES", &["res.v1.>"]),
    ("JOIN", &["join.v1.state.>", "join.v1.done.>"]),
    ("DLQ", &["dlq.v1.>"]),
    (
        "ADV",
        &[
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
            "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
            "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.>",
        ],
    ),
    ("JOB", &["job.v1.sched.>", "job.v1.run.>"]),
];

/// The whole document.
pub(super) fn document(types: &[WireType]) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cofferdam",
            "version": "1.0.0",
            "description": "Every message of Cofferdam, as CloudEvents 1.0 in binary mode over NATS: attributes are `ce-` headers, percent-encoded \
                outside U+0021 to U+007E and for `\"` and `%`; the body is the data. Object bytes never travel in a message. Addresses are those of the CORE \
                account; a tenant's own account sees the ones in `x-tenant-address`, without version and tenant. A breaking change is a new type and a new \
                subject version.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "embedded": {
                "host": "127.0.0.1",
                "protocol": "nats",
                "description": "The supervised server of `cofferdam up`. Its port and the credentials stand in `<data>/run.json`.",
                "security": [{ "$ref": "#/components/securitySchemes/user" }],
                "bindings": { "nats": {} },
            },
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages(types),
            "messageTraits": { "cloudevent": cloudevent_trait() },
            "parameters": parameters(),
            "schemas": schemas(types),
            "securitySchemes": { "user": { "type": "userPassword", "description": "One user a role, with least privilege; one a tenant." } },
        },
    })
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{place}/{name}") })
}

/// Types reachable from the wire types, as definitions.
fn schemas(types: &[WireType]) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    for wire in types {
        (wire.define)(&mut generator);
    }
    let mut all = generator.take_definitions(true);
    let free = |description: &str| json!({ "type": "object", "description": description });
    all.insert(
        "Notification".to_owned(),
        free("A notification as the foreign store wrote it: one of the dialects in `ingest/src/dialect`."),
    );
    all.insert(
        "JoinState".to_owned(),
        free("What is in so far. The joiner's own; its shape may change without notice."),
    );
    all.insert(
        "DeadLetter".to_owned(),
        json!({ "description": "The message that was given up, byte for byte." }),
    );
    Value::Object(all.into_iter().collect())
}

// --- channels

struct Channel {
    name: &'static str,
    address: &'static str,
    tenant_address: Option<&'static str>,
    stream: Option<&'static str>,
    republished: Option<&'static str>,
    messages: &'static [&'static str],
    description: &'static str,
}

const CHANNELS: [Channel; 14] = [
    Channel {
        name: "raw",
        address: "raw.s3.{source}",
        tenant_address: None,
        stream: Some("RAW"),
        republished: None,
        messages: &["notification"],
        description: "Notifications of foreign stores, untouched.",
    },
    Channel {
        name: "evt",
        address: "evt.v1.{lane}.{tenant}.{verb}.{partition}",
        tenant_address: None,
        stream: Some("EVT"),
        republished: Some("live.v1.{tenant}.event.{verb}.{partition}"),
        messages: &["objectPut", "objectDel", "objectMeta", "objectRestore"],
        description: "Canonical object events: the one place where a notification has become an event.",
    },
    Channel {
        name: "cmd",
        address: "cmd.v1.{tenant}.{verb}",
        tenant_address: None,
        stream: Some("CMD"),
        republished: None,
        messages: &["command"],
        description: "Commands that were accepted.",
    },
    Channel {
        name: "res",
        address: "res.v1.{tenant}.{name}.{outcome}.{partition}",
        tenant_address: None,
        stream: Some("RES"),
        republished: Some("live.v1.{tenant}.{name}.{outcome}.{partition}"),
        messages: &["result", "commandResult"],
        description: "Results of processors and of commands; `ce-type` tells which.",
    },
    Channel {
        name: "joinState",
        address: "join.v1.state.{tenant}.{object}",
        tenant_address: None,
        stream: Some("JOIN"),
        republished: None,
        messages: &["joinState"],
        description: "Objects that stay open for long: what is in so far.",
    },
    Channel {
        name: "joinDone",
        address: "join.v1.done.{tenant}.{object}",
        tenant_address: None,
        stream: Some("JOIN"),
        republished: Some("live.v1.{tenant}.done.{object}"),
        messages: &["done"],
        description: "Finished objects: exactly one message per object version, made by expecting subject sequence 0.",
    },
    Channel {
        name: "dlq",
        address: "dlq.v1.{tenant}.{stream}.{consumer}.{class}",
        tenant_address: None,
        stream: Some("DLQ"),
        republished: None,
        messages: &["deadLetter"],
        description: "Full copies of messages that were given up. `{tenant}` is `_` where a message belongs to none.",
    },
    Channel {
        name: "liveEvent",
        address: "live.v1.{tenant}.event.{verb}.{partition}",
        tenant_address: Some("live.event.{verb}.{partition}"),
        stream: None,
        republished: None,
        messages: &["objectPut", "objectDel", "objectMeta", "objectRestore"],
        description: "Copies of events when they are stored, at most once.",
    },
    Channel {
        name: "liveResult",
        address: "live.v1.{tenant}.{name}.{outcome}.{partition}",
        tenant_address: Some("live.{name}.{outcome}.{partition}"),
        stream: None,
        republished: None,
        messages: &["result", "commandResult"],
        description: "Copies of results when they are stored, at most once.",
    },
    Channel {
        name: "liveDone",
        address: "live.v1.{tenant}.done.{object}",
        tenant_address: Some("live.done.{object}"),
        stream: None,
        republished: None,
        messages: &["done"],
        description: "Copies of done events when they are stored, at most once.",
    },
    Channel {
        name: "cmdin",
        address: "cmdin.v1.{tenant}.{verb}",
        tenant_address: Some("cmd.{verb}"),
        stream: None,
        republished: None,
        messages: &["retrieveRequest", "deleteRequest", "releaseRequest", "destroyRequest"],
        description: "Requests for commands. The broker inserts the tenant; the body never names one.",
    },
    Channel {
        name: "q",
        address: "q.v1.{tenant}.{query}",
        tenant_address: Some("q.{query}"),
        stream: None,
        republished: None,
        messages: &["objectsQuery", "selector", "commandQuery"],
        description: "Questions about objects: `objects` (objectsQuery), `object` and `results` (selector), `command` (commandQuery).",
    },
    Channel {
        name: "cmdReply",
        address: "",
        tenant_address: None,
        stream: None,
        republished: None,
        messages: &["accepted", "error"],
        description: "The reply subject of a request for a command.",
    },
    Channel {
        name: "qReply",
        address: "",
        tenant_address: None,
        stream: None,
        republished: None,
        messages: &[
            "objectsAnswer",
            "objectAnswer",
            "resultsAnswer",
            "commandAnswer",
            "error",
        ],
        description: "The reply subject of a question.",
    },
];

fn channels() -> Value {
    CHANNELS
        .iter()
        .map(|channel| (channel.name.to_owned(), channel.value()))
        .collect::<Map<_, _>>()
        .into()
}

impl Channel {
    fn value(&self) -> Value {
        let messages: Map<String, Value> = self
            .messages
            .iter()
            .map(|name| ((*name).to_owned(), reference("messages", name)))
            .collect();
        let parameters: Map<String, Value> = self
            .address
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .map(|name| (name.to_owned(), reference("parameters", name)))
            .collect();
        let mut value = json!({
            // A reply's subject is known only when it is asked for.
            "address": if self.address.is_empty() { Value::Null } else { self.address.into() },
            "description": self.description,
            "messages": messages,
            "bindings": { "nats": {} },
        });
        if !parameters.is_empty() {
            value["parameters"] = parameters.into();
        }
        if let Some(address) = self.tenant_address {
            value["x-tenant-address"] = address.into();
        }
        if let Some(stream) = self.stream {
            let subjects = STREAMS
                .iter()
                .find(|(name, _)| *name == stream)
                .map(|(_, subjects)| *subjects);
            value["x-jetstream-stream"] = json!({ "name": stream, "subjects": subjects, "retention": "limits" });
            if let Some(address) = self.republished {
                value["x-jetstream-stream"]["republished"] = address.into();
            }
        }
        value
    }
}

fn parameters() -> Value {
    let verbs = [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore].map(Verb::as_str);
    json!({
        "source": { "description": "The source, as the configuration names it." },
        "lane": { "description": "`hi`, or `bulk` for a tenant's overflow.", "enum": ["hi", "bulk"] },
        "tenant": { "description": "An opaque id of 1 to 32 characters from a-z, 0-9 and -." },
        "verb": { "description": format!("What happened to an object ({}), or what is asked for (`retrieve`, `delete`, `release`, `destroy`).", verbs.join(", ")) },
        "partition": { "description": "`00` to `63`: a hash of tenant, bucket and key." },
        "name": { "description": "The processor, or the command's verb." },
        "outcome": { "description": "How it ended.", "enum": ["done", "superseded", "dead"] },
        "object": { "description": "The object id, a UUID." },
        "stream": { "description": "The stream the message was in." },
        "consumer": { "description": "The consumer that gave it up." },
        "class": { "description": "Why, as one token." },
        "query": { "description": "Which question.", "enum": ["objects", "object", "results", "command"] },
    })
}

// --- operations

fn operations() -> Value {
    let mut all = Map::new();
    let mut operation = |name: &str, action: &str, channel: &str, summary: &str, reply: Option<&str>| {
        let mut value = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{channel}") },
            "summary": summary,
            "bindings": { "nats": { "bindingVersion": "0.1.0" } },
        });
        if let Some(reply) = reply {
            value["reply"] = json!({ "channel": { "$ref": format!("#/channels/{reply}") } });
        }
        all.insert(name.to_owned(), value);
    };
    operation("normalise", "receive", "raw", "Notifications become events.", None);
    operation(
        "announceObject",
        "send",
        "evt",
        "An object version was accepted, or something happened to it.",
        None,
    );
    operation(
        "processObject",
        "receive",
        "evt",
        "Each processor has the durable consumers `<name>-hi` and `<name>-bulk`.",
        None,
    );
    operation(
        "acceptCommand",
        "receive",
        "cmdin",
        "A tenant asks for a command; the reply says that it is durable, or why not.",
        Some("cmdReply"),
    );
    operation("issueCommand", "send", "cmd", "An accepted command.", None);
    operation(
        "handleCommand",
        "receive",
        "cmd",
        "Each verb has the durable consumer `cmd-<verb>`.",
        None,
    );
    operation(
        "reportResult",
        "send",
        "res",
        "A result of a processor or of a command.",
        None,
    );
    operation(
        "storeResult",
        "receive",
        "res",
        "The sinks and the joiner read results.",
        None,
    );
    operation(
        "spill",
        "send",
        "joinState",
        "An object that stays open for more than two seconds.",
        None,
    );
    operation("finish", "send", "joinDone", "All required results are in.", None);
    operation("buryMessage", "send", "dlq", "A message is given up.", None);
    operation("showEvent", "send", "liveEvent", "What a tenant may watch.", None);
    operation(
        "showResult",
        "send",
        "liveResult",
        "What a tenant may watch. The result of `retrieve` carries a link.",
        None,
    );
    operation("showDone", "send", "liveDone", "What a tenant may watch.", None);
    operation(
        "answerQuery",
        "receive",
        "q",
        "A tenant asks about its objects.",
        Some("qReply"),
    );
    all.into()
}

// --- messages

fn cloudevent_trait() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "headers": {
            "type": "object",
            "properties": {
                "ce-specversion": { "type": "string", "const": "1.0" },
                "ce-id": text("The event's id. `Nats-Msg-Id` is made from it."),
                "ce-source": text("Who emitted it, for example `/cofferdam/normalise`."),
                "ce-type": text("The type, with its version."),
                "ce-subject": text("The object id or the command id."),
                "ce-time": { "type": "string", "format": "date-time" },
                "ce-datacontenttype": { "type": "string", "const": "application/json" },
                "Nats-Msg-Id": text("Makes a repeated publish one message, within the stream's window."),
                "traceparent": text("W3C Trace Context."),
                "tracestate": text("W3C Trace Context; absent when empty."),
                "cofferdam-redrive": { "type": "string", "pattern": "^[0-9]+$", "description": "How often it was published again on purpose." },
            },
            "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"],
        },
    })
}

fn messages(types: &[WireType]) -> Value {
    let mut all = Map::new();
    for verb in [Verb::Put, Verb::Del, Verb::Meta, Verb::Restore] {
        let name = match verb {
            Verb::Put => "objectPut",
            Verb::Del => "objectDel",
            Verb::Meta => "objectMeta",
            Verb::Restore => "objectRestore",
        };
        all.insert(name.to_owned(), cloudevent(types, "object-event", verb.event_type()));
    }
    all.insert("result".to_owned(), cloudevent(types, "result", ResultEvent::TYPE));
    all.insert("done".to_owned(), cloudevent(types, "done", Done::TYPE));
    all.insert("command".to_owned(), cloudevent(types, "command", Command::TYPE));
    all.insert(
        "commandResult".to_owned(),
        cloudevent(types, "command-result", CommandResult::TYPE),
    );

    let plain = [
        ("retrieveRequest", "retrieve-request"),
        ("deleteRequest", "delete-request"),
        ("releaseRequest", "release-request"),
        ("destroyRequest", "destroy-request"),
        ("accepted", "accepted"),
        ("selector", "selector"),
        ("objectsQuery", "objects-query"),
        ("objectsAnswer", "objects-answer"),
        ("objectAnswer", "object-answer"),
        ("resultsAnswer", "results-answer"),
        ("commandQuery", "command-query"),
        ("commandAnswer", "command-answer"),
    ];
    for (message, wire) in plain {
        all.insert(message.to_owned(), body(types, wire));
    }
    let mut error = body(types, "error");
    error["headers"] = json!({
        "type": "object",
        "properties": { "cofferdam-error": { "type": "string", "description": "The error's code, so that a client can tell without reading the body." } },
    });
    all.insert("error".to_owned(), error);
    let free = |name: &str, schema: &str| json!({ "name": name, "payload": reference("schemas", schema) });
    all.insert("notification".to_owned(), free("notification", "Notification"));
    all.insert("joinState".to_owned(), free("joinState", "JoinState"));
    all.insert("deadLetter".to_owned(), dead_letter());
    all.into()
}

/// A message that is only a body.
fn body(types: &[WireType], name: &str) -> Value {
    // A name that is not in the table would leave a reference to nothing, which the test of references finds.
    let wire = types.iter().find(|wire| wire.name == name);
    let schema = wire.map_or(name, |wire| wire.rust.as_str());
    json!({
        "name": name,
        "contentType": "application/json",
        "payload": reference("schemas", schema),
        "examples": [{ "payload": wire.map(|wire| wire.example.clone()) }],
    })
}

/// A message with CloudEvents headers.
fn cloudevent(types: &[WireType], name: &str, event_type: &str) -> Value {
    let mut message = body(types, name);
    message["name"] = event_type.into();
    message["title"] = event_type.into();
    message["traits"] = json!([reference("messageTraits", "cloudevent")]);
    message["headers"] = json!({ "type": "object", "properties": { "ce-type": { "const": event_type } } });
    message
}

fn dead_letter() -> Value {
    let headers = [
        ("x-dlq-stream", "The stream it was in."),
        ("x-dlq-consumer", "The consumer that gave it up."),
        ("x-dlq-seq", "Its sequence in that stream."),
        ("x-dlq-deliveries", "How often it was delivered."),
        ("x-dlq-reason", "`<class>/<code>`."),
        ("x-dlq-first-at", "When it was stored."),
        ("x-dlq-last-error", "The last error, percent-encoded."),
        ("x-dlq-subject", "Where it is published again when it is replayed."),
        ("x-dlq-msg-id", "Its `Nats-Msg-Id`."),
    ];
    let properties: Map<String, Value> = headers
        .map(|(name, text)| (name.to_owned(), json!({ "type": "string", "description": text })))
        .into_iter()
        .collect();
    json!({
        "name": "deadLetter",
        "payload": reference("schemas", "DeadLetter"),
        "headers": { "type": "object", "description": "The message's own headers, and these.", "properties": properties },
    })
}
