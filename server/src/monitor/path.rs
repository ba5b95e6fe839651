//! The path of a request, by the rules of Go's router: what upstream finds, and where it sends people on to.

/// What a path comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It cannot be decoded.
    Broken,
    /// It has empty parts or dots; without them it is this one, encoded. People join addresses that end with a slash to
    /// paths that begin with one.
    Moved(String),
    /// What stands between its slashes, decoded: a slash that is encoded is no slash.
    Parts(Vec<Vec<u8>>),
}

impl Target {
    /// Reads a path as it stands in a request, which begins with a slash and ends before the `?`.
    pub fn of(path: &str) -> Target {
        let Some(decoded) = decoded(path.as_bytes()) else { return Target::Broken };
        let encoded = if is_encoded(path.as_bytes()) { path.to_owned() } else { encode(&decoded) };
        let mut clean = clean(&encoded);
        if encoded.ends_with('/') && clean != "/" {
            clean.push('/');
        }
        if clean != encoded {
            // Encoded once more, as upstream does it: whoever is sent there is told that it is not found.
            return Target::Moved(encode(clean.as_bytes()));
        }
        Target::Parts(parts(&clean))
    }
}

/// What stands between the slashes of a clean path, decoded; what cannot be is left as it is.
pub fn parts(path: &str) -> Vec<Vec<u8>> {
    let whole = path.strip_prefix('/').unwrap_or(path);
    let part = |part: &str| decoded(part.as_bytes()).unwrap_or_else(|| part.as_bytes().to_vec());
    whole.split('/').map(part).collect()
}

/// A path from the root without empty parts and dots: `/` or `/a/b`.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Undoes `%xx`. `None` when an escape is broken.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

/// Whether a byte of a path stands for itself when Go encodes it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

/// Whether a path may be taken as it was encoded: by others than Go, but soundly.
fn is_encoded(path: &[u8]) -> bool {
    path.iter().all(|byte| is_plain(*byte) || b"%!'()*[]".contains(byte))
}

fn encode(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        if is_plain(*byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        match Target::of(path) {
            Target::Broken => "broken".to_owned(),
            Target::Moved(to) => format!("to {to}"),
            Target::Parts(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| part.escape_ascii().to_string()).collect();
                parts.join("|")
            }
        }
    }

    #[test]
    fn paths_come_to_what_upstream_makes_of_them() {
        for (path, expected) in [
            ("/", ""),
            ("/varz", "varz"),
            ("/%76arz", "varz"),
            ("/debug/vars", "debug|vars"),
            ("/varz/", "varz|"),
            ("/varz%2F", "varz/"),
            ("/%2Fvarz", "/varz"),
            ("/varz%00", "varz\\x00"),
            ("/%ff", "\\xff"),
            ("/%2e%2e/varz", "..|varz"),
            ("/a%2F..%2Fvarz", "a/../varz"),
            ("/a!b", "a!b"),
            ("/\"varz", "\\\"varz"),
            ("/varz%", "broken"),
            ("/varz%7", "broken"),
            ("/varz%zz", "broken"),
            ("/a/../%zz", "broken"),
            ("//varz", "to /varz"),
            ("/./varz", "to /varz"),
            ("//varz//", "to /varz/"),
            ("/a/..", "to /"),
            ("/a/../%76arz", "to /%2576arz"),
            ("//%2e%2e/varz", "to /%252e%252e/varz"),
            ("/a//b!c", "to /a/b%21c"),
            ("/a//\"", "to /a/%2522"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
    }
}
