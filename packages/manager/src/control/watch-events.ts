import type { Change, NodeRow, ReceiptRow, State, TokenRow } from '@conclave/state';
import type { WatchEventInput } from '@conclave/wire';

/** The kinds of object that a watch tells about. */
export const WATCH_KINDS = ['secret', 'service', 'task', 'node', 'token', 'receipt'] as const;

/** One of {@link WATCH_KINDS}. */
export type WatchKind = (typeof WATCH_KINDS)[number];

/** An event with its kind. */
export type KindEvent = WatchEventInput & { readonly kind: WatchKind };

/** What a watch tells of an object. */
type Shown = Pick<KindEvent, 'kind' | 'id'> & { readonly name: string; readonly state: string };

/** The event for a change; `undefined` for kinds that are not told. */
export function eventOf(index: number, change: Change): KindEvent | undefined {
  const shown = shownOf(change);
  return shown === undefined ? undefined : { index, action: change.action, ...shown };
}

function shownOf(change: Change): Shown | undefined {
  switch (change.kind) {
    case 'secret': {
      const row = change.after ?? change.before;
      const version = String(row?.currentVersion ?? 0);
      return { kind: 'secret', id: change.id, name: row?.name ?? '', state: version };
    }
    case 'service': {
      const row = change.after ?? change.before;
      const { name = '' } = row?.spec ?? {};
      return { kind: 'service', id: change.id, name, state: row?.updateState ?? '' };
    }
    case 'task': {
      const row = change.after ?? change.before;
      return { kind: 'task', id: change.id, name: row?.serviceName ?? '', state: row?.state ?? '' };
    }
    case 'node':
      return nodeShown(change.id, change.after ?? change.before);
    case 'token':
      return tokenShown(change.id, change.after ?? change.before);
    case 'receipt':
      return receiptShown(change.id, change.after ?? change.before);
    case 'version':
    case 'admin':
    case 'cluster':
      return undefined;
  }
}

function nodeShown(id: string, row: NodeRow | undefined): Shown {
  return { kind: 'node', id, name: row?.hostname ?? '', state: row?.state ?? '' };
}

function tokenShown(id: string, row: TokenRow | undefined): Shown {
  return { kind: 'token', id, name: row?.role ?? '', state: row?.isRevoked ? 'revoked' : '' };
}

function receiptShown(id: string, row: ReceiptRow | undefined): Shown {
  return { kind: 'receipt', id, name: row?.target ?? '', state: row?.outcome ?? '' };
}

/**
 * One event per object, then the mark of the index at which this began. Made as the reader takes
 * them: an object that changes meanwhile may be told as it is then, and its change is told again.
 */
export function currentEvents(
  state: State,
  kinds: ReadonlySet<WatchKind>,
): Iterable<WatchEventInput> {
  return eventsAt(state.appliedIndex, state, kinds);
}

function* eventsAt(
  index: number,
  state: State,
  kinds: ReadonlySet<WatchKind>,
): Generator<WatchEventInput> {
  for (const row of currentRows(state)) {
    const shown = kinds.has(row.kind) ? shownOf(row) : undefined;
    if (shown !== undefined) yield { index, action: 'current', ...shown };
  }
  yield { index, action: 'synced', kind: '', id: '', name: '', state: '' };
}

type CurrentRow = Extract<Change, { kind: WatchKind }>;

function* currentRows(state: State): Generator<CurrentRow> {
  const base = { action: 'created', before: undefined } as const;
  for (const after of state.secrets()) yield { ...base, kind: 'secret', id: after.id, after };
  for (const after of state.services()) yield { ...base, kind: 'service', id: after.id, after };
  for (const after of state.tasks()) {
    yield { ...base, kind: 'task', id: after.id, after };
    for (const receipt of state.receiptsOfTask(after.id)) {
      const id = `${receipt.taskId}/${receipt.target}`;
      yield { ...base, kind: 'receipt', id, after: receipt };
    }
  }
  for (const after of state.nodes()) yield { ...base, kind: 'node', id: after.id, after };
  for (const after of state.tokens()) yield { ...base, kind: 'token', id: after.id, after };
}
