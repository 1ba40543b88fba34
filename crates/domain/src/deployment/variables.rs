//! Whether every target of a plan has the variables that its steps, its health and its gates name. Asked when the plan is made: the
//! plan back is made of the same definitions, so that a misspelt name would break the way there and the way back.

use std::collections::{HashMap, HashSet};

use crate::deployment::plan::{Plan, PlannedTarget, Wave};
use crate::estate::Health;
use crate::ids::Name;
use crate::refusal::{Code, Refusal};
use crate::template;

/// A text that may name variables, and whose it is.
struct Text<'a> {
    of: Whose<'a>,
    text: &'a str,
}

/// For people.
#[derive(Clone, Copy)]
enum Whose<'a> {
    Step(&'a Name, &'a str),
    Health(&'a Name),
    Gate(&'a str),
}

impl Whose<'_> {
    fn sentence(self) -> String {
        match self {
            Whose::Step(component, step) => format!("step \"{step}\" of component {component}"),
            Whose::Health(component) => format!("the health of component {component}"),
            Whose::Gate(gate) => format!("gate {gate}"),
        }
    }
}

/// Checks each text once for each set of names that targets have, as fleets are large. A text that chooses by a value may still fail on
/// its target.
///
/// # Errors
///
/// [`Code::TemplateInvalid`], naming the text, whose it is and the first target that lacks a variable.
pub(super) fn check(plan: &Plan) -> Result<(), Refusal> {
    let mut sets: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut seen: HashSet<(usize, &str)> = HashSet::new();
    for wave in &plan.waves {
        for target in &wave.targets {
            let next = sets.len();
            let set = *sets.entry(target.variables.keys().map(String::as_str).collect()).or_insert(next);
            for Text { of, text } in texts(plan, wave, target).filter(|it| seen.insert((set, it.text))) {
                template::render(text, &target.variables).map_err(|why| {
                    let what = format!("{} cannot be made for target {}: {why}", of.sentence(), target.name);
                    let remedy = "name one of its variables, or give the target or its environment this one";
                    Refusal::new(Code::TemplateInvalid, what, remedy)
                })?;
            }
        }
    }
    Ok(())
}

fn texts<'a>(plan: &'a Plan, wave: &'a Wave, target: &'a PlannedTarget) -> impl Iterator<Item = Text<'a>> {
    let steps = plan
        .steps_of(target)
        .flat_map(|(component, step)| step.templates().map(move |text| Text { of: Whose::Step(component, &step.name), text }));
    let carried = plan.installations.iter().filter(|it| target.components.contains(&it.component));
    let health = carried.flat_map(|it| {
        let texts = it.health.iter().flat_map(Health::templates);
        texts.map(|text| Text { of: Whose::Health(&it.component), text })
    });
    let gates = wave.before.iter().chain(&wave.after);
    let gates = gates.filter_map(|gate| gate.template().map(|(name, text)| Text { of: Whose::Gate(name), text }));
    steps.chain(health).chain(gates).filter(|it| template::is_template(it.text))
}
