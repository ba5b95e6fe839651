//! `imports [ ]` of an account.

use crate::keys;
use crate::options::Import;
use crate::reader::{Entry, Reader, elements, item};
use crate::value::{Node, Position, Value};

/// Reads the array; with each import, where it stands. Elements that import nothing are passed over, as upstream
/// does.
pub(crate) fn imports(reader: &mut Reader, node: &Node) -> (Vec<Import>, Vec<Position>) {
    let elements = elements(reader, node, "Imports");
    let found = |element: &Node| Some((import(reader, element)?, element.position.clone()));
    elements.iter().filter_map(found).unzip()
}

/// Where an import comes from.
struct Origin {
    account: String,
    subject: String,
}

/// What stands in an element.
#[derive(Default)]
struct Found {
    stream: Option<(Origin, Position)>,
    service: Option<(Origin, Position)>,
    prefix: Option<(String, Position)>,
    to: Option<(String, Position)>,
    share: bool,
    allow_trace: Option<(bool, Position)>,
}

fn import(reader: &mut Reader, node: &Node) -> Option<Import> {
    let mut found = Found::default();
    let is_right = item(reader, node, "Import", keys::IMPORT, |reader, entry| found.read(reader, entry));
    if is_right { found.finish(reader) } else { None }
}

impl Found {
    fn read(&mut self, reader: &mut Reader, entry: &Entry<'_>) {
        let (node, position) = (entry.node, entry.node.position.clone());
        match entry.key {
            "stream" if self.service.is_some() => {
                reader.error(&position, "Detected stream but already saw a service");
            }
            "service" if self.stream.is_some() => {
                reader.error(&position, "Detected service but already saw a stream");
            }
            "stream" => self.stream = origin(reader, node, "Stream").zip(Some(position)),
            "service" => self.service = origin(reader, node, "Service").zip(Some(position)),
            "prefix" => self.prefix = said(reader.string(node)).zip(Some(position)),
            "to" => self.to = said(reader.string(node)).zip(Some(position)),
            "share" => self.share = reader.boolean(node).unwrap_or_default(),
            "allow_trace" => self.allow_trace = reader.boolean(node).zip(Some(position)),
            other => unreachable!("import key {other} is supported but not read"),
        }
    }

    fn finish(self, reader: &mut Reader) -> Option<Import> {
        let (origin, is_service) = match (self.stream, self.service) {
            (Some((origin, _)), _) => (origin, false),
            (None, Some((origin, _))) => (origin, true),
            (None, None) => return None,
        };
        if let Some((_, position)) = self.allow_trace.as_ref().filter(|_| is_service) {
            reader.error(position, "Detected allow_trace directive on a non-stream");
            return None;
        }
        if let (Some(_), Some((_, position)), false) = (&self.prefix, &self.to, is_service) {
            reader.error(position, "Stream import can not have a 'prefix' and a 'to' property");
            return None;
        }
        // A prefix says nothing of a service.
        let prefix = self.prefix.map(|(prefix, _)| prefix).filter(|_| !is_service);
        let to = match &prefix {
            Some(prefix) => {
                Some(format!("{}.{}", prefix.strip_suffix('.').unwrap_or(prefix), origin.subject))
            }
            None => self.to.map(|(to, _)| to),
        };
        Some(Import {
            account: origin.account,
            subject: origin.subject,
            to,
            prefix,
            allow_trace: self.allow_trace.is_some_and(|(allow, _)| allow),
            share: self.share && is_service,
            is_service,
        })
    }
}

/// An empty text says nothing.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn origin(reader: &mut Reader, node: &Node, noun: &str) -> Option<Origin> {
    let Value::Map(map) = &node.value else {
        let kind = node.value.kind();
        reader.error(&node.position, format!("{noun} entry should be an account map, got {kind}"));
        return None;
    };
    let (mut account, mut subject) = (None, None);
    reader.block(map, keys::IMPORT_SOURCE, |reader, entry| match entry.key {
        "account" => account = said(reader.string(entry.node)),
        "subject" => subject = said(reader.string(entry.node)),
        other => unreachable!("import source key {other} is supported but not read"),
    });
    match (account, subject) {
        (Some(account), Some(subject)) => Some(Origin { account, subject }),
        _ => {
            reader.error(&node.position, "Expect an account name and a subject");
            None
        }
    }
}
