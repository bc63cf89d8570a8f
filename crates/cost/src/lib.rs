//! What answers cost: a price book, and usage turned into money.
//!
//! A price that is not known is a state of its own, never zero.
//!
//! The nouns: [`PriceBook`], [`PriceRow`], [`Cost`].
//!
//! ```text
//!  prices (server.toml) ─► PriceBook ── price(provider, model, usage, at) ─► Cost::Priced | Unpriced
//! ```
//!
//! Start reading at [`PriceBook::price`].

mod price;

pub use price::{Cost, PriceBook, PriceRow, Unpriced};
