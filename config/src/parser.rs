//! From items to values: keys and containers, numbers, variables, included files.

use crate::item::{Item, Kind, LexError};
use crate::lexer::Lexer;
use crate::number::{self, NumberError};
use crate::scalar::boolean;
use crate::text::lossy;
use crate::value::{Map, Node, Position, Value};
use std::sync::Arc;

/// Files included by files included by files.
const INCLUDE_DEPTH_MAX: usize = 32;

/// Environment variables that name environment variables.
const VARIABLE_DEPTH_MAX: usize = 32;

/// Values of a file and what it includes, variables expanded: a variable can double what it names, and
/// variables can be chained.
const EXPANDED_NODES_MAX: usize = 1_000_000;

/// Blocks and arrays inside each other. Upstream has no limit; deeper files are nobody's configuration and
/// would only exhaust the stack of whoever walks the values.
const DEPTH_MAX: usize = 512;

/// What the caller reads for the parser.
pub trait Source {
    /// The content of a file.
    ///
    /// # Errors
    /// What the system said, as the message shall end.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// The content of a file that need not be there.
    ///
    /// # Errors
    /// When it is there and cannot be read: what the system said.
    fn read_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// The value of an environment variable.
    fn environment(&mut self, name: &str) -> Option<String>;
}

/// Why a file cannot be read. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParseError {
    #[error("Parse error on line {line}: '{message}'")]
    Syntax { line: usize, message: String },
    #[error("{0}")]
    Number(String),
    /// The last key has no value.
    #[error("config is invalid ({0})")]
    Incomplete(Position),
    #[error("variable reference for '{name}' on line {line} can not be found")]
    VariableNotFound { name: String, line: usize },
    #[error("variable reference for '{name}' on line {line} could not be parsed: {error}")]
    VariableBroken { name: String, line: usize, error: Box<ParseError> },
    #[error("variable reference cycle for '{0}'")]
    VariableCycle(String),
    #[error("error parsing include file '{path}', {error}")]
    Include { path: String, error: Box<ParseError> },
    #[error("{0}")]
    Read(String),
    /// The file, its includes and variables together are larger than any configuration.
    #[error("the configuration has more than {EXPANDED_NODES_MAX} values")]
    TooLarge,
    /// Blocks and arrays stand too deep inside each other.
    #[error("blocks and arrays may not nest deeper than {DEPTH_MAX} ({0})")]
    TooDeep(Position),
}

impl From<LexError> for ParseError {
    fn from(error: LexError) -> Self {
        ParseError::Syntax { line: error.line, message: error.message }
    }
}

impl From<NumberError> for ParseError {
    fn from(error: NumberError) -> Self {
        ParseError::Number(error.to_string())
    }
}

/// Reads the file `path` and all that it includes.
///
/// # Errors
/// See [`ParseError`].
pub fn parse_file(path: &str, source: &mut dyn Source) -> Result<Map, ParseError> {
    let bytes = source.read(path).map_err(ParseError::Read)?;
    parse(path, &bytes, source)
}

/// Reads a text; `path` names it in positions, and its folder is where includes are looked for.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(path: &str, bytes: &[u8], source: &mut dyn Source) -> Result<Map, ParseError> {
    let mut world = World { source, references: Vec::new(), files: vec![clean(path)], nodes: 0, depth: 0 };
    Parser::new(path, &mut world).run(&lossy(bytes))
}

/// What all files of one configuration share.
struct World<'s> {
    source: &'s mut dyn Source,
    /// Environment variables that are being read.
    references: Vec<String>,
    /// The files that are being read: each was included by the one before it.
    files: Vec<String>,
    nodes: usize,
    /// Containers open around the text that is being read.
    depth: usize,
}

/// A container that is not yet closed.
enum Open {
    Map(Map),
    Array(Vec<Node>),
}

/// A key that waits for its value. Upstream keeps them on one stack for all blocks: a block that ends after a
/// key without value becomes the value of that key, and the block's own key is left over. Kept, because the
/// outcome of such a file (an error that names the inner key) is what its writer sees.
struct PendingKey {
    name: String,
    line: usize,
    column: usize,
}

struct Parser<'w, 's> {
    path: Arc<str>,
    world: &'w mut World<'s>,
    open: Vec<Open>,
    keys: Vec<PendingKey>,
}

