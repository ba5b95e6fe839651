//! One test for each target. `cargo test -p petrel-fuzz-bounded -- NAME` runs one of them.

use libtest_mimic::{Arguments, Failed, Trial};
use petrel_fuzz_bounded::{TARGETS, corpus, folder, run};
use petrel_scenarios::boundary::tls_boundary_everywhere;

fn main() {
    let mut trials: Vec<Trial> = TARGETS
        .iter()
        .map(|target| Trial::test(target.name, || run(target).map_err(|failure| failure.to_string().into())))
        .collect();
    trials.push(Trial::test("tls_boundary_split_everywhere", tls_boundary_split_everywhere));
    trials.push(Trial::test("each_program_has_a_bounded_run", each_program_has_a_bounded_run));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn each_program_has_a_bounded_run() -> Result<(), Failed> {
    let files = std::fs::read_dir(folder().join("fuzz_targets"))?;
    let mut programs: Vec<String> = files
        .map(|file| Ok(file?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    programs.sort();
    let mut bounded: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    bounded.sort_unstable();
    if programs == bounded { Ok(()) } else { Err(format!("{programs:?} are not {bounded:?}").into()) }
}

/// The place of the split is left to chance by the target itself.
fn tls_boundary_split_everywhere() -> Result<(), Failed> {
    corpus("tls_boundary")?.iter().for_each(|input| tls_boundary_everywhere(input));
    Ok(())
}
