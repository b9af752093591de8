//! Which blocks a read looks at, in which order, on how many threads.
//!
//! Partitions are pruned by tenant, stream, day and policy, sources and blocks by time and
//! position. What is left goes through one queue, the block that can hold the first rows of the
//! order first, so that a page of the latest rows ends after a few blocks; a source is opened only
//! when its turn comes. A block that cannot be read is named in the answer, and the rest served.
use super::{
    block::{BlockFault, BlockView},
    deleted::{self, DeletedRows, DeletionPlan},
    plan::{Clock, Plan, SourceColumns, SourceScope},
    selection::Selection,
};
use crate::{
    cursor::RowKey,
    request::{Control, Order, ScanRequest, StreamSelection},
    result::{Completeness, ScanError, ScanWork},
    search::tree::{Expr, Leaf, Test},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::{BTreeSet, BinaryHeap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use taffrail_model::{
    access::RowFilter,
    column::{FieldName, Kind},
    field,
    id::RecordId,
    instance::InstanceIds,
    limits::QUERY_DURATION_MS_MAX,
    position::{PartitionKey, Position},
    stream::StreamDefinition,
    time::{NS_PER_DAY, TimeRange, Timestamp},
};
use taffrail_storage::{
    read::{Extent, ReadError, RowSource},
    snapshot::{Fault, Snapshot},
};

/// Blocks and sources that one thread looks at before a second one helps, if they come in order: a
/// page of the latest rows is ready sooner than a thread starts.
const ALONE_STEPS: u64 = 6;
/// Rows of such blocks: a chunk of a tail has as many as several blocks of a section.
const ALONE_ROWS: u64 = 8_192;
/// Neighbouring blocks of a source that a thread takes at once where order does not matter: what
/// is remembered of a source serves them all, and the queue is locked once.
const RUN_BLOCKS: usize = 16;
/// Rows left for which a second thread is worth its start.
const SECOND_THREAD_ROWS_MIN: u64 = 32_768;

/// Place of a row in an order, smaller is earlier in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderKey(i64, u64);

impl OrderKey {
    /// Before every row.
    pub(super) const FIRST: OrderKey = OrderKey(i64::MIN, 0);

    pub(super) fn new(order: Order, key: RowKey) -> OrderKey {
        let (time, position) = (key.timestamp.0, key.position.0);
        match order {
            Order::Ascending => OrderKey(time, position),
            // The complement reverses the order of integers.
            Order::Descending => OrderKey(!time, !position),
            Order::Arrival => OrderKey(0, position),
        }
    }

    /// No row of the extent is before this.
    pub(super) fn first_of(order: Order, extent: &Extent) -> OrderKey {
        let key = |timestamp, position| {
            OrderKey::new(
                order,
                RowKey {
                    timestamp,
                    position,
                },
            )
        };
        match order {
            Order::Descending => key(extent.time_max, extent.position_max),
            Order::Ascending | Order::Arrival => key(extent.time_min, extent.position_min),
        }
    }

    /// No row of the extent is after this.
    pub(super) fn last_of(order: Order, extent: &Extent) -> OrderKey {
        let key = |timestamp, position| {
            OrderKey::new(
                order,
                RowKey {
                    timestamp,
                    position,
                },
            )
        };
        match order {
            Order::Descending => key(extent.time_min, extent.position_min),
            Order::Ascending | Order::Arrival => key(extent.time_max, extent.position_max),
        }
    }
}

/// What ends a read early: the client, the deadline, or a fault that another thread met.
pub(super) struct Interrupt {
    control: Control,
    deadline: Instant,
    is_stopped: AtomicBool,
}

impl Interrupt {
    pub(super) fn new(control: &Control) -> Interrupt {
        let longest = Duration::from_millis(QUERY_DURATION_MS_MAX);
        Interrupt {
            control: control.clone(),
            deadline: control
                .deadline()
                .unwrap_or_else(|| Instant::now() + longest),
            is_stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn check(&self) -> Result<(), ScanError> {
        if self.control.is_cancelled() || self.is_stopped.load(Relaxed) {
            return Err(ScanError::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(ScanError::DeadlineExceeded);
        }
        Ok(())
    }
}

/// A read, ready to run.
pub(super) struct Scan<'a> {
    request: &'a ScanRequest,
    snapshot: &'a Snapshot,
    plan: Plan,
    /// Deletions in effect of the tenants that may be read.
    deletions: Vec<DeletionPlan>,
    range: TimeRange,
    after: Position,
    upto: Position,
    pub(super) interrupt: Interrupt,
    faults: Mutex<Vec<Fault>>,
    work: Mutex<ScanWork>,
}

/// A partition of which something may be seen.
pub(super) struct PartitionScope {
    pub(super) key: PartitionKey,
    pub(super) stream: Arc<StreamDefinition>,
    /// Whose rows may be seen; `None`: all.
    owners: Option<Arc<BTreeSet<String>>>,
    /// Instances whose rows nobody sees.
    hidden_instances: Option<Arc<InstanceIds>>,
    hides_debug: bool,
}

impl PartitionScope {
    /// Whether every row may be seen, whatever it holds.
    fn shows_all_rows(&self) -> bool {
        self.owners.is_none() && self.hidden_instances.is_none()
    }
}

/// A source whose directory was read.
pub(super) struct OpenSource<'a> {
    pub(super) partition: Arc<PartitionScope>,
    pub(super) source: &'a dyn RowSource,
    pub(super) columns: SourceColumns,
    plan: Plan,
    /// Whether rows may belong to an instance at all.
    has_instances: bool,
    deleted: Vec<DeletedRows>,
}

impl OpenSource<'_> {
    /// Instances whose rows are hidden here.
    fn hidden_instances(&self) -> Option<&InstanceIds> {
        let hidden = self.partition.hidden_instances.as_deref();
        hidden.filter(|_| self.has_instances)
    }

    fn shows_all_rows(&self) -> bool {
        self.partition.owners.is_none()
            && self.hidden_instances().is_none()
            && self.deleted.is_empty()
    }
}

/// A block of an open source.
#[derive(Clone)]
pub(super) struct OpenBlock<'a> {
    pub(super) open: Arc<OpenSource<'a>>,
    pub(super) block: usize,
    pub(super) extent: Extent,
}

/// Takes what matches. Each thread has its own; they are merged at the end.
pub(super) trait Collector<'a>: Send + Sized {
    /// An empty one with the same settings.
    fn fork(&self) -> Self;
    /// Takes over what the other has collected.
    fn merge(&mut self, other: Self);
    /// The order in which blocks are best looked at.
    fn order(&self) -> Order {
        Order::Ascending
    }
    /// Whether blocks have to come in that order, one by one.
    fn is_ordered(&self) -> bool {
        true
    }
    /// Whether no row at or behind this key can change the result any more.
    fn is_done(&self, _first: OrderKey) -> bool {
        false
    }
    /// Whether rows of this extent can change the result.
    fn wants(&self, _extent: &Extent) -> bool {
        true
    }
    /// Takes an extent of which every row matches, if its rows need not be read for that.
    fn take_whole(&mut self, _extent: &Extent) -> bool {
        false
    }
    /// Takes the number of matching rows of an extent, if their values are not needed.
    fn take_count(&mut self, _rows: u64) -> bool {
        false
    }
    /// Drops rows that cannot change the result before they are looked at.
    fn narrow(&self, _: &mut BlockView<'_>, _: &mut Selection) -> Result<(), BlockFault> {
        Ok(())
    }
    /// Takes the matching rows of a block: all of them, or none if it fails.
    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault>;
}

