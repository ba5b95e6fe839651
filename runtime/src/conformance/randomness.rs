//! Random numbers.

use super::actor::{Behaviour, Reporter, name_of};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::program::{CoreId, Event};
use std::collections::BTreeSet;

const DRAWS: usize = 1000;

struct Draw;

struct Drawing;

impl Behaviour for Drawing {
    type Mail = ();
    type Order = Draw;

    fn event(&mut self, event: Event<'_, (), Draw>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(Draw) => {
                let mut ones = 0;
                for _ in 0..DRAWS {
                    let bits = io.random();
                    ones += bits.count_ones();
                    report.note("drawn", bits);
                }
                // 32 of 64 on average; the bounds are more than ten standard deviations away.
                let average = f64::from(ones) / DRAWS as f64;
                assert!((30.0..34.0).contains(&average), "{average} bits of 64 are set on average");
                report.note("clock", io.wall_clock().0);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn cores_draw_different_numbers(backend: Backend) {
    let mut rig = Rig::start(backend, 3, |_: CoreId| Drawing);
    let mut drawn = BTreeSet::new();
    for core in 0..3 {
        rig.order(core, Draw);
        for _ in 0..DRAWS {
            drawn.insert(rig.expect("drawn"));
        }
        // A wall clock stands after 2025.
        assert!(rig.expect("clock") > 1_735_689_600_000_000_000);
    }
    assert_eq!(drawn.len(), 3 * DRAWS, "numbers were drawn twice");
    rig.finish();
}
