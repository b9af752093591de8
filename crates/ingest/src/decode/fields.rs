//! Which column a field of a record belongs to, and who wrote what in the record at hand.
//!
//! Names form a tree: an *object* is a place in the record (the record itself, or the object
//! under a name), a *member* is a name within one. Records of one source have their names in the
//! same order, so each member remembers the one that followed it; in the common case a name
//! costs one comparison and no hash.
//!
//! Invariants
//! - What a record wrote can be taken back as a whole, so a faulty record leaves nothing.
//! - A name that is repeated in one object takes back what it wrote before, scalar or object:
//!   the last one wins. Members of different objects with the same flattened name (`"a.b"` and
//!   `"a":{"b"}`) share a column, where the last value wins too.
//! - Taking back costs as much as writing did: time stays linear in the input.
//! - Memory is bounded: past [`COLUMNS_PER_BATCH_MAX`] columns the values of new names go to one
//!   JSON object a record in the column `_overflow`, and past [`MEMBERS_KEPT_MAX`] names of a
//!   record are forgotten with it.
use super::json;
use hashbrown::HashTable;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};
use taffrail_model::{
    column::{ColumnSet, Kind},
    field::{self, CANONICAL},
    limits::{COLUMNS_PER_BATCH_MAX, FIELD_NAME_BYTES_MAX},
};

/// Members that are remembered from record to record: enough for every column and the objects
/// on the way there; bounds the tree to a few megabytes.
const MEMBERS_KEPT_MAX: usize = 4 * COLUMNS_PER_BATCH_MAX;

/// The record itself.
pub(super) const ROOT: ObjectId = 0;
/// No member: the one before the first of an object.
pub(super) const NO_MEMBER: MemberId = u32::MAX;

pub(super) type ObjectId = u32;
pub(super) type MemberId = u32;

const NO_SLOT: u32 = u32::MAX;
const OVERFLOW_SLOT: u32 = u32::MAX - 1;
const NO_OBJECT: ObjectId = u32::MAX;

#[derive(Debug)]
struct Object {
    /// Flattened name with a dot at its end; empty for the record itself.
    prefix: String,
    /// The member that came first the last time.
    first: MemberId,
    /// Which occurrence of the object is being read.
    occurrence: u64,
    /// Members that wrote something in this occurrence.
    written: Vec<MemberId>,
}

#[derive(Debug)]
struct Member {
    object: ObjectId,
    name: Box<str>,
    /// The name and its closing quote as they stand in JSON; empty if the name needs escapes.
    in_json: Box<[u8]>,
    /// Its first eight bytes as a word, and which bits of that count: names are compared by the
    /// million, and most end within it.
    head: (u64, u64),
    /// The member that followed the last time.
    next: MemberId,
    /// Occurrence of the object in which the name was last seen.
    seen: u64,
    /// What it wrote there.
    holds: Holds,
    /// Column of its scalars.
    slot: u32,
    /// Object below it.
    inner: ObjectId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Scalar,
    Object,
}

/// A value of a field past the limit of columns.
#[derive(Debug)]
struct Overflowing {
    owner: MemberId,
    kind: Kind,
    text: String,
}

/// The field name is past its limit.
#[derive(Debug)]
pub(super) struct NameTooLong;

/// The columns of a batch with the tree of their names.
pub(super) struct Fields {
    columns: ColumnSet,
    /// The member that wrote the last value of each column.
    owners: Vec<MemberId>,
    objects: Vec<Object>,
    members: Vec<Member>,
    by_name: HashTable<MemberId>,
    hasher: RandomState,
    occurrences: u64,
    overflow: BTreeMap<String, Overflowing>,
    row: u32,
    /// Objects and members when the record began.
    kept: (usize, usize),
    /// Members that got an object below them in this record.
    inner_made: Vec<MemberId>,
}