impl<'w, 's> Parser<'w, 's> {
    fn new(path: &str, world: &'w mut World<'s>) -> Parser<'w, 's> {
        Parser { path: path.into(), world, open: vec![Open::Map(Map::new())], keys: Vec::new() }
    }

    fn run(mut self, text: &str) -> Result<Map, ParseError> {
        let mut lexer = Lexer::new(text);
        let mut after_key = false;
        loop {
            let item = lexer.next_item()?;
            if item.kind == Kind::End {
                if after_key {
                    return Err(ParseError::Incomplete(self.position(&item)));
                }
                break;
            }
            // A closing brace too many reads as a key, which upstream lets pass at the end.
            after_key = item.kind == Kind::Key && item.text != "}";
            self.take(item)?;
        }
        match self.open.drain(..).next() {
            Some(Open::Map(map)) => Ok(map),
            // The outermost container is the map that `new` opened.
            Some(Open::Array(_)) | None => Ok(Map::new()),
        }
    }

    fn position(&self, item: &Item) -> Position {
        Position { file: self.path.clone(), line: item.line, column: item.column }
    }

    fn take(&mut self, item: Item) -> Result<(), ParseError> {
        let value = match item.kind {
            Kind::End => return Ok(()),
            Kind::Key => {
                self.keys.push(PendingKey { name: item.text, line: item.line, column: item.column });
                return Ok(());
            }
            Kind::ArrayStart => return self.enter(Open::Array(Vec::new()), &item),
            Kind::MapStart => return self.enter(Open::Map(Map::new()), &item),
            Kind::Include => return self.include(&item),
            Kind::ArrayEnd | Kind::MapEnd => {
                return match self.close(&item) {
                    Some(node) => self.set(node),
                    None => Ok(()),
                };
            }
            Kind::Variable => self.variable(&item)?,
            Kind::Integer => match number::integer(&item.text)? {
                Some(number) => Value::Integer(number),
                // Upstream drops a number with a suffix that it does not know; its key keeps waiting.
                None => return Ok(()),
            },
            Kind::Float => Value::Float(number::float(&item.text)?),
            Kind::DateTime => Value::DateTime(number::date_time(&item.text)?.to_owned()),
            Kind::Boolean => Value::Boolean(boolean(&item.text).unwrap_or_default()),
            Kind::String => Value::String(item.text.clone()),
        };
        let position = self.position(&item);
        self.set(Node { value, position, used: false })
    }

    fn enter(&mut self, container: Open, item: &Item) -> Result<(), ParseError> {
        self.open.push(container);
        self.check_depth(0, item)
    }

    /// `inner`: containers inside each other in a value that is about to be put here.
    fn check_depth(&self, inner: usize, item: &Item) -> Result<(), ParseError> {
        if self.world.depth + self.open.len() + inner > DEPTH_MAX {
            return Err(ParseError::TooDeep(self.position(item)));
        }
        Ok(())
    }

    /// Reads a text that stands in the present container.
    fn inner(&mut self, path: &str, text: &str) -> Result<Map, ParseError> {
        let depth = self.open.len();
        self.world.depth += depth;
        let map = Parser::new(path, self.world).run(text)?;
        self.world.depth -= depth;
        Ok(map)
    }

    /// Ends the innermost container, which the lexer has seen opened. Without a key it stands where it ends, as
    /// upstream has it.
    fn close(&mut self, item: &Item) -> Option<Node> {
        let position = self.position(item);
        let value = match self.open.pop()? {
            Open::Map(map) => Value::Map(map),
            Open::Array(elements) => Value::Array(elements),
        };
        Some(Node { value, position, used: false })
    }

