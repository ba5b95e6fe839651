//! Monitoring by https.

use crate::monitor::{Monitor, Open, Stream};
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Connections with the certificates of the clients' port, those of the newest configuration.
pub fn secured(monitor: &Arc<Monitor>) -> Open {
    let monitor = Arc::clone(monitor);
    Arc::new(move |stream| {
        let config = monitor.about().tls.as_ref().map(|tls| Arc::clone(&tls.monitoring));
        Box::pin(async move {
            // A reload may have taken TLS away; nothing is told without it.
            let config = config.ok_or_else(|| Error::from(ErrorKind::NotConnected))?;
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    })
}
