//! Any bytes on a connection: an answer or a closed connection, never a panic, and soon.

use proptest::prelude::*;

use super::*;

#[path = "../../../../../tests/fuzz/targets/s3_requests.rs"]
mod s3_requests;

use s3_requests::run as check;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "inbox",
            "plain",
            "nowhere",
            "k",
            "a/b",
            "..",
            "%2E%2E",
            "%00",
            "%FF",
            "+",
            "%20",
            "é",
            "A",
            "UPPER",
            "127.0.0.1",
            "x-amz-meta-a",
            "uploads",
            "uploadId",
            "partNumber",
            "versionId",
            "delete",
            "tagging",
            "acl",
            "list-type",
            "prefix",
            "1",
            "-1",
            "10001",
            "99999999999999999999",
            "bytes=0-",
            "bytes=5-2",
            "*",
            "\"a\"",
            "aws-chunked",
            "chunked",
            "100-continue",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "UNSIGNED-PAYLOAD",
            "multipart/form-data; boundary=B",
            "application/xml",
            "true",
            "/plain/k",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
    ]
}

fn header() -> impl Strategy<Value = (String, String)> {
    let names = vec![
        "content-length",
        "transfer-encoding",
        "content-type",
        "x-amz-copy-source",
        "x-amz-copy-source-range",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        "x-amz-tagging",
        "x-amz-meta-a",
        "x-amz-acl",
        "x-amz-date",
        "authorization",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "range",
        "expect",
        "content-md5",
        "content-encoding",
        "x-amz-checksum-crc32",
        "x-amz-sdk-checksum-algorithm",
        "expires",
        "connection",
        "upgrade",
        "date",
        "x-amz-mp-object-size",
    ];
    (prop::sample::select(names).prop_map(str::to_owned), word())
}

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    path: Vec<String>,
    query: Vec<(String, Option<String>)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn request() -> impl Strategy<Value = Request> {
    let methods = vec!["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::sample::select(vec![
            &b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"[..],
            b"<Delete><Object><Key>a</Key></Object></Delete>",
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
            b"--B\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--B\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhi\r\n--B--\r\n",
            b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    (
        prop::sample::select(methods),
        prop::collection::vec(word(), 0..3),
        prop::collection::vec((word(), prop::option::of(word())), 0..3),
        prop::collection::vec(header(), 0..5),
        body,
    )
        .prop_map(|(method, path, query, headers, body)| Request {
            method,
            path,
            query,
            headers,
            body,
        })
}

impl Request {
    fn target(&self) -> String {
        let plain = |text: &str| text.replace([' ', '#', '?', '\r', '\n'], "_");
        let mut target: String = self.path.iter().map(|part| format!("/{}", plain(part))).collect();
        if target.is_empty() {
            target.push('/');
        }
        for (n, (name, value)) in self.query.iter().enumerate() {
            target.push(if n == 0 { '?' } else { '&' });
            target.push_str(&plain(name));
            if let Some(value) = value {
                target.push('=');
                target.push_str(&plain(value));
            }
        }
        target
    }

    /// Signed by the operator as well as the signature of an odd request can be made: much of it gets behind the door.
    fn bytes(&self, signed: bool) -> Vec<u8> {
        let raw = Raw {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 9000)),
            key: s3_requests::OPERATOR,
        };
        let target = self.target();
        let length = self.body.len().to_string();
        let given = |name: &str| self.headers.iter().any(|(n, _)| n == name);
        let mut headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if !given("content-length") && !given("transfer-encoding") {
            headers.push(("content-length", &length));
        }
        let head = if signed {
            headers.retain(|(n, _)| !["authorization", "x-amz-date", "x-amz-content-sha256"].contains(n));
            let payload = self
                .headers
                .iter()
                .find(|(n, v)| n == "x-amz-content-sha256" && !v.is_empty());
            let payload = payload.map_or_else(|| hex_sha256(&self.body), |(_, v)| v.clone());
            raw.sign(self.method, &target, &headers, &payload).head
        } else {
            let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            format!("{} {target} HTTP/1.1\r\nhost: x\r\n{lines}\r\n", self.method)
        };
        [head.as_bytes(), &self.body].concat()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&input);
    }

    #[test]
    fn odd_requests(request in request(), signed: bool) {
        check(&request.bytes(signed));
    }

    /// A request that would be good, cut off or with one byte changed, followed by another.
    #[test]
    fn mangled_requests(request in request(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with: u8) {
        let mut bytes = request.bytes(true);
        let place = at.index(bytes.len());
        bytes[place] = with;
        check(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        check(&bytes);
    }
}
