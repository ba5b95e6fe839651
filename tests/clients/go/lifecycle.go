package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// talks checks that a connection can be used.
func talks(name string, connection *nats.Conn, err error) {
	must(name, err)
	subscription, err := connection.SubscribeSync("talk")
	must(name, err)
	must(name, connection.Publish("talk", []byte("x")))
	_, err = subscription.NextMsg(patience)
	ok(name, err)
}

// reconnect is a server that ends and comes back on the same port.
func reconnect(address string) {
	down, up := make(chan bool, 10), make(chan bool, 10)
	connection, err := dial("nats://"+address,
		nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { down <- true }),
		nats.ReconnectHandler(func(*nats.Conn) { up <- true }))
	must("connect", err)
	subscription, err := connection.SubscribeSync("survives.*")
	must("subscribe", err)
	group, err := connection.QueueSubscribeSync("survives.*", "q")
	must("subscribe", err)
	limited, err := connection.SubscribeSync("survives.limited")
	must("subscribe", err)
	must("limit", limited.AutoUnsubscribe(2))
	must("flush", connection.Flush())
	for round := 1; round <= 2; round++ {
		ask("restart")
		receive("the end of the connection", down)
		receive("the new connection", up)
		must("publish", connection.Publish("survives.restart", []byte(strconv.Itoa(round))))
		message, err := subscription.NextMsg(patience)
		must("a message after the restart", err)
		equal("a subscription survives a restart", string(message.Data), strconv.Itoa(round))
		_, err = group.NextMsg(patience)
		must("a message for the group after the restart", err)
	}
	for range 4 {
		must("publish", connection.Publish("survives.limited", nil))
	}
	must("flush", connection.Flush())
	for range 2 {
		_, err := limited.NextMsg(patience)
		must("a message for the limited subscription", err)
	}
	_, err = limited.NextMsg(50 * time.Millisecond)
	equal("a limit survives a restart", errors.Is(err, nats.ErrMaxMessages), true)
	_, err = connection.Request("nobody", nil, patience)
	equal("no responders after it", errors.Is(err, nats.ErrNoResponders), true)
}

// lameDuck is a server that announces its end.
func lameDuck(address string) {
	told, down := make(chan bool, 1), make(chan bool, 1)
	connection, err := dial("nats://"+address, nats.NoReconnect(),
		nats.LameDuckModeHandler(func(*nats.Conn) { told <- true }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { down <- true }))
	must("connect", err)
	// The announcement goes to clients that have had the answer to a PING.
	must("flush", connection.Flush())
	ask("lame-duck")
	equal("it is told", receive("the announcement", told), true)
	talks("it works on meanwhile", connection, nil)
	equal("the end", receive("the end", down), true)
}
