//! Records: the snapshot of every thing, with the columns that lists filter and sort by.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_domain::event::Noun;
use tidegate_domain::{Millis, Name};

use crate::bulk;
use crate::db::{Bind, Row};
use crate::{Fault, Store};

/// Rows one call answers with, whatever was asked: bounds memory.
pub(crate) const ROWS_MAX: u32 = 10_000;
/// Parts that a list is merged from; each has its own range of an index.
const PARTS_MAX: usize = 24;
/// Rows that one page of [`Reach::Page`] looks through where the index has all that is looked at.
const WALKED_MAX: u32 = 10_000;
/// The same where each row has to be read.
const READ_MAX: u32 = 2_000;
/// Steps that ticks are counted in at most: two years of hours.
const TICKS_MAX: Millis = 2 * 366 * 24;

/// A thing that is kept as a record.
pub trait Record: Serialize + DeserializeOwned {
    /// What kind of thing.
    const NOUN: Noun;
    /// Which one.
    fn id(&self) -> String;
    /// What lists filter and sort by.
    fn index(&self) -> Index;
}

/// The index columns of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its state, as text of the domain.
    pub state: String,
    /// The application it belongs to.
    pub application: Option<Name>,
    /// The environment it belongs to.
    pub environment: Option<Name>,
    /// The instant that lists are sorted by.
    pub sort_at_ms: Millis,
    /// One line for people.
    pub title: String,
    /// The id of the thing it is a part of, or what else it is looked up by.
    pub parent: Option<String>,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// The version of its stream that it shows.
    pub version: u64,
    /// When it was last written.
    pub updated_at_ms: Millis,
    /// The thing.
    pub value: T,
}

/// Which records; the default is all. Inside a list of values one must match, and every list that is not empty must.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states.
    pub states: Vec<String>,
    /// Of one of these applications.
    pub applications: Vec<Name>,
    /// Of one of these environments.
    pub environments: Vec<Name>,
    /// Part of this.
    pub parent: Option<String>,
    /// With this text in its id or title, whatever the case.
    pub text: Option<String>,
    /// With an instant that lists are sorted by from here on.
    pub from_ms: Option<Millis>,
    /// And before here.
    pub until_ms: Option<Millis>,
    /// How far one page looks.
    pub reach: Reach,
}

/// How far one page of a list looks for what no single index leads to: a text, or several conditions at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// As far as it must to be full.
    #[default]
    All,
    /// Not too far, so that what is rare costs no more than what is frequent. The page may have fewer rows than asked for, even
    /// none, and still a `next`.
    Page,
}

impl Filter {
    /// Whether rows are looked at that it does not let through: no index leads to a text, nor to two places at once, nor to a state
    /// of one in the order of names.
    fn looks_at_others(&self, order: Order) -> bool {
        let places = [!self.applications.is_empty(), !self.environments.is_empty(), self.parent.is_some()];
        let places = places.into_iter().filter(|it| *it).count();
        self.text.is_some() || places > 1 || (order == Order::ByName && places > 0 && !self.states.is_empty())
    }

    /// Whether it names no value that an index begins with.
    fn leads_nowhere(&self) -> bool {
        self.states.is_empty() && self.applications.is_empty() && self.environments.is_empty() && self.parent.is_none()
    }

    /// Only what leads to a range of an index: of several conditions the one that lets least through.
    fn leading(&self) -> Filter {
        let all = Filter { from_ms: self.from_ms, until_ms: self.until_ms, ..Filter::default() };
        if self.parent.is_some() {
            Filter { parent: self.parent.clone(), ..all }
        } else if !self.applications.is_empty() {
            Filter { applications: self.applications.clone(), ..all }
        } else if !self.environments.is_empty() {
            Filter { environments: self.environments.clone(), ..all }
        } else {
            Filter { states: self.states.clone(), ..all }
        }
    }

    /// One filter for each combination of its states, applications and environments, each a range of an index; itself if there
    /// would be too many.
    fn parts(&self) -> Vec<Filter> {
        let states: BTreeSet<&String> = self.states.iter().collect();
        let applications: BTreeSet<&Name> = self.applications.iter().collect();
        let environments: BTreeSet<&Name> = self.environments.iter().collect();
        let count = [states.len(), applications.len(), environments.len()].into_iter().map(|it| it.max(1)).product::<usize>();
        if !(2..=PARTS_MAX).contains(&count) {
            return vec![self.clone()];
        }
        let mut parts = Vec::new();
        for states in one_by_one(states) {
            for applications in one_by_one(applications.clone()) {
                for environments in one_by_one(environments.clone()) {
                    let (states, applications) = (states.clone(), applications.clone());
                    parts.push(Filter { states, applications, environments, ..self.clone() });
                }
            }
        }
        parts
    }
}

