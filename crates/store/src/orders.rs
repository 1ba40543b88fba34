//! Target rows of deployments, and orders.

use tidegate_domain::{Id, Millis, Name};

use crate::db::{Bind, Row};
use crate::{Fault, Store};

/// One target in one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    /// The deployment.
    pub deployment: Id,
    /// The target.
    pub target: Name,
    /// Its wave.
    pub wave: u32,
    /// Its state, as text of the domain.
    pub state: String,
    /// When the state changed.
    pub changed_at_ms: Millis,
    /// JSON of the domain's progress of the target.
    pub body: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The attempt; the ticket of the order.
    pub attempt: String,
    /// The target.
    pub target: Name,
    /// The deployment.
    pub deployment: Id,
    /// Whether the agent still has to hear of it.
    pub state: OrderState,
    /// JSON of the domain's order.
    pub body: String,
    /// When the state changed.
    pub changed_at_ms: Millis,
}

/// Whether an agent still has to hear of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// To be carried out.
    Open,
    /// To be ended.
    Cancelling,
    /// Over.
    Closed,
}

impl OrderState {
    /// Its text in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderState::Open => "open",
            OrderState::Cancelling => "cancelling",
            OrderState::Closed => "closed",
        }
    }

    fn parse(text: &str) -> Option<OrderState> {
        [OrderState::Open, OrderState::Cancelling, OrderState::Closed].into_iter().find(|state| state.as_str() == text)
    }
}

const ORDER_COLUMNS: &str = "SELECT attempt, target, deployment, state, body, changed_at_ms FROM orders";

impl Store {
    /// The targets of a deployment, by wave and target.
    pub async fn targets_of(&self, deployment: &Id) -> Result<Vec<TargetRow>, Fault> {
        let sql = "SELECT deployment, target, wave, state, changed_at_ms, body FROM deployment_targets \
                   WHERE deployment = $1 ORDER BY wave, target";
        self.reads().rows(sql, vec![Bind::from(deployment.as_str())]).await?.iter().map(target_row).collect()
    }

    /// The orders of a target that are not closed, oldest first.
    pub async fn open_orders(&self, target: &Name) -> Result<Vec<OrderRow>, Fault> {
        let sql =
            format!("{ORDER_COLUMNS} WHERE target = $1 AND state IN ('open', 'cancelling') ORDER BY changed_at_ms, attempt");
        self.reads().rows(sql, vec![Bind::from(target.as_str())]).await?.iter().map(order_row).collect()
    }

    /// One order.
    pub async fn order(&self, attempt: &str) -> Result<Option<OrderRow>, Fault> {
        let sql = format!("{ORDER_COLUMNS} WHERE attempt = $1");
        self.reads().rows(sql, vec![Bind::from(attempt)]).await?.first().map(order_row).transpose()
    }
}

fn target_row(row: &Row) -> Result<TargetRow, Fault> {
    let place = || "deployment_targets".to_owned();
    Ok(TargetRow {
        deployment: Id::parse(&row.text(0)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        target: Name::parse(&row.text(1)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        wave: u32::try_from(row.int(2)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        state: row.text(3)?,
        changed_at_ms: row.int(4)?,
        body: row.text(5)?,
    })
}

fn order_row(row: &Row) -> Result<OrderRow, Fault> {
    let attempt = row.text(0)?;
    let place = || format!("orders {attempt}");
    let state = row.text(3)?;
    Ok(OrderRow {
        target: Name::parse(&row.text(1)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        deployment: Id::parse(&row.text(2)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        state: OrderState::parse(&state).ok_or_else(|| Fault::corrupt(place(), format!("\"{state}\" is not a state")))?,
        body: row.text(4)?,
        changed_at_ms: row.int(5)?,
        attempt,
    })
}
