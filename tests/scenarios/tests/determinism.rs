//! A seed is the whole story: the same seed gives the same trace, byte for byte of what is on the wire.

use petrel_scenarios::run::Settings;
use petrel_scenarios::scenario::SCENARIOS;
use std::collections::BTreeSet;

#[test]
fn a_seed_run_twice_is_the_same_twice() {
    for scenario in SCENARIOS {
        let mut digests = BTreeSet::new();
        for seed in 0..6 {
            let one = (scenario.run)(seed, &Settings::default());
            let other = (scenario.run)(seed, &Settings::default());
            let name = scenario.name;
            assert_eq!(one.effects, other.effects, "petrel-sim {name} --seed {seed}");
            assert_eq!(one.digest, other.digest, "petrel-sim {name} --seed {seed}");
            digests.insert(one.digest);
        }
        assert_eq!(digests.len(), 6, "{}: different seeds are different stories", scenario.name);
    }
}

#[test]
fn keeping_the_trace_as_text_changes_nothing() {
    let scenario = &SCENARIOS[0];
    let silent = (scenario.run)(1, &Settings::default());
    let spoken = (scenario.run)(1, &Settings { trace_text: true, ..Settings::default() });
    assert_eq!(silent.digest, spoken.digest);
    assert!(silent.trace.is_none());
    assert!(spoken.trace.is_some_and(|text| text.lines().count() > 1000));
}
