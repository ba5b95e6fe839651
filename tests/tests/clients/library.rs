//! The client libraries, and how their programs are made.
//!
//! What a program needs is fetched by the usual tool of its language, in the pinned versions of its folder, into
//! `client-programs` in the target directory, once; the next run finds it there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use crate::fetch;

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Library {
    /// async-nats, Rust.
    AsyncNats,
    /// nats.go.
    NatsGo,
    /// nats.js for Node.js.
    NatsJs,
    /// nats-py, Python.
    NatsPy,
    /// jnats, Java.
    Jnats,
}

/// A program that is ready to be run: the words of its command line before the scenario.
#[derive(Debug)]
pub struct Program {
    words: Vec<String>,
}

impl Program {
    /// A program of these words.
    pub fn new<const COUNT: usize>(words: [&str; COUNT]) -> Self {
        Self { words: words.map(str::to_owned).to_vec() }
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }
}

/// A program, or why it could not be made.
type Made = Result<Arc<Program>, String>;

impl Library {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::AsyncNats, Self::NatsGo, Self::NatsJs, Self::NatsPy, Self::Jnats];

    /// The name in the names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsyncNats => "async_nats",
            Self::NatsGo => "nats_go",
            Self::NatsJs => "nats_js",
            Self::NatsPy => "nats_py",
            Self::Jnats => "jnats",
        }
    }

    /// The program of this library, made at the first call.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn program(self) -> Made {
        static PROGRAMS: OnceLock<Mutex<HashMap<Library, Arc<OnceLock<Made>>>>> = OnceLock::new();
        let cell = {
            let mut programs = PROGRAMS.get_or_init(Mutex::default).lock().expect("no holder panics");
            Arc::clone(programs.entry(self).or_default())
        };
        let mut first = false;
        let made = cell.get_or_init(|| {
            first = true;
            self.make()
        });
        match made {
            Err(_) if !first => Err("the program could not be made, as another case says in full".to_owned()),
            made => made.clone(),
        }
    }

    /// The tools that the program needs.
    fn tools(self) -> &'static [&'static str] {
        match self {
            // What builds these tests builds this one too.
            Self::AsyncNats => &[],
            Self::NatsGo => &["go"],
            Self::NatsJs => &["node", "npm"],
            Self::NatsPy => &["python3"],
            Self::Jnats => &["java", "javac", "mvn"],
        }
    }

    /// The first of its tools that this machine does not have.
    pub fn missing_tool(self) -> Option<&'static str> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
        self.tools().iter().copied().find(|tool| !is_there(tool))
    }

    fn make(self) -> Made {
        if let Some(tool) = self.missing_tool() {
            return Err(format!("{tool} is not installed: nothing can be tested with {}", self.name()));
        }
        let program = match self {
            Self::AsyncNats => fetch::rust(),
            Self::NatsGo => fetch::go(),
            Self::NatsJs => fetch::javascript(),
            Self::NatsPy => fetch::python(),
            Self::Jnats => fetch::java(),
        };
        program.map(Arc::new)
    }
}

/// The folder of the client programs' sources.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The target directory of the running test.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the path of the running test");
    // <target>/<profile>/deps/<test>
    program.ancestors().nth(3).expect("a test lies in target/<profile>/deps").to_owned()
}
