//! How the pages look: functions from views to markup, and nothing else.
//!
//! No database, no request, no clock: a handler fills a view, a function of [`page`] draws it. The frame, forms, tables, states,
//! times and refusals are made once, here, and every page is held to them:
//!
//! - complete without script; `assets/live.js` only brings marked regions up to date ([`layout::live`]);
//! - no inline style or script, so that the policy of the server can forbid both;
//! - a state is a glyph and a word, the colour only repeats them ([`state`]);
//! - an instant shows its zone ([`time`]);
//! - a "no" says why and what would make it a yes ([`refusal`]).

pub mod assets;
pub mod bar;
pub mod docs;
pub mod form;
pub mod layout;
pub mod page;
pub mod refusal;
pub mod state;
pub mod table;
pub mod time;