/// Each value by itself; no value stands for all of them.
fn one_by_one<V: Clone>(values: BTreeSet<&V>) -> Vec<Vec<V>> {
    if values.is_empty() { vec![Vec::new()] } else { values.into_iter().map(|value| vec![value.clone()]).collect() }
}

/// How many records of one state fall into one step of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Where the step begins.
    pub at_ms: Millis,
    /// The state.
    pub state: String,
    /// How many.
    pub count: u64,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By instant and id, the last one first.
    #[default]
    NewestFirst,
    /// By instant and id.
    OldestFirst,
    /// By id.
    ByName,
}

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The order.
    pub order: Order,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows, at most 10,000.
    pub limit: u32,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none on the last one.
    pub next: Option<String>,
}

impl Store {
    /// The record with `id`.
    pub async fn load<T: Record>(&self, id: &str) -> Result<Option<Stored<T>>, Fault> {
        let sql = "SELECT id, version, updated_at_ms, sort_at_ms, body FROM records WHERE noun = $1 AND id = $2";
        let rows = self.reads().rows(sql, vec![Bind::from(T::NOUN.as_str()), Bind::from(id)]).await?;
        rows.first().map(stored).transpose()
    }

    /// The records with `ids`, in the order of `ids`; one that does not exist is left out.
    pub async fn load_many<T: Record>(&self, ids: &[String]) -> Result<Vec<Stored<T>>, Fault> {
        let wanted: BTreeSet<&String> = ids.iter().collect();
        let mut wanted = wanted.into_iter();
        let mut found = std::collections::HashMap::new();
        for size in bulk::sizes(wanted.len()) {
            let mut sql =
                "SELECT id, version, updated_at_ms, sort_at_ms, body FROM records WHERE noun = $1 AND id IN (".to_owned();
            bulk::placeholders(&mut sql, 1, size);
            sql.push(')');
            let mut binds = vec![Bind::from(T::NOUN.as_str())];
            binds.extend(wanted.by_ref().take(size).map(|id| Bind::from(id.as_str())));
            for row in self.reads().rows(sql, binds).await? {
                found.insert(row.text(0)?, row);
            }
        }
        ids.iter().filter_map(|id| found.get(id)).map(stored).collect()
    }

    /// One page of the records that `filter` lets through.
    ///
    /// # Errors
    ///
    /// [`Fault::CursorInvalid`] for a cursor that is not from a page of the same order.
    pub async fn list<T: Record>(&self, filter: &Filter, page: &PageRequest) -> Result<Page<Stored<T>>, Fault> {
        let seek = page.after.as_deref().map(|cursor| Seek::parse(cursor, page.order)).transpose()?;
        let limit = page.limit.clamp(1, ROWS_MAX);
        let list = List { noun: T::NOUN, filter, order: page.order, seek, until: None, limit: limit + 1 };
        let is_walked = filter.reach == Reach::Page && filter.looks_at_others(page.order);
        let until = if is_walked { self.walk_end(&list).await? } else { None };
        let (sql, binds) = List { until: until.as_ref(), ..list }.sql();
        let rows = self.reads().rows(sql, binds).await?;
        let shown = &rows[..rows.len().min(limit as usize)];
        let next = match shown.last() {
            Some(end) if rows.len() > shown.len() => Some(Seek::of(end)?),
            _ => until,
        };
        let next = next.map(|seek| seek.cursor(page.order));
        Ok(Page { rows: shown.iter().map(stored).collect::<Result<_, _>>()?, next })
    }

    /// The last row that a page looks at, if there may be more behind it.
    async fn walk_end(&self, list: &List<'_>) -> Result<Option<Seek>, Fault> {
        let leading = list.filter.leading();
        let walk = List { filter: &leading, seek: list.seek.clone(), until: None, ..*list };
        let (sql, binds) = walk.walk();
        let rows = self.reads().rows(sql, binds).await?;
        rows.first().map(|row| Ok(Seek { sort_at_ms: row.int(1)?, id: row.text(0)? })).transpose()
    }

