//! Answers and traces are compressed for who asks for it by the header `Accept-Encoding`.

use std::io::Write;

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Nothing was asked for.
    Plain,
    /// Something unknown was asked for: the answer is plain and says so.
    Identity,
    /// gzip.
    Gzip,
    /// Snappy's frames, which readers of s2 understand as well.
    Snappy,
}

impl Encoding {
    /// What a header asks for: its value may name several, of which snappy or s2 goes first.
    pub fn asked_for(accepted: Option<&str>) -> Encoding {
        let Some(accepted) = accepted.map(str::to_lowercase).filter(|accepted| !accepted.is_empty()) else {
            return Encoding::Plain;
        };
        if accepted.contains("snappy") || accepted.contains("s2") {
            Encoding::Snappy
        } else if accepted.contains("gzip") {
            Encoding::Gzip
        } else {
            Encoding::Identity
        }
    }

    /// The headers of an answer; none when nothing was asked for.
    pub fn headers(self) -> Vec<u8> {
        let name = match self {
            Encoding::Plain => return Vec::new(),
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Snappy => "snappy",
        };
        format!("NATS/1.0\r\nContent-Encoding: {name}\r\n\r\n").into_bytes()
    }

    /// An answer, written so.
    pub fn encode(self, body: Vec<u8>) -> Vec<u8> {
        let encoded = match self {
            Encoding::Plain | Encoding::Identity => return body,
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&body).and_then(|()| encoder.finish())
            }
            Encoding::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                let written = encoder.write_all(&body);
                written.and_then(|()| encoder.into_inner().map_err(|error| error.error().kind().into()))
            }
        };
        // Writing to memory does not fail.
        encoded.unwrap_or(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_asked_for_can_be_read() {
        let body = b"{\"some\":\"text\"}".repeat(10_000);
        let mut read = Vec::new();
        let gzip = Encoding::asked_for(Some("GZIP, br"));
        flate2::read::GzDecoder::new(&gzip.encode(body.clone())[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
        read.clear();
        let snappy = Encoding::asked_for(Some("gzip,s2"));
        assert_eq!(snappy.headers(), b"NATS/1.0\r\nContent-Encoding: snappy\r\n\r\n");
        snap::read::FrameDecoder::new(&snappy.encode(body.clone())[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
        assert_eq!(Encoding::asked_for(Some("br")), Encoding::Identity);
        assert_eq!(Encoding::asked_for(None), Encoding::Plain);
        assert_eq!(Encoding::asked_for(Some("")), Encoding::Plain);
    }
}
