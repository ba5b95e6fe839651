//! TLS and the PROXY protocol as upstream does them: a table of what clients do and what becomes of them, true of petrel
//! and, where it is installed, of upstream's own program.

mod support;

use rcgen::{DnType, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig};
use std::sync::Arc;
use support::table::{Act, Table};
use support::workshop::{CLIENTS, Plan, SERVERS, Workshop};

/// A workshop with a server's certificate of an authority.
fn workshop() -> Workshop {
    let mut workshop = Workshop::new();
    workshop.self_signed("authority", Plan::new("test authority").authority());
    let plan = Plan::new("server").extended(SERVERS).names(&["localhost", "127.0.0.1"]);
    workshop.signed("server", "authority", plan);
    workshop
}

const LISTED_1_3: &str = "1.3 TLS_AES_128_GCM_SHA256";
const LISTED_1_2: &str = "1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
const REFUSED: &str = "TLS Handshake Failure; tls: failed to verify certificate: x509: ";

/// What becomes of a certificate: its subject, or a text and those who are named in the log.
type Verdict = Result<&'static str, (String, &'static str)>;

/// Clients' certificates by name.
fn clients(workshop: &mut Workshop) -> Vec<(&'static str, Verdict)> {
    let client = |name: &str| Plan::new(name).extended(CLIENTS);
    let expired = |what: &str| {
        Err((format!("certificate has expired or is not yet valid: current time  is {what}"), ""))
    };
    let unknown = "certificate signed by unknown authority";
    let hint = |problem: &str, authority: &str| {
        format!(
            "{unknown} (possibly because of \"x509: {problem}\" while trying to verify candidate authority \
             certificate \"{authority}\")"
        )
    };
    let not_an_authority = "invalid signature: parent certificate cannot sign this kind of certificate";
    let usage = || Err(("certificate specifies an incompatible key usage".to_owned(), ""));
    workshop.signed("plain", "authority", client("plain"));
    workshop.signed("unrestricted", "authority", Plan::new("unrestricted"));
    workshop.signed("servers", "authority", Plan::new("servers").extended(SERVERS));
    workshop.signed("any", "authority", Plan::new("any").extended(rcgen::ExtendedKeyUsagePurpose::Any));
    workshop.signed("leaf-authority", "authority", Plan::new("leaf-authority").authority());
    workshop.self_signed("self", Plan::new("self").authority());
    workshop.self_signed("self-plain", Plan::new("self-plain").no_authority());
    workshop.self_signed("self-servers", Plan::new("self-servers").authority().extended(SERVERS));
    workshop.self_signed("self-old", Plan::new("self-old").authority().years(2020, 2021));
    workshop.self_signed("self-other", Plan::new("self").authority());
    workshop.signed("by-self-plain", "self-plain", client("by-self-plain"));
    workshop.signed("by-self-old", "self-old", client("by-self-old"));
    workshop.signed("expired", "authority", client("expired").years(2020, 2021));
    workshop.signed("early", "authority", client("early").years(2110, 2120));
    workshop.self_signed("namesake", Plan::new("test authority").authority());
    workshop.signed("by-namesake", "namesake", client("by-namesake"));
    workshop.self_signed("stranger", Plan::new("stranger").authority());
    workshop.signed("by-stranger", "stranger", client("by-stranger"));
    workshop.signed("between", "authority", Plan::new("between").authority_above(0));
    workshop.signed("end", "between", client("end"));
    workshop.signed("below", "between", Plan::new("below").authority());
    workshop.signed("far-end", "below", client("far-end"));
    let no_signer = Plan::new("no-signer").authority().usage(KeyUsagePurpose::DigitalSignature);
    workshop.signed("no-signer", "authority", no_signer);
    workshop.signed("by-no-signer", "no-signer", client("by-no-signer"));
    workshop.signed("by-leaf", "unrestricted", client("by-leaf"));
    workshop.signed("for-servers", "authority", Plan::new("for-servers").authority().extended(SERVERS));
    workshop.signed("by-for-servers", "for-servers", client("by-for-servers"));
    for (chain, parts) in [
        ("end-chain", &["end.pem", "between.pem"][..]),
        ("far-end-chain", &["far-end.pem", "below.pem", "between.pem"]),
        ("by-no-signer-chain", &["by-no-signer.pem", "no-signer.pem"]),
        ("by-leaf-chain", &["by-leaf.pem", "unrestricted.pem"]),
        ("by-for-servers-chain", &["by-for-servers.pem", "for-servers.pem"]),
    ] {
        workshop.join(&format!("{chain}.pem"), parts);
        let key = parts[0].replace(".pem", ".key");
        workshop.join(&format!("{chain}.key"), &[&key]);
    }
    for file in ["old-authority.pem", "old-client.pem", "old-client.key"] {
        workshop.bring(file);
    }
    let pool =
        ["authority", "self", "self-plain", "self-servers", "self-old"].map(|name| format!("{name}.pem"));
    let pool: Vec<&str> = pool.iter().map(String::as_str).chain(["old-authority.pem"]).collect();
    workshop.join("pool.pem", &pool);
    vec![
        ("plain", Ok("CN=plain")),
        ("unrestricted", Ok("CN=unrestricted")),
        ("servers", usage()),
        ("any", Ok("CN=any")),
        ("leaf-authority", Ok("CN=leaf-authority")),
        ("self", Ok("CN=self")),
        ("self-plain", Ok("CN=self-plain")),
        ("self-servers", usage()),
        ("self-old", expired("after 2021-01-01T00:00:00Z")),
        ("self-other", Err((hint("ECDSA verification failure", "self"), "CN=self SHA-256: "))),
        ("by-self-plain", Err((hint(not_an_authority, "self-plain"), ""))),
        ("by-self-old", expired("after 2021-01-01T00:00:00Z")),
        ("expired", expired("after 2021-01-01T00:00:00Z")),
        ("early", expired("before 2110-01-01T00:00:00Z")),
        ("by-namesake", Err((hint("ECDSA verification failure", "test authority"), ""))),
        ("by-stranger", Err((unknown.to_owned(), ""))),
        ("end", Err((unknown.to_owned(), ""))),
        ("end-chain", Ok("CN=end")),
        (
            "far-end-chain",
            Err((
                "too many intermediates for path length constraint".to_owned(),
                "CN=far-end SHA-256: ; CN=below SHA-256: ; CN=between SHA-256: ",
            )),
        ),
        (
            "by-no-signer-chain",
            Err((hint(not_an_authority, "no-signer"), "CN=by-no-signer SHA-256: ; CN=no-signer SHA-256: ")),
        ),
        (
            "by-leaf-chain",
            Err((hint(not_an_authority, "unrestricted"), "CN=by-leaf SHA-256: ; CN=unrestricted SHA-256: ")),
        ),
        (
            "by-for-servers-chain",
            Err((
                "certificate specifies an incompatible key usage".to_owned(),
                "CN=by-for-servers SHA-256: ; CN=for-servers SHA-256: ",
            )),
        ),
        ("old-client", Ok("CN=old client")),
    ]
}

