import { isConclaveError, limits } from '@conclave/kernel';
import type { State } from '@conclave/state';
import type { ControlDependencies } from './dependencies.js';
import { checkCount } from './invalid.js';

/** The state, showing all that was committed before the call unless a stale answer will do. */
export async function readState(deps: ControlDependencies, isStale = false): Promise<State> {
  if (!isStale) await deps.readIndex();
  return deps.state();
}

/**
 * What a write is about. What is missing here may only not have arrived yet, for example after a
 * write through another manager, so it is looked for again in all that was committed before.
 */
export async function lookUp<T>(deps: ControlDependencies, find: (state: State) => T): Promise<T> {
  try {
    return find(deps.state());
  } catch (error) {
    if (!isConclaveError(error) || error.kind !== 'missing') throw error;
    return find(await readState(deps));
  }
}

/** Filters of a list over named objects. */
export interface ListFilter {
  readonly namePrefix: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Refuses a filter with more pairs than an object may have. @throws CV_ARGUMENT_INVALID */
export function checkFilter(filter: ListFilter): void {
  checkCount('labels', Object.keys(filter.labels).length, limits.LABEL_COUNT_MAX);
}

/** True when an object passes: upper and lower case of names are equal, an empty label value asks for the key only. */
export function passes(
  filter: ListFilter,
  name: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (!name.toLowerCase().startsWith(filter.namePrefix.toLowerCase())) return false;
  return Object.entries(filter.labels).every(
    ([key, value]) => Object.hasOwn(labels, key) && (value === '' || labels[key] === value),
  );
}