    /// How many records `filter` lets through.
    pub async fn count<T: Record>(&self, filter: &Filter) -> Result<u64, Fault> {
        let mut clause = Clause::new("SELECT COUNT(*) FROM records WHERE noun = ");
        clause.bind(T::NOUN.as_str());
        clause.filter(filter);
        clause.one_of("state", &filter.states);
        let rows = self.reads().rows(clause.sql, clause.binds).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?)
    }
}

impl Store {
    /// How many records there are in each state.
    pub async fn count_by_state<T: Record>(&self) -> Result<Vec<(String, u64)>, Fault> {
        let mut clause = Clause::new("SELECT state, COUNT(*) FROM records WHERE noun = ");
        clause.bind(T::NOUN.as_str());
        clause.add(" GROUP BY state ORDER BY state");
        let rows = self.reads().rows(clause.sql, clause.binds).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.count(1)?))).collect()
    }

    /// How many records of each state fall into each step of `step_ms` between the two ends of `filter`.
    ///
    /// # Errors
    ///
    /// [`Fault::Contradiction`] without both ends, or for more steps than a page of a calendar can have.
    pub async fn ticks<T: Record>(&self, filter: &Filter, step_ms: Millis) -> Result<Vec<Tick>, Fault> {
        let ends = filter
            .from_ms
            .zip(filter.until_ms)
            .filter(|(from_ms, until_ms)| step_ms > 0 && until_ms.saturating_sub(*from_ms) / step_ms <= TICKS_MAX);
        let Some((from_ms, _)) = ends else {
            return Err(Fault::Contradiction("ticks are counted between two ends, in few steps".into()));
        };
        let mut clause = Clause::new("SELECT (sort_at_ms - ");
        clause.bind(from_ms);
        clause.add(") / ");
        clause.bind(step_ms);
        clause.add(" AS step, state, COUNT(*) FROM records WHERE noun = ");
        clause.bind(T::NOUN.as_str());
        clause.filter(filter);
        clause.one_of("state", &filter.states);
        clause.add(" GROUP BY 1, 2 ORDER BY 1, 2");
        let rows = self.reads().rows(clause.sql, clause.binds).await?;
        let tick = |row: &Row| Ok(Tick { at_ms: from_ms + row.int(0)? * step_ms, state: row.text(1)?, count: row.count(2)? });
        rows.iter().map(tick).collect()
    }
}

/// The pattern for whatever contains `text`, whose wildcards are plain.
pub(crate) fn contains(text: &str) -> String {
    format!("%{}%", text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

/// The limit as a value, within what one call may answer with.
pub(crate) fn rows_limit(limit: u32) -> Bind {
    Bind::Int(i64::from(limit.min(ROWS_MAX)))
}

fn stored<T: Record>(row: &Row) -> Result<Stored<T>, Fault> {
    let body = row.text(4)?;
    let value = serde_json::from_str(&body).map_err(|cause| match row.text(0) {
        Ok(id) => Fault::corrupt(format!("record {}/{id}", T::NOUN), cause),
        Err(fault) => fault.into(),
    })?;
    Ok(Stored { version: row.count(1)?, updated_at_ms: row.int(2)?, value })
}

/// The row after which a page begins, or with which it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seek {
    sort_at_ms: Millis,
    id: String,
}

impl Seek {
    fn of(row: &Row) -> Result<Seek, Fault> {
        Ok(Seek { sort_at_ms: row.int(3)?, id: row.text(0)? })
    }

    fn cursor(&self, order: Order) -> String {
        hex::encode(format!("{}{}/{}", order.mark(), self.sort_at_ms, self.id))
    }

    fn parse(cursor: &str, order: Order) -> Result<Seek, Fault> {
        let read = || {
            let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
            let (sort_at_ms, id) = text.strip_prefix(order.mark())?.split_once('/')?;
            // `+1` and `01` are not what this program writes.
            let number: Millis = sort_at_ms.parse().ok()?;
            (number.to_string() == sort_at_ms).then(|| Seek { sort_at_ms: number, id: id.to_owned() })
        };
        read().ok_or_else(|| Fault::CursorInvalid { cursor: tidegate_domain::ids::clip(cursor) })
    }
}

impl Order {
    fn mark(self) -> char {
        match self {
            Order::NewestFirst => 'n',
            Order::OldestFirst => 'o',
            Order::ByName => 'b',
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Order::NewestFirst => "sort_at_ms DESC, id DESC",
            Order::OldestFirst => "sort_at_ms, id",
            Order::ByName => "id",
        }
    }
}

/// A statement that is being written, with its values.
struct Clause {
    sql: String,
    binds: Vec<Bind>,
}

impl Clause {
    fn new(sql: &str) -> Clause {
        Clause { sql: sql.to_owned(), binds: Vec::new() }
    }

    fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn bind(&mut self, value: impl Into<Bind>) {
        self.binds.push(value.into());
        write!(self.sql, "${}", self.binds.len()).expect("text can be written to a String");
    }

    /// ` AND column IN (…)`, unless every value will do.
    fn one_of<V: ToString>(&mut self, column: &str, values: &[V]) {
        if values.is_empty() {
            return;
        }
        self.add(&format!(" AND {column} IN ("));
        for (index, value) in values.iter().enumerate() {
            self.add(if index == 0 { "" } else { ", " });
            self.bind(value.to_string());
        }
        self.add(")");
    }

    /// Everything but the state, which lists merge by.
    fn filter(&mut self, filter: &Filter) {
        // A thing has few parts: no database shall look through all of an application for them.
        let (application, environment) =
            if filter.parent.is_some() { ("(application || '')", "(environment || '')") } else { ("application", "environment") };
        self.one_of(application, &filter.applications);
        self.one_of(environment, &filter.environments);
        if let Some(parent) = &filter.parent {
            self.add(" AND parent = ");
            self.bind(parent.as_str());
        }
        for (end, sql) in [(filter.from_ms, " AND sort_at_ms >= "), (filter.until_ms, " AND sort_at_ms < ")] {
            if let Some(at_ms) = end {
                self.add(sql);
                self.bind(at_ms);
            }
        }
        if let Some(text) = filter.text.as_deref().map(str::to_lowercase).filter(|text| !text.is_empty()) {
            self.add(" AND search LIKE ");
            self.bind(contains(&text));
            self.add(" ESCAPE '\\'");
        }
    }
}

struct List<'a> {
    noun: Noun,
    filter: &'a Filter,
    order: Order,
    seek: Option<Seek>,
    /// The last row that is looked at.
    until: Option<&'a Seek>,
    limit: u32,
}

