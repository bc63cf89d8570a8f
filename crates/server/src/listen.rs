//! Listening: plain on loopback, TLS elsewhere, no delay for small pieces.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFile;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers under way may take once the server is to stop.
pub const DRAIN: Duration = Duration::from_secs(60);
/// How long the head of a request may take, and a connection may stay idle.
const HEADERS: Duration = Duration::from_secs(60);
/// How many connections are open at most.
const CONNECTIONS: usize = 4_096;

/// Binds the address. Off loopback, plain HTTP must be asked for.
///
/// # Errors
/// If the address is taken, or would carry keys in the clear.
pub async fn bind(address: SocketAddr, tls: bool, insecure: bool) -> Result<TcpListener> {
    if !address.ip().is_loopback() && !tls && !insecure {
        bail!(
            "listening on {address} without TLS would send keys in the clear: add `[tls]` to \
             server.toml, or pass --insecure-http behind a proxy that terminates TLS"
        );
    }
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves until `stop` resolves, then lets what runs finish, for [`DRAIN`] at most.
///
/// # Errors
/// If the certificate cannot be used.
pub async fn serve(
    listener: TcpListener,
    tls: Option<&TlsFile>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let acceptor = tls.map(|tls| acceptor(&tls.certificate, &tls.key)).transpose()?;
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let (permit, stream) = tokio::select! {
            accepted = accept(&listener, &open) => accepted,
            () = &mut stop => break,
        };
        let (router, acceptor, watcher) = (router.clone(), acceptor.clone(), connections.watcher());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, acceptor, router, watcher).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("connections were still open {} s after the stop", DRAIN.as_secs());
    }
    Ok(())
}

/// The next connection. Once as many are open as may be, the next one waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    open: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed.
    let permit = Arc::clone(open).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (permit, stream),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) -> Result<()> {
    // Nagle's algorithm would hold back each small piece of a stream by up to 40 ms.
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        let h2 = timeout(HANDSHAKE, speaks_h2(&stream)).await??;
        return speak(stream, h2, router, watcher).await;
    };
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(stream, h2, router, watcher).await
}

/// Whether the client begins with the preface of HTTP/2 (RFC 9113 §3.4).
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut start = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        if length == 0 || !PREFACE.starts_with(&start[..length]) {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    h2: bool,
    router: Router,
    watcher: Watcher,
) -> Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADERS);
    let builder = if h2 { builder.http2_only() } else { builder.http1_only() };
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    watcher.watch(served).await.map_err(anyhow::Error::from_boxed)
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let read = |path: &Path| format!("cannot read `{}`", path.display());
    let chain = CertificateDer::pem_file_iter(certificate).with_context(|| read(certificate))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(|| read(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| read(key))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
