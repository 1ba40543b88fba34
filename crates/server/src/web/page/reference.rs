//! The reference of the API, drawn from the document that the server answers with, so that the two cannot differ.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::web::layout::{Chrome, Section, page, section};
use crate::web::table::tight;

const REF: &str = "#/components/schemas/";

/// Draws the page.
pub fn reference(chrome: &Chrome, document: &Value) -> Markup {
    let mut groups: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, method, operation) in operations(document) {
        let group = path.trim_start_matches("/api/v1/").split('/').next().unwrap_or_default();
        groups.entry(group).or_default().push((path, method, operation));
    }
    let schemas = document["components"]["schemas"].as_object();
    let main = html! {
        div.title {
            h1 { "API reference" }
            p.muted { "Made of " a href="/api/openapi.json" { "the document" } " that programs read (OpenAPI 3.1)." }
        }
        p.prose {
            "Send a token as " code { "Authorization: Bearer …" } ". What changes something takes an " code { "Idempotency-Key" }
            "; what changes a thing that you looked at takes its version as " code { "If-Match" } ". Every no is a problem with a stable code, "
            "the place, and what would be right."
        }
        nav.index aria-label="Groups" { @for group in groups.keys() { a href={ "#group-" (group) } { (group) } " " } a href="#schemas" { "schemas" } }
        @for (group, operations) in &groups {
            div id={ "group-" (group) } { (section(group, &html! { @for of in operations { (operation(of)) } })) }
        }
        div id="schemas" { (section("Schemas", &html! {
            @for (name, schema) in schemas.into_iter().flatten() { (shape(name, schema)) }
        })) }
    };
    page(chrome, Section::Other, "API reference", &main)
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn operation((path, method, it): &(&str, &str, &Value)) -> Markup {
    let parameters = it["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = it["requestBody"]["content"].as_object().into_iter().flatten();
    let answers = it["responses"].as_object().into_iter().flatten();
    html! {
        article.operation id=(text(it, "operationId")) {
            h3 { a href={ "#" (text(it, "operationId")) } { code { (method.to_uppercase()) " " (path) } } }
            p { (text(it, "summary")) ". " span.muted { "Permission " code { (text(it, "x-permission")) } } }
            @if !parameters.is_empty() {
                (tight("Parameters", &["Parameter", "In", "Form", "Sense"], &html! { @for one in parameters { tr {
                    th scope="row" { code { (text(one, "name")) } @if one["required"] == true { span.muted { " required" } } }
                    td { (text(one, "in")) }
                    td { (form(&one["schema"])) }
                    td { (text(one, "description")) }
                } } }))
            }
            @for (kind, content) in body { p { "Body " code { (kind) } ": " (form(&content["schema"])) } }
            p { "Answers " @for (status, answer) in answers {
                @match answer["content"].as_object().and_then(|content| content.values().next()) {
                    Some(good) => { strong { (status) } " " (form(&good["schema"])) " " },
                    None => { span.muted { (status) " " } },
                }
            } }
        }
    }
}

fn shape(name: &str, schema: &Value) -> Markup {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = schema["properties"].as_object();
    html! {
        article.operation id={ "schema-" (name) } {
            h3 { a href={ "#schema-" (name) } { code { (name) } } }
            @if !text(schema, "description").is_empty() { p { (text(schema, "description")) } }
            @match fields {
                Some(fields) if !fields.is_empty() => {
                    (tight(&format!("Fields of {name}"), &["Field", "Form", "Sense"], &html! { @for (field, of) in fields { tr {
                        th scope="row" { code { (field) } @if required.iter().any(|it| it == field) { span.muted { " required" } } }
                        td { (form(of)) }
                        td { (text(of, "description")) }
                    } } }))
                }
                _ => p { (form(schema)) },
            }
        }
    }
}

/// What a value looks like, in a few words; shapes that have a name are links.
fn form(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix(REF)) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(values) = schema["enum"].as_array() {
        return html! { @for (index, value) in values.iter().enumerate() { @if index > 0 { ", " } code { (plain(value)) } } };
    }
    if schema.get("const").is_some() {
        return html! { code { (plain(&schema["const"])) } };
    }
    if let Some(several) = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| schema[word].as_array()) {
        return html! { @for (index, one) in several.iter().enumerate() { @if index > 0 { " or " } (form(one)) } };
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(plain).collect::<Vec<_>>().join(" or "),
        Value::Null => "anything".to_owned(),
        kind => plain(kind),
    };
    let fields = schema["properties"].as_object();
    html! {
        @if schema["items"].is_object() { "list of " (form(&schema["items"])) }
        @else if schema["additionalProperties"].is_object() { "by name: " (form(&schema["additionalProperties"])) }
        @else if let Some(fields) = fields {
            @for (index, (field, of)) in fields.iter().enumerate() { @if index > 0 { ", " } code { (field) } ": " (form(of)) }
        } @else { (kinds) }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
