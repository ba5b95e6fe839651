import io.nats.client.AuthHandler;
import io.nats.client.AuthenticationException;
import io.nats.client.Connection;
import io.nats.client.Message;
import io.nats.client.NKey;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Credentials, permissions, accounts, mappings. */
final class Access {
    private static final String SEED = "SUADCIZ3TBX7BB7QTAJKXXCPFCAKH2JU6LQZ2UP63GLJ3FPH5ECEMHW3UA";
    private static final String OTHER_SEED = "SUAOEKQUYVE754EOH3KQ33H5U6PFJUAXVDCQCYPXLRD6IHVSTSRBY6XZUI";

    private final Checks checks;

    Access(Checks checks) {
        this.checks = checks;
    }

    void addTo(Map<String, Scenario> scenarios) {
        scenarios.put("token", this::token);
        scenarios.put("user", this::user);
        scenarios.put("nkey", this::nkey);
        scenarios.put("no_auth_user", this::noAuthUser);
        scenarios.put("permissions", this::permissions);
        scenarios.put("allow_responses", this::allowResponses);
        scenarios.put("accounts", this::accounts);
        scenarios.put("account_streams", this::accountStreams);
        scenarios.put("account_services", this::accountServices);
        scenarios.put("mappings", this::mappings);
        scenarios.put("user_info", this::userInfo);
    }

    private void letIn(String name, Options.Builder options) throws Exception {
        checks.talks(name, Nats.connect(options.build()));
    }

    private void refused(String name, Options.Builder options) {
        Throwable error = checks.refusal(name, () -> Nats.connect(options.noReconnect().build()));
        checks.truth(name, error instanceof AuthenticationException, error);
    }

    private void token() throws Exception {
        letIn("the right token", checks.options().token("s3cret".toCharArray()));
        refused("a wrong token", checks.options().token("wrong".toCharArray()));
        refused("no token", checks.options());
    }

    private void user() throws Exception {
        letIn("the right password", checks.options().userInfo("alice", "w0nder"));
        refused("a wrong one", checks.options().userInfo("alice", "wrong"));
        refused("another user", checks.options().userInfo("bob", "w0nder"));
        refused("nobody", checks.options());
    }

    /** Signs with a key. */
    private record Signer(NKey key) implements AuthHandler {
        @Override
        public byte[] sign(byte[] nonce) {
            try {
                return key.sign(nonce);
            } catch (Exception problem) {
                throw new IllegalStateException(problem);
            }
        }

        @Override
        public char[] getID() {
            try {
                return key.getPublicKey();
            } catch (Exception problem) {
                throw new IllegalStateException(problem);
            }
        }

        @Override
        public char[] getJWT() {
            return null;
        }
    }

    private void nkey() throws Exception {
        letIn("the right key", checks.options().authHandler(new Signer(NKey.fromSeed(SEED.toCharArray()))));
        Signer other = new Signer(NKey.fromSeed(OTHER_SEED.toCharArray()));
        refused("another key", checks.options().authHandler(other));
        refused("nobody", checks.options());
    }

    private void noAuthUser() throws Exception {
        letIn("without credentials", checks.options());
        letIn("with credentials", checks.options().userInfo("alice", "w0nder"));
        refused("with wrong ones", checks.options().userInfo("alice", "wrong"));
    }

    private Connection alice() throws Exception {
        return checks.connect("alice", "w0nder");
    }

    private Connection bob() throws Exception {
        return checks.connect("bob", "bu1lder");
    }

    private Connection carol() throws Exception {
        return checks.connect("carol", "s1nger");
    }

    private void permissions() throws Exception {
        Checks.Errors errors = new Checks.Errors();
        Connection alice = alice();
        Connection bob = checks.connect("bob", "bu1lder", errors);
        Subscription seen = alice.subscribe(">");
        Checks.settle(alice);
        bob.publish("orders.new", Checks.bytes("1"));
        checks.equal("what may be published arrives", Checks.next(seen).getSubject(), "orders.new");
        for (String subject : List.of("other", "orders.secret")) {
            bob.publish(subject, null);
            String error = errors.following("permissions violation for publish");
            checks.truth("publishing " + subject + " is refused", error.contains('"' + subject + '"'), error);
        }
        Subscription inForce = bob.subscribe("orders.*");
        Checks.settle(bob);
        alice.publish("orders.secret", Checks.bytes("3"));
        alice.publish("orders.new", Checks.bytes("4"));
        checks.equal("a denied subject is left out of a wildcard", Checks.text(Checks.next(inForce)), "4");
        bob.subscribe("elsewhere");
        String error = errors.following("permissions violation for subscription");
        checks.truth("a subscription is refused", error.contains("\"elsewhere\""), error);
        Subscription worker = bob.subscribe("work.a", "workers");
        Checks.settle(bob);
        alice.publish("work.a", Checks.bytes("5"));
        checks.equal("the group that is allowed", Checks.text(Checks.next(worker)), "5");
        bob.subscribe("work.a", "others");
        error = errors.following("permissions violation for subscription");
        checks.truth("another group is refused", error.contains("using queue \"others\""), error);
        seen.unsubscribe();
        Checks.settle(alice);
        checks.noResponders("a request that may be sent has no responders", bob, "orders.nobody.here");
        bob.publish("orders.talk", Checks.bytes("x"));
        checks.equal("the connection lives", Checks.text(Checks.next(inForce)), "x");
    }