    /// Puts a value where it belongs: into the array, or under the last key without value.
    fn set(&mut self, mut node: Node) -> Result<(), ParseError> {
        self.world.nodes += 1;
        if self.world.nodes > EXPANDED_NODES_MAX {
            return Err(ParseError::TooLarge);
        }
        match self.open.last_mut() {
            Some(Open::Array(elements)) => elements.push(node),
            Some(Open::Map(map)) => {
                if let Some(key) = self.keys.pop() {
                    (node.position.line, node.position.column) = (key.line, key.column);
                    map.insert(key.name, node);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Puts all keys of another file into the present map.
    fn include(&mut self, item: &Item) -> Result<(), ParseError> {
        let failed = |error| ParseError::Include { path: item.text.clone(), error: Box::new(error) };
        if self.world.files.len() > INCLUDE_DEPTH_MAX {
            let message = format!("files may not include each other deeper than {INCLUDE_DEPTH_MAX}");
            return Err(failed(ParseError::Read(message)));
        }
        let path = beside(&self.path, &item.text);
        if self.world.files.contains(&path) {
            // Upstream never comes back from this.
            return Err(failed(ParseError::Read("the file includes itself".to_owned())));
        }
        self.world.files.push(path.clone());
        let bytes = self.world.source.read(&path).map_err(|error| failed(ParseError::Read(error)))?;
        let included = self.inner(&path, &lossy(&bytes)).map_err(failed)?;
        self.world.files.pop();
        if let Some(Open::Map(map)) = self.open.last_mut() {
            map.extend(included);
        }
        Ok(())
    }

    fn variable(&mut self, item: &Item) -> Result<Value, ParseError> {
        let name = item.text.strip_prefix('$').unwrap_or(&item.text);
        // What begins like a bcrypt hash is one, not a variable.
        if name.starts_with("2a$") {
            return Ok(Value::String(item.text.clone()));
        }
        if let Some(value) = self.look_up(name) {
            self.world.nodes += count(&value);
            self.check_depth(depth(&value), item)?;
            return Ok(value);
        }
        let line = item.line;
        match self.environment(name) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(ParseError::VariableNotFound { name: name.to_owned(), line }),
            Err(error) => {
                Err(ParseError::VariableBroken { name: name.to_owned(), line, error: Box::new(error) })
            }
        }
    }

    /// A key of the blocks around, innermost first, as far as it was set before.
    fn look_up(&mut self, name: &str) -> Option<Value> {
        let maps = self.open.iter_mut().rev().filter_map(|open| match open {
            Open::Map(map) => Some(map),
            Open::Array(_) => None,
        });
        let node = maps.into_iter().find_map(|map| map.get_mut(name))?;
        node.used = true;
        Some(node.value.clone())
    }

    /// An environment variable, read as if it stood in the file.
    fn environment(&mut self, name: &str) -> Result<Option<Value>, ParseError> {
        if self.world.references.iter().any(|reference| reference == name) {
            return Err(ParseError::VariableCycle(name.to_owned()));
        }
        if self.world.references.len() >= VARIABLE_DEPTH_MAX {
            let message = format!("variables may not refer to each other deeper than {VARIABLE_DEPTH_MAX}");
            return Err(ParseError::Read(message));
        }
        let Some(text) = self.world.source.environment(name) else { return Ok(None) };
        self.world.references.push(name.to_owned());
        let path = self.path.clone();
        let mut map = self.inner(&path, &format!("value={text}"))?;
        self.world.references.pop();
        Ok(map.remove("value").map(|node| node.value))
    }
}

/// How many values a value is.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(|node| count(&node.value)).sum::<usize>(),
        Value::Map(map) => 1 + map.values().map(|node| count(&node.value)).sum::<usize>(),
        _ => 1,
    }
}

/// How many containers stand inside each other in a value.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(|node| depth(&node.value)).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(|node| depth(&node.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The path of an included file: below the folder of the including one, even when it begins with a slash, as
/// upstream's joins them.
pub(crate) fn beside(file: &str, include: &str) -> String {
    let folder = match file.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => "",
    };
    let joined = match (folder, include) {
        ("", include) => include.trim_start_matches('/').to_owned(),
        (folder, include) => format!("{folder}/{include}"),
    };
    clean(&joined)
}

/// A path without empty parts, `.` and what `..` undoes.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let relative = parts.join("/");
    match (rooted, relative.as_str()) {
        (true, _) => format!("/{relative}"),
        (false, "") => ".".to_owned(),
        (false, _) => relative,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_lie_below_the_folder_of_their_file() {
        for (file, include, path) in [
            ("nats.conf", "auth.conf", "auth.conf"),
            ("./nats.conf", "auth.conf", "auth.conf"),
            ("/etc/nats/nats.conf", "../auth.conf", "/etc/auth.conf"),
            ("/etc/nats/nats.conf", "/auth.conf", "/etc/nats/auth.conf"),
            ("/nats.conf", "a//./b.conf", "/a/b.conf"),
            ("/nats.conf", "../../b.conf", "/b.conf"),
            ("conf/nats.conf", "../../b.conf", "../b.conf"),
            ("nats.conf", "/etc/x", "etc/x"),
            ("nats.conf", "", "."),
        ] {
            assert_eq!(beside(file, include), path, "{file} {include}");
        }
    }
}
