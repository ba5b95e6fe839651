// What users do with the nats.go library, as checks that run against a server.
//
// The program prints a line for each check and ends with code 0 when all of them held. Where a scenario needs
// something done to the server it prints "ask" and what, and waits for a line on its input that says that it is done.
// tests/tests/clients runs all scenarios.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// What the scenarios expect where a server asks for credentials.
const (
	token    = "s3cret"
	user     = "alice"
	password = "w0nder"
)

// patience is how long an expected message may take.
const patience = 60 * time.Second

var scenarios = map[string]func(address string){
	"connect":          connecting,
	"publish":          pair(publishAndSubscribe),
	"wildcards":        pair(wildcards),
	"queue_groups":     pair(queueGroups),
	"unsubscribe":      pair(unsubscribe),
	"headers":          pair(headers),
	"requests":         requestsInBothStyles,
	"request_many":     pair(requestMany),
	"no_responders":    noResponders,
	"payload_limit":    payloadLimit,
	"no_echo":          noEcho,
	"invalid_subject":  invalidSubject,
	"drain":            pair(drain),
	"slow_consumer":    slowConsumer,
	"reconnect":        reconnect,
	"lame_duck":        lameDuck,
	"services":         pair(services),
	"user_info":        userInfo,
	"token":            tokenScenario,
	"user":             userScenario,
	"nkey":             nkeyScenario,
	"no_auth_user":     noAuthUser,
	"permissions":      permissions,
	"allow_responses":  allowResponses,
	"accounts":         accounts,
	"account_streams":  accountStreams,
	"account_services": accountServices,
	"mappings":         mappings,
	"tls":              tlsScenario,
	"tls_optional":     tlsOptional,
	"tls_verify":       tlsVerify,
	"tls_first":        tlsFirst,
	"tls_self_signed":  tlsSelfSigned,
	"tls_map":          tlsMap,
}

// certificates is the folder of the certificates.
var certificates string

var (
	held  int
	input = bufio.NewReader(os.Stdin)
)

func main() {
	if len(os.Args) != 4 || scenarios[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: client SCENARIO ADDRESS CERTIFICATES")
		os.Exit(2)
	}
	certificates = os.Args[3]
	scenarios[os.Args[1]](os.Args[2])
	fmt.Printf("%d checks held\n", held)
}

// fail ends the program.
func fail(name string, reason any) {
	fmt.Printf("FAILED %s: %v\n", name, reason)
	os.Exit(1)
}

// ok is a check that held when err is nil.
func ok(name string, err error) {
	must(name, err)
	fmt.Println("ok", name)
	held++
}

// must is a step that is not worth a line of its own.
func must(name string, err error) {
	if err != nil {
		fail(name, err)
	}
}

// equal is a check that compares.
func equal[T comparable](name string, found, expected T) {
	if found != expected {
		fail(name, fmt.Sprintf("found %v, expected %v", found, expected))
	}
	ok(name, nil)
}

// ask has something done to the server and waits until it is.
func ask(action string) {
	fmt.Println("ask", action)
	line, err := input.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "done" {
		fail("ask "+action, fmt.Sprintf("was told %q, %v", line, err))
	}
}

// receive takes the next value of a channel, soon.
func receive[T any](name string, values <-chan T) T {
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		fail(name, "did not come")
		panic("unreachable")
	}
}
