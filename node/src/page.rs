//! The page for people: one file, no build step, nothing from elsewhere.

/// The page at `/`.
pub(crate) const PAGE: &str = include_str!("page.html");
