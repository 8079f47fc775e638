//! A client of the service: each request has a connection of its own.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest time of a request on a machine that is busy with other work too.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer, received whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) type Answered = Result<Answer, Box<dyn Error + Send + Sync>>;

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    answers: Arc<AtomicUsize>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, answers: Arc::default() }
    }

    /// Returns the number of received answers.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    pub(crate) async fn get(self, path: &'static str) -> Answered {
        self.send(Request::builder().uri(path), Vec::new()).await
    }

    /// Uploads a picture.
    pub(crate) async fn post(self, body: Vec<u8>) -> Answered {
        self.send(Request::post("/thumbnail"), body).await
    }

    /// Uploads a picture whose answer is of no use after a time.
    pub(crate) async fn post_within(self, limit: &'static str, body: Vec<u8>) -> Answered {
        self.send(Request::post("/thumbnail").header("x-deadline", limit), body).await
    }

    pub(crate) async fn stats(&self) -> serde_json::Value {
        let answer = self.clone().get("/stats").await.expect("the service answers");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    async fn send(self, request: hyper::http::request::Builder, body: Vec<u8>) -> Answered {
        let request = request.header("host", self.address.to_string()).body(Full::new(Bytes::from(body)))?;
        let answer = timeout(LIMIT, self.exchange(request)).await??;
        self.answers.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Answered {
        let (mut sender, connection) = handshake(TokioIo::new(self.connect().await?)).await?;
        let connection = tokio::spawn(connection);
        let answer = receive(sender.send_request(request).await?).await?;
        drop(sender);
        // The end of the connection is no concern of a request that has its answer.
        let _ = connection.await;
        Ok(answer)
    }

    /// Opens a connection, and sends nothing.
    pub(crate) async fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(self.address).await
    }

    /// Sends a whole upload, and leaves the answer unread.
    pub(crate) async fn whole_request(&self, body: &[u8]) -> TcpStream {
        let mut stream = self.half_a_request(body).await;
        finish_upload(&mut stream, body).await;
        stream
    }

    /// Reads an answer, up to the end of the connection.
    pub(crate) async fn read(&self, stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("in time").expect("the service writes");
        self.answers.fetch_add(1, Ordering::Relaxed);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends the header and the first half of the body.
    pub(crate) async fn half_a_request(&self, body: &[u8]) -> TcpStream {
        let mut stream = self.connect().await.expect("the service listens");
        let header = format!("POST /thumbnail HTTP/1.1\r\nhost: service\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(header.as_bytes()).await.expect("the service reads");
        stream.write_all(&body[..body.len() / 2]).await.expect("the service reads");
        stream
    }
}

/// Sends the second half of the body.
pub(crate) async fn finish_upload(stream: &mut TcpStream, body: &[u8]) {
    stream.write_all(&body[body.len() / 2..]).await.expect("the service reads");
}

async fn receive(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.into_body().collect().await?.to_bytes() })
}