enum Task<'a> {
    Source(Arc<PartitionScope>, &'a dyn RowSource),
    /// Neighbouring blocks of one source.
    Run(Vec<OpenBlock<'a>>),
}

/// What a thread has done or does next.
enum Step<'a> {
    /// A source was opened.
    Opened,
    /// Blocks of one source are to be read.
    Run(Vec<OpenBlock<'a>>),
}

struct Queued<'a> {
    first: OrderKey,
    rows: u32,
    task: Task<'a>,
}

impl PartialEq for Queued<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first
    }
}
impl Eq for Queued<'_> {}
impl PartialOrd for Queued<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued<'_> {
    /// Reversed: the heap gives the greatest, the scan wants the first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.first.cmp(&self.first)
    }
}

struct Queue<'a> {
    order: Order,
    /// Blocks that are taken at once.
    run_blocks: usize,
    heap: BinaryHeap<Queued<'a>>,
    rows_left: u64,
    /// Sources that a thread is opening: their blocks come soon.
    opening: usize,
}

/// The queue as threads share it.
struct SharedQueue<'a> {
    queue: Mutex<Queue<'a>>,
    /// Told when a source has been opened.
    opened: Condvar,
}

/// A source that is being opened, until this is dropped, by a thread that does not hold the queue.
struct Opening<'q, 'a>(&'q SharedQueue<'a>);