#[test]
fn clients_certificates_are_judged_by_upstreams_rules() {
    let mut workshop = workshop();
    let clients = clients(&mut workshop);
    let (files, pool) = (workshop.files("server"), workshop.text("pool.pem"));
    let mut table = Table::new(format!("tls {{ {files}, ca_file: \"{pool}\", verify: true, timeout: 60 }}"));
    for (version, listed) in [(&TLS13, LISTED_1_3), (&TLS12, LISTED_1_2)] {
        for (name, verdict) in &clients {
            let expected = match verdict {
                Ok(subject) => format!("{listed} - {subject}"),
                Err((text, "")) => format!("{REFUSED}{text} (CN={name} SHA-256: )"),
                Err((text, shown)) => format!("{REFUSED}{text} ({shown})"),
            };
            let config = Arc::new(workshop.client(Some(name), &[version]));
            table = table.row(format!("{name} {listed}"), Act::Tls(config, "localhost"), expected);
        }
        let config = Arc::new(workshop.client(None, &[version]));
        let expected = "TLS Handshake Failure; tls: client didn't provide a certificate";
        table = table.row(format!("nobody {listed}"), Act::Tls(config, "localhost"), expected);
    }
    table.check(&workshop.path(""));
}

#[test]
fn certificates_are_users_by_upstreams_rules() {
    let component = || DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    let mail = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let mut workshop = workshop();
    let names = ["b@example.com", "app.example.com", "other.example.com", "spiffe://x/y"];
    workshop.signed("names", "authority", Plan::new("app").extended(CLIENTS).names(&names));
    // An `rcgen` subject has each type once.
    let unit = (DnType::OrganizationalUnitName, "Unit");
    let org = (DnType::OrganizationName, "Org");
    let common = (DnType::CommonName, "app");
    let parts = [(component(), "com"), org.clone(), unit.clone(), common.clone()];
    workshop.signed("parts", "authority", Plan::of(&parts));
    workshop.signed("mail", "authority", Plan::of(&[(component(), "com"), org, common, (mail, "x@y.z")]));
    let (files, authority) = (workshop.files("server"), workshop.text("authority.pem"));
    let parts_shown = "CN=app,OU=Unit,O=Org,0.9.2342.19200300.100.1.25=#1303636f6d";
    let mail_shown =
        "CN=app,O=Org,1.2.840.113549.1.9.1=#0c057840792e7a,0.9.2342.19200300.100.1.25=#1303636f6d";
    for (certificate, shown, users, expected) in [
        (
            "names",
            "CN=app",
            &["spiffe://x/y", "other.example.com", "app.example.com", "b@example.com"][..],
            "b@example.com",
        ),
        ("names", "CN=app", &["spiffe://x/y", "other.example.com", "app.example.com"], "app.example.com"),
        ("names", "CN=app", &["spiffe://x/y", "other.example.com"], "other.example.com"),
        ("names", "CN=app", &["CN=app", "spiffe://x/y"], "spiffe://x/y"),
        ("names", "CN=app", &["app", "cn=app"], "cn=app"),
        ("names", "CN=app", &["app", "CN=App"], ""),
        // The last part of the certificate's subject comes first.
        (
            "parts",
            parts_shown,
            &["DC=com,O=Org,OU=Unit,CN=app", "CN=app,OU=Unit,O=Org,DC=com"],
            "CN=app,OU=Unit,O=Org,DC=com",
        ),
        ("parts", parts_shown, &["O=Org, dc=com, CN=app, OU=Unit"], "O=Org, dc=com, CN=app, OU=Unit"),
        ("parts", parts_shown, &["CN=app,OU=Unit,O=Org"], "CN=app,OU=Unit,O=Org"),
        ("parts", parts_shown, &["CN=app,O=Org,DC=com"], ""),
        // A part that has no name: the subject counts as text alone.
        ("mail", mail_shown, &["CN=app,O=Org,DC=com"], "CN=app,O=Org,DC=com"),
        ("mail", mail_shown, &["O=Org,CN=app,DC=com"], ""),
        ("mail", mail_shown, &["emailAddress=x@y.z,CN=app,O=Org,DC=com"], ""),
        ("mail", mail_shown, &["CN=app,O=Org"], "CN=app,O=Org"),
    ] {
        let users: Vec<String> = users.iter().map(|user| format!("{{user: \"{user}\"}}")).collect();
        let config = format!(
            "tls {{ {files}, ca_file: \"{authority}\", verify_and_map: true, timeout: 60 }}\n\
             authorization {{ users: [{}] }}\n",
            users.join(", ")
        );
        let expected = match expected {
            "" => "-ERR 'Authorization Violation'; Authentication Failure".to_owned(),
            user => format!("{LISTED_1_3} {user} {shown}"),
        };
        let client = Arc::new(workshop.client(Some(certificate), &[&TLS13]));
        let name = format!("{certificate} as {users:?}");
        Table::new(config).row(name, Act::Tls(client, "localhost"), expected).check(&workshop.path(""));
    }
}

