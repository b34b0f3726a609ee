//! Checksums in requests and answers.

use hyper::HeaderMap;
use s3s::dto::ChecksumType;
use s3s::{S3Result, s3_error};

use crate::digest::{self, Algorithm, Expected};
use crate::index::objects::VersionRow;

/// The five checksum fields of a request, as `(algorithm, text)`.
macro_rules! stated {
    ($input:expr) => {
        [
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
        .into_iter()
        .filter_map(|(algorithm, text)| text.map(|text| (algorithm, text)))
        .collect::<Vec<(Algorithm, String)>>()
    };
}
pub(crate) use stated;

/// Sets the five checksum fields of an answer.
macro_rules! show {
    ($output:expr, $shown:expr) => {
        if let Some((algorithm, text)) = $shown {
            match algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = Some(text),
                Algorithm::Crc32c => $output.checksum_crc32c = Some(text),
                Algorithm::Crc64Nvme => $output.checksum_crc64nvme = Some(text),
                Algorithm::Sha1 => $output.checksum_sha1 = Some(text),
                Algorithm::Sha256 => $output.checksum_sha256 = Some(text),
            }
        }
    };
}
pub(crate) use show;

/// One checksum as an answer shows it.
pub(crate) type Shown = Option<(Algorithm, String)>;

/// The checksum of a stored object that clients see, and its type.
pub(crate) fn of_version(row: &VersionRow) -> (Shown, Option<ChecksumType>) {
    let Some(algorithm) = row.algorithm else {
        return (None, None);
    };
    if let Some(composite) = &row.composite {
        return (
            Some((algorithm, composite.clone())),
            Some(ChecksumType::from_static(ChecksumType::COMPOSITE)),
        );
    }
    let shown = of_sums(&row.sums, algorithm);
    let kind = shown
        .is_some()
        .then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    (shown, kind)
}

/// One of the checksums of a run of bytes.
pub(crate) fn of_sums(sums: &cofferdam_schemas::Checksums, algorithm: Algorithm) -> Shown {
    digest::claim(sums, algorithm).map(|value| (algorithm, digest::base64(&value)))
}

/// What a request with a body says about its checksums.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Stated in headers.
    pub(crate) expected: Expected,
    /// Announced to follow in trailers.
    pub(crate) trailers: Vec<Algorithm>,
}

impl Claims {
    /// Reads headers; says no to what cannot be right, before a byte of the body is taken.
    pub(crate) fn read(stated: Vec<(Algorithm, String)>, md5: Option<&str>, headers: &HeaderMap) -> S3Result<Self> {
        let mut claims = Self::default();
        if stated.len() > 1 {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed."
            ));
        }
        for (algorithm, text) in stated {
            let value = algorithm.decode(&text);
            let value = value
                .ok_or_else(|| s3_error!(InvalidRequest, "Value for {} header is invalid.", algorithm.header()))?;
            claims.expected.values.insert(algorithm, value);
        }
        if let Some(text) = md5 {
            use base64::Engine as _;
            let value = base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()
                .filter(|value| value.len() == 16);
            claims.expected.md5 =
                Some(value.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))?);
        }
        for names in headers.get_all("x-amz-trailer") {
            for name in names.to_str().unwrap_or_default().split(',').map(str::trim) {
                claims.trailers.extend(
                    Algorithm::ALL
                        .into_iter()
                        .find(|algorithm| algorithm.header().eq_ignore_ascii_case(name)),
                );
            }
        }
        let Some(named) = headers.get("x-amz-sdk-checksum-algorithm") else {
            return Ok(claims);
        };
        let algorithm = named.to_str().ok().and_then(Algorithm::parse);
        let algorithm =
            algorithm.ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))?;
        if !claims.trailers.contains(&algorithm) && !claims.expected.values.contains_key(&algorithm) {
            let reason = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
            return Err(s3_error!(InvalidRequest, "{reason}"));
        }
        Ok(claims)
    }

    /// Adds what came in trailers. What was announced must be there.
    pub(crate) fn take_trailers(&mut self, trailing: Option<&HeaderMap>) -> S3Result<()> {
        for algorithm in std::mem::take(&mut self.trailers) {
            let text = trailing
                .and_then(|headers| headers.get(algorithm.header()))
                .and_then(|value| value.to_str().ok());
            let text = text.ok_or_else(|| {
                s3_error!(
                    InvalidRequest,
                    "The announced trailer {} did not come.",
                    algorithm.header()
                )
            })?;
            let value = algorithm.decode(text);
            let value = value
                .ok_or_else(|| s3_error!(InvalidRequest, "Value for {} trailer is invalid.", algorithm.header()))?;
            // The same checksum both ahead and behind has to be the same.
            if self
                .expected
                .values
                .insert(algorithm, value.clone())
                .is_some_and(|ahead| ahead != value)
            {
                return Err(s3_error!(
                    BadDigest,
                    "The {} ahead of the body and behind it differ.",
                    algorithm.name()
                ));
            }
        }
        Ok(())
    }

    /// The algorithm the client chose to be shown.
    pub(crate) fn chosen(&self) -> Option<Algorithm> {
        self.expected.values.keys().next().or(self.trailers.first()).copied()
    }

    /// All algorithms that have to be computed.
    pub(crate) fn needed(&self) -> Vec<Algorithm> {
        self.expected.values.keys().chain(&self.trailers).copied().collect()
    }
}
