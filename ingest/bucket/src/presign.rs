//! Presigned URLs: AWS Signature Version 4 in the query string.

use std::time::Duration;

use cofferdam_seams::ObjectError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::grants::Credential;

/// The longest time a presigned URL may be good for: seven days.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const ENCODED_BUT_SLASH: &AsciiSet = &ENCODED.remove(b'/');

/// Percent-encodes a query value or the key of a listing.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Percent-encodes a key, leaving its slashes.
pub(crate) fn encode_key(text: &str) -> String {
    utf8_percent_encode(text, ENCODED_BUT_SLASH).to_string()
}

/// What a URL is to give.
pub(crate) struct Get<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: Option<String>,
    pub(crate) expires: Duration,
    pub(crate) download_as: Option<&'a str>,
}

impl Get<'_> {
    /// Makes the URL. `now` is the machine's time, because the endpoint checks against that.
    pub(crate) fn sign(
        &self,
        endpoint: &str,
        region: &str,
        signer: &Credential,
        now: OffsetDateTime,
    ) -> Result<String, ObjectError> {
        let invalid = |reason: &str| ObjectError::InvalidRequest {
            reason: reason.to_owned(),
        };
        if self.expires > LONGEST || self.expires.as_secs() == 0 {
            return Err(invalid("a presigned URL is good for 1 second to 7 days"));
        }
        let host = endpoint
            .split_once("://")
            .map(|(_, host)| host)
            .filter(|host| !host.is_empty() && !host.contains('/'));
        let host = host.ok_or_else(|| invalid("endpoint is not a URL without path"))?;
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let stamp = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let scope = format!("{date}/{region}/s3/aws4_request");
        let mut query = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", signer.access_key_id)),
            ("X-Amz-Date", stamp.clone()),
            ("X-Amz-Expires", self.expires.as_secs().to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        query.extend(
            self.download_as
                .map(|name| ("response-content-disposition", disposition(name))),
        );
        query.extend(self.version.clone().map(|version| ("versionId", version)));
        query.sort_unstable();
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encode(&value)))
            .collect();
        let query = query.join("&");

        let canonical = format!("/{}/{}", self.bucket, encode_key(self.key));
        let request = format!("GET\n{canonical}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            hex::encode(Sha256::digest(request))
        );
        let mut key = mac(format!("AWS4{}", signer.secret.expose_secret()).as_bytes(), &date);
        for part in [region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &to_sign));
        Ok(format!("{endpoint}{}?{query}&X-Amz-Signature={signature}", self.path()))
    }

    /// The path as it stands in the URL. Clients remove `.` and `..` between slashes from URLs, also when the dots are encoded. So a key that
    /// has such a segment gets its slashes encoded, and the one before it too; the endpoint decodes before it looks.
    fn path(&self) -> String {
        let dots = self.key.split('/').any(|segment| segment == "." || segment == "..");
        if dots {
            format!("/{}%2F{}", self.bucket, encode(self.key))
        } else {
            format!("/{}/{}", self.bucket, encode_key(self.key))
        }
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // Unwrap safety: HMAC takes keys of any length.
    #[allow(clippy::expect_used)]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// `Content-Disposition` that saves under a name (RFC 6266): plain for old clients, UTF-8 for the others.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !"\"\\/%;".contains(c) || c == ' ' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", encode(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::grants::Grants;

    /// The example of AWS's documentation ("Authenticating Requests: Using Query Parameters"), path style.
    #[test]
    fn the_signing_key_is_that_of_the_documentation() {
        let mut key = mac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215");
        for part in ["us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part);
        }
        assert_eq!(
            hex::encode(key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    fn url(key: &str, expires: Duration) -> Result<String, ObjectError> {
        let signer = Credential {
            access_key_id: "AK".into(),
            secret: "sk".to_owned().into(),
            grants: Grants::Operator,
        };
        let get = Get {
            bucket: "outbox",
            key,
            version: None,
            expires,
            download_as: Some("é\".pdf"),
        };
        get.sign(
            "http://127.0.0.1:9000",
            "us-east-1",
            &signer,
            OffsetDateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn dot_segments_are_hidden_from_clients() {
        let hour = Duration::from_secs(3600);
        assert!(
            url("a/b c", hour)
                .unwrap()
                .starts_with("http://127.0.0.1:9000/outbox/a/b%20c?X-Amz-Algorithm=")
        );
        assert!(
            url("../x", hour)
                .unwrap()
                .starts_with("http://127.0.0.1:9000/outbox%2F..%2Fx?")
        );
        assert!(
            url("..", hour)
                .unwrap()
                .starts_with("http://127.0.0.1:9000/outbox%2F..?")
        );
    }

    #[test]
    fn names_are_quoted_safely() {
        assert_eq!(
            disposition("é\".pdf"),
            "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C3%A9%22.pdf"
        );
        assert!(!disposition("a\r\nb").contains('\n'));
    }

    #[test]
    fn a_time_that_is_too_long_is_refused() {
        assert!(url("k", LONGEST).is_ok());
        assert!(url("k", LONGEST + Duration::from_secs(1)).is_err());
        assert!(url("k", Duration::ZERO).is_err());
    }
}
