import { closeSync } from 'node:fs';

/** Opens files for the time of `work`, and closes those that could be opened whatever happens. */
export function lendDescriptors<T>(
  opens: readonly (() => number)[],
  work: (descriptors: readonly number[]) => T,
): T {
  const descriptors: number[] = [];
  try {
    for (const open of opens) descriptors.push(open());
    return work(descriptors);
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}
