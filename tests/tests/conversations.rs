//! The golden conversations of `tests/conversations/`, each against a server of its own, with the client's bytes sent
//! as written, one at a time, and in random chunks.
//!
//! A file is chosen by its name: `cargo test -p petrel-tests --test conversations -- limits`. Files about what petrel
//! does not do yet are listed as ignored; `-- --include-ignored` runs them too, which holds against a server that
//! does all of it.

use std::path::Path;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use petrel_tests::conversation::{Conversation, replay};

/// Most of a conversation is waiting: more of them run at a time than there are cores.
const THREADS: usize = 12;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
    let mut trials = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(&directory)
        .expect("the folder of the conversations")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let conversation = match Conversation::read(&path) {
            Ok(conversation) => Arc::new(conversation),
            Err(error) => {
                let problem = format!("{}:{}: {}", path.display(), error.line, error.problem);
                trials.push(Trial::test(name, move || Err(Failed::from(problem))));
                continue;
            }
        };
        for split in conversation.splits.clone() {
            let conversation = Arc::clone(&conversation);
            let ignored = conversation.not_yet.is_some();
            let trial = Trial::test(format!("{name}::{}", split.name()), move || {
                replay(&conversation, split).map_err(Failed::from)
            });
            trials.push(trial.with_ignored_flag(ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
