//! Folded stacks: one line for each stack, root first, with its weight. The form that flame graph tools share.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Stacks with their weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    stacks: BTreeMap<String, u64>,
}

/// A symbol and its shares of all weight.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolShare {
    /// The function.
    pub symbol: String,
    /// Share spent in the function itself.
    pub own: f64,
    /// Share spent in it and what it called.
    pub total: f64,
}

/// One sample as `perf script` prints it: a line about it, then its frames, the innermost first.
pub struct Sample<'a> {
    /// The line about it.
    pub header: &'a str,
    /// Functions, the innermost first.
    pub frames: Vec<String>,
}

impl Folded {
    /// Adds `weight` to a stack; its frames come innermost first, as a profiler walks them.
    pub fn add(&mut self, thread: &str, frames: &[String], weight: u64) {
        let mut stack = clean(thread);
        for frame in frames.iter().rev() {
            stack.push(';');
            stack.push_str(frame);
        }
        *self.stacks.entry(stack).or_default() += weight;
    }

    /// Folds what `perf script -F comm,tid,time,event,ip,sym` prints: each sample counts 1.
    pub fn of_samples(script: &str) -> Self {
        let mut folded = Self::default();
        for sample in samples(script) {
            folded.add(thread_name(sample.header), &sample.frames, 1);
        }
        folded
    }

    /// Reads folded text; lines without a weight are left out.
    pub fn parse(text: &str) -> Self {
        let mut stacks = BTreeMap::new();
        for line in text.lines() {
            if let Some((stack, weight)) = line.rsplit_once(' ')
                && let Ok(weight) = weight.parse::<u64>()
            {
                *stacks.entry(stack.to_owned()).or_default() += weight;
            }
        }
        Self { stacks }
    }

    /// The folded text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (stack, weight) in &self.stacks {
            writeln!(out, "{stack} {weight}").expect("a string takes everything");
        }
        out
    }

    /// All stacks, root first, with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.stacks.iter().map(|(stack, weight)| (stack.as_str(), *weight))
    }

    /// Sum of all weights.
    pub fn weight(&self) -> u64 {
        self.stacks.values().sum()
    }

    /// Every symbol with its shares, the one that is itself hottest first.
    pub fn symbols(&self) -> Vec<SymbolShare> {
        let mut weights: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (stack, weight) in self.iter() {
            let mut seen: Vec<&str> = Vec::new();
            // The root is the thread's name, not a function.
            for symbol in stack.split(';').skip(1) {
                if !seen.contains(&symbol) {
                    seen.push(symbol);
                    weights.entry(symbol).or_default().1 += weight;
                }
            }
            if let Some(leaf) = stack.rsplit(';').next().filter(|_| !seen.is_empty()) {
                weights.entry(leaf).or_default().0 += weight;
            }
        }
        let all = self.weight().max(1) as f64;
        let mut symbols: Vec<SymbolShare> = weights
            .into_iter()
            .map(|(symbol, (own, total))| SymbolShare {
                symbol: symbol.to_owned(),
                own: own as f64 / all,
                total: total as f64 / all,
            })
            .collect();
        symbols.sort_by(|a, b| b.own.total_cmp(&a.own).then_with(|| a.symbol.cmp(&b.symbol)));
        symbols
    }

    /// Symbols whose own share changed most since `earlier`: name, share then, share now.
    pub fn changes_since(&self, earlier: &Self) -> Vec<(String, f64, f64)> {
        let mut shares: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for share in earlier.symbols() {
            shares.entry(share.symbol).or_default().0 = share.own;
        }
        for share in self.symbols() {
            shares.entry(share.symbol).or_default().1 = share.own;
        }
        let mut changes: Vec<_> =
            shares.into_iter().map(|(symbol, (then, now))| (symbol, then, now)).collect();
        changes.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then_with(|| a.0.cmp(&b.0)));
        changes
    }
}

/// Splits what `perf script` prints into samples.
pub fn samples(script: &str) -> impl Iterator<Item = Sample<'_>> {
    script.split("\n\n").filter_map(|block| {
        let mut lines = block.trim_start_matches('\n').lines();
        let header = lines.next()?;
        let frames = lines.filter_map(frame).collect();
        Some(Sample { header, frames })
    })
}

/// The thread's name in front of a header: everything before the thread's id, which stands before the time.
pub fn thread_name(header: &str) -> &str {
    let before_time = header.split_once(": ").map_or(header, |(before, _)| before).trim_end();
    let without_time = before_time.rsplit_once(' ').map_or(before_time, |(before, _)| before).trim_end();
    without_time.rsplit_once(' ').map_or(without_time, |(name, _)| name).trim()
}

/// The function of a line `ADDRESS SYMBOL`, without the hash that Rust appends.
fn frame(line: &str) -> Option<String> {
    let (_, symbol) = line.trim_start().split_once(' ')?;
    let symbol = symbol.trim();
    let bare = match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => symbol,
    };
    Some(clean(bare))
}

/// A name that does not break the form: no semicolon within.
fn clean(name: &str) -> String {
    name.trim().replace(';', ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "petrel core 0 77  4104.092341: cpu-clock: \n\tffffffff8202770b tcp_write_xmit\n\t           b62e petrel::write::h0123456789abcdef\n\t           b62f main\n\n\
        petrel core 0 77  4104.093341: cpu-clock: \n\tffffffff8202770b tcp_write_xmit\n\t           b62e petrel::write::h0123456789abcdef\n\t           b62f main\n\n\
        petrel core 0 77  4104.094341: cpu-clock: \n\t           b62f main\n\n";

    #[test]
    fn samples_fold_root_first_without_hashes() {
        let folded = Folded::of_samples(SCRIPT);
        assert_eq!(
            folded.render(),
            "petrel core 0;main 1\npetrel core 0;main;petrel::write;tcp_write_xmit 2\n"
        );
        assert_eq!(Folded::parse(&folded.render()), folded);
    }

    #[test]
    fn shares_are_of_all_samples_and_recursion_counts_once() {
        let folded = Folded::parse("t;a;b;a 3\nt;a 1\n");
        let symbols = folded.symbols();
        assert_eq!(symbols[0], SymbolShare { symbol: "a".to_owned(), own: 1.0, total: 1.0 });
        assert_eq!(symbols[1], SymbolShare { symbol: "b".to_owned(), own: 0.0, total: 0.75 });
    }

    #[test]
    fn the_largest_change_stands_first() {
        let (earlier, now) = (Folded::parse("t;a 50\nt;b 50\n"), Folded::parse("t;a 60\nt;c 40\n"));
        let changes = now.changes_since(&earlier);
        assert_eq!(changes[0], ("b".to_owned(), 0.5, 0.0));
        assert_eq!(changes[1], ("c".to_owned(), 0.0, 0.4));
    }
}
