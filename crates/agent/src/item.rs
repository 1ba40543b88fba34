//! An order as one list of things to do, each with a position that its journal record is kept under.

use tidegate_domain::deployment::order::{Installation, Order};
use tidegate_domain::estate::{Health, Step};

/// One thing to do.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Its place in the list, from 0.
    pub position: usize,
    /// What it belongs to.
    pub installation: &'a Installation,
    /// What it is.
    pub work: Work<'a>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// A step, with its index over all installations.
    Step(usize, &'a Step),
    /// After the last step of an installation: wait for its health, if any is asked, and call it complete.
    Settle(Option<&'a Health>),
}

/// Everything an order asks for, in order.
pub fn items(order: &Order) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut index = 0;
    for installation in &order.installations {
        for step in &installation.steps {
            items.push(Item { position: items.len(), installation, work: Work::Step(index, step) });
            index += 1;
        }
        let work = Work::Settle(installation.health.as_ref());
        items.push(Item { position: items.len(), installation, work });
    }
    items
}

impl Item<'_> {
    /// How people call it.
    pub fn name(&self) -> String {
        match self.work {
            Work::Step(index, step) => format!("step {index} \"{}\" of {}", step.name, self.installation.component),
            Work::Settle(_) => format!("health of {}", self.installation.component),
        }
    }
}
