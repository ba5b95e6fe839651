//! Parameters of a request, with Go's rules and error texts.

use petrel_protocol::quote::go_quote;

/// What is wrong with a parameter; the text of the 400 answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadParameter(pub String);

/// The parameters behind the `?`.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the text behind the `?`. Pairs that cannot be decoded are dropped, as Go does.
    pub fn parse(text: &str) -> Query {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.contains(';'))
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect();
        Query { pairs }
    }

    /// The first value of a parameter; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// A boolean; false when there is none.
    ///
    /// # Errors
    /// When it is none of Go's words for booleans.
    pub fn boolean(&self, name: &str) -> Result<bool, BadParameter> {
        match self.text(name) {
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            other => Err(bad("boolean", name, "ParseBool", other, "invalid syntax")),
        }
    }

    /// An integer; 0 when there is none.
    ///
    /// # Errors
    /// When it is not decimal or does not fit 64 bits.
    pub fn integer(&self, name: &str) -> Result<i64, BadParameter> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(0);
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !is_decimal(digits) {
            return Err(bad("int", name, "Atoi", text, "invalid syntax"));
        }
        text.parse().map_err(|_| bad("int", name, "Atoi", text, "value out of range"))
    }

    /// An unsigned integer; 0 when there is none.
    ///
    /// # Errors
    /// When it is not decimal or does not fit 64 bits.
    pub fn unsigned(&self, name: &str) -> Result<u64, BadParameter> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(0);
        }
        if !is_decimal(text) {
            return Err(bad("uint64", name, "ParseUint", text, "invalid syntax"));
        }
        text.parse().map_err(|_| bad("uint64", name, "ParseUint", text, "value out of range"))
    }
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit())
}

fn bad(kind: &str, name: &str, function: &str, text: &str, why: &str) -> BadParameter {
    let quoted = go_quote(text.as_bytes());
    BadParameter(format!("Error decoding {kind} for '{name}': strconv.{function}: parsing {quoted}: {why}"))
}

/// Undoes `%xx` and `+`. `None` when an escape is broken.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts() {
        let query = Query::parse("acc=%24G&acc=B&user=a+b%2Bc&broken=%4&empty&x;y=1");
        assert_eq!(query.text("acc"), "$G");
        assert_eq!(query.text("user"), "a b+c");
        for name in ["broken", "empty", "x", "y", "none"] {
            assert_eq!(query.text(name), "", "{name}");
        }
    }

    #[test]
    fn errors_read_as_gos() {
        let text = "subs=2&limit=x&offset=1.5&cid=-1&big=99999999999999999999&plus=+1";
        let query = Query::parse(text);
        for (error, expected) in [
            (
                query.boolean("subs").unwrap_err(),
                "Error decoding boolean for 'subs': strconv.ParseBool: parsing \"2\": invalid syntax",
            ),
            (
                query.integer("limit").unwrap_err(),
                "Error decoding int for 'limit': strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                query.integer("offset").unwrap_err(),
                "Error decoding int for 'offset': strconv.Atoi: parsing \"1.5\": invalid syntax",
            ),
            (
                query.integer("plus").unwrap_err(),
                "Error decoding int for 'plus': strconv.Atoi: parsing \" 1\": invalid syntax",
            ),
            (
                query.integer("big").unwrap_err(),
                "Error decoding int for 'big': strconv.Atoi: parsing \"99999999999999999999\": value out of range",
            ),
            (
                query.unsigned("cid").unwrap_err(),
                "Error decoding uint64 for 'cid': strconv.ParseUint: parsing \"-1\": invalid syntax",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(Query::parse("n=%2B5").integer("n"), Ok(5));
        assert_eq!(Query::parse("n=-5").integer("n"), Ok(-5));
        assert_eq!(Query::parse("").integer("n"), Ok(0));
    }
}
