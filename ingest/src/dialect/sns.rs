//! SNS between S3 and the queue: the body is an envelope whose `Message` is Amazon's body as a string. (With raw delivery there is no envelope, and
//! the dialect is `aws`.) The envelope's signature is not checked: the queue's policy decides who may send, and HEAD decides what is true.

use serde_json::{Map, Value};

use super::{Dialect, DialectError, KeyEncoding, Notification, aws, document};

pub(super) fn parse(
    body: &Map<String, Value>,
    encoding: Option<KeyEncoding>,
) -> Result<Vec<Notification>, DialectError> {
    let shape = |reason| DialectError::Shape {
        dialect: Dialect::Sns,
        reason,
    };
    if body
        .get("Type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind != "Notification")
    {
        return Err(shape(
            "the envelope is not a Notification: confirm the subscription by hand",
        ));
    }
    let message = body
        .get("Message")
        .and_then(Value::as_str)
        .ok_or(shape("there is no Message text"))?;
    aws::parse(&document(message.as_bytes())?, encoding)
}