impl Fields {
    pub(super) fn new() -> Fields {
        let record = Object {
            prefix: String::new(),
            first: NO_MEMBER,
            occurrence: 0,
            written: Vec::new(),
        };
        Fields {
            columns: ColumnSet::default(),
            owners: Vec::new(),
            objects: vec![record],
            members: Vec::new(),
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            occurrences: 0,
            overflow: BTreeMap::new(),
            row: 0,
            kept: (1, 0),
            inner_made: Vec::new(),
        }
    }

    pub(super) fn into_columns(mut self) -> ColumnSet {
        self.columns.set_rows(self.row);
        self.columns
    }

    /// Begins an occurrence of an object; for [`ROOT`], a record.
    #[inline]
    pub(super) fn begin_object(&mut self, object: ObjectId) {
        self.occurrences += 1;
        let object = &mut self.objects[object as usize];
        object.occurrence = self.occurrences;
        object.written.clear();
    }

    /// Makes room for more records like those so far, so many for each of them.
    pub(super) fn reserve(&mut self, more_for_each: f64) {
        for (_, column) in self.columns.iter_mut() {
            let more = |so_far: usize| (so_far as f64 * more_for_each) as usize;
            column.reserve(more(column.len()), more(column.text().len()));
        }
    }

    /// Ends the record: its row stays.
    pub(super) fn keep_record(&mut self) {
        if !self.overflow.is_empty() {
            self.write_overflow();
        }
        self.row += 1;
        self.forget_unkept();
    }

    /// Ends the record: all that it wrote is taken back.
    pub(super) fn drop_record(&mut self) {
        self.take_back(ROOT);
        self.overflow.clear();
        self.forget_unkept();
    }

    /// The member of `object` whose name and closing quote `json` begins with, if it is one of
    /// the two that are likely after `previous`; with the length of both.
    #[inline]
    pub(super) fn guess(
        &self,
        object: ObjectId,
        previous: MemberId,
        json: &[u8],
    ) -> Option<(MemberId, usize)> {
        let likely = match self.members.get(previous as usize) {
            Some(member) => member.next,
            None => self.objects[object as usize].first,
        };
        let member = self.members.get(likely as usize)?;
        if member.is_next(object, json) {
            return Some((likely, member.in_json.len()));
        }
        // An optional field was left out.
        let likely = member.next;
        let member = self.members.get(likely as usize)?;
        member
            .is_next(object, json)
            .then_some((likely, member.in_json.len()))
    }

    /// The member of a name, created if it is new, as the one that follows `previous`.
    pub(super) fn member(
        &mut self,
        object: ObjectId,
        previous: MemberId,
        name: &str,
    ) -> Result<MemberId, NameTooLong> {
        let hash = self.hasher.hash_one((object, name));
        let found = self.by_name.find(hash, |id| {
            let member = &self.members[*id as usize];
            member.object == object && *member.name == *name
        });
        let id = match found {
            Some(id) => *id,
            None => self.create_member(object, name, hash)?,
        };
        match self.members.get_mut(previous as usize) {
            Some(member) => member.next = id,
            None => self.objects[object as usize].first = id,
        }
        Ok(id)
    }

    fn create_member(
        &mut self,
        object: ObjectId,
        name: &str,
        hash: u64,
    ) -> Result<MemberId, NameTooLong> {
        if self.objects[object as usize].prefix.len() + name.len() > FIELD_NAME_BYTES_MAX {
            return Err(NameTooLong);
        }
        let needs_escape = name.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\');
        let in_json = if needs_escape {
            Box::default()
        } else {
            [name.as_bytes(), b"\""].concat().into_boxed_slice()
        };
        let mut head = [0; 8];
        let head_bytes = in_json.len().min(head.len());
        head[..head_bytes].copy_from_slice(&in_json[..head_bytes]);
        let counts = u64::MAX.checked_shr(64 - 8 * head_bytes as u32);
        // Below 2^32 members: each takes at least four bytes of a bounded batch.
        let id = self.members.len() as MemberId;
        self.members.push(Member {
            object,
            name: name.into(),
            in_json,
            head: (u64::from_le_bytes(head), counts.unwrap_or_default()),
            next: NO_MEMBER,
            seen: 0,
            holds: Holds::Nothing,
            slot: NO_SLOT,
            inner: NO_OBJECT,
        });
        let hash_of = hash_of(&self.hasher, &self.members);
        self.by_name.insert_unique(hash, id, hash_of);
        Ok(id)
    }