/// A ClientHello of a version with these suites, and the versions that an extension lists.
fn hello(version: u16, suites: &[u16], listed: &[u16]) -> Vec<u8> {
    let bytes = |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let sized = |bytes: Vec<u8>| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
    // Groups, point formats, signatures.
    let mut extensions =
        vec![0, 10, 0, 6, 0, 4, 0, 23, 0, 29, 0, 11, 0, 2, 1, 0, 0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 2, 1];
    if !listed.is_empty() {
        let list = bytes(listed);
        extensions.extend([0, 43]);
        extensions.extend(sized([vec![u8::try_from(list.len()).unwrap()], list].concat()));
    }
    let mut body = bytes(&[version]);
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(bytes(suites)));
    body.extend([1, 0]);
    body.extend(sized(extensions));
    let mut message = vec![1, 0];
    message.extend(sized(body));
    [vec![0x16, 3, 1], sized(message)].concat()
}

/// A client of TLS 1.2 with these suites.
fn with_suites(workshop: &Workshop, suites: &[CipherSuite]) -> Arc<ClientConfig> {
    let mut config = workshop.client(None, &[&TLS12]);
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suites.contains(&suite.suite()));
    config = rebuilt(&config, provider, &[&TLS12]);
    Arc::new(config)
}

/// The same client with another provider.
fn rebuilt(
    config: &ClientConfig,
    provider: rustls::crypto::CryptoProvider,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let verifier = support::workshop::trusting();
    let mut rebuilt = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    rebuilt.client_auth_cert_resolver = Arc::clone(&config.client_auth_cert_resolver);
    rebuilt
}

