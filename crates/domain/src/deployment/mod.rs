//! Make it so: artifacts, plans, strategies, orders, and the rollout that drives them.

pub mod artifact;
pub mod order;
pub mod plan;
pub mod rollout;
pub mod strategy;
mod variables;
