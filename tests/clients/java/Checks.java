import io.nats.client.Connection;
import io.nats.client.Consumer;
import io.nats.client.ErrorListener;
import io.nats.client.JetStreamStatusException;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The lines that a scenario prints, and what all scenarios share. */
final class Checks {
    /** How long an expected message may take. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    private final BufferedReader input =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private final String address;
    private final String certificates;
    private int held;

    Checks(String address, String certificates) {
        this.address = address;
        this.certificates = certificates;
    }

    int held() {
        return held;
    }

    String address() {
        return address;
    }

    String certificate(String name) {
        return certificates + "/" + name;
    }

    void ok(String name) {
        System.out.println("ok " + name);
        held += 1;
    }

    <T> void equal(String name, T found, T expected) {
        truth(name, Objects.equals(found, expected), "found " + found + ", expected " + expected);
    }

    void truth(String name, boolean condition, Object shown) {
        if (!condition) {
            throw new AssertionError(name + ": does not hold: " + shown);
        }
        ok(name);
    }

    /** Has something done to the server and waits until it is. */
    void ask(String action) throws IOException {
        System.out.println("ask " + action);
        String line = input.readLine();
        if (!"done".equals(line)) {
            throw new AssertionError("ask " + action + ": was told " + line);
        }
    }

    /** The error that is thrown. */
    Throwable refusal(String name, Callable<?> step) {
        try {
            step.call();
        } catch (ExecutionException error) {
            return error.getCause();
        } catch (Throwable error) {
            return error;
        }
        throw new AssertionError(name + ": it was not refused");
    }

    /** Options with which to begin. */
    Options.Builder options() {
        return new Options.Builder()
                .server("nats://" + address)
                .connectionTimeout(PATIENCE)
                .reportNoResponders()
                .errorListener(new Errors());
    }

    Connection connect() throws Exception {
        return Nats.connect(options().build());
    }

    Connection connect(String user, String password) throws Exception {
        return Nats.connect(options().userInfo(user, password).build());
    }

    Connection connect(String user, String password, Errors errors) throws Exception {
        return Nats.connect(options().userInfo(user, password).errorListener(errors).build());
    }

    /** Waits until the server has handled all that was sent. */
    static void settle(Connection... connections) throws Exception {
        for (Connection connection : connections) {
            connection.flush(PATIENCE);
        }
    }

    /** The next message of a subscription, soon. */
    static Message next(Subscription subscription) throws Exception {
        Message message = subscription.nextMessage(PATIENCE);
        if (message == null) {
            throw new AssertionError("a message for " + subscription.getSubject() + " did not come");
        }
        return message;
    }

    /** Takes the next element, soon. */
    static <T> T soon(String name, BlockingQueue<T> queue) throws Exception {
        T value = queue.poll(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        if (value == null) {
            throw new AssertionError(name + " did not come");
        }
        return value;
    }

    /** A request with the answer as text. */
    static String request(Connection connection, String subject, String text) throws Exception {
        return text(connection.requestWithTimeout(subject, bytes(text), PATIENCE).get());
    }

    /** Checks that a request is answered by the notice that nobody is there. */
    void noResponders(String name, Connection connection, String subject) {
        Throwable error = refusal(name, () -> request(connection, subject, ""));
        truth(name, error instanceof JetStreamStatusException status && status.getStatus().getCode() == 503, error);
    }

    /** Checks that a connection can be used. */
    void talks(String name, Connection connection) throws Exception {
        Subscription subscription = connection.subscribe("talk");
        connection.publish("talk", bytes("x"));
        equal(name, text(next(subscription)), "x");
        subscription.unsubscribe();
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Message message) {
        return new String(message.getData(), StandardCharsets.UTF_8);
    }

    /** The errors that a connection is told of, in their order. */
    static final class Errors implements ErrorListener {
        private final BlockingQueue<String> texts = new LinkedBlockingQueue<>();
        private final BlockingQueue<Consumer> slow = new LinkedBlockingQueue<>();

        @Override
        public void errorOccurred(Connection connection, String error) {
            texts.add(error);
        }

        @Override
        public void slowConsumerDetected(Connection connection, Consumer consumer) {
            slow.add(consumer);
        }

        /** The next error that holds the words, soon; others are skipped. */
        String following(String words) throws Exception {
            while (true) {
                String text = soon("an error with " + words, texts);
                if (text.toLowerCase(Locale.ROOT).contains(words.toLowerCase(Locale.ROOT))) {
                    return text;
                }
            }
        }

        Consumer slowConsumer() throws Exception {
            return soon("a word about the slow consumer", slow);
        }
    }
}
