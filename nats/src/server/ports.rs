//! Three ports on loopback.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use serde::Deserialize;

/// Ports to use if they are free. `None` and 0 mean any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preferred {
    /// For clients.
    pub client: Option<u16>,
    /// For browsers.
    pub websocket: Option<u16>,
    /// For monitoring.
    pub monitor: Option<u16>,
}

/// The ports in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// For clients.
    pub client: u16,
    /// For browsers.
    pub websocket: u16,
    /// For monitoring.
    pub monitor: u16,
}

impl Preferred {
    /// Takes what is preferred and free, and picks the rest.
    pub(super) fn choose(&self) -> io::Result<Ports> {
        // Held until all are chosen, so that no port is chosen twice.
        let client = hold(self.client)?;
        let websocket = hold(self.websocket)?;
        let monitor = hold(self.monitor)?;
        let port = |held: &TcpListener| held.local_addr().map(|address| address.port());
        Ok(Ports {
            client: port(&client)?,
            websocket: port(&websocket)?,
            monitor: port(&monitor)?,
        })
    }

    pub(super) fn moved(&self, used: &Ports) -> Vec<(&'static str, u16, u16)> {
        [
            ("nats", self.client, used.client),
            ("websocket", self.websocket, used.websocket),
            ("monitoring", self.monitor, used.monitor),
        ]
        .into_iter()
        .filter_map(|(what, preferred, used)| preferred.filter(|p| *p != 0 && *p != used).map(|p| (what, p, used)))
        .collect()
    }
}

/// Not from the range that the system takes for outgoing connections (32768 and up on Linux): between two lives of
/// the server such a connection could take the port. It could even be our own client's, which connects to itself when
/// source and destination happen to be equal.
const PICKED: std::ops::Range<u16> = 20_000..32_000;

fn hold(preferred: Option<u16>) -> io::Result<TcpListener> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = preferred.filter(|port| *port != 0)
        && let Ok(held) = bind(port)
    {
        return Ok(held);
    }
    (0..200)
        .find_map(|_| bind(rand::random_range(PICKED)).ok())
        .map_or_else(|| bind(0), Ok)
}

/// What the server writes once it listens.
#[derive(Deserialize)]
struct PortsFile {
    #[serde(default)]
    nats: Vec<String>,
    #[serde(default)]
    monitoring: Vec<String>,
    #[serde(default)]
    websocket: Vec<String>,
}

/// The ports that the server with this pid says it listens on; `None` until it does. The file is named after the
/// program, so it is found by its end.
pub(super) fn read(folder: &Path, pid: u32) -> Option<Ports> {
    let end = format!("_{pid}.ports");
    let file = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .find(|file| file.file_name().to_string_lossy().ends_with(&end))?;
    // Half-written is not yet written.
    let file: PortsFile = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    let port = |urls: &[String]| {
        urls.first()?
            .rsplit(':')
            .next()?
            .trim_end_matches('/')
            .parse::<u16>()
            .ok()
    };
    Some(Ports {
        client: port(&file.nats)?,
        websocket: port(&file.websocket)?,
        monitor: port(&file.monitoring)?,
    })
}

/// Removes what former servers wrote: a killed one leaves its file.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(folder)?.flatten() {
        if file.file_name().to_string_lossy().ends_with(".ports") {
            std::fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_is_replaced() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let free_port = hold(None).unwrap().local_addr().unwrap().port();
        let preferred = Preferred {
            client: Some(taken_port),
            websocket: Some(free_port),
            monitor: None,
        };
        let ports = preferred.choose().unwrap();
        assert_ne!(ports.client, taken_port);
        assert_eq!(ports.websocket, free_port);
        assert!(PICKED.contains(&ports.monitor));
        assert_eq!(preferred.moved(&ports), [("nats", taken_port, ports.client)]);
    }

    #[test]
    fn the_ports_file_of_this_pid_only() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(read(folder.path(), 7), None);
        write(
            "nats-server_17.ports",
            r#"{"nats":["nats://127.0.0.1:1"],"monitoring":["http://127.0.0.1:2"],"websocket":["ws://127.0.0.1:3"]}"#,
        );
        assert_eq!(read(folder.path(), 7), None);
        write("nats-server_7.ports", r#"{"nats":["nats://127.0.0.1:1"],"monit"#);
        assert_eq!(read(folder.path(), 7), None);
        write(
            "nats-server_7.ports",
            r#"{"nats":["nats://127.0.0.1:4"],"monitoring":["http://127.0.0.1:5"],"websocket":["ws://127.0.0.1:6"]}"#,
        );
        assert_eq!(
            read(folder.path(), 7),
            Some(Ports {
                client: 4,
                websocket: 6,
                monitor: 5
            })
        );
        forget(folder.path()).unwrap();
        assert_eq!(read(folder.path(), 7), None);
    }
}
