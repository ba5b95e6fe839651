//! One subject made of another: mappings, imports, and what streams do to subjects (reference: security.md, section 9).

mod error;
mod function;
#[cfg(test)]
mod tests;

pub use error::TransformError;

use crate::subject;
use function::{Cut, Function, looks_like_function};
use std::ops::Range;

/// Changes the subjects that match a source into a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: Box<[u8]>,
    /// Where among the source's tokens its `*` stand.
    stars: Vec<usize>,
    /// How many tokens of the source stand before its `>`; `None`: it has none.
    before_rest: Option<usize>,
    functions: Vec<Function>,
}

impl Transform {
    /// A transform of mappings.
    ///
    /// # Errors
    /// What is wrong with the two, in upstream's words.
    pub fn new(source: &str, destination: &str) -> Result<Transform, TransformError> {
        check_destination(destination)?;
        Transform::build(source, destination, false)
    }

    /// A transform of an import: it moves wildcards and nothing else, and uses all of them.
    ///
    /// # Errors
    /// What is wrong with the two, in upstream's words.
    pub fn for_import(source: &str, destination: &str) -> Result<Transform, TransformError> {
        Transform::build(source, destination, true)
    }

    /// A transform of whatever a pattern matches onto one literal subject.
    ///
    /// # Errors
    /// When one of them is no subject.
    pub fn onto(source: &str, literal: &str) -> Result<Transform, TransformError> {
        if !subject::is_valid_subscription(source.as_bytes())
            || !subject::is_valid_literal(literal.as_bytes())
        {
            return Err(TransformError::Subject);
        }
        let literals = literal.split('.').map(|token| Function::Literal(token.as_bytes().into()));
        Ok(Transform {
            source: source.as_bytes().into(),
            stars: Vec::new(),
            before_rest: None,
            functions: literals.collect(),
        })
    }

    fn build(source: &str, destination: &str, is_import: bool) -> Result<Transform, TransformError> {
        let is_valid = |text: &str| subject::is_valid_subscription(text.as_bytes());
        let has_rest = |text: &str| text == ">" || text.ends_with(".>");
        let has_star = destination.split('.').any(|token| token == "*");
        if !is_valid(source)
            || !is_valid(destination)
            || has_star
            || has_rest(source) != has_rest(destination)
        {
            return Err(TransformError::Subject);
        }
        let stars: Vec<usize> = source
            .split('.')
            .enumerate()
            .filter(|(_, token)| *token == "*")
            .map(|(index, _)| index)
            .collect();
        let before_rest = has_rest(source).then(|| source.split('.').count() - 1);
        let mut functions = Vec::new();
        let mut used = vec![false; stars.len()];
        for token in destination.split('.') {
            let function = Function::parse(token)?;
            let moves = matches!(function, Function::Literal(_) | Function::Rest | Function::Wildcard(_));
            if is_import && !moves {
                return Err(TransformError::NotForImports(token.to_owned()));
            }
            for wildcard in function.wildcards() {
                // Upstream says which index only where the source has wildcards at all.
                let detail = match (stars.is_empty(), before_rest) {
                    (true, None) => token.to_owned(),
                    _ => format!("{token}: [{wildcard}]"),
                };
                let index = usize::try_from(*wildcard).unwrap_or(0);
                if index > stars.len() || (stars.is_empty() && before_rest.is_none()) {
                    return Err(TransformError::IndexOutOfRange(detail));
                }
                if let Some(used) = index.checked_sub(1).and_then(|index| used.get_mut(index)) {
                    *used = true;
                }
            }
            functions.push(function);
        }
        if is_import && used.contains(&false) {
            return Err(TransformError::UnusedWildcards(destination.to_owned()));
        }
        Ok(Transform { source: source.as_bytes().into(), stars, before_rest, functions })
    }

    /// What is transformed; it may carry wildcards.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether a published subject is transformed.
    pub fn matches(&self, literal: &[u8]) -> bool {
        subject::matches(&self.source, literal)
    }

