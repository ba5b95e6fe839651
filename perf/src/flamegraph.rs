//! A flame graph as SVG: each box is a function, as wide as its share, on the one that called it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::folded::Folded;

const WIDTH: f64 = 1_200.0;
const ROW_HEIGHT: f64 = 16.0;
const HEAD_HEIGHT: f64 = 28.0;
/// Narrower boxes are left out.
const BOX_WIDTH_MIN: f64 = 0.3;
/// Width of a letter of the text in a box, on average.
const LETTER_WIDTH: f64 = 6.6;

#[derive(Default)]
struct Node {
    weight: u64,
    callees: BTreeMap<String, Node>,
}

/// Draws `folded` under `title`; `unit` names the weight.
pub fn draw(folded: &Folded, title: &str, unit: &str) -> String {
    let mut root = Node::default();
    for (stack, weight) in folded.iter() {
        let mut node = &mut root;
        node.weight += weight;
        for name in stack.split(';') {
            node = node.callees.entry(name.to_owned()).or_default();
            node.weight += weight;
        }
    }
    let levels = root.levels();
    let height = HEAD_HEIGHT + levels as f64 * ROW_HEIGHT + 4.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fffdf7\"/>\n\
         <text x=\"6\" y=\"18\" font-size=\"14\">{}</text>\n",
        escape(title)
    );
    let drawing = Drawing { all: root.weight.max(1), bottom: height - 4.0, unit };
    drawing.boxes(&mut out, "all", &root, 0.0, 0);
    out.push_str("</svg>\n");
    out
}

struct Drawing<'a> {
    all: u64,
    bottom: f64,
    unit: &'a str,
}

impl Drawing<'_> {
    fn boxes(&self, out: &mut String, name: &str, node: &Node, x: f64, level: usize) {
        let width = node.weight as f64 / self.all as f64 * WIDTH;
        if width < BOX_WIDTH_MIN {
            return;
        }
        let y = self.bottom - (level + 1) as f64 * ROW_HEIGHT;
        let share = node.weight as f64 * 100.0 / self.all as f64;
        let letters = (width / LETTER_WIDTH) as usize;
        let label: String = if letters < 3 { String::new() } else { name.chars().take(letters).collect() };
        writeln!(
            out,
            "<g><title>{} ({} {}, {share:.2} %)</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\" fill=\"{}\" rx=\"1\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            escape(name),
            node.weight,
            self.unit,
            ROW_HEIGHT - 1.0,
            color(name),
            x + 2.0,
            y + 11.5,
            escape(&label),
        )
        .expect("a string takes everything");
        let mut x = x;
        for (name, callee) in &node.callees {
            self.boxes(out, name, callee, x, level + 1);
            x += callee.weight as f64 / self.all as f64 * WIDTH;
        }
    }
}

impl Node {
    fn levels(&self) -> usize {
        1 + self.callees.values().map(Node::levels).max().unwrap_or(0)
    }
}

/// A warm color that is the same for a name in every graph, so that two can be compared by eye.
fn color(name: &str) -> String {
    let hash =
        name.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    format!("hsl({},{}%,{}%)", 12 + hash % 45, 65 + (hash >> 8) % 25, 60 + (hash >> 16) % 14)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_wide_as_their_share_and_names_are_escaped() {
        let folded = Folded::parse("t;main;Vec<u8>::push 3\nt;main 1\n");
        let svg = draw(&folded, "a & b", "samples");
        assert!(svg.contains("Vec&lt;u8&gt;::push (3 samples, 75.00 %)"), "{svg}");
        assert!(svg.contains("width=\"900.0\""), "{svg}");
        assert!(svg.contains("a &amp; b") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<g>").count(), 4);
    }

    #[test]
    fn nothing_draws_as_an_empty_graph() {
        assert!(!draw(&Folded::default(), "none", "samples").contains("NaN"));
    }
}
