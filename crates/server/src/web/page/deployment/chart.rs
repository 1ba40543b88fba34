//! The numbers: each measuring gate's values over time against its thresholds, and the last of them as a table.

use maud::{Markup, html};
use tidegate_api::view::{GateState, GateView};
use tidegate_domain::Millis;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::gate::{Gate, Measurement, Status};

use super::super::sentence;
use super::DeploymentPage;
use crate::web::bar::number;
use crate::web::layout::section;
use crate::web::state;
use crate::web::table::{none, tight};
use crate::web::time::{Clock, exact};

/// Rows of the table below a chart.
const ROWS: usize = 8;
/// Charts that are open; earlier ones fold.
const OPEN: usize = 2;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 24.0;

pub fn numbers(view: &DeploymentPage, clock: &Clock) -> Markup {
    // The newest first: what is measured now, or what decided.
    let measured: Vec<&GateView> = view.detail.gates.iter().rev().filter(|gate| !gate.measurements.is_empty()).collect();
    if measured.is_empty() {
        return html! {};
    }
    section(
        "The numbers",
        &html! {
            @for (index, gate) in measured.into_iter().enumerate() {
                details.numbers id={ "numbers-" (gate.key.replace('.', "-")) } open[index < OPEN] {
                    summary {
                    strong { (gate.name) } " after wave " (gate.wave + 1) " " (state::gate(gate.state).badge()) " "
                    span.muted.small { (sentence(&gate.sentence)) }
                }
                    div.columns {
                        (chart(gate, limits(&view.detail.plan, gate), clock))
                        (measurements(gate, clock))
                    }
                }
            }
        },
    )
}

/// What good is at least and at most.
type Limits = (Option<f64>, Option<f64>);

fn limits(plan: &Plan, gate: &GateView) -> Limits {
    let wave = plan.waves.get(gate.wave as usize);
    let index = gate.key.rsplit('.').next().and_then(|index| index.parse::<usize>().ok());
    let gates = wave.map(|wave| if gate.key.contains(".before.") { &wave.before } else { &wave.after });
    match gates.zip(index).and_then(|(gates, index)| gates.get(index)) {
        Some(Gate::Metric(metric)) => (metric.at_least, metric.at_most),
        Some(Gate::Approval(_) | Gate::Bake(_) | Gate::Check(_) | Gate::Window(_)) | None => (None, None),
    }
}

/// How values and instants become places.
struct Scale {
    from_ms: Millis,
    to_ms: Millis,
    top: f64,
}

impl Scale {
    fn of(gate: &GateView, limits: Limits) -> Scale {
        let values = gate.measurements.iter().filter_map(|m| m.value).chain(limits.0).chain(limits.1);
        let highest = values.fold(0.0_f64, f64::max);
        let from_ms = gate.measurements.first().map_or(0, |m| m.at_ms);
        let to_ms = gate.measurements.last().map_or(0, |m| m.at_ms).max(from_ms + 1_000);
        Scale { from_ms, to_ms, top: if highest > 0.0 { highest * 1.15 } else { 1.0 } }
    }

