//! The texts of `-h` and `--help_tls`.

/// What `-h` prints: every flag that is known, those that are refused yet at the end.
pub const TEXT: &str = "
Usage: nats-server [options]

Server Options:
    -a, --addr, --net <host>         Host to listen on (default: 0.0.0.0, which includes IPv6)
    -p, --port <port>                Port for clients (default: 4222; -1 picks a free one)
    -n, --name
        --server_name <server_name>  Name of this server (default: its id)
    -P, --pid <file>                 File to write the process id to
    -m, --http_port <port>           Port for monitoring over http (default: none)
    -ms,--https_port <port>          Port for monitoring over https (default: none)
    -c, --config <file>              Configuration file
    -t                               Check the configuration file and exit (petrel config check <file> tells more)
    -sl,--signal <signal>[=<pid>]    Tell a running server what to do: ldm, stop, quit, term, reopen, reload
                                     <pid> is a process id, a file that holds one, or the beginning of some and a *
        --client_advertise <string>  host[:port] that clients are told
        --ports_file_dir <dir>       Folder for a file <program>_<pid>.ports that says where the server listens

Logging Options:
    -l, --log <file>                 File to log to (default: standard error)
    -T, --logtime                    Time in each line (default: true)
        --logtime_utc                That time in UTC (default: false)
    -s, --syslog                     Log to the system log
    -r, --remote_syslog <addr>       Log to another machine's system log (udp://localhost:514)
    -D, --debug                      Debug lines
    -V, --trace                      Protocol lines
    -VV                              Protocol lines, and what the server itself says in the system account
    -DV                              Debug and protocol lines
    -DVV                             Debug and protocol lines, and what the server itself says
        --log_size_limit <limit>     Bytes after which the log file is set aside (default: never)
        --max_traced_msg_len <len>   Bytes of a message that a protocol line shows (default: all)

Authorization Options:
        --user <user>                Name that clients must log in with
        --pass <password>            Password that goes with it
        --auth <token>               Token that clients must present

TLS Options:
        --tls                        TLS for clients; --tls=false takes away that of the configuration file
        --tlscert <file>             Certificate of the server, PEM
        --tlskey <file>              Its key, PEM
        --tlsverify                  TLS for clients, who must present a certificate
        --tlscacert <file>           Who signs certificates of clients, PEM

Common Options:
    -h, --help                       This text
    -v, --version                    Version of nats-server that this one stands in for; the log has petrel's own
        --help_tls                   How TLS is configured, with an example

Flags of nats-server that petrel does not have yet; with one of them it does not start:
    -js, --jetstream, -sd, --store_dir, --routes, --cluster, --cluster_name, --cluster_listen,
    --cluster_advertise, --no_advertise, --connect_retries, --profile
";

/// What `--help_tls` prints: this, then the names that lists may have.
const TLS_TEXT: &str = "
TLS in the configuration file:

    tls {
        # Certificate and key of the server, PEM. Intermediate certificates follow the server's own.
        cert_file: \"/etc/nats/server.pem\"
        key_file:  \"/etc/nats/server.key\"

        # Who signs certificates of clients (default: whom the system trusts), and whether clients must have one.
        ca_file: \"/etc/nats/ca.pem\"
        verify:  true

        # The certificate says which user it is; implies verify.
        verify_and_map: false

        # Seconds that a handshake may take.
        timeout: 2
    }

The same on the command line: --tls --tlscert <file> --tlskey <file> [--tlsverify] [--tlscacert <file>]. Flags take
the place of the whole block.
";

/// What `--help_tls` prints.
pub fn tls_text() -> String {
    let mut text = TLS_TEXT.to_owned();
    let mut list = |title: &str, key: &str, names: &mut dyn Iterator<Item = &'static str>| {
        text.push_str(&format!("\n{title} that {key} may name:\n\n"));
        names.for_each(|name| text.push_str(&format!("    {name}\n")));
    };
    list("Cipher suites", "cipher_suites", &mut petrel_config::cipher_suites());
    list("Key exchange groups", "curve_preferences", &mut petrel_config::curve_preferences());
    text
}
