import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.ConnectionListener.Events;
import io.nats.client.Nats;
import io.nats.client.Subscription;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Reconnecting, and servers that announce their end. */
final class Lifecycle {
    private final Checks checks;
    private final BlockingQueue<Events> events = new LinkedBlockingQueue<>();

    Lifecycle(Checks checks) {
        this.checks = checks;
    }

    void addTo(Map<String, Scenario> scenarios) {
        scenarios.put("reconnect", this::reconnect);
        scenarios.put("lame_duck", this::lameDuck);
    }

    private ConnectionListener listener() {
        return (connection, event) -> events.add(event);
    }

    /** Waits for an event; others are skipped. */
    private void await(Events wanted) throws Exception {
        Events event;
        do {
            event = Checks.soon(wanted.toString(), events);
        } while (event != wanted);
    }

    private void reconnect() throws Exception {
        Connection connection = Nats.connect(checks.options()
                .connectionListener(listener())
                .reconnectWait(Duration.ofMillis(20))
                .maxReconnects(-1)
                .build());
        Subscription subscription = connection.subscribe("survives.*");
        Subscription group = connection.subscribe("survives.*", "q");
        Checks.settle(connection);
        for (int round = 1; round <= 2; round++) {
            checks.ask("restart");
            await(Events.DISCONNECTED);
            await(Events.RESUBSCRIBED);
            String text = Integer.toString(round);
            connection.publish("survives.restart", Checks.bytes(text));
            checks.equal("a subscription survives a restart", Checks.text(Checks.next(subscription)), text);
            checks.equal("a group too", Checks.text(Checks.next(group)), text);
        }
        checks.noResponders("no responders after it", connection, "nobody");
        events.clear();
        connection.forceReconnect();
        await(Events.RESUBSCRIBED);
        checks.talks("a reconnect by one's own wish", connection);
    }

    private void lameDuck() throws Exception {
        Connection connection =
                Nats.connect(checks.options().connectionListener(listener()).noReconnect().build());
        // The announcement goes to clients that have had the answer to a PING.
        Checks.settle(connection);
        checks.ask("lame-duck");
        await(Events.LAME_DUCK);
        checks.talks("it is told, and works on meanwhile", connection);
        await(Events.CLOSED);
        checks.ok("the end");
    }
}