    fn x(&self, at_ms: Millis) -> f64 {
        let share = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (value / self.top).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

fn chart(gate: &GateView, limits: Limits, clock: &Clock) -> Markup {
    let scale = Scale::of(gate, limits);
    let points: Vec<(&Measurement, f64)> = gate.measurements.iter().filter_map(|m| m.value.map(|value| (m, value))).collect();
    if points.is_empty() {
        return html! { p.muted { "No number yet: " (gate.measurements.last().map_or("", |m| m.detail.as_str())) } };
    }
    let line: Vec<String> = points.iter().map(|(m, value)| format!("{:.1},{:.1}", scale.x(m.at_ms), scale.y(*value))).collect();
    let (base, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    html! {
        figure {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (gate.name) " over time; the table has the numbers" } {
                @if let Some(most) = limits.1 { (beyond(scale.y(most), TOP - scale.y(most))) (threshold(&scale, most, "at most")) }
                @if let Some(least) = limits.0 { (beyond(scale.y(least), base - scale.y(least))) (threshold(&scale, least, "at least")) }
                line.axis x1=(LEFT) y1=(base) x2=(right) y2=(base) {}
                text.label x=(LEFT - 6.0) y=(base) text-anchor="end" { "0" }
                polyline.line points=(line.join(" ")) {}
                @for (measurement, value) in &points { (point(&scale, measurement, *value)) }
                @if let Some((last, value)) = points.last() {
                    @let (x, y) = (scale.x(last.at_ms) - 8.0, scale.y(*value) - 8.0);
                    text.label.value x=(format!("{x:.1}")) y=(format!("{y:.1}")) text-anchor="end" { (plain(*value)) }
                }
                text.label x=(LEFT) y=(HEIGHT - 6.0) { (exact(clock.now_ms - scale.from_ms)) " ago" }
                text.label x=(right) y=(HEIGHT - 6.0) text-anchor="end" { (exact(clock.now_ms - scale.to_ms)) " ago" }
            }
            figcaption.small.muted { (gate.condition) ", first measured " (clock.time(scale.from_ms)) }
        }
    }
}

/// The part of the chart that is not allowed, from a threshold outwards.
fn beyond(from: f64, height: f64) -> Markup {
    let (y, height) = if height < 0.0 { (from + height, -height) } else { (from, height) };
    html! { rect.beyond x=(LEFT) y=(format!("{y:.1}")) width=(WIDTH - LEFT - RIGHT) height=(format!("{height:.1}")) {} }
}

fn threshold(scale: &Scale, value: f64, word: &str) -> Markup {
    let y = format!("{:.1}", scale.y(value));
    html! {
        line.threshold x1=(LEFT) y1=(y) x2=(WIDTH - RIGHT) y2=(y) {}
        text.label.limit x=(LEFT - 6.0) y=(y) text-anchor="end" { (plain(value)) }
        text.label.limit x=(WIDTH - RIGHT - 4.0) y=(format!("{:.1}", scale.y(value) - 4.0)) text-anchor="end" { (word) " " (plain(value)) }
    }
}

/// Good is a dot, bad is a cross, so that the colour says nothing alone.
fn point(scale: &Scale, measurement: &Measurement, value: f64) -> Markup {
    let (x, y) = (scale.x(measurement.at_ms), scale.y(value));
    html! {
        @if measurement.status == Status::Failed {
            path.point.bad d={ "M" (format!("{:.1} {:.1}", x - 4.0, y - 4.0)) "l8 8m0-8l-8 8" } { title { (measurement.detail) } }
        } @else {
            @let class = format!("point {}", state::measurement(measurement.status).tone.class());
            circle class=(class) cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" { title { (measurement.detail) } }
        }
    }
}

fn measurements(gate: &GateView, clock: &Clock) -> Markup {
    let more = gate.measurements.len().saturating_sub(ROWS);
    let rows = html! {
        @for measurement in gate.measurements.iter().rev().take(ROWS) {
            tr {
                th scope="row" { (clock.time(measurement.at_ms)) }
                td data-head="Says" { (state::measurement(measurement.status).badge()) }
                @match measurement.value {
                    Some(value) => {
                        td data-head="Value" title=(measurement.detail) { (plain(value)) }
                        td data-head="Of" { @if measurement.samples > 0 { (number(measurement.samples)) " requests" } @else { (none()) } }
                    },
                    None => td.small.muted data-head="Value" colspan="2" { (measurement.detail) },
                }
            }
        }
    };
    html! {
        div {
            (tight(&format!("Measurements of {}", gate.name), &["At", "Says", "Value", "Of"], &rows))
            @if more > 0 { p.small.muted { (more) " earlier ones are in the history" } }
            @if gate.state == GateState::Asking { p.small.muted { "It is still measuring." } }
        }
    }
}

/// A number as people write it: up to four decimals, none that are not needed.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
