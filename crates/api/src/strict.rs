//! Reads JSON and YAML whole or not at all: bounded in bytes and depth, no duplicate key, no unknown field.
