//! One request: guarded, counted, answered whatever happens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::http::{Method, Request, Response, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use s3s::service::S3Service;
use s3s::{Body, HttpError, s3_error};
use tokio::sync::Semaphore;

use super::body::{Guarded, drain};
use crate::s3::access::{OperationName, takes_xml};

/// Forms (POST uploads from browsers) are held in memory by `s3s`: this many at once.
const FORMS_AT_ONCE: usize = 4;

/// What every connection shares.
pub(crate) struct Service {
    s3: S3Service,
    body_timeout: Duration,
    forms: Arc<Semaphore>,
    requests: Counter<u64>,
    duration: Histogram<f64>,
}

impl Service {
    pub(crate) fn new(s3: S3Service, body_timeout: Duration) -> Self {
        let meter = opentelemetry::global::meter("cofferdam");
        Self {
            s3,
            body_timeout,
            forms: Arc::new(Semaphore::new(FORMS_AT_ONCE)),
            requests: meter
                .u64_counter("cofferdam_s3_requests")
                .with_description("Requests to the S3 endpoint, by operation and HTTP status.")
                .build(),
            duration: meter
                .f64_histogram("cofferdam_s3_request_duration")
                .with_unit("s")
                .with_description("Time from a request's head to its answer's head, by operation.")
                .build(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let begun = Instant::now();
        let operation = OperationName::default();
        let request_id = format!("{:016X}", rand::random::<u64>());
        let form = request.method() == Method::POST && request.headers().get(CONTENT_TYPE).is_some_and(is_form);
        let _turn = if form { self.forms.acquire().await.ok() } else { None };
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(operation.clone());
        // Who asks first whether to send at all does not send for nothing.
        let sends_anyway = !parts.headers.contains_key(EXPECT);
        let (body, rest) = Guarded::new(body, &parts.headers, form, self.body_timeout);
        let body = Body::http_body_unsync(body);
        let called = AssertUnwindSafe(self.s3.call(Request::from_parts(parts, body)))
            .catch_unwind()
            .await;
        let mut response = match called {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => failed(Some(error)),
            Err(_) => failed(None),
        };
        let operation = operation.get();
        correct(operation, &mut response);
        if sends_anyway
            && (response.status().is_client_error() || response.status().is_server_error())
            && let Ok(rest) = rest.await
        {
            drain(rest).await;
        }
        if let Ok(id) = HeaderValue::try_from(&request_id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        let status = i64::from(response.status().as_u16());
        self.requests.add(
            1,
            &[KeyValue::new("operation", operation), KeyValue::new("status", status)],
        );
        self.duration
            .record(begun.elapsed().as_secs_f64(), &[KeyValue::new("operation", operation)]);
        tracing::debug!(operation, status, request_id, elapsed = ?begun.elapsed(), "s3 request");
        response
    }
}

/// As `s3s` sees it: whatever the case of the letters.
fn is_form(kind: &HeaderValue) -> bool {
    const FORM: &[u8] = b"multipart/form-data";
    kind.as_bytes()
        .get(..FORM.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// What `s3s` does not get right.
fn correct(operation: &str, response: &mut Response<Body>) {
    // It has no way to give this status to a HEAD.
    if operation == "HeadObject"
        && response.status() == StatusCode::OK
        && response.headers().contains_key(CONTENT_RANGE)
    {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    // It calls a request body that ends early, or is not what was signed, an internal error; those of ours have a message.
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR
        && takes_xml(operation)
        && response
            .body()
            .bytes()
            .is_some_and(|xml| !xml.windows(9).any(|w| w == b"<Message>"))
    {
        let error = s3_error!(
            IncompleteBody,
            "The request body ended early or is not what was signed."
        );
        if let Ok(better) = error.to_http_response() {
            *response = better;
        }
    }
}

/// Our own fault.
fn failed(error: Option<HttpError>) -> Response<Body> {
    match error.map(s3s::StdError::from) {
        Some(error) => tracing::error!(error = &*error as &dyn std::error::Error, "request failed"),
        None => tracing::error!("request panicked"),
    }
    let error = s3_error!(InternalError, "We encountered an internal error. Please try again.");
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// The form hyper wants it in.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Service>);

impl hyper::service::Service<Request<Incoming>> for Shared {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = Arc::clone(&self.0);
        async move { Ok(service.answer(request).await) }.boxed()
    }
}
