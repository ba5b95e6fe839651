//! What a user may publish and subscribe to, compiled from the configuration (reference: security.md, section 5).

use super::pattern_set::PatternSet;
use petrel_config as config;
use petrel_config::ResponsePermission;
use petrel_protocol::subject;

/// What a user may do; made once, shared by all cores.
#[derive(Debug)]
pub(crate) struct Permissions {
    publish_allow: Option<PatternSet>,
    publish_deny: PatternSet,
    subscribe_allow: Option<QueueRules>,
    subscribe_deny: QueueRules,
    /// Leave to answer.
    pub(crate) responses: Option<ResponsePermission>,
    /// What it was made from, to see whether a reload changed it.
    source: config::Permissions,
}

/// Entries of a subscribe list: plain ones, and those that name queue groups.
#[derive(Debug, Default)]
struct QueueRules {
    plain: PatternSet,
    /// For each queue, which may carry wildcards, the subjects.
    queues: Vec<(Box<str>, PatternSet)>,
}

/// What becomes of a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SubscribeVerdict {
    Refused,
    Allowed,
    /// Allowed, but some of what it matches is denied and must not be delivered.
    Filtered,
}

impl QueueRules {
    fn of(entries: &[String]) -> QueueRules {
        let mut rules = QueueRules::default();
        for entry in entries {
            let mut words = entry.split_ascii_whitespace();
            let subject = words.next().unwrap_or_default().as_bytes();
            match words.next() {
                None => rules.plain.insert(subject),
                Some(queue) => match rules.queues.iter_mut().find(|(name, _)| **name == *queue) {
                    Some((_, subjects)) => subjects.insert(subject),
                    None => {
                        let mut subjects = PatternSet::default();
                        subjects.insert(subject);
                        rules.queues.push((queue.into(), subjects));
                    }
                },
            }
        }
        rules
    }
}

/// Whether a queue group is one that an entry means: the same name, or a pattern that matches it.
fn means_queue(entry: &str, queue: &[u8]) -> bool {
    entry.as_bytes() == queue || subject::matches(entry.as_bytes(), queue)
}

impl Permissions {
    /// Compiles what the configuration says.
    pub(crate) fn compile(source: &config::Permissions) -> Permissions {
        let set = |list: &Vec<String>| PatternSet::of(list.iter().map(String::as_str));
        let publish = source.publish.as_ref();
        let subscribe = source.subscribe.as_ref();
        let mut publish_allow = publish.and_then(|publish| publish.allow.as_ref()).map(set);
        if source.responses.is_some() && publish_allow.is_none() {
            // Leave to answer says that there is no other leave than what is listed.
            publish_allow = Some(PatternSet::default());
        }
        Permissions {
            publish_allow,
            publish_deny: publish.map(|publish| set(&publish.deny)).unwrap_or_default(),
            subscribe_allow: subscribe.and_then(|subscribe| subscribe.allow.as_deref()).map(QueueRules::of),
            subscribe_deny: subscribe.map(|subscribe| QueueRules::of(&subscribe.deny)).unwrap_or_default(),
            responses: source.responses,
            source: source.clone(),
        }
    }

    /// Whether this is what the configuration says.
    pub(crate) fn is_made_of(&self, source: &config::Permissions) -> bool {
        self.source == *source
    }

    /// Whether everything may be published.
    pub(crate) fn may_publish_all(&self) -> bool {
        self.publish_allow.is_none() && self.publish_deny.is_empty()
    }

    /// Whether the lists allow a message on this subject.
    pub(crate) fn may_publish(&self, subject: &[u8]) -> bool {
        self.publish_allow.as_ref().is_none_or(|allow| allow.matches(subject))
            && !self.publish_deny.matches(subject)
    }

    /// Whether the lists allow a subscription.
    ///
    /// An allow entry has to match everything that the subscription matches. Upstream takes `foo.*` for leave to
    /// subscribe to `foo.>`; here it is not.
    pub(crate) fn subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> SubscribeVerdict {
        if let Some(allow) = &self.subscribe_allow {
            let mut is_allowed = allow.plain.covers(subject);
            if let Some(queue) = queue {
                // Where entries name queues for this subject, the plain ones do not count.
                let mut named = allow.queues.iter().filter(|entry| entry.1.covers(subject)).peekable();
                if named.peek().is_some() {
                    is_allowed = named.any(|entry| means_queue(&entry.0, queue));
                }
            }
            if !is_allowed {
                return SubscribeVerdict::Refused;
            }
        }
        let deny = &self.subscribe_deny;
        let is_denied = deny.plain.matches(subject)
            || queue.is_some_and(|queue| {
                deny.queues.iter().any(|entry| entry.1.matches(subject) && means_queue(&entry.0, queue))
            });
        if is_denied {
            SubscribeVerdict::Refused
        } else if subject::has_wildcard(subject) && deny.plain.overlaps(subject) {
            SubscribeVerdict::Filtered
        } else {
            SubscribeVerdict::Allowed
        }
    }

