package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// discovered is what so many instances answer, and a check that no more do.
func discovered[T any](connection *nats.Conn, subject string, count int) []T {
	inbox := connection.NewInbox()
	answers := subscribed(connection, inbox)
	must("publish", connection.PublishRequest(subject, inbox, nil))
	found := make([]T, count)
	for index := range found {
		must("JSON", json.Unmarshal(next(answers).Data, &found[index]))
	}
	_, err := answers.NextMsg(100 * time.Millisecond)
	equal("so many answer "+subject, errors.Is(err, nats.ErrTimeout), true)
	must("unsubscribe", answers.Unsubscribe())
	return found
}

// services are those that can be discovered, with their figures.
func services(client, server *nats.Conn) {
	config := micro.Config{Name: "adder", Version: "1.2.3", Description: "adds numbers"}
	service, err := micro.AddService(server, config)
	must("service", err)
	add := func(request micro.Request) {
		var numbers []int
		if json.Unmarshal(request.Data(), &numbers) != nil {
			must("respond", request.Error("400", "no numbers", nil))
			return
		}
		sum := 0
		for _, number := range numbers {
			sum += number
		}
		must("respond", request.RespondJSON(sum))
	}
	must("endpoint", service.AddGroup("math").AddEndpoint("add", micro.HandlerFunc(add)))
	second, err := micro.AddService(server, config)
	must("service", err)
	must("flush", server.Flush())

	pings := discovered[micro.Ping](client, "$SRV.PING.adder", 2)
	ids := map[string]bool{pings[0].ID: true, pings[1].ID: true}
	equal("every instance answers a ping", ids[service.Info().ID] && ids[second.Info().ID], true)
	discovered[micro.Ping](client, "$SRV.PING", 2)
	info := discovered[micro.Info](client, "$SRV.INFO.adder."+service.Info().ID, 1)[0]
	equal("its info", info.Version+" "+info.Description, "1.2.3 adds numbers")
	equal("its endpoints", info.Endpoints[0].Subject, "math.add")

	for number := range 10 {
		text, err := json.Marshal([]int{number, 1})
		must("JSON", err)
		answer, err := client.Request("math.add", text, patience)
		must("request", err)
		var sum int
		must("JSON", json.Unmarshal(answer.Data, &sum))
		if sum != number+1 {
			fail("sum", sum)
		}
	}
	ok("ten requests", nil)
	wrong, err := client.Request("math.add", []byte("x"), patience)
	must("request", err)
	equal("an error", wrong.Header.Get("Nats-Service-Error-Code"), "400")
	stats := discovered[micro.Stats](client, "$SRV.STATS.adder."+service.Info().ID, 1)[0]
	equal("its requests", stats.Endpoints[0].NumRequests, 11)
	equal("its errors", stats.Endpoints[0].NumErrors, 1)

	must("stop", service.Stop())
	must("flush", server.Flush())
	_, err = client.Request("math.add", []byte("[]"), patience)
	equal("a service that was stopped has no responders", errors.Is(err, nats.ErrNoResponders), true)
	discovered[micro.Ping](client, "$SRV.PING.adder", 1)
}
