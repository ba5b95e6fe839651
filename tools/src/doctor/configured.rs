//! What a configuration asks for, held against the machine.

use super::finding::Finding;
use super::machine::Machine;
use super::volume::Volume;
use crate::config_check::check;
use crate::config_check::source::System;
use nix::sys::resource::{Resource, getrlimit};
use petrel_config::{Map, Value, parse_file};
use std::path::{Path, PathBuf};

/// Files that are open beside the connections.
const DESCRIPTORS_ASIDE: u64 = 1024;
/// Upstream's default (reference: config.md, section 6).
const CONNECTIONS_DEFAULT: i64 = 65_536;

pub fn look(path: &str, machine: &Machine) -> Vec<Finding> {
    // Only parsed: the limits of what petrel cannot do yet are worth knowing as well.
    let map = match parse_file(path, &mut System) {
        Ok(map) => map,
        Err(error) => {
            let advice = format!("petrel config check {path} tells more");
            return vec![Finding::fail("configuration", error.to_string(), advice)];
        }
    };
    let mut findings = start(path);
    findings.push(connections(&map));
    findings.extend(memory(&map, machine));
    findings.extend(stored(&map));
    findings.extend(log(&map));
    findings
}

/// What keeps the server from starting with the file at all.
fn start(path: &str) -> Vec<Finding> {
    let report = check(path);
    let advice = format!("the server does not start with it: petrel config check {path} says more");
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let errors = report.errors.iter().map(|line| said(&line.text));
    // What stands in a block that is not there yet is no further reason.
    let blocks =
        report.not_yet.iter().filter_map(|line| line.key.as_deref()).filter(|key| !key.contains('.'));
    let not_yet = blocks.map(|key| format!("{key} is not supported yet"));
    errors.chain(not_yet).map(|text| Finding::fail("configuration", text, advice.clone())).collect()
}

/// The last entry with one of these names, whose case does not matter.
fn find<'m>(map: &'m Map, names: &[&str]) -> Option<&'m Value> {
    let is_named = |key: &str| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    map.iter().rfind(|(key, _)| is_named(key)).map(|(_, node)| &node.value)
}

fn block<'m>(map: &'m Map, name: &str) -> Option<&'m Map> {
    match find(map, &[name])? {
        Value::Map(block) => Some(block),
        _ => None,
    }
}

/// A number of bytes; a text may end in K, M, G or T (reference: config.md, section 7).
fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => {
            let text = text.trim();
            let power =
                "KMGT".find(text.chars().next_back()?.to_ascii_uppercase()).map_or(0, |place| place + 1);
            let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
            digits.parse::<u64>().ok()?.checked_shl(u32::try_from(10 * power).ok()?)
        }
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn connections(map: &Map) -> Finding {
    let wanted = match find(map, &["max_connections", "max_conn"]) {
        Some(Value::Integer(number)) => *number,
        _ => CONNECTIONS_DEFAULT,
    };
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    let found = format!("max_connections {wanted}");
    if u64::try_from(wanted).unwrap_or(0).saturating_add(DESCRIPTORS_ASIDE) > limit {
        let advice =
            format!("only {limit} files may be open: raise that (LimitNOFILE=), or lower max_connections");
        return Finding::warn("max_connections", found, advice);
    }
    Finding::ok("max_connections", found)
}

fn memory(map: &Map, machine: &Machine) -> Option<Finding> {
    let wanted = bytes(find(block(map, "petrel")?, &["memory"])?)?;
    let found = format!("petrel.memory {} MiB", wanted >> 20);
    Some(match machine.memory_bytes() {
        Some(total) if wanted > total => {
            Finding::fail("petrel.memory", found, format!("there are {} MiB: lower it", total >> 20))
        }
        Some(total) if wanted > total / 4 * 3 => {
            Finding::warn("petrel.memory", found, format!("of {} MiB: leave a quarter", total >> 20))
        }
        _ => Finding::ok("petrel.memory", found),
    })
}

fn stored(map: &Map) -> Option<Finding> {
    let jetstream = block(map, "jetstream")?;
    let wanted = bytes(find(jetstream, &["max_file_store", "max_file"])?)?;
    let names = ["store_dir", "store", "storedir"];
    let folder = find(jetstream, &names).or_else(|| find(map, &["store_dir", "storedir"])).and_then(text)?;
    Some(room("max_file_store", wanted, Path::new(folder)))
}

