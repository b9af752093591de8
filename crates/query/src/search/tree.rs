//! The tree that a query text becomes, and that a scan compiles.
//!
//! Invariants
//! - `And` and `Or` have at least two children, none of the same kind: built by [`Expr::all_of`]
//!   and [`Expr::any_of`], so that equal questions have equal trees.
//! - Field names are canonical; a leaf that was asked by an alias keeps the alias beside it, since
//!   a record that came with both names keeps both as fields.
//! - What the parser accepts is checked: a regex compiles, a number or time is readable, a word
//!   has something to look up.
use super::pipe::Pipe;
use taffrail_model::{column::FieldName, field, id::RecordId, level::Level};

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// Which records.
    pub filter: Expr,
    /// What is made of them, one after the other.
    pub pipes: Vec<Pipe>,
}

/// Which records, as a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Every record.
    All,
    /// What all children match.
    And(Vec<Expr>),
    /// What some child matches.
    Or(Vec<Expr>),
    /// What the child does not match; a record without the field is such a one.
    Not(Box<Expr>),
    /// A test of one field, or of every text column.
    Leaf(Leaf),
}

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Canonical name; `None`: every text column.
    pub field: Option<FieldName>,
    /// The alias that the field was asked by: its own column is tested too.
    pub alias: Option<FieldName>,
    /// What is asked of its value.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The words of the text, consecutive, whatever separates them; a number where the value is
    /// one. Case does not matter.
    Words(String),
    /// Words with wildcards inside. Case does not matter.
    WordPattern(Pattern),
    /// The text as it stands, anywhere. Case does not matter.
    Substring(String),
    /// The whole value, case-sensitive.
    Whole(String),
    /// The whole value with wildcards, case-sensitive.
    WholePattern(Pattern),
    /// A regular expression, unanchored.
    Regex(RegexText),
    /// A value that is a number, compared with this one.
    Number(Operator, NumberText),
    /// A time, compared with this one; the text is read when the scan runs, since it may be
    /// relative to now.
    Time(Operator, String),
    /// A level, compared with this one.
    Level(Operator, Level),
    /// The record with this id.
    Id(RecordId),
    /// There is a value.
    Exists,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Operator {
    /// Whether `value operator bound` holds when `value` compares to `bound` like this.
    #[must_use]
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Operator::Equal => ordering.is_eq(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
        }
    }

    /// As it is written after the colon; nothing for [`Operator::Equal`].
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Equal => "",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
        }
    }
}

/// Text with wildcards. Neighbouring literals are one, neighbouring runs too.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pattern {
    parts: Vec<PatternPart>,
}

/// A piece of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternPart {
    /// These characters.
    Literal(String),
    /// `?`: any one character.
    AnyOne,
    /// `*`: any characters, also none.
    AnyRun,
}

impl Pattern {
    /// A pattern of these parts.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = PatternPart>) -> Pattern {
        let mut pattern = Pattern::default();
        for part in parts {
            pattern.push(part);
        }
        pattern
    }

    /// Appends a part.
    pub fn push(&mut self, part: PatternPart) {
        match (self.parts.last_mut(), part) {
            (Some(PatternPart::Literal(text)), PatternPart::Literal(more)) => text.push_str(&more),
            (_, PatternPart::Literal(text)) if text.is_empty() => {}
            (Some(PatternPart::AnyRun), PatternPart::AnyRun) => {}
            (_, part) => self.parts.push(part),
        }
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[PatternPart] {
        &self.parts
    }
}

/// A regular expression that compiles within the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexText {
    pub(crate) pattern: String,
    pub(crate) folds_case: bool,
}

impl RegexText {
    /// The expression, without slashes.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether case does not matter.
    #[must_use]
    pub fn folds_case(&self) -> bool {
        self.folds_case
    }
}

/// A finite number, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberText(String);

impl NumberText {
    /// The text, if it is a finite number.
    #[must_use]
    pub fn new(text: &str) -> Option<NumberText> {
        crate::number::Number::parse(text).map(|_| NumberText(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The name, if it is an alias under which a record may have a field of its own.
pub(crate) fn alias_of(name: &str) -> Option<FieldName> {
    let canonical = field::canonical_name(name);
    // No record keeps a field under an alias of the id.
    (canonical != name && canonical != field::ID).then(|| name.into())
}

impl Expr {
    /// What all of these match; everything if there is none.
    #[must_use]
    pub fn all_of(children: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for child in children {
            match child {
                Expr::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 {
            return Expr::And(flat);
        }
        flat.pop().unwrap_or(Expr::All)
    }

    /// What some of these match; nothing if there is none.
    #[must_use]
    pub fn any_of(children: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for child in children {
            match child {
                Expr::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 {
            return Expr::Or(flat);
        }
        flat.pop().unwrap_or_else(|| Expr::All.negated())
    }

    /// The complement.
    #[must_use]
    pub fn negated(self) -> Expr {
        Expr::Not(Box::new(self))
    }

    /// A test of a field, by any of its names.
    #[must_use]
    pub fn field(name: &str, test: Test) -> Expr {
        Expr::Leaf(Leaf {
            field: Some(field::canonical_name(name).into()),
            alias: alias_of(name),
            test,
        })
    }

    /// A test of every text column.
    #[must_use]
    pub fn text(test: Test) -> Expr {
        Expr::Leaf(Leaf {
            field: None,
            alias: None,
            test,
        })
    }

    /// The whole value of a field is `value`, case-sensitive: the filter parameters of the API.
    #[must_use]
    pub fn field_is(name: &str, value: &str) -> Expr {
        Expr::field(name, Test::Whole(value.to_owned()))
    }

    /// The level is this one.
    #[must_use]
    pub fn level_is(level: Level) -> Expr {
        Expr::field(field::LEVEL, Test::Level(Operator::Equal, level))
    }

    /// The level is this one or above.
    #[must_use]
    pub fn level_at_least(level: Level) -> Expr {
        Expr::field(field::LEVEL, Test::Level(Operator::GreaterOrEqual, level))
    }

    /// The record with this id.
    #[must_use]
    pub fn id_is(id: RecordId) -> Expr {
        Expr::field(field::ID, Test::Id(id))
    }

    /// The same question of fields asked by this alias, or by none.
    pub(super) fn asked_by(self, alias: Option<&FieldName>) -> Expr {
        let many = |children: Vec<Expr>| -> Vec<Expr> {
            let children = children.into_iter();
            children.map(|child| child.asked_by(alias)).collect()
        };
        match self {
            Expr::All => Expr::All,
            Expr::And(children) => Expr::And(many(children)),
            Expr::Or(children) => Expr::Or(many(children)),
            Expr::Not(child) => child.asked_by(alias).negated(),
            Expr::Leaf(leaf) => Expr::Leaf(Leaf {
                alias: alias.cloned(),
                ..leaf
            }),
        }
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        1 + match self {
            Expr::All | Expr::Leaf(_) => 0,
            Expr::And(children) | Expr::Or(children) => children.iter().map(Expr::nodes).sum(),
            Expr::Not(child) => child.nodes(),
        }
    }
}
