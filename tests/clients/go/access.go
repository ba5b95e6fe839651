package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// The seeds of a user that the server knows, and of one that it does not know.
const (
	seed      = "SUADCIZ3TBX7BB7QTAJKXXCPFCAKH2JU6LQZ2UP63GLJ3FPH5ECEMHW3UA"
	otherSeed = "SUAOEKQUYVE754EOH3KQ33H5U6PFJUAXVDCQCYPXLRD6IHVSTSRBY6XZUI"
)

// refused checks that a connection was not let in.
func refused(name string, _ *nats.Conn, err error) {
	equal(name, errors.Is(err, nats.ErrAuthorization), true)
}

func tokenScenario(address string) {
	connection, err := dial("nats://"+address, nats.Token(token))
	talks("the right token", connection, err)
	equal("credentials are asked for", connection.AuthRequired(), true)
	connection, err = dial("nats://" + token + "@" + address)
	talks("the token in the address", connection, err)
	connection, err = dial("nats://"+address, nats.Token("wrong"))
	refused("a wrong token", connection, err)
	connection, err = dial("nats://" + address)
	refused("no token", connection, err)
}

func userScenario(address string) {
	connection, err := dial("nats://"+address, nats.UserInfo(user, password))
	talks("the right password", connection, err)
	connection, err = dial("nats://" + user + ":" + password + "@" + address)
	talks("both in the address", connection, err)
	connection, err = dial("nats://"+address, nats.UserInfo(user, "wrong"))
	refused("a wrong one", connection, err)
	connection, err = dial("nats://"+address, nats.UserInfo("bob", password))
	refused("another user", connection, err)
	connection, err = dial("nats://" + address)
	refused("nobody", connection, err)
}

// signer is the option for a user with a key.
func signer(text string) nats.Option {
	pair, err := nkeys.FromSeed([]byte(text))
	must("seed", err)
	public, err := pair.PublicKey()
	must("public key", err)
	return nats.Nkey(public, pair.Sign)
}

func nkeyScenario(address string) {
	connection, err := dial("nats://"+address, signer(seed))
	talks("the right key", connection, err)
	connection, err = dial("nats://"+address, signer(otherSeed))
	refused("another key", connection, err)
	connection, err = dial("nats://" + address)
	refused("nobody", connection, err)
}

func noAuthUser(address string) {
	connection, err := dial("nats://" + address)
	talks("without credentials", connection, err)
	connection, err = dial("nats://"+address, nats.UserInfo(user, password))
	talks("with credentials", connection, err)
	connection, err = dial("nats://"+address, nats.UserInfo(user, "wrong"))
	refused("with wrong ones", connection, err)
}

func alice(address string) *nats.Conn {
	return connect(address, nats.UserInfo(user, password))
}

func bob(address string, options ...nats.Option) *nats.Conn {
	return connect(address, append(options, nats.UserInfo("bob", "bu1lder"))...)
}

func carol(address string, options ...nats.Option) *nats.Conn {
	return connect(address, append(options, nats.UserInfo("carol", "s1nger"))...)
}

// heard is the option that collects asynchronous errors, and the channel with them.
func heard() (nats.Option, <-chan error) {
	told := make(chan error, 100)
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }), told
}

// subscribed subscribes and waits until that is in force.
func subscribed(connection *nats.Conn, subject string) *nats.Subscription {
	subscription, err := connection.SubscribeSync(subject)
	must("subscribe", err)
	must("flush", connection.Flush())
	return subscription
}

// next is the next message, soon.
func next(subscription *nats.Subscription) *nats.Msg {
	message, err := subscription.NextMsg(patience)
	must("a message for "+subscription.Subject, err)
	return message
}

// serve answers what comes on a subject.
func serve(connection *nats.Conn, subject string, answers ...string) {
	_, err := connection.Subscribe(subject, func(request *nats.Msg) {
		for _, answer := range answers {
			must("respond", request.Respond([]byte(answer)))
		}
	})
	must("subscribe", err)
	must("flush", connection.Flush())
}

// violation checks that the next error is a violation with these words.
func violation(name string, told <-chan error, words string) {
	err := receive(name, told)
	equal(name+" is a violation", errors.Is(err, nats.ErrPermissionViolation), true)
	if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(words)) {
		fail(name, fmt.Sprintf("%v does not say %s", err, words))
	}
}

func permissions(address string) {
	option, told := heard()
	alice, bob := alice(address), bob(address, option)
	seen := subscribed(alice, ">")
	must("publish", bob.Publish("orders.new", []byte("1")))
	equal("what may be published arrives", next(seen).Subject, "orders.new")
	for _, subject := range []string{"other", "orders.secret"} {
		must("publish", bob.Publish(subject, nil))
		violation("publishing "+subject, told, `publish to "`+subject+`"`)
	}
	inForce := subscribed(bob, "orders.*")
	must("publish", alice.Publish("orders.secret", []byte("3")))
	must("publish", alice.Publish("orders.new", []byte("4")))
	equal("a denied subject is left out of a wildcard", string(next(inForce).Data), "4")
	subscribed(bob, "elsewhere")
	violation("a subscription", told, `subscription to "elsewhere"`)
	worker, err := bob.QueueSubscribeSync("work.a", "workers")
	must("subscribe", err)
	must("flush", bob.Flush())
	must("publish", alice.Publish("work.a", []byte("5")))
	equal("the group that is allowed", string(next(worker).Data), "5")
	_, err = bob.QueueSubscribeSync("work.a", "others")
	must("subscribe", err)
	violation("another group", told, `using queue "others"`)
	must("unsubscribe", seen.Unsubscribe())
	must("flush", alice.Flush())
	_, err = bob.Request("orders.nobody.here", nil, patience)
	equal("a request that may be sent has no responders", errors.Is(err, nats.ErrNoResponders), true)
	must("publish", bob.Publish("orders.talk", []byte("x")))
	equal("the connection lives", string(next(inForce).Data), "x")
}

