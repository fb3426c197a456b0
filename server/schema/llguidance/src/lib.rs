//! Nothing of our own: the C functions of llguidance, for the static library.
pub use llguidance::ffi::*;
