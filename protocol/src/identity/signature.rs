//! Signatures over the nonce of INFO (reference: security.md, section 2): ed25519 over its ASCII text.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ed25519_dalek::{Signature, VerifyingKey};

/// Characters of a nonce: 11 bytes in URL base64.
pub const NONCE_CHARACTERS: usize = 15;

/// Whether `signature`, URL base64 without padding or else standard base64 as clients write it in CONNECT, is that
/// of the key over `nonce`.
pub fn verify(public_key: &[u8; 32], nonce: &[u8], signature: &str) -> bool {
    let text = signature.as_bytes();
    let Ok(bytes) = BASE64URL_NOPAD.decode(text).or_else(|_| BASE64.decode(text)) else { return false };
    let Ok(signature) = Signature::from_slice(&bytes) else { return false };
    VerifyingKey::from_bytes(public_key).is_ok_and(|key| key.verify_strict(nonce, &signature).is_ok())
}

/// The text of a nonce.
pub fn nonce_text(bytes: [u8; 11]) -> [u8; NONCE_CHARACTERS] {
    let mut text = [0; NONCE_CHARACTERS];
    BASE64URL_NOPAD.encode_mut(&bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn both_alphabets_are_read() {
        // Chosen so that the signature holds characters in which the alphabets differ.
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        for number in 0..20 {
            let nonce = nonce_text([number; 11]);
            let signature = key.sign(&nonce).to_bytes();
            assert!(verify(&public, &nonce, &BASE64URL_NOPAD.encode(&signature)));
            assert!(verify(&public, &nonce, &BASE64.encode(&signature)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let nonce = nonce_text([1; 11]);
        let mut signature = key.sign(&nonce).to_bytes();
        let text = BASE64URL_NOPAD.encode(&signature);
        assert!(!verify(&public, &nonce_text([2; 11]), &text));
        assert!(!verify(&SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes(), &nonce, &text));
        for wrong in ["", "zz", &text[1..], &format!("{text}A"), &format!(" {text}"), "\u{e9}"] {
            assert!(!verify(&public, &nonce, wrong), "{wrong}");
        }
        signature[3] ^= 1;
        assert!(!verify(&public, &nonce, &BASE64URL_NOPAD.encode(&signature)));
    }

    #[test]
    fn a_nonce_is_fifteen_url_characters() {
        assert_eq!(&nonce_text([0xff; 11]), b"______________8");
    }
}