impl Drop for Opening<'_, '_> {
    fn drop(&mut self) {
        self.0.queue.lock().opening -= 1;
        self.0.opened.notify_all();
    }
}

impl<'a> Queue<'a> {
    /// Adds the blocks of a source that was queued at `first`.
    fn push_blocks(&mut self, blocks: Vec<OpenBlock<'a>>, first: OrderKey) {
        let mut blocks = blocks.into_iter();
        loop {
            let run: Vec<OpenBlock<'a>> = blocks.by_ref().take(self.run_blocks).collect();
            let Some(extent) = run.first().map(|block| block.extent) else {
                return;
            };
            let first = match first {
                OrderKey::FIRST => first,
                _ => OrderKey::first_of(self.order, &extent),
            };
            let rows = run.iter().map(|block| block.extent.rows).sum();
            self.push(first, rows, Task::Run(run));
        }
    }

    fn push(&mut self, first: OrderKey, rows: u32, task: Task<'a>) {
        self.rows_left += u64::from(rows);
        self.heap.push(Queued { first, rows, task });
    }

    /// Rows left, if some of them can change the result.
    fn rows_wanted<C: Collector<'a>>(&self, collector: &C) -> u64 {
        // The next task has the first rows in order.
        let next = self.heap.peek();
        match next.is_some_and(|next| !collector.is_done(next.first)) {
            true => self.rows_left,
            false => 0,
        }
    }

    fn pop(&mut self) -> Option<Queued<'a>> {
        let next = self.heap.pop()?;
        self.rows_left -= u64::from(next.rows);
        Some(next)
    }
}

