import java.util.HashMap;
import java.util.Map;

/**
 * What users do with the jnats library, as checks that run against a server.
 *
 * <p>{@code java Main SCENARIO ADDRESS CERTIFICATES} prints a line for each check and ends with code 0 when all of them
 * held. Where a scenario needs something done to the server it prints "ask" and what, and waits for a line on its input
 * that says that it is done.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) {
        if (arguments.length != 3) {
            System.err.println("usage: Main SCENARIO ADDRESS CERTIFICATES");
            System.exit(2);
        }
        Checks checks = new Checks(arguments[1], arguments[2]);
        Map<String, Scenario> scenarios = new HashMap<>();
        new Core(checks).addTo(scenarios);
        new Access(checks).addTo(scenarios);
        new Encrypted(checks).addTo(scenarios);
        new Lifecycle(checks).addTo(scenarios);
        new Services(checks).addTo(scenarios);
        Scenario scenario = scenarios.get(arguments[0]);
        if (scenario == null) {
            System.err.println("there is no scenario " + arguments[0]);
            System.exit(2);
        }
        try {
            scenario.run();
        } catch (Throwable problem) {
            System.out.println("FAILED " + problem);
            problem.printStackTrace(System.out);
            System.exit(1);
        }
        System.out.println(checks.held() + " checks held");
        // Connections that a scenario left open are not worth waiting for.
        System.exit(0);
    }
}
