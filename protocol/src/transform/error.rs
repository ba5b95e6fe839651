//! Why a pair of subjects is no transform. The texts are upstream's.

/// What is wrong with a source and a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// A subject that is none, a wildcard in the destination, or `>` on one side only.
    #[error("invalid subject")]
    Subject,
    /// A token of the destination that cannot be one.
    #[error("invalid mapping destination: invalid transform")]
    Destination,
    /// `{{name(...)}}` with a name that nobody knows.
    #[error("invalid mapping destination: unknown function in {0}")]
    UnknownFunction(String),
    /// A wildcard that the source does not have.
    #[error("invalid mapping destination: wildcard index out of range in {0}")]
    IndexOutOfRange(String),
    /// Fewer arguments than the function needs.
    #[error("invalid mapping destination: not enough arguments passed to the function in {0}")]
    TooFewArguments(String),
    /// More arguments than the function takes.
    #[error("invalid mapping destination: too many arguments passed to the function in {0}")]
    TooManyArguments(String),
    /// Something that is no number, or no delimiter.
    #[error("invalid mapping destination: function argument is invalid or in the wrong format in {0}")]
    InvalidArgument(String),
    /// An import has to carry every wildcard over.
    #[error("invalid mapping destination: not using all of the token wildcard(s) in {0}")]
    UnusedWildcards(String),
    /// An import may only move wildcards.
    #[error(
        "invalid mapping destination: the only mapping function allowed for import transforms is {{{{Wildcard()}}}} in {0}"
    )]
    NotForImports(String),
}