    /// Notes that a member's value follows; if the name was there before in this occurrence of
    /// its object, what it wrote is taken back.
    #[inline]
    pub(super) fn meet(&mut self, id: MemberId) {
        let member = &mut self.members[id as usize];
        let occurrence = self.objects[member.object as usize].occurrence;
        if member.seen == occurrence {
            self.take_back_member(id);
        }
        let member = &mut self.members[id as usize];
        member.seen = occurrence;
        member.holds = Holds::Nothing;
    }

    /// The object below a member, as an occurrence that begins.
    pub(super) fn begin_inner(&mut self, id: MemberId) -> Result<ObjectId, NameTooLong> {
        let member = &self.members[id as usize];
        let mut inner = member.inner;
        if inner == NO_OBJECT {
            let prefix = format!(
                "{}{}.",
                self.objects[member.object as usize].prefix, member.name
            );
            if prefix.len() > FIELD_NAME_BYTES_MAX {
                return Err(NameTooLong);
            }
            inner = self.objects.len() as ObjectId;
            self.objects.push(Object {
                prefix,
                first: NO_MEMBER,
                occurrence: 0,
                written: Vec::new(),
            });
            self.members[id as usize].inner = inner;
            self.inner_made.push(id);
        }
        self.note_written(id, Holds::Object);
        self.begin_object(inner);
        Ok(inner)
    }

    /// Writes the value of a member; `write` appends its text.
    #[inline]
    pub(super) fn write(&mut self, id: MemberId, kind: Kind, write: impl FnOnce(&mut String)) {
        let mut slot = self.members[id as usize].slot;
        if slot == NO_SLOT {
            slot = self.find_slot(id);
        }
        self.note_written(id, Holds::Scalar);
        if slot == OVERFLOW_SLOT {
            return self.write_overflowing(id, kind, write);
        }
        self.owners[slot as usize] = id;
        let (_, column) = self.columns.slot_mut(slot as usize);
        column.push_with(self.row, kind, write);
    }

    #[inline]
    fn note_written(&mut self, id: MemberId, holds: Holds) {
        let member = &mut self.members[id as usize];
        member.holds = holds;
        self.objects[member.object as usize].written.push(id);
    }

    #[cold]
    fn write_overflowing(&mut self, id: MemberId, kind: Kind, write: impl FnOnce(&mut String)) {
        let mut text = String::new();
        write(&mut text);
        let value = Overflowing {
            owner: id,
            kind,
            text,
        };
        self.overflow.insert(self.flattened(id), value);
    }

    #[cold]
    fn find_slot(&mut self, id: MemberId) -> u32 {
        let name = self.flattened(id);
        let may_create = self.columns.len() < COLUMNS_PER_BATCH_MAX || has_meaning(&name);
        let slot = if may_create || self.columns.get(&name).is_some() {
            let slot = self.columns.slot(&name);
            if slot == self.owners.len() {
                self.owners.push(NO_MEMBER);
            }
            slot as u32
        } else {
            OVERFLOW_SLOT
        };
        self.members[id as usize].slot = slot;
        slot
    }

    fn flattened(&self, id: MemberId) -> String {
        let member = &self.members[id as usize];
        [&*self.objects[member.object as usize].prefix, &*member.name].concat()
    }

