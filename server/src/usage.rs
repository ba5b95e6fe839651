//! The texts of `-h` and `--help_tls`.

/// What `-h` prints: the flags that are carried out.
pub const TEXT: &str = "
Usage: nats-server [options]

Server:
    -a, --addr, --net <host>         Host to listen on (default: 0.0.0.0, which includes IPv6)
    -p, --port <port>                Port for clients (default: 4222; -1 picks a free one)
    -m, --http_port <port>           Port for monitoring over HTTP (default: none)
    -n, --name
        --server_name <name>         Name of this server (default: its id)
    -c, --config <file>              Configuration file
    -t                               Check the configuration file and exit
    -P, --pid <file>                 File to write the process id to
        --client_advertise <addr>    host[:port] that clients are told

Log:
    -l, --log <file>                 File to log to (default: standard error)
    -T, --logtime                    Time in each line (default: true)
        --logtime_utc                That time in UTC (default: false)
    -D, --debug                      Debug lines
    -V, --trace                      Protocol lines
    -DV                              Both

Authorization:
        --user <name>                User that clients must be
        --pass <password>            Password of that user
        --auth <token>               Token that clients must present

Common:
    -h, --help                       This text
    -v, --version                    Version
        --help_tls                   TLS
";

/// What `--help_tls` prints.
pub const TLS_TEXT: &str = "
TLS is not supported by petrel yet: a configuration with a tls block, or one of the --tls flags, is refused.
";
