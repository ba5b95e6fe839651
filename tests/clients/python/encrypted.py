"""TLS in its forms."""

import ssl

from checks import ADDRESS, CERTIFICATES, Errors, connect, equal, following, refusal, talks, truth


def context(authority="ca.pem", certificate=None):
    """What a client trusts, and the certificate that it shows."""
    made = ssl.create_default_context(cafile=f"{CERTIFICATES}/{authority}")
    if certificate is not None:
        made.load_cert_chain(f"{CERTIFICATES}/{certificate}-cert.pem", f"{CERTIFICATES}/{certificate}-key.pem")
    return made


async def let_in(name, tls, **options):
    connection = await connect(servers=f"tls://{ADDRESS}", tls=tls, **options)
    await talks(name, connection)
    return connection


async def refused(name, tls):
    error = await refusal(name, connect(servers=f"tls://{ADDRESS}", tls=tls, allow_reconnect=False))
    truth(name, error is not None, error)


async def tls():
    connection = await let_in("an authority that signed the server's certificate", context())
    await let_in("a certificate that nobody asks for", context(certificate="client"))
    await refused("another authority", context("stranger-ca.pem"))
    large = b"x" * 300_000
    subscription = await connection.subscribe("large")
    await connection.publish("large", large)
    equal("a payload of many records", (await following("a message", subscription)).data == large, True)


async def tls_optional():
    await talks("without TLS", await connect())
    await let_in("with TLS", context())


async def tls_verify():
    await let_in("a certificate of the client", context(certificate="client"))
    await refused("none", context())
    await refused("one that somebody else signed", context(certificate="stranger"))


async def tls_first():
    await let_in("TLS before anything else", context(), tls_handshake_first=True)


async def tls_self_signed():
    await let_in("a certificate that is its own authority", context("lone-cert.pem"))
    await refused("somebody else's authority", context())


async def tls_map():
    told = Errors()
    connection = await let_in("a certificate as the user", context(certificate="client"), error_cb=told.take)
    await connection.publish("secret", b"x")
    error = await told.following("a violation", "permissions violation")
    truth("with that user's permissions", '"secret"' in str(error), error)
    tls = context(certificate="guest")
    error = await refusal("nobody", connect(servers=f"tls://{ADDRESS}", tls=tls, allow_reconnect=False))
    truth("a certificate of nobody", "authorization violation" in str(error).lower(), error)


SCENARIOS = {
    "tls": tls,
    "tls_optional": tls_optional,
    "tls_verify": tls_verify,
    "tls_first": tls_first,
    "tls_self_signed": tls_self_signed,
    "tls_map": tls_map,
}
