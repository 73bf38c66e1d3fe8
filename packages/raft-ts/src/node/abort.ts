import type { CancelSignal } from './types.js';

/**
 * Calls `f` when the signal fires.
 *
 * @returns ends the listening; must be called when the waiting is over, or the signal keeps it alive
 */
export function onAbort(signal: CancelSignal | undefined, f: () => void): () => void {
  if (signal === undefined) return nothing;
  signal.addEventListener('abort', f);
  return () => {
    signal.removeEventListener('abort', f);
  };
}

function nothing(): void {
  // There is no signal to listen to.
}
