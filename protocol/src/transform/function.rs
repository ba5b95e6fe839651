//! One token of a destination, as it is written: a literal, `$n`, or `{{function(arguments)}}`.

use super::TransformError;

/// What one token of a destination becomes. Wildcards are counted from 1; upstream takes 0 and less for the first
/// token of the subject, so they are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Literal(Box<[u8]>),
    /// Everything that the source's `>` matched.
    Rest,
    Wildcard(i64),
    /// The number of a bucket, by the wildcards or, without any, the whole subject.
    Partition {
        buckets: i64,
        wildcards: Vec<i64>,
    },
    Cut {
        cut: Cut,
        wildcard: i64,
        bytes: i64,
    },
    Split {
        wildcard: i64,
        delimiter: Box<[u8]>,
    },
    Random(i64),
}

/// How a token is cut at a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

/// Names by their words: the first letter of each may be written large or small, the others may not.
const NAMES: [(&str, &[&str]); 10] = [
    ("partition", &["partition"]),
    ("wildcard", &["wildcard"]),
    ("splitfromleft", &["split", "from", "left"]),
    ("splitfromright", &["split", "from", "right"]),
    ("slicefromleft", &["slice", "from", "left"]),
    ("slicefromright", &["slice", "from", "right"]),
    ("split", &["split"]),
    ("left", &["left"]),
    ("right", &["right"]),
    ("random", &["random"]),
];

/// The largest number that a function takes.
const NUMBER_MAX: i64 = i32::MAX as i64;

impl Function {
    /// Reads one token.
    pub(super) fn parse(token: &str) -> Result<Function, TransformError> {
        if token == ">" {
            return Ok(Function::Rest);
        }
        let literal = || Function::Literal(token.as_bytes().into());
        if let Some(index) = token.strip_prefix('$') {
            return Ok(number(index).map_or_else(literal, Function::Wildcard));
        }
        if !looks_like_function(token) {
            return Ok(literal());
        }
        let (name, arguments) =
            call(token).ok_or_else(|| TransformError::UnknownFunction(token.to_owned()))?;
        let arguments = Arguments { token, list: arguments.split(',').map(str::trim_start).collect() };
        arguments.function(name)
    }

    /// The wildcards that are used.
    pub(super) fn wildcards(&self) -> &[i64] {
        match self {
            Function::Wildcard(wildcard)
            | Function::Cut { wildcard, .. }
            | Function::Split { wildcard, .. } => std::slice::from_ref(wildcard),
            Function::Partition { wildcards, .. } => wildcards,
            Function::Literal(_) | Function::Rest | Function::Random(_) => &[],
        }
    }
}

/// Whether a token is written as a function: `{{...}}` around something.
pub(super) fn looks_like_function(token: &str) -> bool {
    token.len() > 4 && token.starts_with("{{") && token.ends_with("}}")
}

/// The name, in small letters, and what stands between the parentheses. As upstream looks for the call anywhere inside
/// the token, more braces around it do no harm.
fn call(token: &str) -> Option<(&'static str, &str)> {
    let open = token.rfind("{{").filter(|open| token[..*open].bytes().all(|byte| byte == b'{'))?;
    let inner = token[open + 2..].trim_start();
    let close = inner.rfind(')').filter(|close| inner[close + 1..].trim_start().starts_with("}}"))?;
    let start = inner.find('(').filter(|start| start < &close)?;
    let written = inner[..start].trim_end();
    let (name, _) = NAMES.iter().find(|(name, words)| is_spelled(written, name, words))?;
    Some((name, &inner[start + 1..close]))
}

fn is_spelled(written: &str, name: &str, words: &[&str]) -> bool {
    if written.len() != name.len() || !written.is_ascii() {
        return false;
    }
    let mut rest = written;
    words.iter().all(|word| {
        let (head, tail) = rest.split_at(word.len());
        rest = tail;
        head[..1].eq_ignore_ascii_case(&word[..1]) && head[1..] == word[1..]
    })
}

/// A number as Go reads it: decimal digits, a sign before them at most.
fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

struct Arguments<'a> {
    token: &'a str,
    list: Vec<&'a str>,
}

impl Arguments<'_> {
    fn function(&self, name: &str) -> Result<Function, TransformError> {
        let cut = |cut| self.cut(cut);
        match name {
            "partition" => self.partition(),
            "wildcard" if self.list == [""] => Err(self.too_few()),
            "wildcard" => self.exactly(1).and_then(|()| self.number(0)).map(Function::Wildcard),
            // Upstream's complaint about a second argument is that there are too few.
            "random" if self.list.len() > 1 => Err(self.too_few()),
            "random" => self.bounded(0).map(Function::Random),
            "split" => self.split(),
            "splitfromleft" => cut(Cut::SplitFromLeft),
            "splitfromright" => cut(Cut::SplitFromRight),
            "slicefromleft" => cut(Cut::SliceFromLeft),
            "slicefromright" => cut(Cut::SliceFromRight),
            "left" => cut(Cut::Left),
            "right" => cut(Cut::Right),
            _ => unreachable!("every name has its arm"),
        }
    }

    fn partition(&self) -> Result<Function, TransformError> {
        let buckets = self.bounded(0)?;
        let wildcards: Result<Vec<i64>, _> = (1..self.list.len()).map(|index| self.number(index)).collect();
        Ok(Function::Partition { buckets, wildcards: wildcards? })
    }

    fn cut(&self, cut: Cut) -> Result<Function, TransformError> {
        self.exactly(2)?;
        Ok(Function::Cut { cut, wildcard: self.number(0)?, bytes: self.bounded(1)? })
    }

    fn split(&self) -> Result<Function, TransformError> {
        self.exactly(2)?;
        let (wildcard, delimiter) = (self.number(0)?, self.list[1]);
        if delimiter.contains(' ') || delimiter.contains('.') {
            return Err(self.invalid());
        }
        Ok(Function::Split { wildcard, delimiter: delimiter.as_bytes().into() })
    }

    fn exactly(&self, count: usize) -> Result<(), TransformError> {
        match self.list.len().cmp(&count) {
            std::cmp::Ordering::Less => Err(self.too_few()),
            std::cmp::Ordering::Greater => Err(TransformError::TooManyArguments(self.token.to_owned())),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn number(&self, index: usize) -> Result<i64, TransformError> {
        number(self.list[index].trim()).ok_or_else(|| self.invalid())
    }

    fn bounded(&self, index: usize) -> Result<i64, TransformError> {
        self.number(index)
            .and_then(|number| if number > NUMBER_MAX { Err(self.invalid()) } else { Ok(number) })
    }

    fn invalid(&self) -> TransformError {
        TransformError::InvalidArgument(self.token.to_owned())
    }

    fn too_few(&self) -> TransformError {
        TransformError::TooFewArguments(self.token.to_owned())
    }
}
