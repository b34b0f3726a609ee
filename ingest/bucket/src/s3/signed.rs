//! What a signature covers. `s3s` verifies the signature over what it says it covers; here is checked that this is enough.
//!
//! A header that begins with `x-amz-` changes what a request does: with `x-amz-copy-source` a PUT is a copy. Whoever holds a presigned URL, or saw
//! a request on its way, could add one that was not signed.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use s3s::{S3Result, s3_error};

/// Covered by every signature in another way: the time and the body's hash stand in what is signed.
const ALWAYS_COVERED: [&str; 2] = ["x-amz-date", "x-amz-content-sha256"];

/// Name and value of each parameter of a query, decoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        Cow::Owned(
            percent_encoding::percent_decode_str(&text)
                .decode_utf8_lossy()
                .into_owned(),
        )
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Refuses a request whose signature leaves out the host or a header that means something. `query` is that of the request.
pub(crate) fn covers(headers: &HeaderMap, query: &str) -> S3Result<()> {
    let parameter = |wanted: &str| {
        parameters(query)
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value)
    };
    let authorization = headers
        .get(AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    // The order in which the signature was looked for.
    if parameter("Signature").is_some() {
        // The older presigned URLs cover every such header, always; they name the bucket instead of the host.
        return Ok(());
    }
    let presigned = parameter("X-Amz-Signature").and_then(|_| parameter("X-Amz-SignedHeaders"));
    let named = match (&presigned, authorization) {
        (Some(named), _) => named.as_ref(),
        (None, Some(text)) if text.starts_with("AWS4-HMAC-SHA256") => text
            .split(',')
            .find_map(|part| part.trim().strip_prefix("SignedHeaders="))
            .unwrap_or_default(),
        // The older signature in a header is good for ever: nothing compares its date with ours.
        (None, Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            ));
        }
        // Not signed at all, which is refused elsewhere.
        (None, None) => return Ok(()),
    };
    let signed = |name: &str| named.split(';').any(|one| one.eq_ignore_ascii_case(name));
    let must = headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-amz-") && !ALWAYS_COVERED.contains(name));
    match must.chain(["host"]).find(|name| !signed(name)) {
        None => Ok(()),
        Some(name) => Err(s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed: {name}"
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], query: &str, expected: Option<&str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let refused = covers(&headers, query).err();
        let message = refused.as_ref().and_then(|error| error.message()).unwrap_or_default();
        assert_eq!(refused.is_some(), expected.is_some(), "{message}");
        assert!(message.ends_with(expected.unwrap_or_default()), "{message}");
    }

    #[test]
    fn headers_that_mean_something_must_be_signed() {
        let v4 = |names: &str| {
            format!("AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders={names}, Signature=0")
        };
        let all = v4("host;x-amz-date;x-amz-meta-a");
        check(
            &[
                ("authorization", &all),
                ("x-amz-meta-a", "1"),
                ("x-amz-date", "d"),
                ("range", "r"),
            ],
            "",
            None,
        );
        check(
            &[("authorization", &all), ("x-amz-copy-source", "/b/k")],
            "",
            Some("x-amz-copy-source"),
        );
        check(&[("authorization", &v4("x-amz-date"))], "", Some("host"));
        check(&[("authorization", &v4(""))], "", Some("host"));
        check(&[("authorization", "AWS4-HMAC-SHA256 nonsense")], "", Some("host"));
        check(&[("authorization", "AWS a:b")], "", Some("AWS4-HMAC-SHA256."));
        check(&[], "", None);
    }

    #[test]
    fn presigned_urls_name_what_they_cover() {
        let query = "X-Amz-Signature=0&X-Amz-SignedHeaders=host%3Bx-amz-meta-a";
        check(
            &[("x-amz-meta-a", "1"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
            query,
            None,
        );
        check(&[("x-amz-copy-source", "/b/k")], query, Some("x-amz-copy-source"));
        check(
            &[("x-amz-meta-b", "1")],
            "X-Amz-Signature=0&X-Amz-%53ignedHeaders=host",
            Some("x-amz-meta-b"),
        );
        check(&[("x-amz-meta-b", "1")], "AWSAccessKeyId=a&Signature=b&Expires=1", None);
    }
}
