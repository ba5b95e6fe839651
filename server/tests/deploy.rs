//! What `deploy/` says, held against the program and the tools that read it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// Section, key and value of each setting of a unit.
fn unit() -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in read("systemd/petrel-server.service").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            settings.push((section.clone(), key.to_owned(), value.to_owned()));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?} is no setting");
        }
    }
    settings
}

#[test]
fn the_unit_reloads_ends_in_lame_duck_mode_and_lets_io_uring_through() {
    let settings = unit();
    let values = |key: &str| -> Vec<&str> {
        settings.iter().filter(|(_, known, _)| known == key).map(|(_, _, value)| value.as_str()).collect()
    };
    assert_eq!(values("ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    assert_eq!(values("KillSignal"), ["SIGUSR2"]);
    // Longer than lame duck mode takes by default.
    assert!(values("TimeoutStopSec")[0].parse::<u32>().unwrap() > 120);
    assert!(values("LimitNOFILE")[0].parse::<u32>().unwrap() >= 65_536);
    assert!(values("SystemCallFilter").iter().any(|value| value.contains("io_uring_setup")));
    // Addresses of the machine are asked for over netlink.
    assert!(values("RestrictAddressFamilies")[0].contains("AF_NETLINK"));
    let known = ["Unit", "Service", "Install"];
    assert!(settings.iter().all(|(section, _, _)| known.contains(&section.as_str())));
}

/// systemd itself reads it, where there is one. The program is not installed here: the one of this test stands for it.
#[test]
fn systemd_takes_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("petrel-server.service");
    let text = read("systemd/petrel-server.service");
    assert!(text.contains("ExecStart=/usr/bin/petrel-server "));
    fs::write(&file, text.replace("/usr/bin/petrel-server", env!("CARGO_BIN_EXE_petrel-server"))).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("petrel-server")).collect();
    assert!(about_it.is_empty(), "{about_it:?}");
}

/// The instructions of an image file, with lines that go on joined.
fn instructions(name: &str) -> Vec<(String, String)> {
    let text: String =
        read(name).lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} is no instruction"));
            (word.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

#[test]
fn the_images_are_called_as_upstreams() {
    for (name, program, config) in [
        ("docker/Dockerfile", "/usr/local/bin/nats-server", "/etc/nats/nats-server.conf"),
        ("docker/Dockerfile.scratch", "/nats-server", "/nats-server.conf"),
    ] {
        let all = instructions(name);
        let words = ["FROM", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
        assert!(all.iter().all(|(word, _)| words.contains(&word.as_str())), "{all:?}");
        let last =
            |word: &str| all.iter().rfind(|(known, _)| known == word).map(|(_, rest)| rest.as_str()).unwrap();
        let list = |word: &str| serde_json::from_str::<Vec<String>>(last(word)).unwrap();
        assert_eq!(list("ENTRYPOINT"), [program]);
        assert_eq!(list("CMD"), ["--config", config]);
        assert_eq!(last("EXPOSE"), "4222 8222 6222");
        assert_ne!(last("USER").split(':').next(), Some("0"));
        assert_ne!(last("USER").split(':').next(), Some("root"));
        // What is copied from the tree is there.
        for (_, rest) in all.iter().filter(|(word, rest)| word == "COPY" && !rest.starts_with("--from")) {
            let source = rest.split(' ').next().unwrap();
            assert!(path("..").join(source).exists(), "{name} copies {source}");
        }
        for file in ["nats-server.conf", "petrel-server"] {
            assert!(all.iter().any(|(_, rest)| rest.contains(file)), "{name} lacks {file}");
        }
    }
}

#[test]
fn the_configuration_of_the_images_is_valid() {
    let file = path("docker/nats-server.conf");
    let output =
        Command::new(env!("CARGO_BIN_EXE_petrel-server")).args(["-t", "-c"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_profile_names_each_call_once_and_nothing_that_reaches_further() {
    let profile: serde_json::Value = serde_json::from_str(&read("seccomp/petrel.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let names: Vec<&str> = profile["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["names"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let set: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(set.len(), names.len());
    for needed in ["io_uring_setup", "io_uring_enter", "io_uring_register", "epoll_wait", "futex", "execve"] {
        assert!(set.contains(needed), "{needed}");
    }
    for foreign in
        ["ptrace", "mount", "bpf", "kexec_load", "init_module", "setns", "unshare", "chroot", "reboot"]
    {
        assert!(!set.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_examples_name_files_and_ports_that_are_there() {
    let compose = read("compose/compose.yaml");
    for file in ["../docker/nats-server.conf", "../seccomp/petrel.json"] {
        assert!(compose.contains(file) && path("compose").join(file).exists(), "{file}");
    }
    assert!(compose.contains("dockerfile: deploy/docker/Dockerfile\n"));
    let fly = read("fly/fly.toml");
    assert!(fly.contains("dockerfile = \"deploy/docker/Dockerfile\""));
    for text in [&fly, &read("prometheus/prometheus.yml")] {
        assert!(text.contains("/metrics") && text.contains("8222"));
    }
}