func allowResponses(address string) {
	option, told := heard()
	alice, carol := alice(address), carol(address, option)
	serve(carol, "service.echo", "first", "second")
	answer, err := alice.Request("service.echo", nil, patience)
	must("request", err)
	equal("an answer is allowed", string(answer.Data), "first")
	violation("a second one", told, "_inbox.")
	must("publish", carol.Publish("other", nil))
	violation("something else", told, `publish to "other"`)
}

func accounts(address string) {
	connections := []*nats.Conn{alice(address), bob(address), carol(address)}
	var subscriptions []*nats.Subscription
	for _, connection := range connections {
		subscriptions = append(subscriptions, subscribed(connection, "same.subject"))
	}
	for index, connection := range connections {
		must("publish", connection.Publish("same.subject", fmt.Append(nil, index)))
	}
	for range 2 {
		for _, connection := range connections {
			must("flush", connection.Flush())
		}
	}
	for index, subscription := range subscriptions {
		equal("one's own account", string(next(subscription).Data), fmt.Sprint(index))
		pending, _, err := subscription.Pending()
		must("pending", err)
		equal("and no other", pending, 0)
	}
	connection, err := dial("nats://"+address, nats.UserInfo("dave", "x"))
	refused("a user of none", connection, err)
	connection, err = dial("nats://" + address)
	refused("nobody", connection, err)
}

func accountStreams(address string) {
	alice, bob, carol := alice(address), bob(address), carol(address)
	imported, every, foreign := subscribed(bob, "from.a.events.*"), subscribed(bob, ">"), subscribed(carol, ">")
	must("publish", alice.PublishRequest("events.one", "answers.here", []byte("1")))
	message := next(imported)
	equal("a stream arrives under its prefix", message.Subject, "from.a.events.one")
	equal("its reply as sent", message.Reply, "answers.here")
	equal("by a wider subscription too", next(every).Subject, "from.a.events.one")
	must("publish", bob.Publish("from.a.events.one", nil))
	must("publish", bob.Publish("events.one", nil))
	must("flush", bob.Flush())
	must("flush", carol.Flush())
	pending, _, err := foreign.Pending()
	must("pending", err)
	equal("an account that does not import gets nothing", pending, 0)
}

func accountServices(address string) {
	alice, bob, carol := alice(address), bob(address), carol(address)
	serve(alice, "time.now", "noon")
	serve(alice, "private.work", "done")
	serve(alice, "parts", "1", "2", "3")
	for subject, expected := range map[string]string{"clock": "noon", "private.work": "done"} {
		for range 2 {
			answer, err := bob.Request(subject, nil, patience)
			must("request", err)
			equal("the service "+subject, string(answer.Data), expected)
		}
	}
	inbox := bob.NewInbox()
	parts := subscribed(bob, inbox)
	must("publish", bob.PublishRequest("parts", inbox, nil))
	for _, expected := range []string{"1", "2", "3"} {
		equal("several answers", string(next(parts).Data), expected)
	}
	for _, subject := range []string{"time.now", "clock", "private.work"} {
		_, err := carol.Request(subject, nil, patience)
		equal("nobody serves "+subject+" where it is not imported", errors.Is(err, nats.ErrNoResponders), true)
	}
}

func mappings(address string) {
	const messages = 400
	connection := connect(address)
	subscription, old := subscribed(connection, "new.*"), subscribed(connection, "old.*")
	must("publish", connection.Publish("old.one", []byte("1")))
	equal("a mapped subject", next(subscription).Subject, "new.one")
	pending, _, err := old.Pending()
	must("pending", err)
	equal("instead of the old one", pending, 0)
	swapped := subscribed(connection, "swapped.>")
	must("publish", connection.Publish("swap.a.b", nil))
	equal("tokens in another order", next(swapped).Subject, "swapped.b.a")
	first, second := subscribed(connection, "weighed.a"), subscribed(connection, "weighed.b")
	for range messages {
		must("publish", connection.Publish("weighed", nil))
	}
	must("flush", connection.Flush())
	firstCount, _, err := first.Pending()
	must("pending", err)
	secondCount, _, err := second.Pending()
	must("pending", err)
	equal("weights lose nothing", firstCount+secondCount, messages)
	equal("both get their share", min(firstCount, secondCount) > messages/4, true)
	serve(connection, "new.service", "yes")
	answer, err := connection.Request("old.service", nil, patience)
	must("request", err)
	equal("a mapped request", string(answer.Data), "yes")
}

func userInfo(address string) {
	answer, err := connect(address).Request("$SYS.REQ.USER.INFO", nil, patience)
	must("request", err)
	var info struct{ Data struct{ Account string } }
	must("JSON", json.Unmarshal(answer.Data, &info))
	equal("who one is", info.Data.Account, "$G")
}
