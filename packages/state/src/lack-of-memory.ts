const messageOf = (error: unknown): string => {
  const { message = '', name = '' } = error as Partial<Error>;
  return name === 'RangeError' ? message : '';
};

/** True when this process had no memory: not of the entry, others may have carried it out. */
export function isLackOfMemory(error: unknown): boolean {
  return /allocat/i.test(messageOf(error));
}

/**
 * True when this process had no room for what it was doing, on its heap or its stack, so that going
 * on would part from the others. Every other defect breaks the same entry on every manager, and one
 * that stopped them all at it could never be left behind.
 */
export function isLackOfRoom(error: unknown): boolean {
  return isLackOfMemory(error) || /call stack/i.test(messageOf(error));
}
