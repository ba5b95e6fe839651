//! Time that threads did not run, by the stack at which they stopped, from the scheduler's switches.

use std::collections::BTreeMap;

use crate::folded::{Folded, samples, thread_name};

/// A switch from one thread to another.
struct Switch {
    previous: i32,
    next: i32,
    at_us: u64,
}

/// Folds what `perf script -F comm,tid,time,event,trace,ip,sym` prints about `sched:sched_switch`. The weight of a
/// stack is the time in microseconds until its thread ran again; only threads in `threads` count.
pub fn fold(script: &str, threads: &[i32]) -> Folded {
    let mut folded = Folded::default();
    let mut stopped: BTreeMap<i32, (u64, String, Vec<String>)> = BTreeMap::new();
    for sample in samples(script) {
        let Some(switch) = parse(sample.header) else { continue };
        if let Some((since_us, name, frames)) = stopped.remove(&switch.next) {
            folded.add(&name, &frames, switch.at_us.saturating_sub(since_us));
        }
        if threads.contains(&switch.previous) {
            let name = thread_name(sample.header).to_owned();
            stopped.insert(switch.previous, (switch.at_us, name, sample.frames));
        }
    }
    folded
}

/// A filter for `perf record` that lets through what concerns `threads` only.
pub fn filter(threads: &[i32]) -> String {
    let terms: Vec<String> =
        threads.iter().map(|thread| format!("prev_pid=={thread}||next_pid=={thread}")).collect();
    terms.join("||")
}

/// The same stacks without the scheduler's own frames, which are the innermost of each: what led there is the last
/// function outside of it.
pub fn callers(folded: &Folded) -> Folded {
    let mut callers = Folded::default();
    for (stack, weight) in folded.iter() {
        let frames: Vec<&str> = stack.split(';').collect();
        let end = frames.iter().rposition(|frame| !is_scheduler(frame)).map_or(frames.len(), |last| last + 1);
        let inner: Vec<String> =
            frames[1.min(end)..end].iter().rev().map(|&frame| frame.to_owned()).collect();
        callers.add(frames[0], &inner, weight);
    }
    callers
}

fn is_scheduler(frame: &str) -> bool {
    ["__schedule", "schedule", "preempt_schedule", "__cond_resched"].contains(&frame)
        || frame.starts_with("schedule_")
        || frame.starts_with("preempt_schedule_")
}

fn parse(header: &str) -> Option<Switch> {
    let (before, event) = header.split_once(": sched:sched_switch:")?;
    let (seconds, fraction) = before.rsplit_once(' ')?.1.split_once('.')?;
    let fraction: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let number = |key: &str| event.split_once(key)?.1.split_whitespace().next()?.parse().ok();
    Some(Switch {
        previous: number(" prev_pid=")?,
        next: number(" next_pid=")?,
        at_us: seconds.parse::<u64>().ok()? * 1_000_000 + fraction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(time: &str, previous: i32, next: i32) -> String {
        format!(
            "petrel {previous}  {time}: sched:sched_switch: prev_comm=petrel prev_pid={previous} prev_prio=120 \
             prev_state=S ==> next_comm=x y next_pid={next} next_prio=120\n\tffff __schedule\n\tffff wait\n\tb6 main\n\n"
        )
    }

    #[test]
    fn time_counts_from_stopping_to_running() {
        let script = switch("10.000100", 7, 0) + &switch("10.000350", 0, 7) + &switch("10.000360", 7, 9);
        let folded = fold(&script, &[7, 8]);
        assert_eq!(folded.render(), "petrel;main;wait;__schedule 250\n");
    }

    #[test]
    fn a_wait_is_of_whom_called_the_scheduler() {
        let folded = Folded::parse("petrel;main;wait;schedule;__schedule 250\n");
        assert_eq!(callers(&folded).render(), "petrel;main;wait 250\n");
    }

    #[test]
    fn threads_of_others_do_not_count() {
        let script = switch("10.0", 3, 4) + &switch("11.0", 4, 3);
        assert_eq!(fold(&script, &[7]).weight(), 0);
        assert_eq!(filter(&[7, 8]), "prev_pid==7||next_pid==7||prev_pid==8||next_pid==8");
    }
}
