//! What this process knows of itself: its name and its parent, its children, and the spares that wait for an order.

pub(crate) mod ancestry;
pub(crate) mod children;
pub(crate) mod spares;
