//! An HTTP service that shrinks uploaded pictures, and that no picture can harm.
//!
//! A worker of a pool decodes each picture, with limits on memory and time. A picture that crashes or stalls its
//! decoder is the error of one request. The service takes no more than it can hold: at a full queue it answers 503 at
//! once. A client that goes ends the work on its picture. `SIGTERM` and Ctrl-C drain the service: it takes no more
//! connections, answers the requests that it has, and exits with code 0.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /thumbnail`, a PNG or JPEG as the body | the thumbnail, a PNG |
//! | the same, with the header `x-deadline: 500ms` | the thumbnail, or 503 or 504 after that time |
//! | `GET /health` | 200, or 503 while there is no worker |
//! | `GET /stats` | the numbers of pool and service, as JSON |
//!
//! Prints the address, and at the end the numbers of requests, answers, second runs, and jobs that were cut off.
//!
//! ```text
//! cargo run --release --bin service -- [--listen 127.0.0.1:8080] [--workers N] [--queue N] [--uploads N] \
//!     [--upload-mib N] [--memory-mib N] [--timeout 5s] [--retries N] [--deadline 30s] [--grace 20s] [--bugs] \
//!     [--start-method METHOD]
//! curl --data-binary @picture.jpg --output thumbnail.png http://127.0.0.1:8080/thumbnail
//! ```

use std::error::Error;
use std::future::IntoFuture;
use std::io::{self, Cursor, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use offspring::{Pool, Resource, child_task, process_main};
use offspring_examples::{Workers, conclude, duration, misbehave};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{timeout, timeout_at};

mod refusal;

use refusal::Refusal;

/// Width and height that no thumbnail exceeds.
const SIDE: u32 = 128;

/// The time for the answers to requests whose jobs were cut off.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Shrinks uploaded pictures over HTTP.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    workers: Workers,
    /// Address and port. With port 0, the system chooses a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many pictures may wait for a worker
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    /// How many uploads may be in progress
    #[arg(long, value_name = "N", default_value_t = 64)]
    uploads: usize,
    /// The largest upload
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    upload_mib: u16,
    /// The address space of each worker
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(64..=1 << 16))]
    memory_mib: u64,
    /// The time of a worker for one picture, in `ms` or `s`
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// How often a picture may run again after its worker has died
    ///
    /// A worker that is killed from outside, as for the memory of the machine, then costs no request.
    #[arg(long, value_name = "N", default_value_t = 1)]
    retries: u32,
    /// The longest time from an upload to its answer, and of an upload, in `ms` or `s`
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    deadline: Duration,
    /// The time to answer all requests after SIGTERM, in `ms` or `s`. Less than that of the supervisor
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    grace: Duration,
    /// Plays a decoder with bugs: `BUG: crash`, `BUG: panic` and `BUG: stall` in place of a picture
    #[arg(long)]
    bugs: bool,
}

