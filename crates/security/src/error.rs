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
    /// The file of the installation's own key is not as it must be.
    #[error("installation key file `{}` cannot be used", path.display())]
    InstallationKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store's keys were made under another installation key.
    #[error("the installation key file is not the one that the store's keys were made under")]
    ForeignInstallationKey,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The file for the first admin key cannot be written.
    #[error("admin key file `{}` cannot be written", path.display())]
    AdminKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something of this name is there already.
    #[error("{noun} `{name}` exists already")]
    Exists {
        /// What it is.
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// Nothing of this name is there.
    #[error("there is no {noun} `{name}`")]
    Missing {
        /// What was looked for.
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// A key would end before it begins.
    #[error("a key cannot expire in the past")]
    ExpiresInThePast,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::StoreError),
}