#[test]
fn versions_suites_and_groups_are_agreed_on_as_upstream_does() {
    let workshop = workshop();
    let files = workshop.files("server");
    let bytes = |hello: Vec<u8>| Act::Bytes(vec![hello], false);
    let only = |versions: &str| {
        format!("alert 70; TLS Handshake Failure; tls: client offered only unsupported versions: {versions}")
    };
    let no_suite = |suites: &str| {
        format!(
            "alert 40; TLS Handshake Failure; tls: no cipher suite supported by both client and server; client \
             offered: {suites}"
        )
    };
    let tls = |config: ClientConfig| Act::Tls(Arc::new(config), "localhost");
    Table::new(format!("tls {{ {files}, timeout: 60 }}"))
        .row("1.3", tls(workshop.client(None, &[&TLS13])), format!("{LISTED_1_3} - -"))
        .row("1.2", tls(workshop.client(None, &[&TLS12])), format!("{LISTED_1_2} - -"))
        .row("SSL 3", bytes(hello(0x300, &[0xc02b], &[])), only("[]"))
        .row("1.0", bytes(hello(0x301, &[0xc02b], &[])), only("[301]"))
        .row("1.1", bytes(hello(0x302, &[0xc02b], &[])), only("[302 301]"))
        .row("1.1 listed", bytes(hello(0x303, &[0xc02b], &[0x302, 0x301])), only("[302 301]"))
        .row("no suite", bytes(hello(0x303, &[0x1234, 0x9c], &[])), no_suite("[1234 9c]"))
        .row(
            "the server's order",
            Act::Tls(
                with_suites(
                    &workshop,
                    &[
                        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                    ],
                ),
                "localhost",
            ),
            format!("{LISTED_1_2} - -"),
        )
        .row(
            "ChaCha",
            Act::Tls(
                with_suites(&workshop, &[CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]),
                "localhost",
            ),
            "1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 - -",
        )
        .check(&workshop.path(""));
    Table::new(format!("tls {{ {files}, timeout: 60, min_version: \"1.3\" }}"))
        .row("1.3", tls(workshop.client(None, &[&TLS13])), format!("{LISTED_1_3} - -"))
        .row("1.2", bytes(hello(0x303, &[0xc02b], &[])), only("[303 302 301]"))
        .check(&workshop.path(""));
    let listed = "cipher_suites: [\"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"]";
    Table::new(format!("tls {{ {files}, timeout: 60, {listed} }}"))
        .row("1.3", tls(workshop.client(None, &[&TLS13])), format!("{LISTED_1_3} - -"))
        .row("1.2", tls(workshop.client(None, &[&TLS12])), "1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 - -")
        .row("another", bytes(hello(0x303, &[0xc02b, 0xff], &[])), no_suite("[c02b ff]"))
        .check(&workshop.path(""));
    let group = |group: &'static dyn rustls::crypto::SupportedKxGroup| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![group];
        tls(rebuilt(&workshop.client(None, &[&TLS13]), provider, &[&TLS13]))
    };
    Table::new(format!("tls {{ {files}, timeout: 60, curve_preferences: [\"CurveP256\"] }}"))
        .row("P-256", group(aws_lc_rs::kx_group::SECP256R1), format!("{LISTED_1_3} - -"))
        .row(
            "X25519",
            group(aws_lc_rs::kx_group::X25519),
            "TLS Handshake Failure; tls: no key exchanges supported by both client and server",
        )
        .check(&workshop.path(""));
}

