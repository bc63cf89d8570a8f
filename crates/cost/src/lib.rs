//! What answers cost: a price book turns the tokens of an answer into money. What has no price is
//! [`Cost::Unpriced`], with the reason; it is never counted as nothing.
//!
//! Its nouns: [`PriceBook`] (the operator's rows), [`PriceRow`] (what one kind of model costs
//! from a moment on), [`Cost`] (money, or why there is none).
//!
//! ```text
//!  prices.toml ─► PriceBook ─┐
//!                            ├─ price(Priced{provider, model, usage, at}) ─► Cost
//!  models::Usage ────────────┘
//! ```
//!
//! No prices come with the product: they change without notice and differ by contract. The one
//! exception is the built-in extractive model, which runs in this process and is priced at zero.
//!
//! Start reading at `book.rs`.
//!
//! ```
//! use cost::{Answered, Cost, PriceBook};
//!
//! let book = PriceBook::parse(
//!     r#"
//!     [[rows]]
//!     provider = "openai"
//!     model = "gpt-5-mini*"
//!     currency = "USD"
//!     input = 0.25
//!     output = 2
//!     cache_read = 0.025
//!     "#,
//! )?;
//! let usage = models::Usage { input_tokens: 1_000, output_tokens: 100, ..Default::default() };
//! let at = "2026-11-24T12:00:00Z".parse().expect("a moment");
//! let answered = Answered { provider: "openai", model: "gpt-5-mini-2026", usage: &usage, at };
//! let Cost::Priced { money, .. } = book.price(answered) else { unreachable!() };
//! assert_eq!(money.to_string(), "0.00045 USD");
//! # Ok::<(), cost::CostError>(())
//! ```

mod book;
mod price;
mod rate;

pub use book::{CostError, PriceBook, PriceRow};
pub use price::{Answered, Cost, Unpriced};
pub use rate::Rate;
