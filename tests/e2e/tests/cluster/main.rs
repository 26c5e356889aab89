//! Scenarios with real images on real nodes.
