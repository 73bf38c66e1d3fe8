import { ConclaveError } from '@conclave/kernel';
import type { Change, ChangeBatch, State } from '@conclave/state';
import type { WatchEventInput, WatchRequest } from '@conclave/wire';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { EventQueue } from './event-queue.js';
import { checkCount, invalid } from './invalid.js';
import { readState } from './reading.js';
import { currentEvents, eventOf, WATCH_KINDS } from './watch-events.js';
import type { WatchKind } from './watch-events.js';

/**
 * Changes in log order: first, when asked for, every object as it is and a mark, then what comes.
 * A reader that is slower than the cluster is cut off and may resume behind its last event; one of
 * a manager that a snapshot has brought up to date has to begin anew.
 * @throws CV_ARGUMENT_INVALID, CV_HISTORY_COMPACTED, CV_QUEUE_FULL
 */
export async function* watchChanges(
  deps: ControlDependencies,
  request: WatchRequest,
  call: CallContext,
): AsyncGenerator<WatchEventInput, void> {
  const kinds = kindsOf(request);
  const state = await readState(deps);
  const queue = new EventQueue<WatchEventInput>();
  const follow = (batch: ChangeBatch): void => {
    if (batch.index <= request.afterIndex) return;
    queue.push(eventsOf(batch, kinds));
  };
  // Listening begins in the same turn in which the past is read: nothing falls in between.
  const past = pastEvents(state, request, kinds);
  const unwatch = state.watch(follow);
  const stopListening = deps.onReplaced(() => {
    queue.fail(
      new ConclaveError(
        'CV_HISTORY_COMPACTED',
        'this manager was brought up to date by a snapshot',
      ),
    );
  });
  const end = (): void => {
    queue.close();
  };
  call.signal?.addEventListener('abort', end, { once: true });
  try {
    if (call.signal?.aborted === true) return;
    yield* past;
    for (;;) {
      const event = await queue.next();
      if (event === undefined) return;
      yield event;
    }
  } finally {
    unwatch();
    stopListening();
    call.signal?.removeEventListener('abort', end);
  }
}

function kindsOf(request: WatchRequest): ReadonlySet<WatchKind> {
  checkCount('kinds', request.kinds.length, WATCH_KINDS.length);
  const kinds = request.kinds.map((text) => {
    const kind = WATCH_KINDS.find((known) => known === text);
    if (kind === undefined) throw invalid('kinds', `must be of: ${WATCH_KINDS.join(', ')}`);
    return kind;
  });
  return new Set(kinds.length === 0 ? WATCH_KINDS : kinds);
}

function pastEvents(
  state: State,
  request: WatchRequest,
  kinds: ReadonlySet<WatchKind>,
): Iterable<WatchEventInput> {
  if (request.snapshot) return currentEvents(state, kinds);
  if (request.afterIndex === 0) return [];
  const batches = state.changesSince(request.afterIndex);
  if (batches === 'compacted') {
    throw new ConclaveError(
      'CV_HISTORY_COMPACTED',
      'after_index is older than the changes that this manager keeps',
      { details: { field: 'after_index', index: state.appliedIndex } },
    );
  }
  return batches.flatMap((batch) => eventsOf(batch, kinds));
}

function eventsOf(batch: ChangeBatch, kinds: ReadonlySet<WatchKind>): WatchEventInput[] {
  return batch.changes.flatMap((change: Change) => {
    const event = eventOf(batch.index, change);
    return event !== undefined && kinds.has(event.kind) ? [event] : [];
  });
}