impl List<'_> {
    /// The row at which a walk along the one leading condition ends. Of several values each counts for itself: the walk ends
    /// with the first that goes so far.
    fn walk(&self) -> (String, Vec<Bind>) {
        let is_covered = self.order != Order::ByName && self.filter.leads_nowhere();
        let rows = i64::from(if is_covered { WALKED_MAX } else { READ_MAX });
        let parts = self.filter.parts();
        let mut clause = Clause::new("");
        for (index, part) in parts.iter().enumerate() {
            clause.add(if index == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            clause.add("SELECT id, sort_at_ms FROM records WHERE noun = ");
            clause.bind(self.noun.as_str());
            clause.one_of("state", &part.states);
            clause.filter(part);
            self.ends(&mut clause);
            clause.add(&format!(" ORDER BY {} LIMIT 1 OFFSET ", self.order.sql()));
            clause.bind(rows / parts.len() as i64);
            clause.add(&format!(") AS s{index}"));
        }
        clause.add(&format!(" ORDER BY {} LIMIT 1", self.order.sql()));
        (clause.sql, clause.binds)
    }

    /// With several states or places, each is read from its own range of the index and the pages are merged: neither database
    /// would otherwise find ten running deployments among a hundred thousand ended ones without reading or sorting them all.
    fn sql(&self) -> (String, Vec<Bind>) {
        let mut clause = Clause::new("");
        let parts = self.filter.parts();
        if parts.len() < 2 {
            self.select(&mut clause, self.filter);
        } else {
            for (index, part) in parts.iter().enumerate() {
                clause.add(if index == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
                self.select(&mut clause, part);
                clause.add(&format!(") AS s{index}"));
            }
            self.order_and_limit(&mut clause, self.order.sql());
        }
        (clause.sql, clause.binds)
    }

    fn select(&self, clause: &mut Clause, filter: &Filter) {
        clause.add("SELECT id, version, updated_at_ms, sort_at_ms, body FROM records WHERE noun = ");
        clause.bind(self.noun.as_str());
        // In the order of names the place alone leads to an index that has it; with the state, all of that state would be sorted.
        let is_placed = !filter.applications.is_empty() || !filter.environments.is_empty();
        let by_name = self.order == Order::ByName && is_placed;
        clause.one_of(if by_name || filter.parent.is_some() { "(state || '')" } else { "state" }, &filter.states);
        clause.filter(filter);
        self.ends(clause);
        // Without statistics SQLite would rather walk all ids in order than sort the few parts of one parent.
        let few = self.order == Order::ByName && filter.parent.is_some();
        self.order_and_limit(clause, if few { "id || ''" } else { self.order.sql() });
    }

    /// Where the page begins, and how far it looks.
    fn ends(&self, clause: &mut Clause) {
        let (after, up_to) = match self.order {
            Order::ByName | Order::OldestFirst => (">", "<="),
            Order::NewestFirst => ("<", ">="),
        };
        for (end, compare) in [(self.seek.as_ref(), after), (self.until, up_to)] {
            let Some(Seek { sort_at_ms, id }) = end else { continue };
            if self.order == Order::ByName {
                clause.add(&format!(" AND id {compare} "));
                clause.bind(id.as_str());
            } else {
                clause.add(&format!(" AND (sort_at_ms, id) {compare} ("));
                clause.bind(*sort_at_ms);
                clause.add(", ");
                clause.bind(id.as_str());
                clause.add(")");
            }
        }
    }

    fn order_and_limit(&self, clause: &mut Clause, order: &str) {
        clause.add(&format!(" ORDER BY {order} LIMIT "));
        clause.bind(i64::from(self.limit));
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::Name;
    use tidegate_domain::event::Noun;

    use super::{Filter, List, Order, Seek};
    use crate::Store;

    /// What lists are asked for: each condition alone and several at once.
    fn filters() -> Vec<Filter> {
        let names = |names: &[&str]| names.iter().map(|name| Name::parse(name).expect("a name")).collect::<Vec<_>>();
        let mut filters = Vec::new();
        for states in [vec![], vec!["closed".to_owned()], vec!["closed".to_owned(), "running".to_owned()]] {
            for applications in [names(&[]), names(&["a"]), names(&["a", "b"])] {
                for environments in [names(&[]), names(&["e"])] {
                    for (parent, text, from_ms) in [(None, None, None), (Some("p"), None, None), (None, Some("t"), Some(7))] {
                        filters.push(Filter {
                            states: states.clone(),
                            applications: applications.clone(),
                            environments: environments.clone(),
                            parent: parent.map(str::to_owned),
                            text: text.map(str::to_owned),
                            from_ms,
                            ..Filter::default()
                        });
                    }
                }
            }
        }
        filters
    }

    #[tokio::test]
    async fn every_list_goes_by_an_index_and_sorts_no_more_than_the_parts_of_one_thing() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(&format!("sqlite:{}", dir.path().join("a.db").display())).await.expect("it opens");
        let seek = || Seek { sort_at_ms: 5, id: "x".to_owned() };
        let until = seek();
        for filter in filters() {
            for order in [Order::NewestFirst, Order::OldestFirst, Order::ByName] {
                for (seek, until) in [(None, None), (Some(seek()), None), (Some(seek()), Some(&until))] {
                    let list = List { noun: Noun::Change, filter: &filter, order, seek, until, limit: 51 };
                    let leading = filter.leading();
                    let walk = List { filter: &leading, seek: list.seek.clone(), until: None, ..list }.walk();
                    for (sql, binds) in [list.sql(), walk] {
                        let rows = store.reads().rows(format!("EXPLAIN QUERY PLAN {sql}"), binds).await.expect("a plan");
                        let plan: Vec<String> = rows.iter().map(|row| row.text(3).expect("a line")).collect();
                        let scans = plan.iter().any(|line| line.starts_with("SCAN records"));
                        assert!(!scans, "{order:?} {filter:?}\n{sql}\n{plan:#?}");
                        let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE")) && !sql.contains("UNION ALL");
                        // Nobody asks for a time in the order of names.
                        let few = filter.parent.is_some() || (order == Order::ByName && filter.from_ms.is_some());
                        assert!(!sorts || few, "{order:?} {filter:?}\n{sql}\n{plan:#?}");
                    }
                }
            }
        }
        store.close().await;
    }

    #[test]
    fn a_cursor_is_read_back_and_belongs_to_its_order() {
        let seek = Seek { sort_at_ms: -12, id: "a/b/c".to_owned() };
        let cursor = seek.cursor(Order::NewestFirst);
        assert_eq!(Seek::parse(&cursor, Order::NewestFirst).expect("it is a cursor"), seek);
        for bad in [cursor.as_str(), "", "zz", "6e", "ff", "🙂", &hex::encode("o+1/x"), &hex::encode("o1")] {
            assert!(Seek::parse(bad, Order::OldestFirst).is_err(), "{bad} was taken");
        }
    }
}