    /// Whether a message on this subject must not be delivered to a subscription that was allowed filtered.
    pub(crate) fn is_denied(&self, subject: &[u8]) -> bool {
        self.subscribe_deny.plain.matches(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SubscribeVerdict::{Allowed, Filtered, Refused};
    use petrel_config::SubjectPermission;

    fn list(allow: Option<&[&str]>, deny: &[&str]) -> Option<SubjectPermission> {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect();
        Some(SubjectPermission { allow: allow.map(owned), deny: owned(deny) })
    }

    fn subscribing(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
        let subscribe = list(allow, deny);
        Permissions::compile(&config::Permissions { subscribe, ..config::Permissions::default() })
    }

    #[test]
    fn deny_wins_and_a_missing_list_allows_all() {
        let publishing = |allow, deny| {
            let publish = list(allow, deny);
            Permissions::compile(&config::Permissions { publish, ..config::Permissions::default() })
        };
        let both = publishing(Some(&["ok.>", "a.*"]), &["ok.no"]);
        assert!(both.may_publish(b"ok.x") && both.may_publish(b"a.*") && both.may_publish(b"a.>"));
        assert!(!both.may_publish(b"ok.no") && !both.may_publish(b"other") && !both.may_publish(b"ok..x"));
        let only_deny = publishing(None, &["no.>"]);
        assert!(
            only_deny.may_publish(b"x") && !only_deny.may_publish(b"no.x") && only_deny.may_publish(b"no")
        );
        assert!(!publishing(Some(&[]), &[]).may_publish(b"x"));
        assert!(Permissions::compile(&config::Permissions::default()).may_publish_all());
    }

    #[test]
    fn leave_to_answer_is_leave_for_nothing_else() {
        let responses = Some(ResponsePermission::DEFAULT);
        let source = config::Permissions { responses, ..config::Permissions::default() };
        let permissions = Permissions::compile(&source);
        assert!(!permissions.may_publish_all() && !permissions.may_publish(b"x"));
    }

    /// What upstream 2.15.2 answered to the same lists, but for the row that says otherwise.
    #[test]
    fn subscriptions_are_judged_as_upstream_does() {
        let allow = ["foo.*", "in.>", "dd.>", "bb", "bb v1", "cc v1", "w.*", "w.x.>"];
        let deny = ["in.no", "dd.x.*", "bb.z", "in.q v1", "in.q", "in.r v1", "dd.*.z"];
        let permissions = subscribing(Some(&allow), &deny);
        for (subject, queue, verdict) in [
            // Upstream: allowed.
            ("foo.>", None, Refused),
            ("foo.*", None, Allowed),
            ("in.no.*", None, Allowed),
            ("in.*", None, Filtered),
            ("dd.x.>", None, Refused),
            ("dd.*.*", None, Filtered),
            ("dd.x.*", None, Refused),
            ("bb", None, Allowed),
            ("bb", Some("v1"), Allowed),
            ("bb", Some("v2"), Refused),
            ("cc", None, Refused),
            ("cc", Some("v1"), Allowed),
            ("cc", Some("v2"), Refused),
            ("in.q", Some("v1"), Refused),
            ("in.q", Some("v2"), Refused),
            ("in.q", None, Refused),
            ("in.r", Some("v1"), Refused),
            ("in.r", Some("v2"), Allowed),
            ("in.r", None, Allowed),
            // Upstream filters too: what is denied there is dropped on every subscription of the client.
            ("dd.q.*", None, Filtered),
            ("out", None, Refused),
            (">", None, Refused),
        ] {
            let found = permissions.subscribe(subject.as_bytes(), queue.map(str::as_bytes));
            assert_eq!(found, verdict, "{subject} {queue:?}");
        }
        assert!(permissions.is_denied(b"dd.q.z") && !permissions.is_denied(b"dd.q.y"));
    }

    #[test]
    fn queues_may_carry_wildcards() {
        let permissions = subscribing(Some(&["work.* q.*", "all >", "star *"]), &[]);
        let allows = |subject: &str, queue: &str| {
            permissions.subscribe(subject.as_bytes(), Some(queue.as_bytes())) == Allowed
        };
        assert!(allows("work.a", "q.1") && allows("work.a", "q.*") && !allows("work.a", "q.1.2"));
        assert!(!allows("work.a", "other") && allows("all", "a.b") && allows("star", "x"));
        assert!(!allows("star", "x.y"));
    }
}
