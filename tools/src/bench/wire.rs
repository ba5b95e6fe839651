//! What a connection is read from and written to: a socket, plain or behind TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::error::BenchError;

/// A socket and, where there is one, the TLS on it.
pub struct Wire<S> {
    /// The socket, for registration.
    pub socket: S,
    tls: Option<Box<ClientConnection>>,
}

impl<S: Read + Write> Wire<S> {
    /// A plain one.
    pub fn plain(socket: S) -> Self {
        Self { socket, tls: None }
    }

    /// Speaks TLS from now on. Nothing is sent by this alone.
    ///
    /// # Errors
    /// When the configuration does not fit the name.
    pub fn begin_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<(), rustls::Error> {
        let mut connection = ClientConnection::new(Arc::clone(config), name)?;
        // What is written is taken whole: how much the socket takes shows with the next write.
        connection.set_buffer_limit(None);
        self.tls = Some(Box::new(connection));
        Ok(())
    }

    /// The same on another form of the socket.
    pub fn map<T>(self, change: impl FnOnce(S) -> T) -> Wire<T> {
        Wire { socket: change(self.socket), tls: self.tls }
    }

    /// A read that fills less than it was given has emptied the socket.
    pub fn tells_by_short_reads(&self) -> bool {
        self.tls.is_none()
    }
}

impl<S: Read + Write> Read for Wire<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl<S: Read + Write> Write for Wire<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.tls.is_none() {
            return self.socket.write(data);
        }
        self.flush()?;
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let count = tls.writer().write(data)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    /// Writes what TLS has ready, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }
}

/// A client's TLS that trusts the authorities of a PEM file.
///
/// # Errors
/// [`BenchError::Usage`] when the file has none in it.
pub fn client_config(ca_file: &str) -> Result<Arc<ClientConfig>, BenchError> {
    let usage = |problem: String| BenchError::Usage(format!("--tls-ca {ca_file}: {problem}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| usage(error.to_string()))? {
        let certificate = certificate.map_err(|error| usage(error.to_string()))?;
        roots.add(certificate).map_err(|error| usage(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(usage("no certificate in it".into()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| usage(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Each connection makes a whole handshake, as those of different clients do.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
