//! Paths of requests to monitoring, as they may come from proxies and scripts, beside upstream's: what is found, what is
//! not, and where people are sent on to.

mod support;

use support::upstream::programs;
use support::{Answer, Server};

/// What a script sees of an answer.
fn shown(answer: &Answer) -> String {
    let header = |name: &str| {
        let line = answer.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    // Answers differ by what is on in a server.
    let is_found = answer.status == 200;
    let body = if is_found { "" } else { answer.body.as_str() };
    format!("{} {} {} {body}", answer.status, header("Content-Type"), header("Location"))
}

#[test]
fn paths_are_found_as_upstream_finds_them() {
    for program in programs() {
        let server = Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-m", "-1"]);
        let json = "200 application/json  ";
        let missing = "404 text/plain; charset=utf-8  404 page not found\n";
        let broken = "400 text/plain; charset=utf-8  400 Bad Request";
        let moved = |to: &str, shown: &str| {
            format!("307 text/html; charset=utf-8 {to} <a href=\"{shown}\">Temporary Redirect</a>.\n\n")
        };
        for (path, expected) in [
            ("/varz", json),
            ("/%76arz", json),
            ("/%56arz", missing),
            ("/debug/v%61rs", "200 application/json; charset=utf-8  "),
            ("/debug%2Fvars", missing),
            ("/varz%2F", missing),
            ("/varz%00", missing),
            ("/%2Fvarz", missing),
            ("/%2F", missing),
            ("/%2e%2e/varz", missing),
            ("/varz%3Fx", missing),
            ("/%ff", missing),
            ("/varz/", missing),
            ("/VARZ", missing),
            ("/varz%zz", broken),
            ("/varz%", broken),
            ("/a/../%zz", broken),
            ("//varz", &moved("/varz", "/varz")),
            ("/./varz?x=1&y='", &moved("/varz?x=1&y='", "/varz?x=1&amp;y=&#39;")),
            ("/a//%2Fb", &moved("/a/%252Fb", "/a/%252Fb")),
            ("/a/../%76arz", &moved("/%2576arz", "/%2576arz")),
            ("//", &moved("/", "/")),
        ] {
            assert_eq!(shown(&server.get(path)), expected, "{program:?} {path}");
        }
        let answer = server.request("POST", "//varz");
        assert_eq!(shown(&answer), "307  /varz ", "{program:?}");
        let answer = server.request("OPTIONS", "*");
        assert_eq!(shown(&answer), "200   ", "{program:?}");
        assert_eq!(server.request("GET", "*").status, 400, "{program:?}");
    }
}

#[test]
fn a_path_that_is_not_there_counts_for_nothing() {
    for program in programs() {
        let server = Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-m", "-1"]);
        for path in ["/%76arz", "/nope", "//varz", "/varz%zz", "/subscriptionsz"] {
            server.get(path);
        }
        let counted = &server.json("/varz")["http_req_stats"];
        assert_eq!(*counted, serde_json::json!({"/subsz": 1, "/varz": 2}), "{program:?}");
    }
}
