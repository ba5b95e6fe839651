import io.nats.client.Connection;
import io.nats.client.Dispatcher;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import io.nats.client.api.ServerInfo;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Connecting, publish, subscribe, queue groups, requests, headers, drain. */
final class Core {
    private final Checks checks;

    Core(Checks checks) {
        this.checks = checks;
    }

    void addTo(Map<String, Scenario> scenarios) {
        scenarios.put("connect", this::connecting);
        scenarios.put("publish", this::publish);
        scenarios.put("wildcards", this::wildcards);
        scenarios.put("queue_groups", this::queueGroups);
        scenarios.put("unsubscribe", this::unsubscribe);
        scenarios.put("headers", this::headers);
        scenarios.put("requests", this::requests);
        scenarios.put("request_many", this::requestMany);
        scenarios.put("no_responders", this::noResponders);
        scenarios.put("payload_limit", this::payloadLimit);
        scenarios.put("no_echo", this::noEcho);
        scenarios.put("invalid_subject", this::invalidSubject);
        scenarios.put("drain", this::drain);
        scenarios.put("slow_consumer", this::slowConsumer);
    }

    private void connecting() throws Exception {
        Connection connection =
                Nats.connect(checks.options().connectionName("named").verbose().pedantic().build());
        ServerInfo info = connection.getServerInfo();
        checks.equal("the version that clients decide by", info.getVersion(), "2.15.2");
        checks.equal("headers are supported", info.isHeadersSupported(), true);
        checks.equal("a payload may have a mebibyte", connection.getMaxPayload(), 1_048_576L);
        checks.equal("no credentials are asked for", info.isAuthRequired(), false);
        checks.equal("no TLS is asked for", info.isTLSRequired(), false);
        checks.equal("the client's address", connection.getClientInetAddress().getHostAddress(), "127.0.0.1");
        checks.truth("a client id", info.getClientId() > 0, info);
        checks.equal("the server that it is at", connection.getConnectedUrl(), "nats://" + checks.address());
        checks.truth("a round trip", connection.RTT().toNanos() > 0, connection.RTT());
        String[] servers = {"nats://127.0.0.1:1", "nats://" + checks.address()};
        Options options =
                new Options.Builder().servers(servers).noRandomize().connectionTimeout(Checks.PATIENCE).build();
        Connection other = Nats.connect(options);
        checks.equal("the second server is taken when the first is not there",
                other.getConnectedUrl(), "nats://" + checks.address());
        other.close();
        checks.equal("closed", other.getStatus(), Connection.Status.CLOSED);
        Throwable error = checks.refusal("nobody listens", () -> Nats.connect("nats://127.0.0.1:1"));
        checks.truth("a connection refused is said", error instanceof IOException, error);
    }

    private void publish() throws Exception {
        int messages = 5_000;
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        Subscription subscription = subscriber.subscribe("orders.new");
        Checks.settle(subscriber);
        for (int number = 0; number < messages; number++) {
            publisher.publish("orders.new", Checks.bytes(Integer.toString(number)));
        }
        publisher.flush(Checks.PATIENCE);
        checks.ok("flush");
        for (int number = 0; number < messages; number++) {
            String text = Checks.text(Checks.next(subscription));
            if (!text.equals(Integer.toString(number))) {
                throw new AssertionError(text + " in place of " + number);
            }
        }
        checks.ok("publish and subscribe, in order");
        publisher.publish("orders.new", "answers.here", new byte[0]);
        Message message = Checks.next(subscription);
        checks.equal("an empty payload", message.getData().length, 0);
        checks.equal("a reply subject", message.getReplyTo(), "answers.here");
        BlockingQueue<Message> called = new LinkedBlockingQueue<>();
        subscriber.createDispatcher(called::add).subscribe("by.callback");
        Checks.settle(subscriber);
        publisher.publish("by.callback", Checks.bytes("hi"));
        checks.equal("a callback", Checks.text(Checks.soon("a callback", called)), "hi");
        byte[] binary = new byte[256];
        for (int index = 0; index < binary.length; index++) {
            binary[index] = (byte) index;
        }
        publisher.publish("orders.new", binary);
        checks.truth("any bytes", Arrays.equals(Checks.next(subscription).getData(), binary), "other bytes");
        checks.equal("counted", publisher.getStatistics().getOutMsgs() >= messages + 3, true);
    }

    private void wildcards() throws Exception {
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        Subscription star = subscriber.subscribe("weather.*.today");
        Subscription rest = subscriber.subscribe("weather.>");
        Checks.settle(subscriber);
        List<String> subjects =
                List.of("weather.north.today", "weather.north", "weather.north.today.late", "weather");
        for (String subject : subjects) {
            publisher.publish(subject, null);
        }
        Checks.settle(publisher, subscriber);
        checks.equal("a star", Checks.next(star).getSubject(), subjects.get(0));
        for (String subject : subjects.subList(0, 3)) {
            checks.equal("the rest", Checks.next(rest).getSubject(), subject);
        }
        checks.equal("nothing else came", star.getPendingMessageCount() + rest.getPendingMessageCount(), 0L);
    }

