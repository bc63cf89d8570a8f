//! Listening: plain on loopback, TLS elsewhere, no delay for small pieces.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFile;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers under way may take once the server is to stop.
pub const DRAIN: Duration = Duration::from_secs(60);
/// How many finished handshakes wait to be served.
const WAITING: usize = 64;

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
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        // Whoever waits for it is this function.
        let _waiting = stopping.send(());
    };
    let serving = async {
        match tls {
            None => {
                let listener = listener.tap_io(no_delay);
                axum::serve(listener, router).with_graceful_shutdown(stop).await?;
            }
            Some(tls) => {
                let listener = TlsListener::new(listener, acceptor(&tls.certificate, &tls.key)?)?;
                axum::serve(listener, router).with_graceful_shutdown(stop).await?;
            }
        }
        anyhow::Ok(())
    };
    let late = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = late => {
            tracing::warn!("connections were still open {} s after the stop", DRAIN.as_secs());
            Ok(())
        }
    }
}

/// Nagle's algorithm would hold back each small piece of a stream by up to 40 ms.
fn no_delay(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
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

/// Accepts TLS connections. Handshakes run on their own, so that a slow one holds up nobody.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while !done.is_closed() {
                let (mut stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                no_delay(&mut stream);
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        // The server may have stopped meanwhile.
                        Ok(Ok(stream)) => drop(done.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
