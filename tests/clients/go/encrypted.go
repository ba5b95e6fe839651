package main

import (
	"errors"

	"github.com/nats-io/nats.go"
)

func authority(name string) nats.Option {
	return nats.RootCAs(certificates + "/" + name)
}

func certificate(name string) nats.Option {
	return nats.ClientCert(certificates+"/"+name+"-cert.pem", certificates+"/"+name+"-key.pem")
}

// refusedByTLS checks that no connection came about.
func refusedByTLS(name, address string, options ...nats.Option) {
	_, err := dial("nats://"+address, options...)
	equal(name, err != nil, true)
}

func tlsScenario(address string) {
	connection, err := dial("nats://"+address, authority("ca.pem"))
	talks("an authority that signed the server's certificate", connection, err)
	equal("TLS is asked for", connection.TLSRequired(), true)
	state, err := connection.TLSConnectionState()
	must("state of TLS", err)
	equal("the handshake is complete", state.HandshakeComplete, true)
	other, err := dial("tls://"+address, authority("ca.pem"), certificate("client"))
	talks("a certificate that nobody asks for", other, err)
	refusedByTLS("another authority", address, authority("stranger-ca.pem"))
	refusedByTLS("no authority", address)
	subscription := subscribed(connection, "large")
	must("publish", connection.Publish("large", make([]byte, 300_000)))
	equal("a payload of many records", len(next(subscription).Data), 300_000)
}

func tlsOptional(address string) {
	connection, err := dial("nats://" + address)
	talks("without TLS", connection, err)
	_, err = connection.TLSConnectionState()
	equal("there is none then", err != nil, true)
	connection, err = dial("tls://"+address, authority("ca.pem"))
	talks("with TLS", connection, err)
	_, err = connection.TLSConnectionState()
	ok("there is one then", err)
}

func tlsVerify(address string) {
	connection, err := dial("tls://"+address, authority("ca.pem"), certificate("client"))
	talks("a certificate of the client", connection, err)
	refusedByTLS("none", address, authority("ca.pem"))
	refusedByTLS("one that somebody else signed", address, authority("ca.pem"), certificate("stranger"))
}

func tlsFirst(address string) {
	connection, err := dial("tls://"+address, authority("ca.pem"), nats.TLSHandshakeFirst())
	talks("TLS before anything else", connection, err)
}

func tlsSelfSigned(address string) {
	connection, err := dial("tls://"+address, authority("lone-cert.pem"))
	talks("a certificate that is its own authority", connection, err)
	refusedByTLS("somebody else's authority", address, authority("ca.pem"))
}

func tlsMap(address string) {
	option, told := heard()
	connection, err := dial("tls://"+address, authority("ca.pem"), certificate("client"), option)
	talks("a certificate as the user", connection, err)
	must("publish", connection.Publish("secret", nil))
	violation("with that user's permissions", told, `publish to "secret"`)
	_, err = dial("tls://"+address, authority("ca.pem"), certificate("guest"))
	equal("a certificate of nobody", errors.Is(err, nats.ErrAuthorization), true)
}
