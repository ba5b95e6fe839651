package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// dial connects, with as much patience as for anything else.
func dial(address string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(address, append([]nats.Option{nats.Timeout(patience)}, options...)...)
}

// connect opens a connection that reports its asynchronous errors as failures.
func connect(address string, options ...nats.Option) *nats.Conn {
	options = append([]nats.Option{
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fail("asynchronous error", err) }),
	}, options...)
	connection, err := dial("nats://"+address, options...)
	must("connect", err)
	return connection
}

// pair makes a scenario of what is done with two connections.
func pair(body func(publisher, subscriber *nats.Conn)) func(address string) {
	return func(address string) {
		body(connect(address, nats.Name("publisher")), connect(address, nats.Name("subscriber")))
	}
}

func connecting(address string) {
	connection := connect(address, nats.Name("named"), func(options *nats.Options) error {
		options.Verbose, options.Pedantic = true, true
		return nil
	})
	equal("the version that clients decide by", connection.ConnectedServerVersion(), "2.15.2")
	equal("headers are supported", connection.HeadersSupported(), true)
	equal("a payload may have a mebibyte", connection.MaxPayload(), 1048576)
	equal("no credentials are asked for", connection.AuthRequired(), false)
	equal("no TLS is asked for", connection.TLSRequired(), false)
	equal("the server that it is at", connection.ConnectedAddr(), address)
	id, err := connection.GetClientID()
	must("client id", err)
	equal("a client id", id > 0, true)
	own, err := connection.GetClientIP()
	must("client address", err)
	equal("the client's address", own.String(), "127.0.0.1")
	_, err = connection.RTT()
	ok("a round trip", err)
	other, err := dial("nats://127.0.0.1:1,nats://"+address, nats.DontRandomize())
	must("connect", err)
	equal("the second server is taken when the first is not there", other.ConnectedAddr(), address)
	other.Close()
	equal("closed", other.IsClosed(), true)
	_, err = dial("nats://127.0.0.1:1")
	equal("a connection refused is said", err != nil, true)
}

func publishAndSubscribe(publisher, subscriber *nats.Conn) {
	const messages = 10_000
	subscription, err := subscriber.SubscribeSync("orders.new")
	must("subscribe", err)
	must("flush", subscriber.Flush())
	for number := range messages {
		must("publish", publisher.Publish("orders.new", []byte(strconv.Itoa(number))))
	}
	ok("flush", publisher.Flush())
	for number := range messages {
		message, err := subscription.NextMsg(patience)
		must("next message", err)
		if string(message.Data) != strconv.Itoa(number) {
			fail("order", fmt.Sprintf("%s in place of %d", message.Data, number))
		}
	}
	ok("publish and subscribe, in order", nil)
	must("publish", publisher.PublishRequest("orders.new", "answers.here", nil))
	must("flush", publisher.Flush())
	message, err := subscription.NextMsg(patience)
	must("next message", err)
	equal("an empty payload", len(message.Data), 0)
	equal("a reply subject", message.Reply, "answers.here")

	received := make(chan *nats.Msg, 1)
	_, err = subscriber.Subscribe("by.callback", func(message *nats.Msg) { received <- message })
	must("subscribe", err)
	must("flush", subscriber.Flush())
	must("publish", publisher.Publish("by.callback", []byte("hi")))
	equal("a callback", string(receive("a callback", received).Data), "hi")
}

func wildcards(publisher, subscriber *nats.Conn) {
	star, err := subscriber.SubscribeSync("weather.*.today")
	must("subscribe", err)
	rest, err := subscriber.SubscribeSync("weather.>")
	must("subscribe", err)
	must("flush", subscriber.Flush())
	for _, subject := range []string{"weather.north.today", "weather.north", "weather.north.today.late", "weather"} {
		must("publish", publisher.Publish(subject, nil))
	}
	must("flush", publisher.Flush())
	must("flush", subscriber.Flush())
	message, err := star.NextMsg(patience)
	must("next message", err)
	equal("a star", message.Subject, "weather.north.today")
	for _, subject := range []string{"weather.north.today", "weather.north", "weather.north.today.late"} {
		message, err := rest.NextMsg(patience)
		must("next message", err)
		equal("the rest", message.Subject, subject)
	}
	pending, _, err := star.Pending()
	must("pending", err)
	pendingRest, _, err := rest.Pending()
	must("pending", err)
	equal("nothing else came", pending+pendingRest, 0)
	must("unsubscribe", errors.Join(star.Unsubscribe(), rest.Unsubscribe()))
}

