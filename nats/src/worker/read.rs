//! Everything a worker does with what others wrote, before it works on it.

use bytes::Bytes;
use cofferdam_schemas::cloudevent::Attributes;
use cofferdam_schemas::{CommandResult, Done, ResultEvent, Timestamp};

use super::command::read_command;
use super::delivery::Delivery;
use super::processor::read_event;

/// Reads a message as every kind of event a worker takes; how many kinds it is. Nothing in it may make this panic. For
/// tests that throw anything at the parsers.
pub fn read_any(subject: &str, headers: &[(&str, &str)], body: &[u8]) -> usize {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| *value)
    };
    let attributes = Attributes::read(header).ok();
    let body = Bytes::copy_from_slice(body);
    let delivery = Delivery::detached(subject, attributes, body, 1, Timestamp::from_unix_millis(0));
    let kinds = [
        read_event(&delivery).is_ok(),
        read_command(&delivery).is_ok(),
        delivery.decode_as::<ResultEvent>(&[ResultEvent::TYPE]).is_ok(),
        delivery.decode_as::<CommandResult>(&[CommandResult::TYPE]).is_ok(),
        delivery.decode_as::<Done>(&[Done::TYPE]).is_ok(),
    ];
    kinds.into_iter().filter(|is| *is).count()
}

#[cfg(test)]
mod tests {
    use cofferdam_schemas::{Command, CommandId, ProcessorName, TenantName, Verb};
    use proptest::prelude::*;

    use super::*;

    fn headers<'a>(event_type: &'a str, subject: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/x"),
            ("ce-time", "2026-01-01T00:00:00Z"),
            ("ce-type", event_type),
            ("ce-subject", subject),
        ]
    }

    fn command() -> Vec<u8> {
        let command = Command {
            id: CommandId::new("c-1").unwrap(),
            tenant: TenantName::new("acme").unwrap(),
            verb: ProcessorName::new("retrieve").unwrap(),
            body: serde_json::json!({"select": {"key": "a"}}),
            accepted_at: Timestamp::from_unix_millis(0),
        };
        serde_json::to_vec(&command).unwrap()
    }

    #[test]
    fn a_command_is_one_kind_and_only_of_its_tenant() {
        let headers = headers(Command::TYPE, "c-1");
        assert_eq!(read_any("cmd.v1.acme.retrieve", &headers, &command()), 1);
        assert_eq!(read_any("cmd.v1.beta.retrieve", &headers, &command()), 0);
        assert_eq!(read_any("cmd.v1.acme.retrieve", &[], &command()), 0);
    }

    fn event_type() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just(Verb::Put.event_type()),
            Just(Command::TYPE),
            Just(ResultEvent::TYPE),
            Just(CommandResult::TYPE),
            Just(Done::TYPE),
            Just("other"),
        ]
    }

    proptest! {
        #[test]
        fn nothing_written_by_others_panics(
            subject in ".{0,60}", event_type in event_type(), about in ".{0,60}", time in ".{0,40}",
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            read_any(&subject, &headers(event_type, &about), &body);
            let mut headers = headers(event_type, &about);
            headers[3].1 = &time;
            read_any("cmd.v1.acme.retrieve", &headers, &body);
        }

        #[test]
        fn a_damaged_command_does_not_panic(at: prop::sample::Index, byte: u8, length: prop::sample::Index, event_type in event_type()) {
            let mut body = command();
            let place = at.index(body.len());
            body[place] = byte;
            read_any("cmd.v1.acme.retrieve", &headers(event_type, "c-1"), &body);
            body.truncate(length.index(body.len() + 1));
            read_any("cmd.v1.acme.retrieve", &headers(event_type, "c-1"), &body);
        }
    }
}
