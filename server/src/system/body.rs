//! The options in the body of a request, read as upstream reads them: fields match in any case, `null` says nothing,
//! what is not known is ignored, and a value of the wrong type is an error in Go's words.

use super::go_json::syntax_error;
use serde_json::{Map, Value};

/// The options of one request.
pub struct Body {
    fields: Map<String, Value>,
    /// Upstream's type of the whole, by which its errors call it: `ConnzEventOptions`.
    whole: String,
    /// The type of its own options within that: `ConnzOptions`; empty: they are the whole.
    options: &'static str,
    /// The type of the filters within that, likewise.
    filters: &'static str,
    error: Option<String>,
}

impl Body {
    /// Reads a body; an empty one says nothing. `endpoint`: as upstream's types are called after it, `Connz`.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &[u8], endpoint: &'static str, options: &'static str) -> Result<Body, String> {
        Body::of(text, format!("{endpoint}EventOptions"), options, "EventFilterOptions")
    }

    /// Reads a body of a type that has no others within it.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse_plain(text: &[u8], whole: &str) -> Result<Body, String> {
        Body::of(text, whole.to_owned(), "", "")
    }

    fn of(text: &[u8], whole: String, options: &'static str, filters: &'static str) -> Result<Body, String> {
        let mut body = Body { fields: Map::new(), whole, options, filters, error: None };
        if text.is_empty() {
            return Ok(body);
        }
        if let Some(error) = syntax_error(text) {
            return Err(error);
        }
        // Deeper nesting than the reader bears is well formed and of no use to anybody: it says nothing.
        match serde_json::from_str(&String::from_utf8_lossy(text)).unwrap_or(Value::Null) {
            Value::Object(fields) => {
                let lower = |(name, value): (String, Value)| (name.to_lowercase(), value);
                body.fields = fields.into_iter().map(lower).collect();
            }
            Value::Null => {}
            other => {
                return Err(format!(
                    "json: cannot unmarshal {} into Go value of type server.{}",
                    kind(&other),
                    body.whole
                ));
            }
        }
        Ok(body)
    }

    /// What was wrong with a value that was read.
    ///
    /// # Errors
    /// The first such thing.
    pub fn finish(self) -> Result<(), String> {
        self.error.map_or(Ok(()), Err)
    }

    fn take(&mut self, name: &str) -> Value {
        self.fields.remove(name).unwrap_or(Value::Null)
    }

    fn wrong(&mut self, found: &str, block: &str, name: &str, wanted: &str) {
        let block = if block.is_empty() { String::new() } else { format!("{block}.") };
        let whole = &self.whole;
        let error = format!(
            "json: cannot unmarshal {found} into Go struct field {whole}.{block}{name} of type {wanted}"
        );
        self.error.get_or_insert(error);
    }

    fn text_in(&mut self, block: &str, name: &str, wanted: &str) -> String {
        match self.take(name) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => {
                self.wrong(kind(&other), block, name, wanted);
                String::new()
            }
        }
    }

    fn boolean_in(&mut self, block: &str, name: &str) -> bool {
        match self.take(name) {
            Value::Bool(value) => value,
            Value::Null => false,
            other => {
                self.wrong(kind(&other), block, name, "bool");
                false
            }
        }
    }

    fn texts_in(&mut self, block: &str, name: &str) -> Vec<String> {
        match self.take(name) {
            Value::Array(elements) => {
                let mut texts = Vec::new();
                for element in elements {
                    match element {
                        Value::String(text) => texts.push(text),
                        Value::Null => texts.push(String::new()),
                        other => self.wrong(kind(&other), block, name, "string"),
                    }
                }
                texts
            }
            Value::Null => Vec::new(),
            other => {
                self.wrong(kind(&other), block, name, "[]string");
                Vec::new()
            }
        }
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> String {
        self.text_in(self.options, name, "string")
    }

    /// A text of a type with a name of its own.
    pub fn text_of(&mut self, name: &str, wanted: &str) -> String {
        self.text_in(self.options, name, wanted)
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        self.texts_in(self.options, name)
    }

    /// A boolean.
    pub fn boolean(&mut self, name: &str) -> bool {
        self.boolean_in(self.options, name)
    }

    /// An integer.
    pub fn integer(&mut self, name: &str) -> i64 {
        self.integer_of(name, "int")
    }

    /// An integer of a type with a name of its own.
    pub fn integer_of(&mut self, name: &str, wanted: &str) -> i64 {
        let value = self.take(name);
        match (value.as_i64(), &value) {
            (Some(number), _) => number,
            (None, Value::Null) => 0,
            (None, other) => {
                self.wrong(&number_kind(other), self.options, name, wanted);
                0
            }
        }
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, name: &str) -> u64 {
        let value = self.take(name);
        match (value.as_u64(), &value) {
            (Some(number), _) => number,
            (None, Value::Null) => 0,
            (None, other) => {
                self.wrong(&number_kind(other), self.options, name, "uint64");
                0
            }
        }
    }

    /// A text of the filters that every request may carry.
    pub fn filter_text(&mut self, name: &str) -> String {
        self.text_in(self.filters, name, "string")
    }

    /// A boolean of the filters.
    pub fn filter_boolean(&mut self, name: &str) -> bool {
        self.boolean_in(self.filters, name)
    }

    /// A list of the filters.
    pub fn filter_texts(&mut self, name: &str) -> Vec<String> {
        self.texts_in(self.filters, name)
    }
}