#[test]
fn tls_begins_when_upstream_lets_it_begin() {
    const PLAIN: &[u8] = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
    const NO_TLS: &str = "TLS Handshake Failure; tls: first record does not look like a TLS handshake";
    let workshop = workshop();
    let files = workshop.files("server");
    let client = Arc::new(workshop.client(None, &[&TLS13]));
    let (later, first) = (Act::Tls(client.clone(), "localhost"), Act::First(client));
    let plain = || Act::Bytes(vec![PLAIN.to_vec()], false);
    let plain_first = || Act::BytesFirst(vec![PLAIN.to_vec()]);
    let sealed = format!("{LISTED_1_3} - -");
    let sealed_first = format!("{LISTED_1_3} - - first");
    let table = |block: &str, beside: &str| Table::new(format!("tls {{ {files}, {block} }}\n{beside}\n"));
    table("timeout: 60", "")
        .row("later", later.clone(), &sealed)
        .row("plain", plain(), NO_TLS)
        .check(&workshop.path(""));
    table("timeout: 60", "allow_non_tls: true")
        .row("later", later.clone(), &sealed)
        .row("plain", plain(), "- - - -")
        .check(&workshop.path(""));
    for beside in ["", "allow_non_tls: true"] {
        table("timeout: 60, handshake_first: true", beside)
            .row("first", first.clone(), &sealed_first)
            .row("plain first", plain_first(), NO_TLS)
            .check(&workshop.path(""));
        // Within a moment: a short one for those who wait for INFO, a long one for those who do not.
        for delay in ["auto", "\"300ms\""] {
            table(&format!("timeout: 60, handshake_first: {delay}"), beside)
                .row("later", later.clone(), &sealed)
                .row("plain", plain(), if beside.is_empty() { NO_TLS } else { "- - - -" })
                .check(&workshop.path(""));
        }
        table("timeout: 60, handshake_first: \"30s\"", beside)
            .row("first", first.clone(), &sealed_first)
            .row("plain first", plain_first(), NO_TLS)
            .check(&workshop.path(""));
    }
}

#[test]
fn pins_count_as_upstream_counts_them() {
    let mut workshop = workshop();
    workshop.signed("client", "authority", Plan::new("client"));
    let (files, authority) = (workshop.files("server"), workshop.text("authority.pem"));
    let act = Act::Tls(Arc::new(workshop.client(Some("client"), &[&TLS13])), "localhost");
    let not_pinned = "TLS Handshake Failure; certificate not pinned".to_owned();
    let digest = workshop.key_digest("client");
    let verify = format!("ca_file: \"{authority}\", verify: true, ");
    for (block, pin, expected) in [
        (verify.as_str(), format!("\"{digest}\""), format!("{LISTED_1_3} - CN=client")),
        (
            &verify,
            format!("\"{}\", \"{}\"", "1".repeat(64), digest.to_uppercase()),
            format!("{LISTED_1_3} - CN=client"),
        ),
        (&verify, format!("\"{}\"", "1".repeat(64)), not_pinned.clone()),
        (&verify, String::new(), format!("{LISTED_1_3} - CN=client")),
        ("", format!("\"{digest}\""), not_pinned),
        ("", String::new(), format!("{LISTED_1_3} - -")),
    ] {
        Table::new(format!("tls {{ {files}, {block} pinned_certs: [{pin}], timeout: 60 }}"))
            .row(format!("{block} {pin}"), act.clone(), expected)
            .check(&workshop.path(""));
    }
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A binary header.
fn binary(version_and_command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, family], &length, addresses].concat()
}

