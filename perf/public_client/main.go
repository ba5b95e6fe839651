// Load by the public Go client, as applications make it: what its users see of a server's speed.
//
// It prints `begin` and `end` where the measured time begins and ends, so that the server's CPU can be read there, and
// then the result as JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	subject = "public.client"
	// Messages that a publisher may be ahead of the slowest subscriber: a rate that receivers cannot take is none.
	windowMessages = 64 * 1024
	// How often a publisher looks whether it is ahead.
	lookMessages = 256
)

type options struct {
	server, tlsCA                    string
	mode                             string
	size                             int
	publishers, subscribers, clients int
	warmup, duration                 time.Duration
}

type result struct {
	Rate     float64 `json:"rate"`
	Count    uint64  `json:"count"`
	ElapsedS float64 `json:"elapsed_s"`
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "127.0.0.1:4222", "host:port")
	flag.StringVar(&o.tlsCA, "tls-ca", "", "speak TLS, and trust the authorities of this PEM file")
	flag.StringVar(&o.mode, "mode", "fan", "fan or request")
	flag.IntVar(&o.size, "size", 128, "bytes of a payload")
	flag.IntVar(&o.publishers, "publishers", 1, "connections that publish")
	flag.IntVar(&o.subscribers, "subscribers", 1, "connections that subscribe")
	flag.IntVar(&o.clients, "clients", 1, "connections that request")
	flag.DurationVar(&o.warmup, "warmup", time.Second, "time before measuring")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "time to measure")
	flag.Parse()
	var counters []*atomic.Uint64
	var stop atomic.Bool
	var done sync.WaitGroup
	switch o.mode {
	case "fan":
		counters = fan(o, &stop, &done)
	case "request":
		counters = request(o, &stop, &done)
	default:
		log.Fatalf("unknown mode %q", o.mode)
	}
	time.Sleep(o.warmup)
	before, began := total(counters), time.Now()
	fmt.Println("begin")
	time.Sleep(o.duration)
	count, elapsed := total(counters)-before, time.Since(began)
	fmt.Println("end")
	stop.Store(true)
	done.Wait()
	text, err := json.Marshal(result{float64(count) / elapsed.Seconds(), count, elapsed.Seconds()})
	must(err)
	fmt.Println(string(text))
}

func total(counters []*atomic.Uint64) (sum uint64) {
	for _, counter := range counters {
		sum += counter.Load()
	}
	return sum
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func connect(o options) *nats.Conn {
	settings := []nats.Option{nats.ErrorHandler(
		func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Fatal(err) })}
	if o.tlsCA != "" {
		settings = append(settings, nats.RootCAs(o.tlsCA))
	}
	connection, err := nats.Connect("nats://"+o.server, settings...)
	must(err)
	return connection
}

// Deliveries are counted, one counter a subscriber.
func fan(o options, stop *atomic.Bool, done *sync.WaitGroup) []*atomic.Uint64 {
	received := make([]*atomic.Uint64, o.subscribers)
	for i := range received {
		counter := new(atomic.Uint64)
		received[i] = counter
		connection := connect(o)
		subscription, err := connection.Subscribe(subject, func(*nats.Msg) { counter.Add(1) })
		must(err)
		must(subscription.SetPendingLimits(-1, -1))
		must(connection.Flush())
	}
	var sent atomic.Uint64
	for range o.publishers {
		connection, payload := connect(o), make([]byte, o.size)
		done.Add(1)
		go func() {
			defer done.Done()
			for !stop.Load() {
				for range lookMessages {
					must(connection.Publish(subject, payload))
				}
				ahead := sent.Add(lookMessages)
				for !stop.Load() && ahead > slowest(received)+windowMessages {
					must(connection.Flush())
				}
			}
		}()
	}
	return received
}

func slowest(received []*atomic.Uint64) uint64 {
	least := received[0].Load()
	for _, counter := range received[1:] {
		least = min(least, counter.Load())
	}
	return least
}

// Replies are counted, one counter a requester.
func request(o options, stop *atomic.Bool, done *sync.WaitGroup) []*atomic.Uint64 {
	responder := connect(o)
	_, err := responder.Subscribe(subject, func(message *nats.Msg) { must(message.Respond(message.Data)) })
	must(err)
	must(responder.Flush())
	answered := make([]*atomic.Uint64, o.clients)
	for i := range answered {
		counter := new(atomic.Uint64)
		answered[i] = counter
		connection, payload := connect(o), make([]byte, o.size)
		done.Add(1)
		go func() {
			defer done.Done()
			for !stop.Load() {
				_, err := connection.Request(subject, payload, 10*time.Second)
				must(err)
				counter.Add(1)
			}
		}()
	}
	return answered
}