impl<'a> Scan<'a> {
    /// Prepares a read of the positions up to `upto`.
    pub(super) fn new(
        request: &'a ScanRequest,
        snapshot: &'a Snapshot,
        upto: Position,
    ) -> Result<Scan<'a>, ScanError> {
        let (mut after, _) = request.positions();
        let mut upto = upto;
        if let Some(id) = required_id(request.predicate()) {
            after = after.max(Position(id.position.0.saturating_sub(1)));
            upto = upto.min(id.position);
        }
        Ok(Scan {
            request,
            snapshot,
            plan: Plan::new(request.predicate(), &clock(request))?,
            deletions: deletions(request, snapshot)?,
            range: request.range(),
            after,
            upto,
            interrupt: Interrupt::new(request.control()),
            faults: Mutex::default(),
            work: Mutex::default(),
        })
    }

    /// What could not be read so far, what storage knows to be unreadable included.
    pub(super) fn completeness(&self) -> Completeness {
        let known = self.snapshot.faults().iter().filter(|fault| {
            fault
                .partition
                .is_none_or(|key| self.partition(&key).is_some())
        });
        let mut faults: Vec<Fault> = known.cloned().collect();
        for fault in self.faults.lock().iter() {
            if !faults.contains(fault) {
                faults.push(fault.clone());
            }
        }
        Completeness {
            partial: !faults.is_empty(),
            faults,
        }
    }

    pub(super) fn work(&self) -> ScanWork {
        *self.work.lock()
    }

    pub(super) fn request(&self) -> &'a ScanRequest {
        self.request
    }

    pub(super) fn epoch(&self) -> u16 {
        self.snapshot.epoch()
    }

    /// Notes what could not be read.
    pub(super) fn note(&self, key: PartitionKey, error: &ReadError) {
        let fault = Fault::of_read(key, error);
        let mut faults = self.faults.lock();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// A view of a block for reading its rows.
    pub(super) fn view<'v>(&'v self, block: &OpenBlock<'v>) -> BlockView<'v> {
        BlockView::new(
            block.open.source,
            block.block,
            block.extent,
            &self.interrupt,
        )
    }

    /// Gives every matching row to the collector.
    pub(super) fn run<C: Collector<'a>>(&self, mut collector: C) -> Result<C, ScanError> {
        // A run that was ended by its collector may be followed by one that says why.
        self.interrupt.is_stopped.store(false, Relaxed);
        let is_ordered = collector.is_ordered();
        let mut queue = Queue {
            order: collector.order(),
            run_blocks: if is_ordered { 1 } else { RUN_BLOCKS },
            heap: BinaryHeap::new(),
            rows_left: 0,
            opening: 0,
        };
        for view in self.snapshot.partitions() {
            let Some(partition) = self.partition(&view.key) else {
                continue;
            };
            let partition = Arc::new(partition);
            let mut push = |source: &'a Arc<dyn RowSource>, is_first: bool| {
                let extent = source.extent();
                if self.overlaps(&extent) {
                    let first = match is_first {
                        true => OrderKey::FIRST,
                        false => OrderKey::first_of(queue.order, &extent),
                    };
                    let task = Task::Source(partition.clone(), source.as_ref());
                    queue.push(first, extent.rows, task);
                }
            };
            view.sections().for_each(|section| push(section, false));
            // What takes longest is begun with, if it is all the same: then threads end together.
            view.chunks().for_each(|chunk| push(chunk, !is_ordered));
        }
        let queue = SharedQueue {
            queue: Mutex::new(queue),
            opened: Condvar::new(),
        };
        let all = (u64::MAX, u64::MAX);
        let alone = match (self.plan.is(true), is_ordered) {
            // Of most blocks it is known what they give before they are read.
            (true, _) => (ALONE_STEPS, u64::MAX),
            (false, true) => (ALONE_STEPS, ALONE_ROWS),
            (false, false) => (0, 0),
        };
        self.work_off(&queue, &mut collector, alone)?;
        if queue.queue.lock().rows_wanted(&collector) < SECOND_THREAD_ROWS_MIN {
            self.work_off(&queue, &mut collector, all)?;
            return Ok(collector);
        }
        let mut helper = collector.fork();
        let (mine, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| self.work_off(&queue, &mut helper, all));
            let mine = self.work_off(&queue, &mut collector, all);
            (mine, other.join())
        });
        let other = other.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (mine, other) {
            // A thread that was stopped by the other's error says no more than that.
            (Err(ScanError::Cancelled), Err(error)) | (Err(error), _) | (_, Err(error)) => {
                return Err(error);
            }
            (Ok(()), Ok(())) => collector.merge(helper),
        }
        Ok(collector)
    }

    /// What may be seen of a partition that the request asks for.
    fn partition(&self, key: &PartitionKey) -> Option<PartitionScope> {
        let owners = match self.request.policy().filter(key.tenant, key.stream)? {
            RowFilter::All => None,
            RowFilter::OwnedBy(own) => Some(own.clone()),
        };
        let stream = self.request.catalogue().by_number(key.stream)?;
        let is_selected = match self.request.streams() {
            StreamSelection::Only(streams) => streams.contains(&key.stream),
            StreamSelection::Default => {
                !stream.is_own_events || names_stream(self.request.predicate(), &stream.name)
            }
        };
        let (day, today) = (
            i64::from(key.day.0),
            self.request.now().0.div_euclid(NS_PER_DAY),
        );
        let is_expired = stream
            .oldest_day_kept(today)
            .is_some_and(|oldest| day < oldest);
        let has_id = required_id(self.request.predicate())
            .is_none_or(|id| id.stream == key.stream && id.day == key.day);
        let is_wanted = is_selected
            && !is_expired
            && has_id
            && self.range.overlaps(key.day.start(), key.day.end());
        is_wanted.then(|| PartitionScope {
            key: *key,
            stream: stream.clone(),
            owners,
            hidden_instances: self
                .request
                .policy()
                .hidden_instances(key.tenant, key.stream)
                .cloned(),
            hides_debug: stream
                .debug_retention_days
                .is_some_and(|days| day < today - i64::from(days)),
        })
    }

    fn overlaps(&self, extent: &Extent) -> bool {
        self.range.overlaps(extent.time_min, extent.time_max)
            && self.after < extent.position_max
            && extent.position_min <= self.upto
    }

    /// Whether every row of the extent is within the times and positions asked for.
    fn covers(&self, extent: &Extent) -> bool {
        self.range.contains(extent.time_min)
            && self.range.contains(extent.time_max)
            && self.after < extent.position_min
            && extent.position_max <= self.upto
    }

    /// Takes tasks from the queue until it is empty, the result is complete, or so many blocks and
    /// sources, or rows, were looked at.
    fn work_off<C: Collector<'a>>(
        &self,
        queue: &SharedQueue<'a>,
        collector: &mut C,
        (steps_max, rows_max): (u64, u64),
    ) -> Result<(), ScanError> {
        let mut work = ScanWork::default();
        let mut outcome = Ok(());
        let mut sources = 0;
        while work.blocks + sources < steps_max && work.rows < rows_max {
            outcome = self.interrupt.check();
            if outcome.is_err() {
                break;
            }
            match self.next_step(queue, collector) {
                None => break,
                Some(Step::Opened) => sources += 1,
                Some(Step::Run(run)) => {
                    outcome = self.evaluate_run(&run, collector, &mut work);
                    if outcome.is_err() {
                        break;
                    }
                }
            }
        }
        let mut all = self.work.lock();
        all.blocks += work.blocks;
        all.rows += work.rows;
        outcome
    }

    /// Gives the matching rows of neighbouring blocks to the collector.
    fn evaluate_run<C: Collector<'a>>(
        &self,
        run: &[OpenBlock<'a>],
        collector: &mut C,
        work: &mut ScanWork,
    ) -> Result<(), ScanError> {
        for block in run {
            let is_whole = block.open.plan.is(true)
                && block.open.shows_all_rows()
                && self.covers(&block.extent)
                && collector.take_whole(&block.extent);
            if is_whole || !collector.wants(&block.extent) {
                continue;
            }
            work.blocks += 1;
            work.rows += u64::from(block.extent.rows);
            self.interrupt.check()?;
            match self.evaluate(block, collector) {
                Ok(()) => {}
                Err(BlockFault::Read(error)) => self.note(block.open.partition.key, &error),
                Err(BlockFault::Stop(error)) => {
                    self.interrupt.is_stopped.store(true, Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Opens the next source, or takes the next blocks that have to be read.
    fn next_step<C: Collector<'a>>(
        &self,
        shared: &SharedQueue<'a>,
        collector: &mut C,
    ) -> Option<Step<'a>> {
        let mut queue = shared.queue.lock();
        loop {
            let Some(next) = queue.pop() else {
                if queue.opening == 0 {
                    return None;
                }
                shared.opened.wait(&mut queue);
                continue;
            };
            if collector.is_done(next.first) {
                continue;
            }
            match next.task {
                Task::Source(partition, source) => {
                    queue.opening += 1;
                    // Others go on with what is queued, and wait for what is opened, even if
                    // that panics: the queue is not locked when `Opening` ends.
                    MutexGuard::unlocked(&mut queue, || {
                        let _opening = Opening(shared);
                        match self.open(&partition, source, collector) {
                            Ok(blocks) => {
                                let mut queue = shared.queue.lock();
                                queue.push_blocks(blocks, next.first);
                            }
                            Err(error) => self.note(partition.key, &error),
                        }
                    });
                    return Some(Step::Opened);
                }
                Task::Run(run) => return Some(Step::Run(run)),
            }
        }
    }

    fn source_scope<'s>(
        &self,
        partition: &'s PartitionScope,
        extent: Extent,
        names: Option<&'s [FieldName]>,
    ) -> SourceScope<'s> {
        SourceScope {
            key: partition.key,
            stream_name: &partition.stream.name,
            node: self.request.node(),
            epoch: self.snapshot.epoch(),
            extent,
            names,
        }
    }

    fn plan_for(
        &self,
        partition: &PartitionScope,
        extent: Extent,
        names: Option<&[FieldName]>,
    ) -> Plan {
        let scope = self.source_scope(partition, extent, names);
        match partition.hides_debug {
            true => self.plan.clone().without_debug().for_source(&scope),
            false => self.plan.for_source(&scope),
        }
    }

    /// A further predicate, compiled.
    pub(super) fn plan_of(&self, expr: &Expr) -> Result<Plan, ScanError> {
        Plan::new(expr, &clock(self.request))
    }

    /// A further predicate, cut down for one source.
    pub(super) fn plan_at(&self, open: &OpenSource<'_>, plan: &Plan) -> Result<Plan, ReadError> {
        let (extent, columns) = (open.source.extent(), &open.columns);
        let scope = self.source_scope(&open.partition, extent, Some(&columns.names));
        plan.for_source(&scope).looked_up(open.source, columns)
    }

    /// Reads a source's directory, unless its extent decides: the blocks that have to be read.
    fn open<C: Collector<'a>>(
        &self,
        partition: &Arc<PartitionScope>,
        source: &'a dyn RowSource,
        collector: &mut C,
    ) -> Result<Vec<OpenBlock<'a>>, ReadError> {
        let extent = source.extent();
        let unopened = self.plan_for(partition, extent, None);
        let is_covered = self.covers(&extent);
        let deletions = deleted::concerning(&self.deletions, &partition.key, source);
        let is_whole = unopened.is(true)
            && partition.shows_all_rows()
            && deletions.is_empty()
            && is_covered
            && collector.take_whole(&extent);
        if is_whole || unopened.is(false) || !collector.wants(&extent) {
            return Ok(Vec::new());
        }
        let columns = SourceColumns::new(source.column_names()?);
        let plan = self.plan_for(partition, extent, Some(&columns.names));
        let plan = plan.looked_up(source, &columns)?;
        if plan.is(false) {
            return Ok(Vec::new());
        }
        let scope = self.source_scope(partition, extent, Some(&columns.names));
        let deleted = deleted::for_source(&deletions, &scope, source, &columns)?;
        let has_instances = columns
            .names
            .iter()
            .any(|name| &**name == field::INSTANCE_ID);
        let open = Arc::new(OpenSource {
            partition: partition.clone(),
            source,
            has_instances,
            deleted,
            columns,
            plan,
        });
        if let Some(rows) = open.plan.count()
            && open.shows_all_rows()
            && is_covered
            && collector.take_count(rows)
        {
            return Ok(Vec::new());
        }
        let blocks = source.blocks()?;
        let blocks = blocks
            .iter()
            .enumerate()
            .filter(|(block, extent)| self.overlaps(extent) && open.plan.may_match_in(*block));
        Ok(blocks
            .map(|(block, extent)| OpenBlock {
                open: open.clone(),
                block,
                extent: *extent,
            })
            .collect())
    }

    /// Gives the block's matching rows to the collector.
    fn evaluate<C: Collector<'a>>(
        &self,
        block: &OpenBlock<'a>,
        collector: &mut C,
    ) -> Result<(), BlockFault> {
        let mut view = self.view(block);
        let mut selection = view.all();
        self.narrow_to_request(&mut view, &mut selection)?;
        if let Some(owners) = &block.open.partition.owners {
            narrow_to_owners(&mut view, owners, &mut selection)?;
        }
        if let Some(hidden) = block.open.hidden_instances() {
            drop_instances(&mut view, hidden, &mut selection)?;
        }
        let open = &block.open;
        deleted::drop_deleted(&open.deleted, &mut view, &open.columns, &mut selection)?;
        if !selection.is_empty() {
            collector.narrow(&mut view, &mut selection)?;
        }
        if selection.is_empty() {
            return Ok(());
        }
        let matching = open.plan.evaluate(&mut view, &open.columns, &selection)?;
        if matching.is_empty() {
            return Ok(());
        }
        collector.take(block, &mut view, &matching)
    }

    /// Drops the rows outside of the times and positions asked for.
    fn narrow_to_request(
        &self,
        view: &mut BlockView<'_>,
        selection: &mut Selection,
    ) -> Result<(), BlockFault> {
        if self.covers(&view.extent) {
            return Ok(());
        }
        let times = view.timestamps()?;
        let positions = view.positions()?;
        selection.retain(|row| {
            let (time, position) = (
                Timestamp(times[row as usize]),
                Position(positions[row as usize]),
            );
            self.range.contains(time) && self.after < position && position <= self.upto
        });
        Ok(())
    }
}

