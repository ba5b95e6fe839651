//! `petrel { }`: what upstream does not know.

use crate::keys;
use crate::options::{Backend, Cores, Options, PetrelOptions};
use crate::reader::Reader;
use crate::value::{Map, Node, Value};

/// A budget below this cannot hold the buffers of a handful of clients.
const MEMORY_BYTES_MIN: i64 = 16 * 1024 * 1024;

/// CPUs are numbered below this on any machine.
const CPU_NUMBERS: usize = 4096;

pub(crate) fn petrel(reader: &mut Reader, node: &Node, options: &mut Options) {
    if let Some(map) = reader.map(node) {
        petrel_settings(reader, map, options);
    }
}

/// What stands in the block, or in a file of its own.
pub(crate) fn petrel_settings(reader: &mut Reader, map: &Map, options: &mut Options) {
    let mut found = PetrelOptions::default();
    reader.block(map, keys::PETREL, |reader, entry| match entry.key {
        "log_format" => options.log.json = log_format(reader, entry.node).unwrap_or_default(),
        "cores" => found.cores = cores(reader, entry.node).unwrap_or_default(),
        "memory" => found.memory_bytes = memory(reader, entry.node),
        "backend" => found.backend = backend(reader, entry.node).unwrap_or_default(),
        other => unreachable!("petrel key {other} is supported but not read"),
    });
    options.petrel = found;
}

/// Whether lines are JSON objects.
fn log_format(reader: &mut Reader, node: &Node) -> Option<bool> {
    match reader.string(node)?.to_lowercase().as_str() {
        "text" => Some(false),
        "json" => Some(true),
        _ => {
            reader.error(&node.position, "petrel.log_format must be 'text' or 'json'");
            None
        }
    }
}

fn memory(reader: &mut Reader, node: &Node) -> Option<u64> {
    let bytes = reader.integer(node)?;
    if bytes < MEMORY_BYTES_MIN {
        let text = format!("petrel.memory must be at least {MEMORY_BYTES_MIN} bytes");
        reader.error(&node.position, text);
        return None;
    }
    u64::try_from(bytes).ok()
}

fn backend(reader: &mut Reader, node: &Node) -> Option<Backend> {
    match reader.string(node)?.to_lowercase().as_str() {
        "auto" => Some(Backend::Auto),
        "uring" => Some(Backend::Uring),
        "epoll" => Some(Backend::Epoll),
        _ => {
            reader.error(&node.position, "petrel.backend must be 'auto', 'uring' or 'epoll'");
            None
        }
    }
}

/// A number of cores; or CPUs, as an array or as a text with ranges such as `"0-3,6"`.
fn cores(reader: &mut Reader, node: &Node) -> Option<Cores> {
    let parsed = match &node.value {
        Value::Integer(count) => {
            usize::try_from(*count).ok().filter(|count| (1..=CPU_NUMBERS).contains(count)).map(Cores::Count)
        }
        Value::String(text) => cpu_ranges(text).map(Cores::List),
        Value::Array(elements) => {
            let list: Option<Vec<usize>> = elements.iter().map(|element| cpu(&element.value)).collect();
            list.map(Cores::List)
        }
        _ => None,
    };
    let usable = match &parsed {
        Some(Cores::List(list)) => !list.is_empty() && is_free_of_repetition(list),
        Some(_) => true,
        None => false,
    };
    if !usable {
        reader.error(
            &node.position,
            "petrel.cores must be a number of cores, or the CPUs to use: [0, 1 ] or \"0-3,6\", each once",
        );
        return None;
    }
    parsed
}

/// An element of an array. `[0, 1]` without blank gives the text `1]` a chance to be told from a number.
fn cpu(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(number) => usize::try_from(*number).ok().filter(|cpu| *cpu < CPU_NUMBERS),
        Value::String(text) => cpu_number(text),
        _ => None,
    }
}

fn cpu_number(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|cpu| *cpu < CPU_NUMBERS)
}

fn cpu_ranges(text: &str) -> Option<Vec<usize>> {
    let mut list = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => list.extend(cpu_number(first)?..=cpu_number(last)?),
            None => list.push(cpu_number(part)?),
        }
        if list.len() > CPU_NUMBERS {
            return None;
        }
    }
    Some(list)
}

fn is_free_of_repetition(list: &[usize]) -> bool {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}