    /// Whether the same subject always becomes the same.
    pub fn is_fixed(&self) -> bool {
        !self.functions.iter().any(|function| matches!(function, Function::Random(_)))
    }

    /// The subjects that it makes, as a pattern: `*` for each function, `>` for the rest.
    pub fn pattern(&self) -> Vec<u8> {
        let tokens: Vec<&[u8]> = self
            .functions
            .iter()
            .map(|function| match function {
                Function::Literal(token) => &**token,
                Function::Rest => b">",
                _ => b"*",
            })
            .collect();
        tokens.join(&b'.')
    }

    /// The way back, of a transform that moves wildcards and uses each once. `None` for every other.
    pub fn reversed(&self) -> Option<Transform> {
        let mut places = vec![None; self.stars.len()];
        let mut nth = 0;
        for function in &self.functions {
            match function {
                Function::Literal(_) | Function::Rest => {}
                Function::Wildcard(wildcard) => {
                    nth += 1;
                    let index = usize::try_from(*wildcard).ok()?.checked_sub(1)?;
                    if places.get_mut(index)?.replace(nth).is_some() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        let mut places = places.into_iter();
        let mut functions = Vec::new();
        for token in subject::tokens(&self.source) {
            functions.push(match token {
                b"*" => Function::Wildcard(places.next()??),
                b">" => Function::Rest,
                _ => Function::Literal(token.into()),
            });
        }
        let source = self.pattern();
        let is_star = |function: &Function| matches!(function, Function::Wildcard(_));
        let stars = self.functions.iter().enumerate().filter(|(_, function)| is_star(function));
        Some(Transform {
            stars: stars.map(|(index, _)| index).collect(),
            before_rest: self.before_rest.map(|_| self.functions.len() - 1),
            source: source.into(),
            functions,
        })
    }

    /// Appends what a subject that matches becomes. It may be a pattern that the source covers: its wildcards are moved
    /// like other tokens. `random` is a number of the caller's choice behind `{{random()}}`. False, and nothing is
    /// appended, when the subject does not match.
    pub fn apply(&self, literal: &[u8], into: &mut Vec<u8>, random: u64) -> bool {
        if !self.matches(literal) {
            return false;
        }
        let tokens: Vec<&[u8]> = subject::tokens(literal).collect();
        let mut random = random;
        for (index, function) in self.functions.iter().enumerate() {
            if index > 0 {
                into.push(b'.');
            }
            self.append(function, literal, &tokens, &mut random, into);
        }
        true
    }

    fn append(
        &self,
        function: &Function,
        literal: &[u8],
        tokens: &[&[u8]],
        random: &mut u64,
        into: &mut Vec<u8>,
    ) {
        match function {
            Function::Literal(token) => into.extend_from_slice(token),
            Function::Rest => into.extend_from_slice(&tokens[self.before_rest.unwrap_or(0)..].join(&b'.')),
            Function::Wildcard(wildcard) => into.extend_from_slice(self.token(tokens, *wildcard)),
            Function::Partition { buckets, wildcards } => {
                let hash = if wildcards.is_empty() {
                    fnv_1a([literal].into_iter())
                } else {
                    fnv_1a(wildcards.iter().map(|wildcard| self.token(tokens, *wildcard)))
                };
                append_number(bucket(hash, *buckets), into);
            }
            Function::Cut { cut, wildcard, bytes } => {
                append_cut(*cut, self.token(tokens, *wildcard), *bytes, into);
            }
            Function::Split { wildcard, delimiter } => {
                append_split(self.token(tokens, *wildcard), delimiter, into);
            }
            Function::Random(bound) => {
                let drawn = u128::from(*random) * u128::from(u64::try_from(*bound).unwrap_or(0));
                append_number(u32::try_from(drawn >> 64).unwrap_or(0), into);
                // Another number for the next function of this destination.
                *random = random.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
            }
        }
    }

    fn token<'t>(&self, tokens: &[&'t [u8]], wildcard: i64) -> &'t [u8] {
        let index = usize::try_from(wildcard).unwrap_or(0);
        let place = index.checked_sub(1).and_then(|index| self.stars.get(index)).copied().unwrap_or(0);
        tokens[place]
    }
}