func queueGroups(publisher, subscriber *nats.Conn) {
	const messages = 300
	var counts [2]atomic.Int64
	var arrived sync.WaitGroup
	arrived.Add(messages)
	for index, member := range []*nats.Conn{publisher, subscriber} {
		_, err := member.QueueSubscribe([]string{"jobs.*", "jobs.>"}[index], "workers", func(*nats.Msg) {
			counts[index].Add(1)
			arrived.Done()
		})
		must("queue subscribe", err)
		must("flush", member.Flush())
	}
	for range messages {
		must("publish", publisher.Publish("jobs.one", []byte("x")))
	}
	must("flush", publisher.Flush())
	done := make(chan bool)
	go func() { arrived.Wait(); done <- true }()
	receive("all jobs", done)
	must("flush", subscriber.Flush())
	equal("a queue group gets each message once", counts[0].Load()+counts[1].Load(), messages)
	equal("both members work", min(counts[0].Load(), counts[1].Load()) > messages/5, true)
}

func unsubscribe(publisher, subscriber *nats.Conn) {
	limited, err := subscriber.SubscribeSync("limited")
	must("subscribe", err)
	must("limit", limited.AutoUnsubscribe(3))
	ended, err := subscriber.SubscribeSync("limited")
	must("subscribe", err)
	must("unsubscribe", ended.Unsubscribe())
	must("flush", subscriber.Flush())
	for range 10 {
		must("publish", publisher.Publish("limited", []byte("x")))
	}
	must("flush", publisher.Flush())
	for range 3 {
		_, err := limited.NextMsg(patience)
		must("next message", err)
	}
	_, err = limited.NextMsg(100 * time.Millisecond)
	equal("unsubscribe after three messages", errors.Is(err, nats.ErrMaxMessages), true)
	equal("unsubscribe at once", ended.IsValid(), false)
}

func headers(publisher, subscriber *nats.Conn) {
	subscription, err := subscriber.SubscribeSync("with.headers")
	must("subscribe", err)
	must("flush", subscriber.Flush())
	message := nats.NewMsg("with.headers")
	message.Header.Add("Key", "one")
	message.Header.Add("Key", "two")
	message.Header["lower-case"] = []string{"value with blanks"}
	message.Data = []byte("body")
	must("publish", publisher.PublishMsg(message))
	must("flush", publisher.Flush())
	received, err := subscription.NextMsg(patience)
	must("next message", err)
	equal("headers arrive as sent", fmt.Sprint(received.Header), fmt.Sprint(message.Header))
	equal("beside their payload", string(received.Data), "body")
}

func requests(requester, responder *nats.Conn) {
	service, err := responder.QueueSubscribe("service.echo", "q", func(request *nats.Msg) {
		must("respond", request.Respond(request.Data))
	})
	must("subscribe", err)
	must("flush", responder.Flush())
	for number := range 500 {
		text := fmt.Sprintf("request %d", number)
		answer, err := requester.Request("service.echo", []byte(text), patience)
		must("request", err)
		if string(answer.Data) != text {
			fail("request", fmt.Sprintf("%s in place of %s", answer.Data, text))
		}
	}
	ok("500 requests and answers", nil)
	var right atomic.Int64
	var group sync.WaitGroup
	for number := range 200 {
		group.Go(func() {
			text := []byte(strconv.Itoa(number))
			answer, err := requester.Request("service.echo", text, patience)
			if err == nil && bytes.Equal(answer.Data, text) {
				right.Add(1)
			}
		})
	}
	group.Wait()
	equal("200 requests at a time", right.Load(), 200)
	request := nats.NewMsg("service.echo")
	request.Header.Set("Trace", "1")
	request.Data = []byte("h")
	answer, err := requester.RequestMsg(request, patience)
	must("request", err)
	equal("a request with headers", string(answer.Data), "h")
	must("unsubscribe", service.Unsubscribe())
	must("flush", responder.Flush())
	_, err = requester.Request("service.echo", nil, patience)
	equal("no responders any more", errors.Is(err, nats.ErrNoResponders), true)
	_, err = responder.SubscribeSync("silent")
	must("subscribe", err)
	must("flush", responder.Flush())
	_, err = requester.Request("silent", nil, 100*time.Millisecond)
	equal("an answer that does not come in time", errors.Is(err, nats.ErrTimeout), true)
}

func requestMany(requester, responder *nats.Conn) {
	for _, name := range []string{"a", "b", "c"} {
		_, err := responder.Subscribe("who.is.there", func(request *nats.Msg) {
			must("respond", request.Respond([]byte(name)))
		})
		must("subscribe", err)
	}
	must("flush", responder.Flush())
	inbox := requester.NewRespInbox()
	answers, err := requester.SubscribeSync(inbox)
	must("subscribe", err)
	must("publish", requester.PublishRequest("who.is.there", inbox, nil))
	var found []string
	for range 3 {
		answer, err := answers.NextMsg(patience)
		must("an answer", err)
		found = append(found, string(answer.Data))
	}
	slices.Sort(found)
	equal("an answer of everybody", strings.Join(found, ""), "abc")
}

