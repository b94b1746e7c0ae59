//! One request: version, time, size, signature, once only; then the call itself; then a signed answer.

use super::SharedService;
use crate::api::{
    AskJob, AskStatus, Body as _, Call, Done, GiveConsent, Join, Piece, Poll, Refusal, Refused, StatusText,
};
use crate::auth::{SIGNATURE_HEADER, Signed, TIME_HEADER, Ticket, VERSION_HEADER, sign_answer};
use crate::error::NetError;
use crate::limits::{ANSWER_MAX, BODY_MAX, BODY_TIME_MAX, POLL_MAX, TRANSPORT_VERSION};
use crate::{hex, now_ms};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use fovea_secagg::identity::PublicKey;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A body that is too long is read to here, so that its sender hears the refusal instead of a closed connection.
const DRAIN_MAX: usize = 4 * BODY_MAX;

/// The authority's certificate, for holders of an invitation; it is public.
pub(super) async fn authority(State(service): State<SharedService>) -> Response {
    service.authority.clone().into_response()
}

/// Answers any other request.
pub(super) async fn answer(State(service): State<SharedService>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let version = header(&parts.headers, VERSION_HEADER);
    if version != Some(TRANSPORT_VERSION.to_string().as_str()) {
        return bare(StatusCode::UPGRADE_REQUIRED);
    }
    let Some(ticket) = Ticket::read(|name| header(&parts.headers, name)) else {
        return bare(StatusCode::UNAUTHORIZED);
    };
    let (status, body) = match handle(&service, &parts, body, &ticket).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            let refused = match error {
                NetError::Refused(refused) => refused,
                NetError::Wire(_) => Refused::Malformed,
                fault => {
                    service.fail(fault);
                    Refused::Unavailable
                }
            };
            (status(refused), Refusal { refused }.to_bytes(ANSWER_MAX).unwrap_or_default())
        }
    };
    let signature = sign_answer(&service.identity, &ticket.signature, status.as_u16(), &body);
    let mut response = (status, body).into_response();
    stamp(&mut response);
    if let Ok(value) = hex::encode(&signature.0).parse() {
        response.headers_mut().insert(SIGNATURE_HEADER, value);
    }
    response
}

async fn handle(
    service: &SharedService,
    parts: &Parts,
    body: Body,
    ticket: &Ticket,
) -> Result<Vec<u8>, NetError> {
    // Cheap questions first: nobody's bytes are read before their time and key are known to be good.
    service.guard().check_time(ticket.time_ms, now_ms()).map_err(NetError::Refused)?;
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let joining = path == Join::path();
    if !joining {
        let (service, key) = (Arc::clone(service), ticket.key);
        if !blocking(move || service.hub().knows(&key, now_ms())).await? {
            return Err(NetError::Refused(Refused::Stranger));
        }
    }
    let read = tokio::time::timeout(BODY_TIME_MAX, read(body, service.body_max)).await;
    let body = read.map_err(|_| NetError::Refused(Refused::Malformed))??;
    let signed = Signed { coordinator: &service.key, method, path, body: &body };
    if !ticket.verify(signed) {
        return Err(NetError::Refused(Refused::Signature));
    }
    if !joining {
        service.guard().admit(ticket, now_ms()).map_err(NetError::Refused)?;
    }
    dispatch(service, path, body, ticket.key).await
}

async fn dispatch(
    service: &SharedService,
    path: &str,
    body: Vec<u8>,
    key: PublicKey,
) -> Result<Vec<u8>, NetError> {
    if path == Poll::path() {
        return poll(service, &Poll::read(&body, BODY_MAX)?, key).await;
    }
    let (service, path) = (Arc::clone(service), path.to_owned());
    let work = move || {
        let now = now_ms();
        let answer = if path == Join::path() {
            let Join { name, proof } = Join::read(&body, BODY_MAX)?;
            service.hub().join(&name, &key, proof, now)?.to_bytes(ANSWER_MAX)
        } else if path == AskJob::path() {
            AskJob::read(&body, BODY_MAX)?;
            service.hub().offer(&key)?.to_bytes(ANSWER_MAX)
        } else if path == GiveConsent::path() {
            let GiveConsent { consent } = GiveConsent::read(&body, BODY_MAX)?;
            service.hub().consent(&key, &consent.0, now)?;
            Done.to_bytes(ANSWER_MAX)
        } else if path == Piece::path() {
            let piece = Piece::read(&body, BODY_MAX)?;
            service.hub().piece(&key, piece, now)?.to_bytes(ANSWER_MAX)
        } else if path == AskStatus::path() {
            AskStatus::read(&body, BODY_MAX)?;
            let json = serde_json::to_string(&service.hub().status(now)?).unwrap_or_default();
            StatusText { json }.to_bytes(ANSWER_MAX)
        } else {
            Err(NetError::Refused(Refused::Unexpected))
        };
        service.ring();
        answer
    };
    blocking(work).await
}

/// Keeps the answer back until there is something to say, or the time is up.
async fn poll(service: &SharedService, poll: &Poll, key: PublicKey) -> Result<Vec<u8>, NetError> {
    let deadline = Instant::now() + Duration::from_millis(u64::from(poll.wait_ms)).min(POLL_MAX);
    // Before the first look, so that nothing rings unheard between a look and the wait.
    let mut bell = service.bell.subscribe();
    loop {
        let (hub, asked) = (Arc::clone(service), poll.clone());
        let mail = blocking(move || hub.hub().mail(&key, &asked, now_ms())).await?;
        let news = !mail.messages.is_empty() || mail.over || mail.epoch != poll.epoch;
        let left = deadline.saturating_duration_since(Instant::now());
        if news || left.is_zero() {
            return mail.to_bytes(ANSWER_MAX);
        }
        // Woken, or out of time: either way the next look decides.
        let _ = tokio::time::timeout(left, bell.changed()).await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetError> + Send + 'static,
) -> Result<T, NetError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| NetError::State(format!("a request could not be worked on: {e}")))?
}

/// The whole body, unless it is too long or breaks off.
async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, NetError> {
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| NetError::Refused(Refused::Malformed))?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total <= limit {
            bytes.extend_from_slice(&data);
        } else if total > DRAIN_MAX {
            break;
        }
    }
    if total > limit { Err(NetError::Refused(Refused::TooLarge)) } else { Ok(bytes) }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn status(refused: Refused) -> StatusCode {
    match refused {
        Refused::Malformed => StatusCode::BAD_REQUEST,
        Refused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::Signature | Refused::Clock | Refused::Replay => StatusCode::UNAUTHORIZED,
        Refused::Stranger | Refused::Invitation | Refused::InvitationExpired | Refused::InvitationUsed => {
            StatusCode::FORBIDDEN
        }
        Refused::NoJob | Refused::Unexpected => StatusCode::CONFLICT,
        Refused::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Refused::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// An answer to who cannot be told anything signed: another version, or no ticket.
fn bare(status: StatusCode) -> Response {
    let mut response = status.into_response();
    stamp(&mut response);
    response
}

fn stamp(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(VERSION_HEADER, u32::from(TRANSPORT_VERSION).into());
    headers.insert(TIME_HEADER, now_ms().into());
}
