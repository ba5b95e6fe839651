//! How the program of each library is made: fetch what it stands on, by the language's own tool, and build it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::library::{Program, sources, target};

/// Where programs and what they stand on are kept between runs.
fn cache(name: &str) -> Result<PathBuf, String> {
    let folder = target().join("client-programs").join(name);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Runs a command to its end, with its output in the error.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}:\n{said}", output.status))
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("the target directory has a name in UTF-8")
}

/// Copies the files of `from`, which has no folders, into `to`.
fn copy_files(from: &Path, to: &Path) -> Result<(), String> {
    let copy = || -> std::io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copy().map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

/// Calls `fetch` unless it was called for exactly the content of `pins` before, which a file in `folder` tells.
fn fetch_once(
    folder: &Path,
    pins: &[&Path],
    fetch: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let mut hash = Sha256::new();
    for path in pins {
        hash.update(fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    let expected = hexadecimal(&hash.finalize());
    let stamp = folder.join("fetched");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == expected) {
        return Ok(());
    }
    fetch()?;
    fs::write(&stamp, expected).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The program with async-nats: a package of this workspace.
pub fn rust() -> Result<Program, String> {
    let target = target();
    run(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "petrel-client-async-nats", "--target-dir"])
        .arg(&target)
        .current_dir(sources()))?;
    Ok(Program::new([text_of(&target.join("debug/petrel-client-async-nats"))]))
}

/// The program with nats.go; `go.sum` pins what it stands on.
pub fn go() -> Result<Program, String> {
    let program = cache("go")?.join("client");
    run(Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(sources().join("go")))?;
    Ok(Program::new([text_of(&program)]))
}

/// The program with nats.js; `package-lock.json` pins what it stands on.
pub fn javascript() -> Result<Program, String> {
    let folder = cache("javascript")?;
    // Node.js looks for packages beside the file that asks for them.
    copy_files(&sources().join("javascript"), &folder)?;
    fetch_once(&folder, &[&folder.join("package.json"), &folder.join("package-lock.json")], || {
        run(Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder))
    })?;
    Ok(Program::new(["node", text_of(&folder.join("main.mjs"))]))
}

/// The program with nats-py; `requirements.txt` pins what it stands on by checksums.
pub fn python() -> Result<Program, String> {
    let folder = cache("python")?;
    let environment = folder.join("environment");
    let interpreter = environment.join("bin/python");
    let source = sources().join("python");
    let (tools, requirements) = (source.join("build-requirements.txt"), source.join("requirements.txt"));
    fetch_once(&folder, &[&tools, &requirements], || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let install = |options: &[&str], list: &Path| {
            let mut pip = Command::new(&interpreter);
            pip.args(["-m", "pip", "install", "--quiet", "--require-hashes"]).args(options);
            run(pip.arg("--requirement").arg(list))
        };
        // One package comes as source: what builds it is pinned too, in place of what pip would fetch for it.
        install(&["--only-binary", ":all:"], &tools)?;
        install(&["--no-build-isolation"], &requirements)
    })?;
    // No bytecode beside the sources: the repository stays as it is.
    Ok(Program::new([text_of(&interpreter), "-B", text_of(&source.join("main.py"))]))
}

/// The program with jnats; `pom.xml` pins versions, `checksums.txt` what the archives hold.
pub fn java() -> Result<Program, String> {
    let folder = cache("java")?;
    let source = sources().join("java");
    let archives = folder.join("archives");
    let (versions, checksums) = (source.join("pom.xml"), source.join("checksums.txt"));
    fetch_once(&folder, &[&versions, &checksums], || {
        let _ = fs::remove_dir_all(&archives);
        run(Command::new("mvn")
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(&versions)
            .arg(format!("-Dmaven.repo.local={}", folder.join("repository").display()))
            .arg(format!("-DoutputDirectory={}", archives.display()))
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"))?;
        check_archives(&archives, &checksums)
    })?;
    let classes = folder.join("classes");
    let path = format!("{}:{}/*", classes.display(), archives.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&source)
        .map_err(|error| format!("{}: {error}", source.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "java"))
        .collect();
    files.sort();
    let jars = format!("{}/*", archives.display());
    run(Command::new("javac")
        .args(["-Xlint:all", "-Werror", "-cp", &jars, "-d"])
        .arg(&classes)
        .args(&files))?;
    // A process lives for a second: starting fast is all that matters.
    Ok(Program::new(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &path, "Main"]))
}

/// Checks that the folder holds exactly the archives of the list, each with its checksum.
fn check_archives(folder: &Path, list: &Path) -> Result<(), String> {
    let list = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let entry = entry.map_err(|error| error.to_string())?;
        let content = fs::read(entry.path()).map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push(format!("{}  {name}", hexadecimal(&Sha256::digest(content))));
    }
    let mut expected: Vec<String> = list.lines().map(str::to_owned).collect();
    found.sort();
    expected.sort();
    if found == expected {
        return Ok(());
    }
    Err(format!("archives with other content than pinned: expected {expected:#?}, found {found:#?}"))
}
