//! Connections: accepted, given a handshake's time, counted, and served.

use super::{SharedService, answer};
use crate::error::NetError;
use crate::limits::{CONNECTIONS_MAX, HANDSHAKE_MAX};
use axum::Router;
use axum::routing::{any, get};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Between two requests on one connection.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How often the hub's clock ticks, and `stop` is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Serves until `stop` is set or the store fails. Blocking: the runtime lives inside.
///
/// # Errors
/// [`NetError::State`] when the listener cannot be used, [`NetError`] of the store.
pub fn serve(
    service: &SharedService,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stop: &Arc<AtomicBool>,
) -> Result<(), NetError> {
    let unusable = |e: std::io::Error| NetError::State(format!("the listener cannot be used: {e}"));
    listener.set_nonblocking(true).map_err(unusable)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .map_err(unusable)?;
    let result = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(unusable)?;
        let accepting = tokio::spawn(accept(Arc::clone(service), listener, TlsAcceptor::from(tls)));
        let result = ticking(service, stop).await;
        accepting.abort();
        result
    });
    // Sites that wait for messages are cut; they come again.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn ticking(service: &SharedService, stop: &AtomicBool) -> Result<(), NetError> {
    let mut clock = tokio::time::interval(TICK);
    while !stop.load(Ordering::SeqCst) {
        clock.tick().await;
        let service = Arc::clone(service);
        let ticked = tokio::task::spawn_blocking(move || service.tick()).await;
        ticked.map_err(|e| NetError::State(format!("the coordinator's clock stopped: {e}")))??;
    }
    Ok(())
}

async fn accept(service: SharedService, listener: tokio::net::TcpListener, acceptor: TlsAcceptor) {
    let router = Router::new()
        .route("/v1/authority", get(answer::authority))
        .route("/v1/{call}", any(answer::answer))
        .fallback(answer::answer)
        .with_state(service);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of file descriptors, most likely: connections that end make room.
            Err(_) => {
                tokio::time::sleep(TICK).await;
                continue;
            }
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            connection(stream, acceptor, router).await;
            drop(slot);
        });
    }
}

/// One connection. Whatever goes wrong on it is over with it.
async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await else { return };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = served.await;
}
