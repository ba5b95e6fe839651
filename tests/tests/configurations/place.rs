//! Where a configuration is tried: a temporary folder and free ports in place of what the file says.

use std::fs;
use std::path::{Path, PathBuf};

use petrel_tests::{Certificates, free_port};
use tempfile::TempDir;

/// The folder that the files name.
const FOLDER: &str = "/etc/nats";

/// The port of clients in the files.
const CLIENT_PORT: u16 = 4222;

/// The port of monitoring in the files.
const MONITOR_PORT: u16 = 8222;

/// Further ports in the files.
const OTHER_PORTS: [u16; 3] = [6222, 7422, 9222];

/// A folder with everything that a configuration needs.
pub struct Place {
    folder: TempDir,
    file: PathBuf,
    /// The ports in the files, and those here.
    ports: Vec<(u16, u16)>,
    /// The client port here.
    pub client_port: u16,
    /// The monitoring port here.
    pub monitor_port: u16,
}

impl Place {
    /// Copies the configurations of `source` and makes certificates.
    ///
    /// # Panics
    ///
    /// When the files cannot be copied.
    pub fn new(source: &Path, name: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Certificates::default().write(folder.path());
        let (client_port, monitor_port) = (free_port(), free_port());
        let mut ports = vec![(CLIENT_PORT, client_port), (MONITOR_PORT, monitor_port)];
        ports.extend(OTHER_PORTS.map(|port| (port, free_port())));
        let file = folder.path().join(format!("{name}.conf"));
        let place = Self { folder, file, ports, client_port, monitor_port };
        place.copy(&source.join(format!("{name}.conf")), &place.file);
        let includes = place.folder.path().join("includes");
        fs::create_dir(&includes).expect("the folder is new");
        for entry in fs::read_dir(source.join("includes")).expect("a folder of files to include") {
            let path = entry.expect("an entry of the folder").path();
            place.copy(&path, &includes.join(path.file_name().expect("a file has a name")));
        }
        place
    }

    fn copy(&self, from: &Path, to: &Path) {
        let text = fs::read_to_string(from).expect("the file can be read").replace("0.0.0.0", "127.0.0.1");
        let mut text = text.replace(FOLDER, &self.folder_name());
        for (there, here) in &self.ports {
            text = replace_number(&text, *there, *here);
        }
        fs::write(to, text).expect("the folder can be written to");
    }

    fn folder_name(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// The configuration file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A text of the server as it would be where the file is at home: without what differs from run to run.
    pub fn at_home(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder_name(), FOLDER);
        for (there, here) in &self.ports {
            text = replace_number(&text, *here, *there);
        }
        // The digest is that of the file with the ports of this run.
        let text = replace("sha256:[0-9a-f]{64}", &text, "sha256:*");
        // What stands before the words of a log line.
        replace(r"(?m)^\[[0-9]+\] [0-9/]+ [0-9:.]+ ", &text, "")
    }

    /// The files that were not there before the server ran, sorted; process numbers in their names as `*`.
    pub fn new_files(&self, process_id: u32) -> Vec<String> {
        let is_given = |name: &str| name == "includes" || name.ends_with(".pem") || name.ends_with(".conf");
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .expect("the folder is ours")
            .map(|entry| entry.expect("an entry of the folder").file_name().to_string_lossy().into_owned())
            .filter(|name| !is_given(name))
            .map(|name| name.replace(&process_id.to_string(), "*").replace("petrel-server", "nats-server"))
            .collect();
        names.sort();
        names
    }
}

fn replace(expression: &str, text: &str, by: &str) -> String {
    let expression = regex::Regex::new(expression).expect("a right expression");
    expression.replace_all(text, by).into_owned()
}

/// Replaces a number where it is not part of a longer one.
fn replace_number(text: &str, number: u16, by: u16) -> String {
    replace(&format!(r"(?-u:\b){number}(?-u:\b)"), text, &by.to_string())
}
