//! The host runner library.