    #[cold]
    fn take_back_member(&mut self, id: MemberId) {
        let member = &self.members[id as usize];
        match (member.holds, member.slot) {
            (Holds::Nothing, _) => {}
            (Holds::Object, _) => self.take_back(member.inner),
            (Holds::Scalar, OVERFLOW_SLOT) => {
                let name = self.flattened(id);
                if self
                    .overflow
                    .get(&name)
                    .is_some_and(|have| have.owner == id)
                {
                    self.overflow.remove(&name);
                }
            }
            (Holds::Scalar, slot) => {
                if self.owners[slot as usize] == id {
                    self.columns.slot_mut(slot as usize).1.remove_last(self.row);
                }
            }
        }
        self.members[id as usize].holds = Holds::Nothing;
    }

    /// Depth is bounded by the limit of nesting, which is checked before an object begins.
    fn take_back(&mut self, object: ObjectId) {
        for id in std::mem::take(&mut self.objects[object as usize].written) {
            self.take_back_member(id);
        }
    }

    #[cold]
    fn write_overflow(&mut self) {
        let mut values = std::mem::take(&mut self.overflow);
        let slot = self.columns.slot(field::OVERFLOW);
        if slot == self.owners.len() {
            self.owners.push(NO_MEMBER);
        }
        let column = self.columns.slot_mut(slot).1;
        // A field that the sender calls so is kept beside the others.
        if let Some(theirs) = column.get(self.row) {
            let theirs = Overflowing {
                owner: NO_MEMBER,
                kind: theirs.kind,
                text: theirs.text.to_string(),
            };
            values.insert(field::OVERFLOW.to_string(), theirs);
        }
        column.push_with(self.row, Kind::Json, |out| {
            for (index, (name, value)) in values.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                json::escape_into(name, out);
                out.push(':');
                if value.kind == Kind::String {
                    json::escape_into(&value.text, out);
                } else {
                    out.push_str(&value.text);
                }
            }
            out.push('}');
        });
    }

    /// Forgets the names that the record added past the bound.
    #[inline]
    fn forget_unkept(&mut self) {
        if self.members.len() <= MEMBERS_KEPT_MAX {
            self.kept = (self.objects.len(), self.members.len());
            self.inner_made.clear();
            return;
        }
        let (objects, members) = self.kept;
        while self.members.len() > members {
            let id = (self.members.len() - 1) as MemberId;
            let member = &self.members[id as usize];
            let hash = self.hasher.hash_one((member.object, &*member.name));
            if let Ok(entry) = self.by_name.find_entry(hash, |have| *have == id) {
                entry.remove();
            }
            self.members.pop();
        }
        self.objects.truncate(objects);
        for id in self.inner_made.drain(..) {
            if let Some(member) = self.members.get_mut(id as usize) {
                member.inner = NO_OBJECT;
            }
        }
    }
}

impl Member {
    /// Whether the JSON goes on with this member. The object is compared too, since a guess may
    /// be left from a member that is forgotten.
    #[inline]
    fn is_next(&self, object: ObjectId, json: &[u8]) -> bool {
        if self.object != object || self.in_json.is_empty() {
            return false;
        }
        let (Some(first), (head, counts)) = (json.first_chunk::<8>(), self.head) else {
            return json.starts_with(&self.in_json);
        };
        if u64::from_le_bytes(*first) & counts != head {
            return false;
        }
        let rest = self.in_json.get(first.len()..).unwrap_or_default();
        rest.is_empty() || json[first.len()..].starts_with(rest)
    }
}

fn hash_of<'a>(
    hasher: &'a RandomState,
    members: &'a [Member],
) -> impl Fn(&MemberId) -> u64 + use<'a> {
    |id| {
        let member = &members[*id as usize];
        hasher.hash_one((member.object, &*member.name))
    }
}

/// Whether the pipeline gives the name a meaning: such a field always gets its column.
fn has_meaning(name: &str) -> bool {
    CANONICAL
        .iter()
        .any(|field| field.name == name || field.aliases.contains(&name))
}
