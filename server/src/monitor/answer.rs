//! Answers, and what they may cost: monitoring must not exhaust the server, whoever asks and however slowly they read.

use crate::chores::{self, Chore, Life, Pace};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crossbeam_channel::{Sender, unbounded};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// Long answers that are made at a time.
const LONG_ANSWERS_MAX: usize = 2;
/// Threads that make short answers, probes' among them. Each may wait for a core for a second.
pub const SHORT_ANSWERS_MAX: usize = 2;
/// Answers up to here are not counted: as many as there are connections fit.
const SMALL_BYTES: usize = 64 * 1024;
/// Bytes of answers beyond that size that may wait to be read, all clients together.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a request waits for its turn and for room.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to read an answer.
const READING_MAX: Duration = Duration::from_secs(60);
/// Bytes that are handed to a connection at once.
const FRAME_BYTES: usize = 16 * 1024;

const PERMIT_BYTES: usize = 1024;

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    /// JSON.
    pub fn json(body: String) -> Answer {
        Answer { status: 200, kind: "application/json", body }
    }

    /// JSON as Go's `expvar` names it.
    pub fn json_with_charset(body: String) -> Answer {
        Answer { status: 200, kind: "application/json; charset=utf-8", body }
    }

    /// A page.
    pub fn html(body: String) -> Answer {
        Answer { status: 200, kind: "text/html; charset=utf-8", body }
    }

    /// Prometheus' text format.
    pub fn prometheus(body: String) -> Answer {
        Answer { status: 200, kind: "text/plain; version=0.0.4; charset=utf-8", body }
    }

    /// A line of text.
    pub fn text(body: &str) -> Answer {
        Answer { status: 200, kind: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    /// With another status.
    pub fn with_status(self, status: u16) -> Answer {
        Answer { status, ..self }
    }
}

/// What makes an answer.
pub type Make = Box<dyn Fn() -> Answer + Send + Sync>;

/// Shares out the making of long answers and the memory of those that wait to be read.
pub struct Budget {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// As many at most as there are turns.
    long: Sender<LongAnswer>,
}

/// A long answer to be made. Its turn lasts until there is one, also when nobody waits for it any more.
struct LongAnswer {
    make: Make,
    reply: Mutex<Option<(oneshot::Sender<Made>, OwnedSemaphorePermit)>>,
}

/// An answer, and the turn in which it was made.
type Made = (Answer, Option<OwnedSemaphorePermit>);

impl Chore for LongAnswer {
    fn run(&self, _: Pace) {
        let reply = || self.reply.lock().unwrap_or_else(PoisonError::into_inner);
        if reply().as_ref().is_none_or(|(sender, _)| sender.is_closed()) {
            reply().take();
            return;
        }
        let answer = (self.make)();
        let waiting = reply().take();
        if let Some((sender, turn)) = waiting {
            // Who asked may have gone meanwhile: then the turn ends here.
            let _ = sender.send((answer, Some(turn)));
        }
    }
}

impl Budget {
    /// With everything free. Starts the threads that make long answers.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Budget> {
        let (long, waiting) = unbounded();
        chores::start("answer", LONG_ANSWERS_MAX, Life::Short, waiting, |answer: LongAnswer| answer)?;
        Ok(Budget {
            turns: Arc::new(Semaphore::new(LONG_ANSWERS_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_BYTES_MAX / PERMIT_BYTES)),
            long,
        })
    }

    /// Makes an answer on another thread, when it is its turn.
    pub async fn answer(&self, is_long: bool, make: Make) -> Response {
        let made = tokio::time::timeout(TURN_WAIT_MAX, self.make(is_long, make)).await;
        match made {
            Ok(response) => response,
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "monitoring is busy\n"),
        }
    }

    async fn make(&self, is_long: bool, make: Make) -> Response {
        let made = match is_long {
            true => self.make_long(make).await,
            false => tokio::task::spawn_blocking(move || (make(), None)).await.ok(),
        };
        let Some((answer, turn)) = made else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "this answer could not be made\n");
        };
        let Answer { status, kind, body } = answer;
        let room = match body.len() {
            0..=SMALL_BYTES => None,
            bytes => {
                let wanted = bytes.min(WAITING_BYTES_MAX).div_ceil(PERMIT_BYTES);
                let permits = u32::try_from(wanted).unwrap_or(u32::MAX);
                self.waiting.clone().acquire_many_owned(permits).await.ok()
            }
        };
        drop(turn);
        let body =
            Body::new(Sliced { rest: Bytes::from(body), end: Instant::now() + READING_MAX, _room: room });
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
        if kind.starts_with("application/json") {
            let anybody = HeaderValue::from_static("*");
            response.headers_mut().insert("Access-Control-Allow-Origin", anybody);
        }
        response
    }

    async fn make_long(&self, make: Make) -> Option<Made> {
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        let (sender, made) = oneshot::channel();
        self.long.send(LongAnswer { make, reply: Mutex::new(Some((sender, turn))) }).ok()?;
        made.await.ok()
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], text).into_response()
}

/// A body that is handed out slice by slice and holds its room until the last one.
struct Sliced {
    rest: Bytes,
    end: Instant,
    _room: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Sliced {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.end {
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        }
        let bytes = self.rest.len().min(FRAME_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