    private void queueGroups() throws Exception {
        int messages = 300;
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        AtomicInteger[] counts = {new AtomicInteger(), new AtomicInteger(), new AtomicInteger()};
        CountDownLatch arrived = new CountDownLatch(2 * messages);
        subscriber.createDispatcher(message -> count(counts[0], arrived)).subscribe("jobs.*", "workers");
        publisher.createDispatcher(message -> count(counts[1], arrived)).subscribe("jobs.>", "workers");
        publisher.createDispatcher(message -> count(counts[2], arrived)).subscribe("jobs.>", "watchers");
        Checks.settle(publisher, subscriber);
        for (int number = 0; number < messages; number++) {
            publisher.publish("jobs.one", Checks.bytes(Integer.toString(number)));
        }
        checks.equal("all arrive", arrived.await(Checks.PATIENCE.toMillis(), TimeUnit.MILLISECONDS), true);
        Checks.settle(publisher, subscriber);
        checks.equal("a queue group gets each message once", counts[0].get() + counts[1].get(), messages);
        int fewest = Math.min(counts[0].get(), counts[1].get());
        checks.truth("both members work", fewest > messages / 5, fewest);
        checks.equal("another group gets each too", counts[2].get(), messages);
    }

    private static void count(AtomicInteger counter, CountDownLatch arrived) {
        counter.incrementAndGet();
        arrived.countDown();
    }

    private void unsubscribe() throws Exception {
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        Subscription limited = subscriber.subscribe("limited");
        limited.unsubscribe(3);
        Subscription ended = subscriber.subscribe("limited");
        ended.unsubscribe();
        Subscription witness = subscriber.subscribe("limited");
        Checks.settle(subscriber);
        for (int number = 0; number < 10; number++) {
            publisher.publish("limited", null);
        }
        Checks.settle(publisher);
        for (int number = 0; number < 10; number++) {
            Checks.next(witness);
        }
        for (int number = 0; number < 3; number++) {
            Checks.next(limited);
        }
        checks.equal("unsubscribe after three messages", limited.isActive(), false);
        checks.equal("unsubscribe at once", ended.isActive(), false);
    }

    private void headers() throws Exception {
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        Subscription subscription = subscriber.subscribe("with.headers");
        Checks.settle(subscriber);
        Headers sent = new Headers().add("Key", "one", "two").add("lower-case", "value with blanks");
        publisher.publish("with.headers", sent, Checks.bytes("body"));
        Message message = Checks.next(subscription);
        checks.equal("headers arrive as sent", message.getHeaders().toMap(), sent.toMap());
        checks.equal("beside their payload", Checks.text(message), "body");
        publisher.publish("with.headers", sent, null);
        message = Checks.next(subscription);
        checks.equal("without a payload", message.getData().length, 0);
    }

    private void requests() throws Exception {
        Connection requester = checks.connect();
        Connection responder = checks.connect();
        Dispatcher echo = responder.createDispatcher(message -> responder.publish(
                message.getReplyTo(), message.getHeaders(), message.getData()));
        echo.subscribe("service.echo", "q");
        Checks.settle(responder);
        for (int number = 0; number < 200; number++) {
            String text = Integer.toString(number);
            if (!Checks.request(requester, "service.echo", text).equals(text)) {
                throw new AssertionError("another answer to " + text);
            }
        }
        checks.ok("200 requests and answers");
        List<CompletableFuture<Message>> many = new ArrayList<>();
        for (int number = 0; number < 200; number++) {
            byte[] text = Checks.bytes(Integer.toString(number));
            many.add(requester.requestWithTimeout("service.echo", text, Checks.PATIENCE));
        }
        int right = 0;
        for (int number = 0; number < 200; number++) {
            right += Checks.text(many.get(number).get()).equals(Integer.toString(number)) ? 1 : 0;
        }
        checks.equal("200 requests at a time", right, 200);
        Headers trace = new Headers().add("Trace", "1");
        Message answer = requester.request("service.echo", trace, Checks.bytes("h"), Checks.PATIENCE);
        checks.equal("a request with headers", answer.getHeaders().getFirst("Trace"), "1");
        Connection old = Nats.connect(checks.options().oldRequestStyle().inboxPrefix("_MINE.").build());
        checks.equal("a request with an inbox of its own", Checks.request(old, "service.echo", "old"), "old");
        responder.createDispatcher(message -> responder.publish(
                message.getReplyTo(), Checks.bytes(message.getReplyTo()))).subscribe("which.inbox");
        responder.subscribe("silent");
        Checks.settle(responder);
        String inbox = Checks.request(old, "which.inbox", "");
        checks.truth("inboxes with a prefix", inbox.startsWith("_MINE."), inbox);
        Message late = requester.request("silent", new byte[0], Duration.ofMillis(100));
        checks.equal("an answer that does not come in time", late, null);
    }

