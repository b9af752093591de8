//! A test of text after one source has looked it up on its encoded data.
use super::{
    block::{BlockFault, BlockView},
    plan::{Ask, LeafPlan, Plan, SourceColumns, TextAsk},
    selection::Selection,
};
use std::sync::Arc;
use taffrail_model::column::FieldName;
use taffrail_storage::{
    find::{Finding, TextQuestion},
    read::{ReadError, RowSource},
};

/// A leaf with what each of its columns was found to hold.
pub(super) struct FoundLeaf {
    leaf: Arc<LeafPlan>,
    columns: Vec<FoundColumn>,
    /// Whether values of the field may be in the column of attributes past the limit too.
    has_overflow: bool,
}

struct FoundColumn {
    name: FieldName,
    /// `None`: its blocks are decoded.
    finding: Option<Arc<dyn Finding>>,
}

impl FoundLeaf {
    /// Looks a leaf up; columns without a match are left out, and what that decides is decided.
    pub(super) fn look_up(
        leaf: &Arc<LeafPlan>,
        source: &dyn RowSource,
        columns: &SourceColumns,
    ) -> Result<Plan, ReadError> {
        let Ask::Text(text) = &leaf.ask else {
            return Ok(Plan::Leaf(leaf.clone()));
        };
        let names = match &leaf.field {
            Some(name) => std::slice::from_ref(name),
            None => &columns.text,
        };
        let question: Arc<dyn TextQuestion> = text.question.clone();
        let mut found = Vec::new();
        for (name, finding) in names.iter().zip(source.find_each(names, &question)?) {
            let is_absent = finding
                .as_ref()
                .is_some_and(|finding| finding.count() == Some(0));
            if !is_absent {
                let name = name.clone();
                found.push(FoundColumn { name, finding });
            }
        }
        let has_overflow = leaf
            .field
            .as_ref()
            .is_some_and(|name| columns.overflow_of(name).is_some());
        if found.is_empty() && !has_overflow {
            return Ok(Plan::Const(false));
        }
        Ok(Plan::Found(Arc::new(FoundLeaf {
            leaf: leaf.clone(),
            columns: found,
            has_overflow,
        })))
    }

    /// How many rows of the source match, if that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match &self.columns[..] {
            [only] if !self.has_overflow => only.finding.as_ref()?.count(),
            _ => None,
        }
    }

    /// Whether a row of the block may match.
    pub(super) fn may_be_in(&self, block: usize) -> bool {
        let may_be_in = |column: &FoundColumn| match &column.finding {
            Some(finding) => finding.may_be_in(block),
            None => true,
        };
        self.has_overflow || self.columns.iter().any(may_be_in)
    }

    /// The rows of `within` that match.
    pub(super) fn evaluate(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        within: &Selection,
    ) -> Result<Selection, BlockFault> {
        let mut out = view.none();
        let Ask::Text(TextAsk { test, .. }) = &self.leaf.ask else {
            return Ok(out);
        };
        let mut left = within.clone();
        for column in &self.columns {
            match &column.finding {
                Some(finding) if finding.may_be_in(view.block) => {
                    out.add_by(|bits| finding.add_rows(view.block, left.words(), bits))?;
                }
                Some(_) => continue,
                None => {
                    let is_full_text = self.leaf.field.is_none();
                    test.scan(view, &column.name, is_full_text, &left, &mut out)?;
                }
            }
            left.subtract(&out);
            if left.is_empty() {
                return Ok(out);
            }
        }
        if let Some(name) = &self.leaf.field {
            self.leaf
                .evaluate_overflow(view, name, columns, within, &mut out)?;
        }
        Ok(out)
    }
}

impl std::fmt::Debug for FoundLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.columns.iter().map(|column| &column.name);
        f.debug_list().entries(columns).finish()
    }
}
