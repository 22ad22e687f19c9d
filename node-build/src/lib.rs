//! Builds the node.
