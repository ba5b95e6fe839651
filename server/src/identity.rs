//! Who this server is: keys drawn anew at every start.

use petrel_protocol::identity::nkey;
use std::fs::File;
use std::io::{self, Read};

/// The server's keys.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The public server key, `N...`.
    pub id: String,
    /// The public curve key, `X...`; the `xkey` of INFO.
    pub curve_key: String,
    /// What subject hashes are keyed with on all cores, so that nobody outside can choose colliding subjects.
    pub hash_key: [u64; 4],
}

impl Identity {
    /// Draws new keys.
    ///
    /// # Errors
    /// When the system's randomness cannot be read.
    pub fn generate() -> io::Result<Identity> {
        let mut source = File::open("/dev/urandom")?;
        let id = nkey::server_public_key(&draw(&mut source)?);
        let curve_key = nkey::curve_public_key(&draw(&mut source)?);
        let mut hash_key = [0; 4];
        for (word, bytes) in hash_key.iter_mut().zip(draw(&mut source)?.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            *word = u64::from_le_bytes(eight);
        }
        Ok(Identity { id, curve_key, hash_key })
    }
}

fn draw(source: &mut File) -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_somebody_else() {
        let (first, second) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert!(first.id.len() == 56 && first.id.starts_with('N'), "{}", first.id);
        assert!(first.curve_key.len() == 56 && first.curve_key.starts_with('X'), "{}", first.curve_key);
        assert_ne!(first.id, second.id);
        assert_ne!(first.hash_key, second.hash_key);
    }
}