func noResponders(address string) {
	connection := connect(address)
	_, err := connection.Request("nobody.here", nil, patience)
	equal("no responders", errors.Is(err, nats.ErrNoResponders), true)
	old := connect(address, nats.UseOldRequestStyle())
	_, err = old.Request("nobody.here", nil, patience)
	equal("no responders, by an inbox of its own", errors.Is(err, nats.ErrNoResponders), true)
	subscription, err := connection.SubscribeSync("answers.here")
	must("subscribe", err)
	must("publish", connection.PublishRequest("nobody.here", "answers.here", nil))
	// The library takes the notice for an error of the subscription.
	_, err = subscription.NextMsg(patience)
	equal("the notice", errors.Is(err, nats.ErrNoResponders), true)
}

// requestsInBothStyles uses one inbox for all requests, then one for each.
func requestsInBothStyles(address string) {
	responder := connect(address)
	requests(connect(address), responder)
	oldRequests(address, responder)
}

// oldRequests are those with a new inbox and an UNSUB 1 each.
func oldRequests(address string, responder *nats.Conn) {
	connection := connect(address, nats.UseOldRequestStyle(), nats.CustomInboxPrefix("_MINE"))
	defer connection.Close()
	service, err := responder.Subscribe("service.old", func(request *nats.Msg) {
		must("respond", request.Respond([]byte("yes")))
	})
	must("subscribe", err)
	must("flush", responder.Flush())
	for range 200 {
		answer, err := connection.Request("service.old", nil, patience)
		must("request", err)
		if string(answer.Data) != "yes" {
			fail("request in the old style", answer.Data)
		}
	}
	ok("requests in the old style", nil)
	must("unsubscribe", service.Unsubscribe())
	must("flush", responder.Flush())
	_, err = connection.Request("service.old", nil, patience)
	equal("no responders in the old style", errors.Is(err, nats.ErrNoResponders), true)
}

func payloadLimit(address string) {
	connection := connect(address)
	limit := int(connection.MaxPayload())
	equal("the configured limit", limit, 4096)
	must("publish", connection.Publish("large", make([]byte, limit)))
	ok("the largest payload", connection.Flush())
	err := connection.Publish("large", make([]byte, limit+1))
	equal("one byte more", errors.Is(err, nats.ErrMaxPayload), true)
	ok("the connection lives", connection.Flush())
}

func noEcho(address string) {
	connection := connect(address, nats.NoEcho())
	defer connection.Close()
	subscription, err := connection.SubscribeSync("echo")
	must("subscribe", err)
	must("publish", connection.Publish("echo", []byte("x")))
	must("flush", connection.Flush())
	pending, _, err := subscription.Pending()
	must("pending", err)
	equal("without echo nothing of one's own arrives", pending, 0)
}

// invalidSubject is what the server says about a subscription that it refuses.
func invalidSubject(address string) {
	told := make(chan error, 1)
	connection := connect(address, nats.SkipSubjectValidation(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))
	defer connection.Close()
	_, err := connection.SubscribeSync("a..b")
	if err == nil {
		must("flush", connection.Flush())
		err = receive("the error", told)
	}
	equal("an invalid subject is said", err != nil, true)
	ok("the connection lives", connection.Flush())
}

func drain(publisher, subscriber *nats.Conn) {
	const messages = 1000
	var received [2]atomic.Int64
	slowly := func(index int) nats.MsgHandler {
		return func(*nats.Msg) {
			time.Sleep(50 * time.Microsecond)
			received[index].Add(1)
		}
	}
	ended := make(chan bool, 1)
	subscription, err := subscriber.Subscribe("drained", slowly(0))
	must("subscribe", err)
	subscription.SetClosedHandler(func(string) { ended <- true })
	_, err = subscriber.Subscribe("drained.too", slowly(1))
	must("subscribe", err)
	must("flush", subscriber.Flush())
	for range messages {
		must("publish", publisher.Publish("drained", []byte("x")))
		must("publish", publisher.Publish("drained.too", []byte("x")))
	}
	must("flush", publisher.Flush())
	must("drain", subscription.Drain())
	receive("the end of the drained subscription", ended)
	equal("draining a subscription loses nothing", received[0].Load(), messages)
	closed := make(chan bool, 1)
	subscriber.SetClosedHandler(func(*nats.Conn) { closed <- true })
	must("drain", subscriber.Drain())
	receive("the end of the drained connection", closed)
	equal("draining a connection loses nothing", received[1].Load(), messages)
}

// slowConsumer is one that the library finds slow.
func slowConsumer(address string) {
	told := make(chan error, 100)
	publisher := connect(address)
	subscriber := connect(address,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))
	subscription, err := subscriber.SubscribeSync("flood")
	must("subscribe", err)
	must("limit", subscription.SetPendingLimits(10, -1))
	must("flush", subscriber.Flush())
	for range 100 {
		must("publish", publisher.Publish("flood", nil))
	}
	must("flush", publisher.Flush())
	must("flush", subscriber.Flush())
	equal("it is told that it is slow", errors.Is(receive("a word about it", told), nats.ErrSlowConsumer), true)
	pending, _, err := subscription.Pending()
	must("pending", err)
	equal("what it could hold", pending, 10)
	dropped, err := subscription.Dropped()
	must("dropped", err)
	equal("and not", dropped, 90)
}
