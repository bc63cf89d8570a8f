//! Calling what the operator wrote down in `server.toml`.

use anyhow::Result;
use security::outside::{Outside, Reach};

/// A client for addresses of `server.toml`: the operator may mean any.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client() -> Result<Outside> {
    Ok(Outside::new(Reach::Any)?)
}

#[cfg(test)]
pub mod tests;
