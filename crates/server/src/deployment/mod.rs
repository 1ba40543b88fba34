//! Deployments: planned, admitted, driven, told.
//!
//! `service` is what people do, `desk` the way of a command into the store, `consequence` what an event leads to elsewhere,
//! `facts` what admission and `advance` are told, `view` what is shown.

pub mod api;
pub mod consequence;
pub mod desk;
pub mod facts;
pub mod pages;
pub mod service;
pub mod view;