#[test]
fn proxy_headers_are_read_as_upstream_reads_them() {
    const CONNECT: &[u8] = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
    const FOUR: [u8; 12] = [9, 8, 7, 6, 1, 1, 1, 1, 1, 77, 1, 188];
    let workshop = workshop();
    let with = |header: &[u8]| Act::Bytes(vec![[header, CONNECT].concat()], false);
    let in_pieces =
        |header: &[u8]| Act::Bytes([header, CONNECT].concat().chunks(5).map(<[u8]>::to_vec).collect(), false);
    let cut = |header: &[u8]| Act::Bytes(vec![header.to_vec()], true);
    let refused = |text: &str| format!("Protocol Violation; {text}");
    let invalid = |text: &str| refused(&format!("invalid PROXY protocol header: {text}"));
    let mut mapped = std::net::Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets().to_vec();
    mapped.extend([0; 16]);
    mapped.extend([1, 77, 1, 188]);
    let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 120], b"\r\n"].concat();
    let mut table = Table::new("proxy_protocol: true");
    for (header, expected) in [
        (&b""[..], "- - - -".to_owned()),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n", "- - - - 1.2.3.4 1111".into()),
        (b"PROXY TCP6 2001:db8::5 ::1 333 4\r\n", "- - - - 2001:db8::5 333".into()),
        (b"PROXY TCP6 ::ffff:1.2.3.4 ::1 333 4\r\n", "- - - - 1.2.3.4 333".into()),
        (b"PROXY UNKNOWN\r\n", "- - - -".into()),
        (b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n", "- - - -".into()),
        (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", invalid("invalid protocol UDP4")),
        (b"PROXY TCP6 ::1 5.6.7.8 1 2\r\n", invalid("TCP6 with IPv4 address")),
        (b"PROXY TCP4 1.2.3.4 ::1 1 2\r\n", invalid("TCP4 with IPv6 address")),
        (b"PROXY TCP4 1.2.3.4\r\n", invalid("invalid v1 format")),
        (b"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", invalid("invalid address")),
        (&long, invalid("v1 line too long")),
        (&binary(0x21, 0x11, &FOUR), "- - - - 9.8.7.6 333".into()),
        (&binary(0x21, 0x11, &[&FOUR[..], b"\x04\0\x01a"].concat()), "- - - - 9.8.7.6 333".into()),
        (&binary(0x21, 0x21, &mapped), "- - - - 1.2.3.4 333".into()),
        (&binary(0x20, 0, b""), "- - - -".into()),
        (&binary(0x20, 0x11, &FOUR), "- - - -".into()),
        (&binary(0x21, 0x01, b""), "- - - -".into()),
        (
            &binary(0x21, 0x12, &FOUR),
            refused("unsupported PROXY protocol feature: only STREAM protocol supported"),
        ),
        (
            &binary(0x21, 0x31, &[0; 216]),
            refused("unsupported PROXY protocol feature: unsupported address family 0x30"),
        ),
        (&binary(0x11, 0x11, &FOUR), invalid("invalid version 0x10")),
        (&binary(0x22, 0x11, &FOUR), refused("unknown PROXY protocol command: 0x02")),
        (&binary(0x21, 0x11, &FOUR[..8]), refused("IPv4 address data too short: 8 bytes")),
    ] {
        table = table.row(String::from_utf8_lossy(header), with(header), expected);
    }
    table = table
        .row("text in pieces", in_pieces(b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n"), "- - - - 1.2.3.4 1111")
        .row("binary in pieces", in_pieces(&binary(0x21, 0x11, &FOUR)), "- - - - 9.8.7.6 333");
    for (header, expected) in [
        (&b""[..], "failed to read protocol version: EOF"),
        (b"PRO", "failed to read protocol version: unexpected EOF"),
        (b"PROXY TCP4 1.2", "failed to read v1 line: EOF"),
        (&SIGNATURE[..6], "failed to read v2 signature: EOF"),
        (&SIGNATURE[..8], "failed to read v2 signature: unexpected EOF"),
        (SIGNATURE, "failed to read v2 header: EOF"),
        (&binary(0x21, 0x11, &FOUR)[..14], "failed to read v2 header: unexpected EOF"),
        (&binary(0x21, 0x11, &FOUR)[..16], "failed to read IPv4 address data: EOF"),
        (&binary(0x21, 0x11, &FOUR)[..20], "failed to read IPv4 address data: unexpected EOF"),
    ] {
        table = table.row(format!("cut {header:?}"), cut(header), refused(expected));
    }
    // Five seconds of silence.
    table =
        table.row("silence", Act::Bytes(Vec::new(), false), refused("failed to read protocol version: EOF"));
    table.check(&workshop.path(""));
}
