//! Patterns with wildcards, in a tree by token.

use super::Match;
use super::remote::RemoteQueues;
use super::subscription::{QueueGroups, SubscriptionList, Subscriptions, remove_queue_member};
use crate::arena::Arena;
use hashbrown::HashMap;
use smallvec::SmallVec;

const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

/// Who wants the pattern that ends at a node.
#[derive(Default)]
pub(super) struct Terminal {
    pub(super) plain: SubscriptionList,
    queues: QueueGroups,
    /// Other cores with plain interest, as a mask: each tells of it once.
    remote: u64,
    remote_queues: RemoteQueues,
}

impl Terminal {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty() && self.remote == 0 && self.remote_queues.is_empty()
    }

    pub(super) fn queue_mut(&mut self, name: &[u8]) -> &mut SubscriptionList {
        self.queues.of(name)
    }

    /// Removes a subscription; true when it was the last plain one.
    pub(super) fn remove(
        &mut self,
        subscriptions: &mut Subscriptions,
        key: u32,
        queue: Option<&[u8]>,
    ) -> bool {
        let Some(name) = queue else { return self.plain.remove(subscriptions, key) };
        remove_queue_member(&mut self.queues, subscriptions, key, name);
        false
    }

    /// Takes in that another core wants this pattern, or no longer does.
    pub(super) fn change_remote(&mut self, core: usize, queue: Option<&[u8]>, added: bool) {
        let Some(name) = queue else {
            let mask = 1 << core;
            assert_eq!(self.remote & mask == 0, added, "interest is told once, and withdrawn after that");
            self.remote ^= mask;
            return;
        };
        self.remote_queues.change(core, name, added);
    }

    fn collect(&self, subscriptions: &Subscriptions, found: &mut Match) {
        self.plain.collect(subscriptions, &found.subject, &mut found.plain);
        for (name, members) in self.queues.iter() {
            let subject = found.subject.clone();
            members.collect(subscriptions, &subject, &mut found.queue_mut(name).local);
        }
        found.cores |= self.remote;
        self.remote_queues.collect(found);
    }
}

/// One token of patterns. `*` and `>` are children like others, under their own fields.
struct Node {
    parent: u32,
    token: Box<[u8]>,
    literal: HashMap<Box<[u8]>, u32, ahash::RandomState>,
    star: u32,
    full: u32,
    terminal: Option<Box<Terminal>>,
}

/// All patterns of an account.
pub(super) struct WildcardTree {
    nodes: Arena<Node>,
    /// Keyed: clients choose the tokens.
    hasher: ahash::RandomState,
}

impl WildcardTree {
    /// A tree without patterns.
    pub(super) fn new(hasher: ahash::RandomState) -> WildcardTree {
        let mut nodes = Arena::default();
        let root = nodes.insert(Node::new(NONE, b"", hasher.clone()));
        assert_eq!(root, ROOT);
        WildcardTree { nodes, hasher }
    }
}

impl Node {
    fn new(parent: u32, token: &[u8], hasher: ahash::RandomState) -> Node {
        Node {
            parent,
            token: token.into(),
            // The order of this map is never seen: only look-ups by token.
            literal: HashMap::with_hasher(hasher),
            star: NONE,
            full: NONE,
            terminal: None,
        }
    }

    fn child(&self, token: &[u8]) -> u32 {
        match token {
            b"*" => self.star,
            b">" => self.full,
            _ => self.literal.get(token).copied().unwrap_or(NONE),
        }
    }

    fn is_unused(&self) -> bool {
        self.terminal.is_none() && self.literal.is_empty() && self.star == NONE && self.full == NONE
    }
}

impl WildcardTree {
    fn node(&self, key: u32) -> &Node {
        self.nodes.get(key).expect("links lead to living nodes")
    }

    fn node_mut(&mut self, key: u32) -> &mut Node {
        self.nodes.get_mut(key).expect("links lead to living nodes")
    }

    /// The node where a pattern ends, made if need be.
    pub(super) fn insert(&mut self, pattern: &[u8]) -> u32 {
        let mut key = ROOT;
        for token in petrel_protocol::subject::tokens(pattern) {
            let mut child = self.node(key).child(token);
            if child == NONE {
                child = self.nodes.insert(Node::new(key, token, self.hasher.clone()));
                let node = self.node_mut(key);
                match token {
                    b"*" => node.star = child,
                    b">" => node.full = child,
                    _ => {
                        node.literal.insert(token.into(), child);
                    }
                }
            }
            key = child;
        }
        key
    }

    /// Who wants the pattern that ends at a node.
    pub(super) fn terminal_mut(&mut self, key: u32) -> &mut Terminal {
        self.node_mut(key).terminal.get_or_insert_default()
    }

    /// Drops what nobody wants any more, from a node upwards.
    pub(super) fn prune(&mut self, key: u32) {
        let node = self.node_mut(key);
        if node.terminal.as_ref().is_some_and(|terminal| terminal.is_empty()) {
            node.terminal = None;
        }
        let mut key = key;
        while key != ROOT && self.node(key).is_unused() {
            let Some(node) = self.nodes.remove(key) else { return };
            let parent = self.node_mut(node.parent);
            match &*node.token {
                b"*" => parent.star = NONE,
                b">" => parent.full = NONE,
                token => {
                    parent.literal.remove(token);
                }
            }
            key = node.parent;
        }
    }

    /// The pattern that ends at a node.
    pub(super) fn pattern(&self, key: u32) -> Vec<u8> {
        let mut tokens = Vec::new();
        let mut key = key;
        while key != ROOT {
            let node = self.node(key);
            tokens.push(&*node.token);
            key = node.parent;
        }
        tokens.reverse();
        tokens.join(&b'.')
    }

    /// Adds everyone whose pattern matches a literal subject. A subject with an empty token matches nothing.
    pub(super) fn collect(&self, subject: &[u8], subscriptions: &Subscriptions, found: &mut Match) {
        let root = self.node(ROOT);
        if root.is_unused() || petrel_protocol::subject::tokens(subject).any(<[u8]>::is_empty) {
            return;
        }
        // Nodes to look at, the next last, each with where the rest of the subject begins. Not by recursion: how deep that
        // went, a client would decide.
        let mut open: SmallVec<[(u32, usize); 8]> = SmallVec::new();
        open.push((ROOT, 0));
        while let Some((key, start)) = open.pop() {
            let node = self.node(key);
            // Behind the last token there is no dot to step over.
            let Some(rest) = subject.get(start..) else {
                if let Some(terminal) = &node.terminal {
                    terminal.collect(subscriptions, found);
                }
                continue;
            };
            if node.full != NONE
                && let Some(terminal) = &self.node(node.full).terminal
            {
                terminal.collect(subscriptions, found);
            }
            let token = &rest[..memchr::memchr(b'.', rest).unwrap_or(rest.len())];
            let behind = start + token.len() + 1;
            // A published token that is itself `*` or `>` is an ordinary token: only wildcards match it.
            if let Some(child) = node.literal.get(token) {
                open.push((*child, behind));
            }
            if node.star != NONE {
                open.push((node.star, behind));
            }
        }
    }
}
