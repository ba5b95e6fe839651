//! The socket and the thread of monitoring.

use super::answer::{Budget, SHORT_ANSWERS_MAX};
use super::patience::Patient;
use super::router::router;
use super::state::Monitor;
use crate::address::joined;
use crate::files::system_text;
use crate::settings::Listen;
use crate::tcp::bind;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;

/// Bytes of a request's head, and of an answer in the hands of its connection.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What the kernel may hold of the answers to a connection. It grows by itself to some megabytes: those of slow readers
/// would be memory that nobody counts, and copying them in one go takes a processor from a core for milliseconds.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How long a client may take to send the head of its request, the first one or the next.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long accepting pauses after an error, such as descriptors having run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What requests are read from and answers written to.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A stream that is being made, by a handshake for example.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Makes a stream of an accepted connection; for https this is the place of the handshake, which has
/// [`HEADER_READ_TIMEOUT`].
pub type Open = Arc<dyn Fn(TcpStream) -> Opening + Send + Sync>;

/// Connections as they come.
pub fn plainly() -> Open {
    Arc::new(|stream| Box::pin(async move { Ok(Box::new(stream) as Box<dyn Stream>) }))
}

/// Why monitoring cannot listen.
#[derive(Debug, thiserror::Error)]
#[error(
    "Can't start monitoring: can't listen to the monitor port: listen tcp {host}: bind: {}",
    system_text(source)
)]
pub struct BindError {
    host: String,
    source: io::Error,
}

/// A bound socket; requests wait until it is served.
pub struct Listener {
    listener: TcpListener,
    /// Host as configured, and the port that was bound.
    pub shown: (String, u16),
    /// What was asked for, with the port that was bound.
    pub address: SocketAddr,
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind(listen: &Listen) -> Result<Listener, BindError> {
        let bound = bind(listen.address).and_then(|listener| {
            let port = listener.local_addr()?.port();
            let address = SocketAddr::new(listen.address.ip(), port);
            Ok(Listener { listener, shown: (listen.host.clone(), port), address })
        });
        bound.map_err(|source| BindError { host: joined(&listen.host, listen.address.port()), source })
    }

    /// Serves from a thread of its own, which lives as long as the process.
    ///
    /// # Errors
    /// When the thread or its executor cannot be made.
    pub fn serve(self, monitor: Arc<Monitor>, open: Open) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(SHORT_ANSWERS_MAX)
            .thread_name("petrel-answers")
            .build()?;
        let (listener, budget) = (self.listener, Arc::new(Budget::start()?));
        std::thread::Builder::new().name("petrel-monitor".into()).spawn(move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, router(&monitor, &budget), open).await,
                    Err(error) => tracing::error!("Monitoring cannot serve: {error}"),
                }
            });
        })?;
        Ok(())
    }
}

async fn accept(listener: tokio::net::TcpListener, router: Router, open: Open) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Where the system refuses, its own limits hold.
                let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
                let (router, opening) = (router.clone(), open(stream));
                tokio::spawn(async move {
                    // Probes that connect and go are no news, and neither are handshakes that fail.
                    if let Ok(Ok(stream)) = tokio::time::timeout(HEADER_READ_TIMEOUT, opening).await {
                        serve(stream, router).await;
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("Monitoring cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of a connection until it ends.
pub async fn serve(stream: Box<dyn Stream>, router: Router) {
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true).max_buf_size(BUFFER_BYTES_MAX);
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    let service = TowerToHyperService::new(router);
    // How it ended is no news.
    let _ = builder.serve_connection(TokioIo::new(Patient::new(stream)), service).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told_as_upstream_does() {
        let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        let listen = Listen { host: "127.0.0.1".into(), address };
        let error = Listener::bind(&listen).err().unwrap().to_string();
        let expected = format!(
            "Can't start monitoring: can't listen to the monitor port: listen tcp {address}: bind: address \
             already in use"
        );
        assert_eq!(error, expected);
    }
}