fn log(map: &Map) -> Option<Finding> {
    let file = find(map, &["log_file", "logfile"]).and_then(text).filter(|file| !file.is_empty())?;
    let limit =
        find(map, &["log_size_limit", "logfile_size_limit"]).and_then(bytes).filter(|limit| *limit > 0);
    let files = find(map, &["log_max_num", "logfile_max_num"]).and_then(bytes).filter(|files| *files > 0);
    let Some((limit, files)) = limit.zip(files) else {
        let advice = "set log_size_limit and log_max_num, or rotate it and send SIGUSR1";
        return Some(Finding::warn("log_file", format!("{file} grows without limit"), advice));
    };
    Some(room("log_file", limit.saturating_mul(files), folder(file)))
}

fn folder(file: &str) -> &Path {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Whether so many bytes fit on the volume of a folder, or of the nearest one above that exists.
fn room(check: &'static str, wanted: u64, folder: &Path) -> Finding {
    let nearest =
        folder.ancestors().find(|folder| folder.exists()).map_or(PathBuf::from("."), Path::to_owned);
    let found = format!("up to {} MiB in {}", wanted >> 20, folder.display());
    match Volume::of(&nearest) {
        Err(error) => Finding::fail(check, found, format!("{}: {error}", nearest.display())),
        Ok(volume) if wanted > volume.total_bytes => {
            let advice = format!("the volume has {} MiB in all: lower it", volume.total_bytes >> 20);
            Finding::warn(check, found, advice)
        }
        Ok(volume) if wanted > volume.free_bytes => {
            let advice =
                format!("the volume has {} MiB free: make room, or lower it", volume.free_bytes >> 20);
            Finding::warn(check, found, advice)
        }
        Ok(_) => Finding::ok(check, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::machine::tests::with;
    use super::*;

    fn states(config: &str) -> Vec<(&'static str, State)> {
        let (folder, machine) = with(&[("proc/meminfo", "MemTotal: 1048576 kB\n")]);
        let path = folder.path().join("nats.conf");
        std::fs::write(&path, config).unwrap();
        look(path.to_str().unwrap(), &machine).iter().map(|finding| (finding.check, finding.state)).collect()
    }

    #[test]
    fn limits_are_held_against_the_machine() {
        let few = ("max_connections", State::Ok);
        assert_eq!(states("max_connections: 10"), [few]);
        assert_eq!(states("max_conn: 9000000000")[0].1, State::Warn);
        for (memory, state) in [("512MB", State::Ok), ("900MB", State::Warn), ("2GB", State::Fail)] {
            let config = format!("max_connections: 10\npetrel {{ memory: {memory} }}");
            assert_eq!(states(&config), [few, ("petrel.memory", state)]);
        }
        for (size, state) in
            [("1MB", State::Ok), ("\"1M\"", State::Ok), ("9PB", State::Warn), ("\"9000T\"", State::Warn)]
        {
            let config = format!(
                "max_connections: 10\nJetStream {{ store_dir: \"/tmp/petrel/not/there\", max_file: {size} }}"
            );
            let stopped = ("configuration", State::Fail);
            assert_eq!(states(&config), [stopped, few, ("max_file_store", state)], "{size}");
        }
    }

    #[test]
    fn a_log_without_limit_is_told() {
        let config = "max_connections: 10\nlog_file: \"/tmp/x.log\"\n";
        assert_eq!(states(config)[1], ("log_file", State::Warn));
        let limited = format!("{config}log_size_limit: 1MB\nlog_max_num: 3\n");
        assert_eq!(states(&limited)[1], ("log_file", State::Ok));
    }

    #[test]
    fn a_broken_file_fails() {
        assert_eq!(states("a: ["), [("configuration", State::Fail)]);
        assert_eq!(states("max_connections: 10\nprot: 4222")[0], ("configuration", State::Fail));
    }

    #[test]
    fn files_need_their_folders() {
        let config = "max_connections: 10\nlog_file: \"/not/there/x.log\"\npid_file: \"/not/there/x.pid\"\n";
        assert_eq!(states(config)[0], ("configuration", State::Fail));
        assert_eq!(states("max_connections: 10\npid_file: \"/tmp/x.pid\"\n").len(), 1);
    }
}
