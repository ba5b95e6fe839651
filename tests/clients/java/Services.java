import io.nats.client.Connection;
import io.nats.client.Message;
import io.nats.service.Discovery;
import io.nats.service.EndpointStats;
import io.nats.service.Group;
import io.nats.service.InfoResponse;
import io.nats.service.Service;
import io.nats.service.ServiceBuilder;
import io.nats.service.ServiceEndpoint;
import io.nats.service.ServiceMessage;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Services that can be discovered, with their figures. */
final class Services {
    private final Checks checks;

    Services(Checks checks) {
        this.checks = checks;
    }

    void addTo(Map<String, Scenario> scenarios) {
        scenarios.put("services", this::services);
    }

    private static void add(Connection server, ServiceMessage request) {
        int sum = 0;
        try {
            for (String number : new String(request.getData(), StandardCharsets.UTF_8).split(",")) {
                sum += Integer.parseInt(number);
            }
        } catch (NumberFormatException problem) {
            request.respondStandardError(server, "no numbers", 400);
            return;
        }
        request.respond(server, Integer.toString(sum));
    }

    private static ServiceBuilder adder(Connection server) {
        ServiceEndpoint endpoint = ServiceEndpoint.builder()
                .group(new Group("math"))
                .endpointName("add")
                .handler(request -> add(server, request))
                .build();
        return Service.builder().connection(server).name("adder").version("1.2.3")
                .description("adds numbers").addServiceEndpoint(endpoint);
    }

    private void services() throws Exception {
        Connection server = checks.connect();
        Connection client = checks.connect();
        Service service = adder(server).build();
        service.startService();
        Service second = adder(server).build();
        second.startService();
        Checks.settle(server);

        // Two answers are the most that come: nothing waits for the time to pass.
        Discovery discovery = new Discovery(client, Checks.PATIENCE.toMillis(), 2);
        Set<String> found = discovery.ping("adder").stream().map(ping -> ping.getId()).collect(Collectors.toSet());
        checks.equal("every instance answers a ping", found, Set.of(service.getId(), second.getId()));
        checks.equal("every service too", discovery.ping().size(), 2);
        InfoResponse info = discovery.info("adder", service.getId());
        checks.equal("its info", info.getVersion() + " " + info.getDescription(), "1.2.3 adds numbers");
        checks.equal("its endpoints", info.getEndpoints().get(0).getSubject(), "math.add");

        for (int number = 0; number < 10; number++) {
            String sum = Checks.request(client, "math.add", number + ",1");
            if (!sum.equals(Integer.toString(number + 1))) {
                throw new AssertionError(sum);
            }
        }
        checks.ok("ten requests");
        Message wrong = client.request("math.add", Checks.bytes("x"), Checks.PATIENCE);
        checks.equal("an error", wrong.getHeaders().getFirst("Nats-Service-Error-Code"), "400");
        long requests = 0;
        for (Service one : new Service[] {service, second}) {
            EndpointStats stats = discovery.stats("adder", one.getId()).getEndpointStatsList().get(0);
            requests += stats.getNumRequests();
        }
        checks.equal("their figures", requests, 11L);

        service.stop();
        second.stop();
        Checks.settle(server);
        checks.noResponders("services that were stopped have no responders", client, "math.add");
        checks.noResponders("and answer no ping", client, "$SRV.PING.adder");
    }
}
