//! What reads requests to the system account.

use super::monitor;
use crate::system::{Reload, Stationery, answer, syntax_error};
use petrel_engine::SystemRequest;
use serde_json::Value;
use std::sync::Arc;

/// A request: a line with its subject, then its headers, then its body behind a zero byte. Checked: an answer is JSON; it
/// says what is wrong if and only if something is, as far as another reader of JSON can tell; and there is none for
/// whoever names no reply.
pub fn system_request(input: &[u8]) {
    let line_end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let rest = input.get(line_end + 1..).unwrap_or_default();
    let headers_end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let mut request = SystemRequest {
        subject: String::from_utf8_lossy(&input[..line_end]).into_owned(),
        reply: Some(b"reply".to_vec()),
        headers: rest[..headers_end].to_vec().into(),
        body: rest.get(headers_end + 1..).unwrap_or_default().to_vec().into(),
        cid: 1,
    };
    let monitor = monitor();
    let mut stationery = Stationery::new();
    let reload: Reload = Arc::new(|| Err("refused".into()));
    let broken = broken(&request.body);
    if let Some(answer) = answer(&monitor, &reload, &mut stationery, &request) {
        assert_eq!(answer.subject, b"reply");
        check(&request, &answer.headers, &answer.body, broken.as_deref());
    }
    request.reply = None;
    assert!(answer(&monitor, &reload, &mut stationery, &request).is_none());
}

/// What is wrong with a body, in upstream's words.
fn broken(body: &[u8]) -> Option<String> {
    let told = syntax_error(body);
    let text = String::from_utf8_lossy(body);
    if let Err(error) = serde_json::from_str::<Value>(&text) {
        // Go takes numbers and halves of surrogates that this reader refuses, and deeper nesting.
        let words = error.to_string();
        let is_special = ["out of range", "hex escape", "unicode code point", "recursion"];
        let is_special = is_special.iter().any(|special| words.contains(special));
        assert!(told.is_some() || is_special, "{text:?}: {words}");
    } else {
        assert_eq!(told, None, "{text:?}");
    }
    told.filter(|_| !body.is_empty())
}

fn check(request: &SystemRequest, headers: &[u8], body: &[u8], broken: Option<&str>) {
    if headers.ends_with(b"gzip\r\n\r\n") || headers.ends_with(b"snappy\r\n\r\n") {
        return;
    }
    let shown = || format!("{} {}: {}", request.subject, request.body.escape_ascii(), body.escape_ascii());
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { panic!("no JSON for {}", shown()) };
    let error = answer.get("error").filter(|error| error.is_object());
    if error.is_none() {
        return;
    }
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_u64);
    let description = error.and_then(|error| error.get("description")).and_then(Value::as_str);
    assert!(answer.get("server").is_some_and(Value::is_object), "{}", shown());
    assert!(matches!(code, Some(400 | 500)), "{}", shown());
    assert!(description.is_some_and(|text| !text.is_empty()), "{}", shown());
    // What is read at all is read before anything else is done.
    if code == Some(400) && description.is_some_and(|text| !text.starts_with("json: ")) {
        assert_eq!(description, broken, "{}", shown());
    }
}