    private void requestMany() throws Exception {
        Connection requester = checks.connect();
        Connection responder = checks.connect();
        for (String name : List.of("a", "b", "c")) {
            responder.createDispatcher(message -> responder.publish(message.getReplyTo(), Checks.bytes(name)))
                    .subscribe("who.is.there");
        }
        Checks.settle(responder);
        String inbox = requester.createInbox();
        Subscription answers = requester.subscribe(inbox);
        answers.unsubscribe(3);
        requester.publish("who.is.there", inbox, null);
        List<String> found = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            found.add(Checks.text(Checks.next(answers)));
        }
        found.sort(null);
        checks.equal("an answer of everybody", found, List.of("a", "b", "c"));
    }

    private void noResponders() throws Exception {
        Connection connection = checks.connect();
        checks.noResponders("no responders", connection, "nobody.here");
        Message nothing = checks.connect().request("nobody.here", new byte[0], Duration.ofMillis(500));
        checks.equal("no responders, waited for", nothing, null);
        Subscription subscription = connection.subscribe("answers.here");
        connection.publish("nobody.here", "answers.here", null);
        Message message = Checks.next(subscription);
        checks.equal("the notice", message.getStatus().getCode(), 503);
    }

    private void payloadLimit() throws Exception {
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        int limit = (int) publisher.getMaxPayload();
        checks.equal("the configured limit", limit, 4096);
        Subscription subscription = subscriber.subscribe("large");
        Checks.settle(subscriber);
        publisher.publish("large", new byte[limit]);
        checks.equal("the largest payload", Checks.next(subscription).getData().length, limit);
        Throwable error = checks.refusal("one byte more", () -> {
            publisher.publish("large", new byte[limit + 1]);
            return null;
        });
        checks.truth("one byte more", error instanceof IllegalArgumentException, error);
        Checks.settle(publisher);
        Checks.Errors errors = new Checks.Errors();
        Connection unchecked = Nats.connect(
                checks.options().clientSideLimitChecks(false).noReconnect().errorListener(errors).build());
        unchecked.publish("large", new byte[limit + 1]);
        errors.following("maximum payload violation");
        checks.ok("the server says it too");
    }

    private void noEcho() throws Exception {
        Connection connection = Nats.connect(checks.options().noEcho().build());
        Subscription own = connection.subscribe("echo");
        connection.publish("echo", null);
        Checks.settle(connection);
        checks.equal("without echo nothing of one's own arrives", own.getPendingMessageCount(), 0L);
    }

    private void invalidSubject() throws Exception {
        Connection checked = checks.connect();
        Throwable error = checks.refusal("a b", () -> checked.subscribe("a b"));
        checks.truth("the library refuses a blank", error instanceof IllegalArgumentException, error);
        Checks.Errors errors = new Checks.Errors();
        Connection connection =
                Nats.connect(checks.options().subjectValidationType(Options.SubjectValidationType.None)
                        .errorListener(errors).build());
        connection.subscribe("a..b");
        errors.following("invalid subject");
        checks.ok("an invalid subject is said");
        checks.talks("the connection lives", connection);
    }

    private void drain() throws Exception {
        int messages = 1_000;
        Connection publisher = checks.connect();
        Connection subscriber = checks.connect();
        AtomicInteger first = new AtomicInteger();
        AtomicInteger second = new AtomicInteger();
        Dispatcher drained = subscriber.createDispatcher(message -> slowly(first));
        drained.subscribe("drained");
        subscriber.createDispatcher(message -> slowly(second)).subscribe("drained.too");
        Checks.settle(subscriber);
        for (int number = 0; number < messages; number++) {
            publisher.publish("drained", null);
            publisher.publish("drained.too", null);
        }
        Checks.settle(publisher, subscriber);
        checks.equal("the subscription is drained", drained.drain(Checks.PATIENCE).get(), true);
        checks.equal("draining a subscription loses nothing", first.get(), messages);
        checks.equal("the connection is drained", subscriber.drain(Checks.PATIENCE).get(), true);
        checks.equal("draining a connection loses nothing", second.get(), messages);
        checks.equal("it is closed then", subscriber.getStatus(), Connection.Status.CLOSED);
    }

    private static void slowly(AtomicInteger counter) throws InterruptedException {
        TimeUnit.MICROSECONDS.sleep(20);
        counter.incrementAndGet();
    }

    private void slowConsumer() throws Exception {
        Checks.Errors errors = new Checks.Errors();
        Connection publisher = checks.connect();
        Connection subscriber = Nats.connect(checks.options().errorListener(errors).build());
        Subscription subscription = subscriber.subscribe("flood");
        subscription.setPendingLimits(10, -1);
        Checks.settle(subscriber);
        for (int number = 0; number < 100; number++) {
            publisher.publish("flood", null);
        }
        Checks.settle(publisher, subscriber);
        checks.equal("it is told that it is slow", errors.slowConsumer() == subscription, true);
        checks.equal("what it could hold", subscription.getPendingMessageCount(), 10L);
        checks.equal("and not", subscription.getDroppedCount(), 90L);
    }
}
