//! Passwords and tokens as the configuration holds them.

use std::sync::Arc;

/// A password or token, plain or a bcrypt hash. It is never shown.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret of this text.
    pub fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// The hash, for who checks a password against it. Not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is a bcrypt hash and not the plain text.
    pub(crate) fn is_hash(&self) -> bool {
        petrel_config::is_bcrypt(&self.0)
    }

    /// Whether it is the plain text that was presented, see [`is_same_secret`].
    pub(crate) fn is(&self, presented: &str) -> bool {
        is_same_secret(self.0.as_bytes(), presented.as_bytes())
    }
}

/// Compares in a time that depends on the length of what was presented only.
pub fn is_same_secret(secret: &[u8], presented: &[u8]) -> bool {
    let mut difference = usize::from(secret.len() != presented.len());
    for (index, byte) in presented.iter().enumerate() {
        let expected = secret.get(index).copied().unwrap_or(0);
        difference |= usize::from(std::hint::black_box(expected ^ byte));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn hashes_are_told_from_plain_text() {
        for hash in ["$2a$11$x", "$2b$04$", "$2x$99$x", "$2y$10$abc"] {
            assert!(Secret::new(hash).is_hash(), "{hash}");
        }
        for plain in ["", "$2a$", "$2c$10$x", "2a$10$x", "$2a$1x$x", "$2$10$x", " $2a$10$x"] {
            assert!(!Secret::new(plain).is_hash(), "{plain}");
        }
    }

    #[test]
    fn only_the_same_text_is_equal() {
        let secret = Secret::new("s3cret");
        assert!(secret.is("s3cret"));
        for wrong in ["", "s3cre", "s3crets", "S3cret"] {
            assert!(!secret.is(wrong));
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
