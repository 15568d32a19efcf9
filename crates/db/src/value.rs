//! Values that go into statements: one ([`Value`]) or a column of many ([`Column`]).
//!
//! Borrowed throughout, so that binding allocates nothing.

use crate::Error;

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    I64(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Bool(bool),
}

/// The values of one column for many rows; all columns of one statement have the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    I64(Vec<i64>),
    OptI64(Vec<Option<i64>>),
    Text(Vec<&'a str>),
    OptText(Vec<Option<&'a str>>),
    Bytes(Vec<&'a [u8]>),
    Bool(Vec<bool>),
}

impl Column<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Column::I64(values) => values.len(),
            Column::OptI64(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::OptText(values) => values.len(),
            Column::Bytes(values) => values.len(),
            Column::Bool(values) => values.len(),
        }
    }

    pub(crate) fn value(&self, row: usize) -> Value<'_> {
        match self {
            Column::I64(values) => Value::I64(values[row]),
            Column::OptI64(values) => Value::from(values[row]),
            Column::Text(values) => Value::Text(values[row]),
            Column::OptText(values) => Value::from(values[row]),
            Column::Bytes(values) => Value::Bytes(values[row]),
            Column::Bool(values) => Value::Bool(values[row]),
        }
    }
}

/// The number of rows of these columns, which must be the same for all.
pub(crate) fn row_count(columns: &[&Column<'_>]) -> Result<usize, Error> {
    let Some(first) = columns.first() else {
        return Err(Error::Assertion("a many-row statement needs at least one column".to_owned()));
    };
    match columns.iter().position(|column| column.len() != first.len()) {
        None => Ok(first.len()),
        Some(i) => Err(Error::Assertion(format!(
            "columns have unequal lengths: the first has {}, number {} has {}",
            first.len(),
            i + 1,
            columns[i].len()
        ))),
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::I64(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Value::Bytes(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Value::Bytes(value)
    }
}

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Value::from)
    }
}
