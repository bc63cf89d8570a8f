//! What can go wrong here.

use std::path::PathBuf;

/// An operation of this crate that failed.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// A secret was written where a reference to one belongs. The text is not repeated.
    #[error("a secret's place must be written `env:NAME` or `file:PATH`, never the secret itself")]
    NotASecretRef,
    /// The environment variable that holds a secret is not set, or empty.
    #[error("environment variable `{name}` is not set, or empty")]
    SecretNotSet {
        /// The variable.
        name: String,
    },
    /// The file that holds a secret cannot be read.
    #[error("secret file `{}` cannot be read", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
