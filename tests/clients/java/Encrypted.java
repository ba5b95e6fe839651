import io.nats.client.AuthenticationException;
import io.nats.client.Connection;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** TLS in its forms. */
final class Encrypted {
    private static final char[] NO_PASSWORD = new char[0];

    private final Checks checks;

    Encrypted(Checks checks) {
        this.checks = checks;
    }

    void addTo(Map<String, Scenario> scenarios) {
        scenarios.put("tls", this::tls);
        scenarios.put("tls_optional", this::tlsOptional);
        scenarios.put("tls_verify", this::tlsVerify);
        scenarios.put("tls_first", this::tlsFirst);
        scenarios.put("tls_self_signed", this::tlsSelfSigned);
        scenarios.put("tls_map", this::tlsMap);
    }

    private Certificate certificate(String name) throws Exception {
        try (InputStream input = Files.newInputStream(Path.of(checks.certificate(name)))) {
            return CertificateFactory.getInstance("X.509").generateCertificate(input);
        }
    }

    private PrivateKey key(String name) throws Exception {
        String text = Files.readString(Path.of(checks.certificate(name)));
        String body = text.replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        return KeyFactory.getInstance("EC")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(body)));
    }

    /** What a client trusts, and the certificate that it shows; {@code null} for none. */
    private SSLContext context(String authority, String own) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("authority", certificate(authority));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, null);
        if (own != null) {
            Certificate[] chain = {certificate(own + "-cert.pem")};
            keys.setKeyEntry("own", key(own + "-key.pem"), NO_PASSWORD, chain);
        }
        KeyManagerFactory manager = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        manager.init(keys, NO_PASSWORD);
        SSLContext made = SSLContext.getInstance("TLS");
        made.init(manager.getKeyManagers(), trust.getTrustManagers(), null);
        return made;
    }

    private Options.Builder with(String authority, String own) throws Exception {
        return checks.options().sslContext(context(authority, own));
    }

    private Connection letIn(String name, Options.Builder options) throws Exception {
        Connection connection = Nats.connect(options.build());
        checks.talks(name, connection);
        return connection;
    }

    private void refused(String name, Options.Builder options) {
        Throwable error = checks.refusal(name, () -> Nats.connect(options.noReconnect().build()));
        checks.truth(name, error instanceof Exception, error);
    }

    private void tls() throws Exception {
        Connection connection = letIn("an authority that signed the server's certificate", with("ca.pem", null));
        checks.equal("TLS is asked for", connection.getServerInfo().isTLSRequired(), true);
        letIn("a certificate that nobody asks for", with("ca.pem", "client"));
        refused("another authority", with("stranger-ca.pem", null));
        refused("without TLS", checks.options());
        byte[] large = new byte[300_000];
        Subscription subscription = connection.subscribe("large");
        connection.publish("large", large);
        checks.equal("a payload of many records", Checks.next(subscription).getData().length, large.length);
    }

    private void tlsOptional() throws Exception {
        Connection plain = letIn("without TLS", checks.options());
        checks.equal("TLS is offered", plain.getServerInfo().isTLSAvailable(), true);
        letIn("with TLS", with("ca.pem", null));
    }

    private void tlsVerify() throws Exception {
        letIn("a certificate of the client", with("ca.pem", "client"));
        refused("none", with("ca.pem", null));
        refused("one that somebody else signed", with("ca.pem", "stranger"));
    }

    private void tlsFirst() throws Exception {
        letIn("TLS before anything else", with("ca.pem", null).tlsFirst());
    }

    private void tlsSelfSigned() throws Exception {
        letIn("a certificate that is its own authority", with("lone-cert.pem", null));
        refused("somebody else's authority", with("ca.pem", null));
    }

    private void tlsMap() throws Exception {
        Checks.Errors errors = new Checks.Errors();
        Connection connection =
                letIn("a certificate as the user", with("ca.pem", "client").errorListener(errors));
        connection.publish("secret", null);
        String text = errors.following("permissions violation for publish");
        checks.truth("with that user's permissions", text.contains("\"secret\""), text);
        Options.Builder guest = with("ca.pem", "guest").noReconnect();
        Throwable error = checks.refusal("another user", () -> Nats.connect(guest.build()));
        checks.truth("a certificate of nobody", error instanceof AuthenticationException, error);
    }
}