/// What is wrong with a destination before its source is looked at.
fn check_destination(destination: &str) -> Result<(), TransformError> {
    let mut is_over = false;
    for token in destination.split('.') {
        if token.is_empty() || is_over {
            return Err(TransformError::Destination);
        }
        if looks_like_function(token) {
            // A wrong argument is complained of later, with what the source says.
            if let Err(error @ TransformError::UnknownFunction(_)) = Function::parse(token) {
                return Err(error);
            }
        } else if token.contains(['\t', '\n', '\x0c', '\r', ' ']) {
            return Err(TransformError::Destination);
        }
        is_over = token == ">";
    }
    Ok(())
}

/// FNV-1a over 32 bits, of some pieces as if they stood together.
fn fnv_1a<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> u32 {
    pieces.flatten().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The bucket of a hash. A negative count is taken as upstream does, which counts without a sign.
fn bucket(hash: u32, buckets: i64) -> u32 {
    let modulus = u32::try_from(buckets & i64::from(u32::MAX)).unwrap_or(0);
    hash.checked_rem(modulus).unwrap_or(0)
}

fn append_number(number: u32, into: &mut Vec<u8>) {
    into.extend_from_slice(number.to_string().as_bytes());
}

/// Cuts a token. What is too short, and every cut at 0 or less, leaves it as it is.
fn append_cut(cut: Cut, token: &[u8], bytes: i64, into: &mut Vec<u8>) {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    if bytes == 0 || bytes >= token.len() {
        into.extend_from_slice(token);
        return;
    }
    let from_left = |range: Range<usize>| &token[range];
    let (length, tail) = (token.len(), token.len() - bytes);
    match cut {
        Cut::Left => into.extend_from_slice(from_left(0..bytes)),
        Cut::Right => into.extend_from_slice(from_left(tail..length)),
        Cut::SplitFromLeft => {
            into.extend_from_slice(&[from_left(0..bytes), from_left(bytes..length)].join(&b'.'));
        }
        Cut::SplitFromRight => {
            into.extend_from_slice(&[from_left(0..tail), from_left(tail..length)].join(&b'.'));
        }
        Cut::SliceFromLeft => {
            let slices: Vec<&[u8]> = token.chunks(bytes).collect();
            into.extend_from_slice(&slices.join(&b'.'));
        }
        Cut::SliceFromRight => {
            let mut slices: Vec<&[u8]> = token.rchunks(bytes).collect();
            slices.reverse();
            into.extend_from_slice(&slices.join(&b'.'));
        }
    }
}

/// Splits a token at every delimiter; without one at every character. Empty pieces are left out; a delimiter that comes
/// twice at the very beginning leaves an empty token behind, as it does upstream.
fn append_split(token: &[u8], delimiter: &[u8], into: &mut Vec<u8>) {
    let pieces = split(token, delimiter);
    for (index, piece) in pieces.iter().enumerate() {
        into.extend_from_slice(piece);
        let is_followed = pieces.get(index + 1).is_some_and(|next| !next.is_empty());
        if is_followed && !(index == 0 && piece.is_empty()) {
            into.push(b'.');
        }
    }
}

fn split<'t>(token: &'t [u8], delimiter: &[u8]) -> Vec<&'t [u8]> {
    if delimiter.is_empty() {
        return match std::str::from_utf8(token) {
            Ok(text) => text.split_inclusive(|_| true).map(str::as_bytes).collect(),
            Err(_) => token.chunks(1).collect(),
        };
    }
    let mut pieces = Vec::new();
    let mut rest = token;
    while let Some(at) = memchr::memmem::find(rest, delimiter) {
        pieces.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    pieces.push(rest);
    pieces
}
