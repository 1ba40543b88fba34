//! The `OpenAPI` 3.1 document, made of the same list of doors as the router.

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tidegate_api::Problem;
use tidegate_domain::access::Permission;
use tidegate_domain::{Digest, Id, Name};

use crate::door::{Route, Source, Told};

/// The document.
pub fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    "/components/schemas".clone_into(settings.definitions_path.to_mut());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let path = format!("/api/v1{}", route.path);
        let operation = operation(route, &mut generator);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_lowercase()] = operation;
    }
    let problem = generator.subschema_for::<Problem>();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Plan, authorise and carry out releases. Every refusal is a problem with a stable code (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, from `tidegate token create`"}
            },
            "responses": {
                "Problem": {
                    "description": "Why the request was not carried out",
                    "content": {"application/problem+json": {"schema": problem}}
                }
            }
        },
        "security": [{"token": []}]
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let input = (route.input)(generator);
    let mut parameters = path_parameters(route.path, generator);
    if route.source != Source::Body {
        parameters.extend(query_parameters(&input, generator));
    }
    if route.source == Source::Body {
        let sense = "Repeat a request with the same key to get the same answer, not a second effect; an answer with a secret in it \
                     is not repeated but refused with 409";
        parameters.push(header("Idempotency-Key", sense, json!({"minLength": 8, "maxLength": 128})));
    }
    if route.source == Source::Body && route.path.contains("/{id}") {
        parameters.push(header(
            "If-Match",
            "The ETag of the version that was looked at; another one is refused with 412",
            json!({"pattern": "^([0-9]{1,19}|\"[0-9]{1,19}\")$"}),
        ));
    }
    if route.path == "/stream" {
        parameters.push(header(
            "Last-Event-ID",
            "The id of the last entry that came; goes before `after`",
            json!({"minLength": 1}),
        ));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": format!("Needs the permission `{}`.", route.permission.as_str()),
        "x-permission": route.permission.as_str(),
        "parameters": parameters,
        "responses": responses(route, generator),
    });
    match route.source {
        Source::Body => {
            let required = whole(&input, generator)["required"].as_array().is_some_and(|names| !names.is_empty());
            operation["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": input}}});
        }
        Source::Bytes => {
            let bytes = json!({"schema": {"type": "string", "contentMediaType": "application/octet-stream"}});
            operation["requestBody"] = json!({"required": true, "content": {"application/octet-stream": bytes}});
        }
        Source::Query => {}
    }
    if route.permission == Permission::Public {
        operation["security"] = json!([]);
    }
    operation
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let good = match route.answer {
        Told::Json(answer) => json!({"description": "Done", "content": {"application/json": {"schema": answer(generator)}}}),
        Told::Stream => {
            json!({"description": "Server-sent events: each has a position as its id, and an `EventView` as JSON as its data",
            "content": {"text/event-stream": {"schema": {"type": "string"}}}})
        }
        Told::Text(what) => json!({"description": what, "content": {"text/plain": {"schema": {"type": "string"}}}}),
    };
    let mut responses = Map::from_iter([("200".to_owned(), good)]);
    responses
        .extend(nos(route).into_iter().map(|status| (status.to_string(), json!({"$ref": "#/components/responses/Problem"}))));
    responses.into()
}

/// The statuses of every no that a door may give, in order. There is no `default`: whoever tests the server against the
/// document is told of a no that is not in it.
fn nos(route: &Route) -> Vec<u16> {
    let (reads, has_parts) = (route.method == Method::GET, route.path.contains('{'));
    let takes_body = route.source != Source::Query;
    let takes_version = route.source == Source::Body && route.path.contains("/{id}");
    let when = [
        (400, true),
        (401, route.permission != Permission::Public),
        (403, route.permission != Permission::Public),
        // What is named in the path, in what a command says, or as the place that figures are asked of.
        (404, has_parts || takes_body || route.path.starts_with("/measure/")),
        (409, !reads),
        (412, takes_version),
        (413, takes_body),
        // Bytes that can be read and yet must not be taken.
        (422, route.source == Source::Bytes),
        (429, true),
        (500, true),
        (503, true),
    ];
    when.into_iter().filter(|(_, may)| *may).map(|(status, _)| status).collect()
}

fn operation_id(route: &Route) -> String {
    let path = route.path.trim_matches('/').replace(['{', '}'], "").replace(['/', '-'], "_");
    format!("{}_{path}", route.method.as_str().to_lowercase())
}

fn path_parameters(path: &str, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": part(name, generator)})).collect()
}

/// The form of a part of a path, by its name: what its doors read it as.
fn part(name: &str, generator: &mut SchemaGenerator) -> Value {
    let form = match name {
        "id" | "exception" => generator.subschema_for::<Id>(),
        "name" | "target" => generator.subschema_for::<Name>(),
        "digest" => generator.subschema_for::<Digest>(),
        // Keys of gates and attempts are looked up as they come; one that is not there is not found.
        _ => schemars::json_schema!({"type": "string"}),
    };
    whole(&form, generator)
}

/// A form itself, where it is only named.
fn whole(input: &Schema, generator: &mut SchemaGenerator) -> Value {
    let name = input.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()).map(str::to_owned);
    name.and_then(|name| generator.definitions().get(&name).cloned()).unwrap_or_else(|| input.clone().to_value())
}

fn query_parameters(input: &Schema, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = whole(input, generator);
    let required: Vec<&str> =
        schema["required"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut parameter = |(name, schema): (&String, &Value)| json!({"name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": in_query(schema, generator)});
    properties.iter().map(&mut parameter).collect()
}

/// A form as it stands in a query, which has no null: what is not said is left out. Forms that are only named are put in, as
/// they are short, and not every reader of documents follows names in parameters.
fn in_query(schema: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut said = schema.as_object().cloned().unwrap_or_default();
    let kinds = said.get("type").and_then(Value::as_array).and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
    said.extend(kinds.map(|kind| ("type".to_owned(), kind)));
    said.retain(|name, value| name != "default" || !value.is_null());
    let choices = said.remove("anyOf");
    let choice = choices.as_ref().and_then(Value::as_array).and_then(|all| all.iter().find(|it| it["type"] != "null"));
    let named = said.remove("$ref").map(|at| json!({"$ref": at})).or_else(|| choice.cloned());
    let mut form = named.and_then(|named| Schema::try_from(named).ok()).map(|named| whole(&named, generator));
    if let Some(form) = form.as_mut().and_then(Value::as_object_mut) {
        // What is said of the parameter goes before what is said of its form.
        form.extend(said);
        return form.clone().into();
    }
    said.into()
}

fn header(name: &str, description: &str, bounds: Value) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), json!("string"))]);
    schema.extend(bounds.as_object().cloned().unwrap_or_default());
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
}
