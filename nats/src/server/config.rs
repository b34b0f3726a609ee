//! The server's configuration. It is written as JSON, which the server reads as well as its own notation: every name
//! and password is quoted right by construction.

use serde_json::{Value, json};

use super::files::Files;
use super::ports::Ports;
use super::{ServerSettings, SyncMode};

/// The largest message. Ours stay below 256 KiB by policy.
const MAX_PAYLOAD: u32 = 1 << 20;

/// The configuration as text. It holds passwords.
pub(super) fn render(
    settings: &ServerSettings,
    accounts: &Value,
    files: &Files,
    ports: &Ports,
    max_store: u64,
) -> String {
    let listen = |port: u16| format!("127.0.0.1:{port}");
    let sync = match settings.sync {
        SyncMode::Always => "always".to_owned(),
        interval @ SyncMode::Interval(_) => interval.to_string(),
    };
    json!({
        "server_name": "cofferdam-embedded",
        "listen": listen(ports.client),
        "http": listen(ports.monitor),
        "ports_file_dir": files.run,
        "log_file": files.log,
        "logfile_size_limit": 16 << 20,
        "logfile_max_num": 3,
        "max_payload": MAX_PAYLOAD,
        "max_connections": 2000,
        // A client that does not read for this long is cut off; it reconnects and its messages are delivered again.
        "write_deadline": "5s",
        "ping_interval": "20s",
        "ping_max": 2,
        "jetstream": {
            "store_dir": files.root,
            "sync_interval": sync,
            "max_memory_store": 64 << 20,
            "max_file_store": max_store,
            "limits": {"max_ack_pending": 5000, "duplicate_window": "24h", "max_request_batch": 1000},
        },
        "accounts": accounts,
        "system_account": crate::accounts::SYSTEM,
        "websocket": {"listen": listen(ports.websocket), "no_tls": true, "same_origin": true},
    })
    .to_string()
}
