//! 3-D Secure over HTTP: tokens, charges and stored cards; the page in the browser; what is refused, and what runs out.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

mod cards;
mod charges;
pub(crate) mod merchant;
mod page;
mod sides;
mod tokens;
