//! One request and its answer: the ids that belong to it, and the headers that every answer has.

use bytes::Bytes;
use hourgate_api::{
    error::{ArmError, Code, ErrorAnswer},
    headers,
};
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::Body as _,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;
use uuid::Uuid;

use super::error::status;
use crate::{clock, mint, mint::NoRandomness};

/// What clients are told that they may still do. Azure's figures; nothing is counted against them: what
/// is limited here answers 429 by itself.
const REMAINING_READS: &str = "11999";
const REMAINING_WRITES: &str = "1199";
const REMAINING_DELETES: &str = "14999";
/// Longest client request id that is given back; a GUID in practice. Only what can be seen is given back:
/// other bytes are read differently by whoever stands between, and end up in logs.
const CLIENT_ID_BYTES_MAX: usize = 128;
/// When to come back after 429 or 503, in seconds.
const RETRY_AFTER: &str = "1";

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// What belongs to one request.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request_id: Uuid,
    pub(super) correlation: Uuid,
    /// What it is about: its path.
    pub(super) target: String,
    client_request_id: Option<HeaderValue>,
    remaining: (&'static str, &'static str),
}

impl Exchange {
    pub(super) fn of(
        method: &Method,
        path: &str,
        sent: &HeaderMap,
    ) -> Result<Exchange, NoRandomness> {
        let correlation = sent
            .get(headers::CORRELATION_REQUEST_ID)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let wants_back = sent
            .get(headers::RETURN_CLIENT_REQUEST_ID)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        let client_request_id = sent
            .get(headers::CLIENT_REQUEST_ID)
            .filter(|value| wants_back && is_plain(value.as_bytes()));
        Ok(Exchange {
            request_id: mint::uuid()?,
            correlation: match correlation {
                Some(sent) => sent,
                None => mint::uuid()?,
            },
            target: path.to_owned(),
            client_request_id: client_request_id.cloned(),
            remaining: match *method {
                Method::GET | Method::HEAD => (headers::REMAINING_READS, REMAINING_READS),
                Method::DELETE => (headers::REMAINING_DELETES, REMAINING_DELETES),
                _ => (headers::REMAINING_WRITES, REMAINING_WRITES),
            },
        })
    }

    /// An answer in JSON, compact.
    pub(super) fn json(&self, status: StatusCode, body: &impl Serialize) -> Answer {
        match serde_json::to_vec(body) {
            Ok(json) => {
                let mut answer = self.bare(status, Bytes::from(json));
                let json = HeaderValue::from_static(headers::JSON);
                answer.headers_mut().insert(header::CONTENT_TYPE, json);
                answer
            }
            Err(error) => {
                tracing::error!(request = %self.request_id, %error, "an answer cannot be written");
                self.empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// An answer in text of this kind.
    pub(super) fn text(&self, status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
        let mut answer = self.bare(status, body);
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        answer
    }

    /// An answer without a body and without a type, as Azure answers a DELETE.
    pub(super) fn empty(&self, status: StatusCode) -> Answer {
        let answer = self.bare(status, Bytes::new());
        // Said, because HTTP/2 would not say it; of 204 it is understood.
        if status == StatusCode::NO_CONTENT { answer } else { bodiless(answer) }
    }

    /// An error in Azure's shape.
    pub(super) fn error(&self, error: ArmError) -> Answer {
        let status = status(&error.code);
        let before_any_resource = matches!(
            error.code,
            Code::AuthenticationFailed
                | Code::InvalidAuthenticationToken
                | Code::ExpiredAuthenticationToken
                | Code::AuthorizationFailed
                | Code::LinkedAuthorizationFailed
                | Code::MethodNotAllowed
                | Code::MissingApiVersionParameter
                | Code::InvalidApiVersionParameter
                | Code::InvalidSubscriptionId
                | Code::InvalidResourceType
                | Code::SubscriptionNotFound
                | Code::ResourceGroupNotFound
        );
        let mut answer = self.json(status, &ErrorAnswer::from(error));
        let headers = answer.headers_mut();
        if before_any_resource {
            let name = HeaderName::from_static(headers::FAILURE_CAUSE);
            headers.insert(name, HeaderValue::from_static("gateway"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        answer
    }

    fn bare(&self, status: StatusCode, body: Bytes) -> Answer {
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("pragma", "no-cache"),
            ("expires", "-1"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            self.remaining,
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let routing =
            format!("LOCAL:{}:{}", clock::wall().strftime("%Y%m%dT%H%M%SZ"), self.correlation);
        for (name, value) in [
            (headers::REQUEST_ID, self.request_id.to_string()),
            (headers::CORRELATION_REQUEST_ID, self.correlation.to_string()),
            (headers::ROUTING_REQUEST_ID, routing),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(id) = &self.client_request_id {
            let name = HeaderName::from_static(headers::CLIENT_REQUEST_ID);
            headers.insert(name, id.clone());
        }
        answer
    }
}

/// The head of an answer alone, with the length of its body, as HEAD is answered. HTTP/2 takes a body there
/// for a fault of the whole connection.
pub(super) fn bodiless(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Full::default())
}

fn is_plain(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= CLIENT_ID_BYTES_MAX && id.iter().all(u8::is_ascii_graphic)
}

/// Adds a header of the answer's own.
pub(super) fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    // A value that is no header is left out: ours are all made of ASCII.
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
    answer
}
