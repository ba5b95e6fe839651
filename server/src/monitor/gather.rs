//! Counters of the node from those of its cores.

use petrel_engine::CoreStatistics;

/// The sums over all cores that answered.
pub fn total(cores: &[Option<CoreStatistics>]) -> CoreStatistics {
    let mut sum = CoreStatistics::default();
    for core in cores.iter().flatten() {
        // All fields are named, so that a new counter cannot be forgotten here.
        let CoreStatistics {
            connections,
            total_connections,
            in_msgs,
            in_bytes,
            out_msgs,
            out_bytes,
            slow_consumers,
            stale_connections,
            stalled_clients,
            subscriptions,
            panics,
            pending_bytes,
            dropped_msgs,
            mails_sent,
            refused_connections,
            barriers_waited,
            publishes_delayed,
            queue_returns,
            reports_awaited,
            requests_given_up,
            dropped_system_notices,
            latencies,
        } = core;
        sum.connections += connections;
        sum.total_connections += total_connections;
        sum.in_msgs += in_msgs;
        sum.in_bytes += in_bytes;
        sum.out_msgs += out_msgs;
        sum.out_bytes += out_bytes;
        sum.slow_consumers += slow_consumers;
        sum.stale_connections += stale_connections;
        sum.stalled_clients += stalled_clients;
        sum.subscriptions += subscriptions;
        sum.panics += panics;
        sum.pending_bytes += pending_bytes;
        sum.dropped_msgs += dropped_msgs;
        sum.mails_sent += mails_sent;
        sum.refused_connections += refused_connections;
        sum.barriers_waited += barriers_waited;
        sum.publishes_delayed += publishes_delayed;
        sum.queue_returns += queue_returns;
        sum.reports_awaited += reports_awaited;
        sum.requests_given_up += requests_given_up;
        sum.dropped_system_notices += dropped_system_notices;
        sum.latencies.add(latencies);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_that_do_not_answer_count_nothing() {
        let core = CoreStatistics { in_msgs: 2, pending_bytes: 3, ..CoreStatistics::default() };
        let sum = total(&[Some(core.clone()), None, Some(core)]);
        assert_eq!((sum.in_msgs, sum.pending_bytes, sum.out_msgs), (4, 6, 0));
    }
}
