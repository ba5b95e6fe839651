//! The configuration file: its grammar, every key and its state, and typed options. No I/O: the caller reads
//! files and the environment through [`Source`].
//!
//! [`parse`] makes a [`Map`] of a text, the tables of [`keys`] lead from there to [`Options`], and [`digest`]
//! names the whole. [`load`] does all of that.

#![forbid(unsafe_code)]

mod accounts;
mod authorization;
mod check;
mod cursor;
mod digest;
mod duration;
mod exports;
mod feature_flags;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod imports;
mod inspection;
mod item;
pub mod keys;
mod lexer;
mod listen;
mod load;
mod mappings;
mod number;
mod options;
mod parser;
mod permissions;
mod petrel_block;
mod problem;
mod reader;
mod scalar;
mod sharing;
mod subject;
mod survey;
mod text;
mod tls;
mod tls_names;
mod top;
mod users;
mod value;

pub use check::{CheckError, SystemAccountMissing, or_default};
pub use digest::digest;
pub use duration::{DurationError, format_duration, parse_duration};
pub use feature_flags::FeatureFlags;
pub use inspection::{Inspection, inspect};
pub use load::{Configuration, LoadError, load};
pub use options::{
    Account, AccountLimits, Authorization, Backend, CertificateFiles, ConnectionType, Cores, Credential,
    Export, ExportKind, HandshakeFirst, Import, Latency, LogOptions, Mapping, MappingDestination,
    MessageTrace, Options, Permissions, PetrelOptions, ResponsePermission, ResponseType, SubjectPermission,
    TlsOptions, User, WriteTimeout, defaults, is_bcrypt,
};
pub use parser::{ParseError, Source, parse, parse_file};
pub use problem::{Problem, Problems};
pub use survey::{Finding, Outcome};
pub use tls_names::{cipher_suites, curve_preferences};
pub use value::{Map, Node, Position, Value};
