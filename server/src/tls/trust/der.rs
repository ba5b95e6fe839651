//! As much of DER as it takes to find the pieces of a certificate that are compared and signed as bytes.

/// Tag of a sequence.
const SEQUENCE: u8 = 0x30;
/// Tag of a bit string.
const BIT_STRING: u8 = 0x03;

/// Object id of keys on elliptic curves: 1.2.840.10045.2.1.
const EC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// Object id of Ed25519: 1.3.101.112.
const ED25519_KEY: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];

/// An algorithm (what is within its sequence) and the bits behind it: the shape of a public key, and of the end of a
/// certificate.
pub(super) struct AlgorithmAndBits<'d> {
    pub algorithm: &'d [u8],
    pub bits: &'d [u8],
}

impl AlgorithmAndBits<'_> {
    /// What Go says when a signature is not made with this key.
    pub fn failure(&self) -> &'static str {
        if self.algorithm.starts_with(EC_KEY) {
            "x509: ECDSA verification failure"
        } else if self.algorithm.starts_with(ED25519_KEY) {
            "x509: Ed25519 verification failure"
        } else {
            "crypto/rsa: verification error"
        }
    }
}

/// What a certificate consists of.
pub(super) struct Pieces<'d> {
    /// What is signed, with its own tag and length.
    pub signed: &'d [u8],
    pub signature: AlgorithmAndBits<'d>,
}

/// An element, and what follows it.
#[derive(Debug, PartialEq, Eq)]
struct Element<'d> {
    tag: u8,
    within: &'d [u8],
    whole: &'d [u8],
    rest: &'d [u8],
}

/// The element at the front.
fn element(data: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], rest) = data.split_first_chunk::<2>()?;
    let (bytes, head_bytes) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x81..=0x84 => {
            let digits = rest.get(..usize::from(first & 0x7f))?;
            let bytes = digits.iter().fold(0_u64, |bytes, digit| bytes << 8 | u64::from(*digit));
            (usize::try_from(bytes).ok()?, 2 + digits.len())
        }
        _ => return None,
    };
    let end = head_bytes.checked_add(bytes)?;
    Some(Element { tag, within: data.get(head_bytes..end)?, whole: &data[..end], rest: &data[end..] })
}

fn sequence(data: &[u8]) -> Option<Element<'_>> {
    element(data).filter(|found| found.tag == SEQUENCE)
}

fn algorithm_and_bits(data: &[u8]) -> Option<AlgorithmAndBits<'_>> {
    let Element { within: algorithm, rest, .. } = sequence(data)?;
    let Element { tag, within: bits, .. } = element(rest)?;
    // Keys and signatures are whole bytes: no bit is unused.
    let (&0, bits) = bits.split_first()? else { return None };
    (tag == BIT_STRING).then_some(AlgorithmAndBits { algorithm, bits })
}

/// The pieces of a certificate.
pub(super) fn pieces(certificate: &[u8]) -> Option<Pieces<'_>> {
    let signed = sequence(sequence(certificate)?.within)?;
    Some(Pieces { signed: signed.whole, signature: algorithm_and_bits(signed.rest)? })
}

/// The pieces of a public key (SubjectPublicKeyInfo).
pub(super) fn public_key(info: &[u8]) -> Option<AlgorithmAndBits<'_>> {
    algorithm_and_bits(sequence(info)?.within)
}

/// Whether two public keys (SubjectPublicKeyInfo, DER) are of one algorithm, whatever its parameters.
pub fn is_same_kind(one: &[u8], other: &[u8]) -> bool {
    let kind = |info| element(public_key(info)?.algorithm).map(|id| id.within);
    kind(one) == kind(other)
}

/// The public key (SubjectPublicKeyInfo, DER) that a certificate of any version is for.
pub fn public_key_info(certificate: &[u8]) -> Option<Vec<u8>> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_all_forms_are_read() {
        let short = [0x30, 2, 1, 2, 9];
        let expected = Element { tag: 0x30, within: &short[2..4], whole: &short[..4], rest: &short[4..] };
        assert_eq!(element(&short), Some(expected));
        let mut long = vec![0x30, 0x82, 1, 0];
        long.extend([7; 256]);
        assert_eq!(element(&long).map(|found| found.within.len()), Some(256));
        for broken in [
            &[0x30][..],
            &[0x30, 3, 1, 2],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
            &[0x30, 0x84, 255, 255, 255, 255],
        ] {
            assert_eq!(element(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(data in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (pieces(&data), public_key(&data), public_key_info(&data));
        }
    }
}