/// What times of the predicate are relative to.
fn clock(request: &ScanRequest) -> Clock<'_> {
    Clock {
        now: request.moment(),
        zone: request.zone(),
    }
}

/// Drops the rows that belong to nobody of `owners`.
fn narrow_to_owners(
    view: &mut BlockView<'_>,
    owners: &BTreeSet<String>,
    selection: &mut Selection,
) -> Result<(), BlockFault> {
    let mut own = view.none();
    if let Some(loaded) = view.column(&field::USER_ID.into())? {
        for (row, value) in loaded.column.iter() {
            if selection.has(row) && value.kind != Kind::Json && owners.contains(value.text) {
                own.add(row);
            }
        }
    }
    *selection = own;
    Ok(())
}

/// Drops the rows that belong to one of these instances.
pub(super) fn drop_instances(
    view: &mut BlockView<'_>,
    hidden: &InstanceIds,
    selection: &mut Selection,
) -> Result<(), BlockFault> {
    let mut dropped = view.none();
    if let Some(loaded) = view.column(&field::INSTANCE_ID.into())? {
        for (row, value) in loaded.column.iter() {
            if value.kind != Kind::Json && hidden.contains(value.text) {
                dropped.add(row);
            }
        }
    }
    selection.subtract(&dropped);
    Ok(())
}