/// Decodes a picture, and returns its thumbnail as a PNG.
///
/// The same picture gives the same thumbnail. So the task is idempotent, and the pool may run it again if the worker
/// was killed.
#[child_task(report, idempotent)]
fn shrink(picture: Vec<u8>, has_bugs: bool) -> Result<Vec<u8>, ImageError> {
    if let Some(bug) = picture.strip_prefix(b"BUG: ").filter(|_| has_bugs) {
        misbehave(bug);
    }
    let mut reader = ImageReader::new(Cursor::new(picture)).with_guessed_format()?;
    reader.no_limits(); // the limits of the worker also bind decoders without limits
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let is_large = picture.width().max(picture.height()) > SIDE;
    let small = if is_large { picture.thumbnail(SIDE, SIDE) } else { picture };
    let mut png = Cursor::new(Vec::new());
    small.into_rgba8().write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// What the handlers share.
struct Service {
    pool: Pool,
    uploads: Semaphore,
    deadline: Duration,
    has_bugs: bool,
    requests: AtomicU64,
    answers: AtomicU64,
}

#[process_main]
fn main() -> ExitCode {
    conclude("service", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let memory = arguments.memory_mib << 20;
    // Before the first thread, so that the start method may be `fork` too.
    let pool = arguments
        .workers
        .pool()?
        .worker_options(|worker| worker.limit(Resource::AddressSpace, memory).limit(Resource::CoreDump, 0))
        .task_timeout(arguments.timeout)
        .queue_limit(arguments.queue)
        .retries(arguments.retries)
        .graceful_shutdown(true) // systemd sends SIGTERM to the workers too
        .build()?;
    // One thread is enough: the work is done in the workers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(pool, arguments))
}

/// Serves until a signal, and then drains.
async fn serve(pool: Pool, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let service = Arc::new(Service {
        pool: pool.clone(),
        uploads: Semaphore::new(arguments.uploads),
        deadline: arguments.deadline,
        has_bugs: arguments.bugs,
        requests: AtomicU64::new(0),
        answers: AtomicU64::new(0),
    });
    let router = Router::new()
        .route("/thumbnail", post(thumbnail).layer(DefaultBodyLimit::max(usize::from(arguments.upload_mib) << 20)))
        .route("/health", get(health))
        .route("/stats", get(stats))
        .layer(from_fn_with_state(service.clone(), count))
        .with_state(service.clone());

    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(arguments.listen).await?;
    say(&format!("listening on http://{}", listener.local_addr()?))?;

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        ended = &mut server => ended??,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    // The server takes no more connections, and ends with the last of them. One grace is for connections and jobs.
    drop(stop);
    let end = Instant::now() + arguments.grace;
    let drained = timeout_at(end.into(), &mut server).await;
    let unfinished = pool.shutdown_async(end.saturating_duration_since(Instant::now())).await;
    if drained.is_err() {
        // Jobs that were cut off are errors, which become answers. What is left after that has a client that neither
        // sends nor reads.
        let _ = timeout(LAST_ANSWERS, &mut server).await;
    }
    let (requests, answers) = (service.requests.load(Ordering::Relaxed), service.answers.load(Ordering::Relaxed));
    let cut_off = unfinished.running.len() + unfinished.queued;
    let retried = pool.stats().retried;
    say(&format!("{requests} requests, {answers} answers, {retried} second runs, {cut_off} jobs cut off"))?;
    Ok(())
}

/// Prints a line at once, also into a pipe.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Counts requests and answers. A client that goes early drops the future, and gets no answer.
async fn count(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    service.requests.fetch_add(1, Ordering::Relaxed);
    let response = next.run(request).await;
    service.answers.fetch_add(1, Ordering::Relaxed);
    response
}

async fn thumbnail(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let limit = deadline(request.headers(), service.deadline)?;
    let call = {
        // Bounds the memory of pictures on their way here, as the limit of the queue bounds that of the others.
        let _upload = service.uploads.try_acquire().map_err(|_| Refusal::busy("too many uploads at once"))?;
        let upload = timeout(service.deadline, Bytes::from_request(request, &())).await;
        let picture = upload.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the upload takes too long"))??;
        shrink::call(picture.into(), service.has_bugs)
    };
    // A dropped future, that of a client that has gone, kills its job.
    let job = service.pool.try_submit(call.deadline(Instant::now() + limit))?.kill_on_drop(true);
    let png = job.await??;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// Returns the time that the client gives its request, at most that of the service.
fn deadline(headers: &HeaderMap, longest: Duration) -> Result<Duration, Refusal> {
    let Some(value) = headers.get("x-deadline") else { return Ok(longest) };
    let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, format!("x-deadline: {reason}"));
    let text = value.to_str().map_err(|error| bad(error.to_string()))?;
    duration(text).map_err(bad).map(|limit| limit.min(longest))
}

async fn health(State(service): State<Arc<Service>>) -> Result<&'static str, Refusal> {
    let is_able = !service.pool.stats().workers.is_empty();
    is_able.then_some("ok\n").ok_or_else(|| Refusal::busy("there is no worker"))
}

async fn stats(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let stats = service.pool.stats();
    let workers: Vec<u32> = stats.workers.iter().map(|worker| worker.pid).collect();
    let json = serde_json::json!({
        "requests": service.requests.load(Ordering::Relaxed),
        "answers": service.answers.load(Ordering::Relaxed),
        "queued": stats.queued,
        "queued_bytes": stats.queued_bytes,
        "running": stats.running,
        "done": stats.done,
        "failed": stats.failed,
        "retried": stats.retried,
        "replaced": stats.replaced,
        "workers": workers,
    });
    ([(header::CONTENT_TYPE, "application/json")], format!("{json}\n"))
}
