//! `GET /healthz`, in thirty lines: the supervising thread needs no runtime and no HTTP client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What the server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers with 200.
    Good,
    /// It answers, and with something else; JetStream is off, for example after the disk was full.
    Bad(String),
    /// It does not answer in time.
    Silent(String),
}

/// Asks once; takes 2 s at most for each step.
pub(super) fn ask(port: u16) -> Health {
    match exchange(port) {
        Ok(reply) => judge(&reply),
        Err(e) => Health::Silent(format!("no answer to the health check: {e}")),
    }
}

fn exchange(port: u16) -> std::io::Result<Vec<u8>> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut reply = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut reply)?;
    Ok(reply)
}

/// `{"status": "unavailable", "status_code": 503, "error": "JetStream is not current"}`
fn judge(reply: &[u8]) -> Health {
    let text = String::from_utf8_lossy(reply);
    let status = text.split_whitespace().nth(1).unwrap_or_default();
    if status == "200" {
        return Health::Good;
    }
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    let parsed: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let reason = parsed
        .as_ref()
        .and_then(|v| v.get("error"))
        .and_then(|v| v.as_str())
        .unwrap_or(body);
    Health::Bad(format!(
        "health check says {status}: {}",
        reason.chars().take(300).collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_judged_by_its_status() {
        assert_eq!(
            judge(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\":\"ok\"}"),
            Health::Good
        );
        let bad = b"HTTP/1.0 503 Service Unavailable\r\n\r\n{\"status\":\"unavailable\",\"status_code\":503,\"error\":\"JetStream is off\"}";
        assert_eq!(
            judge(bad),
            Health::Bad("health check says 503: JetStream is off".to_owned())
        );
        assert_eq!(
            judge(b"HTTP/1.0 500 x\r\n\r\nplain"),
            Health::Bad("health check says 500: plain".to_owned())
        );
        assert!(matches!(judge(b""), Health::Bad(_)));
    }

    #[test]
    fn nobody_there_is_silence() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        assert!(matches!(ask(port), Health::Silent(_)));
    }
}