/// The deletions that may concern what the request may read.
fn deletions(request: &ScanRequest, snapshot: &Snapshot) -> Result<Vec<DeletionPlan>, ScanError> {
    let tenants = request.policy().tenants();
    let in_effect = snapshot.deletions().iter();
    in_effect
        .filter(|deletion| tenants.contains(&deletion.tenant))
        .map(DeletionPlan::new)
        .collect()
}

/// The id that every match must have.
fn required_id(expr: &Expr) -> Option<RecordId> {
    match expr {
        Expr::Leaf(Leaf {
            test: Test::Id(id), ..
        }) => Some(*id),
        Expr::And(children) => children.iter().find_map(required_id),
        _ => None,
    }
}

/// Whether the predicate asks for this stream by `stream:`.
fn names_stream(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Leaf(leaf) if leaf.field.as_deref() == Some(field::STREAM) => match &leaf.test {
            Test::Whole(text) => text == name,
            Test::WholePattern(pattern) => {
                crate::words::glob_matches(&crate::words::glob_chars(pattern), name)
            }
            _ => false,
        },
        Expr::And(children) | Expr::Or(children) => {
            children.iter().any(|child| names_stream(child, name))
        }
        Expr::All | Expr::Not(_) | Expr::Leaf(_) => false,
    }
}