    private void allowResponses() throws Exception {
        Checks.Errors errors = new Checks.Errors();
        Connection alice = alice();
        Connection carol = checks.connect("carol", "s1nger", errors);
        serve(carol, "service.echo", "first", "second");
        Checks.settle(carol);
        checks.equal("an answer is allowed", Checks.request(alice, "service.echo", ""), "first");
        String error = errors.following("permissions violation for publish");
        checks.truth("one alone", error.toLowerCase(Locale.ROOT).contains("_inbox."), error);
        carol.publish("other", null);
        error = errors.following("permissions violation for publish");
        checks.truth("and nothing else", error.contains("\"other\""), error);
    }

    private static void serve(Connection connection, String subject, String... answers) {
        connection.createDispatcher(message -> {
            for (String answer : answers) {
                connection.publish(message.getReplyTo(), Checks.bytes(answer));
            }
        }).subscribe(subject);
    }

    private void accounts() throws Exception {
        List<Connection> connections = List.of(alice(), bob(), carol());
        List<Subscription> subscriptions = new ArrayList<>();
        for (Connection connection : connections) {
            subscriptions.add(connection.subscribe("same.subject"));
            Checks.settle(connection);
        }
        for (int index = 0; index < 3; index++) {
            connections.get(index).publish("same.subject", Checks.bytes(Integer.toString(index)));
        }
        Checks.settle(connections.toArray(new Connection[0]));
        for (int index = 0; index < 3; index++) {
            String text = Checks.text(Checks.next(subscriptions.get(index)));
            checks.equal("one's own account", text, Integer.toString(index));
            checks.equal("and no other", subscriptions.get(index).getPendingMessageCount(), 0L);
        }
        refused("a user of none", checks.options().userInfo("dave", "x"));
        refused("nobody", checks.options());
    }

    private void accountStreams() throws Exception {
        Connection alice = alice();
        Connection bob = bob();
        Connection carol = carol();
        Subscription imported = bob.subscribe("from.a.events.*");
        Subscription every = bob.subscribe(">");
        Subscription foreign = carol.subscribe(">");
        Checks.settle(bob, carol);
        alice.publish("events.one", "answers.here", Checks.bytes("1"));
        Message message = Checks.next(imported);
        checks.equal("a stream arrives under its prefix", message.getSubject(), "from.a.events.one");
        checks.equal("its reply as sent", message.getReplyTo(), "answers.here");
        checks.equal("by a wider subscription too", Checks.next(every).getSubject(), "from.a.events.one");
        bob.publish("from.a.events.one", null);
        bob.publish("events.one", null);
        Checks.settle(bob, carol);
        checks.equal("an account that does not import gets nothing", foreign.getPendingMessageCount(), 0L);
    }

    private void accountServices() throws Exception {
        Connection alice = alice();
        Connection bob = bob();
        Connection carol = carol();
        serve(alice, "time.now", "noon");
        serve(alice, "private.work", "done");
        serve(alice, "parts", "1", "2", "3");
        Checks.settle(alice);
        checks.equal("a service under another subject", Checks.request(bob, "clock", ""), "noon");
        checks.equal("a private service", Checks.request(bob, "private.work", ""), "done");
        checks.equal("again", Checks.request(bob, "clock", ""), "noon");
        String inbox = bob.createInbox();
        Subscription parts = bob.subscribe(inbox);
        bob.publish("parts", inbox, null);
        List<String> found = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            found.add(Checks.text(Checks.next(parts)));
        }
        checks.equal("several answers", found, List.of("1", "2", "3"));
        for (String subject : List.of("time.now", "clock", "private.work")) {
            checks.noResponders("nobody serves " + subject + " where it is not imported", carol, subject);
        }
    }

    private void mappings() throws Exception {
        long messages = 400;
        Connection connection = checks.connect();
        Subscription subscription = connection.subscribe("new.*");
        Subscription old = connection.subscribe("old.*");
        connection.publish("old.one", Checks.bytes("1"));
        checks.equal("a mapped subject", Checks.next(subscription).getSubject(), "new.one");
        checks.equal("instead of the old one", old.getPendingMessageCount(), 0L);
        Subscription swapped = connection.subscribe("swapped.>");
        connection.publish("swap.a.b", null);
        checks.equal("tokens in another order", Checks.next(swapped).getSubject(), "swapped.b.a");
        Subscription first = connection.subscribe("weighed.a");
        Subscription second = connection.subscribe("weighed.b");
        for (int number = 0; number < messages; number++) {
            connection.publish("weighed", null);
        }
        Checks.settle(connection);
        long[] counts = {first.getPendingMessageCount(), second.getPendingMessageCount()};
        checks.equal("weights lose nothing", counts[0] + counts[1], messages);
        long fewest = Math.min(counts[0], counts[1]);
        checks.truth("both get their share", fewest > messages / 4, fewest);
        serve(connection, "new.service", "yes");
        Checks.settle(connection);
        checks.equal("a mapped request", Checks.request(connection, "old.service", ""), "yes");
    }

    private void userInfo() throws Exception {
        String answer = Checks.request(checks.connect(), "$SYS.REQ.USER.INFO", "");
        checks.truth("who one is", answer.contains("\"account\":\"$G\""), answer);
    }
}