/// What Go calls a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The same for a value that is to be a number: one that does not fit is named.
fn number_kind(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("number {number}"),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, read: fn(&mut Body)) -> String {
        match Body::parse(text.as_bytes(), "Connz", "ConnzOptions") {
            Ok(mut body) => {
                read(&mut body);
                body.finish().unwrap_err()
            }
            Err(error) => error,
        }
    }

    #[test]
    fn wrong_types_are_told_as_go_does() {
        let own = "json: cannot unmarshal {} into Go struct field ConnzEventOptions.ConnzOptions.";
        for (text, found, rest, read) in [
            (
                "{\"limit\":\"x\"}",
                "string",
                "limit of type int",
                (|body| {
                    body.integer("limit");
                }) as fn(&mut Body),
            ),
            ("{\"limit\":1.5}", "number 1.5", "limit of type int", |body| {
                body.integer("limit");
            }),
            ("{\"cid\":-1}", "number -1", "cid of type uint64", |body| {
                body.unsigned("cid");
            }),
            ("{\"auth\":1}", "number", "auth of type bool", |body| {
                body.boolean("auth");
            }),
            ("{\"sort\":1}", "number", "sort of type server.SortOpt", |body| {
                drop(body.text_of("sort", "server.SortOpt"));
            }),
        ] {
            assert_eq!(error(text, read), own.replace("{}", found) + rest, "{text}");
        }
        let filters = "json: cannot unmarshal string into Go struct field \
                       ConnzEventOptions.EventFilterOptions.tags of type []string";
        assert_eq!(error("{\"tags\":\"x\"}", |body| drop(body.filter_texts("tags"))), filters);
        let mut plain = Body::parse_plain(b"{\"cid\":\"x\"}", "KickClientReq").unwrap();
        plain.unsigned("cid");
        let own = "json: cannot unmarshal string into Go struct field KickClientReq.cid of type uint64";
        assert_eq!(plain.finish().unwrap_err(), own);
        let array = "json: cannot unmarshal array into Go value of type server.ConnzEventOptions";
        assert_eq!(error("[1]", |_| {}), array);
    }

    #[test]
    fn names_match_in_any_case_and_null_says_nothing() {
        let mut body = Body::parse(b"{\"LIMIT\":3,\"auth\":null,\"x\":{}}", "Connz", "ConnzOptions").unwrap();
        assert_eq!(body.integer("limit"), 3);
        assert!(!body.boolean("auth"));
        assert_eq!(body.finish(), Ok(()));
        assert!(Body::parse(b"", "Connz", "ConnzOptions").is_ok());
        assert!(Body::parse(b"null", "Connz", "ConnzOptions").is_ok());
    }
}
