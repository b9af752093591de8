//! Lists in pages by number: up to `limit` entries whose number is above `after`.
use crate::{parameters::Parameters, problem::Problem};

/// Entries of a page, if nothing else is asked for.
const LIMIT: usize = 100;
/// Entries of a page at the most.
const LIMIT_MAX: usize = 1_000;

/// Which page.
#[derive(Clone, Copy)]
pub(super) struct PageByNumber {
    pub(super) after: i64,
    pub(super) limit: usize,
}

impl PageByNumber {
    /// Reads `limit` and `after`.
    pub(super) fn read(asked: &mut Parameters) -> PageByNumber {
        let limit = asked.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT);
        let after = asked.number("after", 0..=usize::MAX).unwrap_or(0);
        PageByNumber {
            after: i64::try_from(after).unwrap_or(i64::MAX),
            limit,
        }
    }

    /// Fills the page. What the caller may not see is passed over, so that it may take several
    /// reads.
    pub(super) async fn fill<L: List>(self, list: &L) -> Result<Vec<L::Shown>, Problem> {
        let PageByNumber { mut after, limit } = self;
        let mut shown = Vec::new();
        loop {
            let entries = list.read(after, limit).await?;
            let is_last = entries.len() < limit;
            for entry in entries {
                after = L::number(&entry);
                if shown.len() < limit
                    && let Some(entry) = list.show(entry).await?
                {
                    shown.push(entry);
                }
            }
            if is_last || shown.len() >= limit {
                return Ok(shown);
            }
        }
    }
}

/// What there is, by number, and what the caller sees of it.
pub(super) trait List: Sync {
    type Entry: Send;
    type Shown: Send;

    /// The first `limit` entries whose number is above `after`, by number.
    fn read(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Self::Entry>, Problem>> + Send;

    fn number(entry: &Self::Entry) -> i64;

    /// What the caller sees; `None`: not even that it is there.
    fn show(
        &self,
        entry: Self::Entry,
    ) -> impl Future<Output = Result<Option<Self::Shown>, Problem>> + Send;
}

/// The number in a path. A text that is none names nothing.
pub(super) fn number(text: &str, what: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the numbers 1 to 11 the even ones are seen.
    struct Even;

    impl List for Even {
        type Entry = i64;
        type Shown = i64;

        async fn read(&self, after: i64, limit: usize) -> Result<Vec<i64>, Problem> {
            Ok((1..=11).filter(|n| *n > after).take(limit).collect())
        }

        fn number(entry: &i64) -> i64 {
            *entry
        }

        async fn show(&self, entry: i64) -> Result<Option<i64>, Problem> {
            Ok((entry % 2 == 0).then_some(entry))
        }
    }

    #[tokio::test]
    async fn what_may_not_be_seen_leaves_no_gap() {
        for (after, limit, expected) in [
            (0, 3, &[2, 4, 6][..]),
            (6, 3, &[8, 10]),
            (10, 3, &[]),
            (0, 100, &[2, 4, 6, 8, 10]),
        ] {
            let shown = PageByNumber { after, limit }.fill(&Even).await.ok();
            assert_eq!(shown.as_deref(), Some(expected), "{after} {limit}");
        }
    }
}
