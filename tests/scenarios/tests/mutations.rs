//! The scenarios turn red when a known bug is put back: each bug within so many seeds of the scenario that is
//! named beside it.

use petrel_scenarios::campaign;
use petrel_scenarios::mutants::{MUTANTS, Mutant};
use petrel_scenarios::run::Settings;
use petrel_scenarios::scenario::find;

/// Runs a scenario with the bug until it is found.
fn hunt(mutant: &Mutant) -> Result<String, String> {
    let scenario = find(mutant.scenario).expect("the scenario exists");
    let settings = Settings { mutation: Some(mutant.mutation), ..Settings::default() };
    let summary = campaign::run(scenario, 0..mutant.seeds_max, 1, &settings, true);
    let Some((seed, violations)) = summary.failures.first() else {
        return Err(format!(
            "{:?} was not found in {} runs of {}",
            mutant.mutation, summary.runs, mutant.scenario
        ));
    };
    let found = &violations[0];
    Ok(format!(
        "{:?}: {} --seed {seed}, after {} runs: {found}",
        mutant.mutation, mutant.scenario, summary.runs
    ))
}

#[test]
fn every_known_bug_is_found() {
    // Bugs are hunted two at a time, one on each of the machine's cores.
    let halves: Vec<Vec<Mutant>> =
        (0..2).map(|half| MUTANTS.iter().skip(half).step_by(2).copied().collect()).collect();
    let results: Vec<Result<String, String>> = std::thread::scope(|scope| {
        let hunters: Vec<_> =
            halves.iter().map(|half| scope.spawn(|| half.iter().map(hunt).collect::<Vec<_>>())).collect();
        hunters.into_iter().flat_map(|hunter| hunter.join().expect("a hunter does not panic")).collect()
    });
    let mut missed = Vec::new();
    for result in results {
        match result {
            Ok(found) => println!("{found}"),
            Err(text) => missed.push(text),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
