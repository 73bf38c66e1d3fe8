import { assert, checkTarget, ConclaveError } from '@conclave/kernel';

import type { HeldDirectory } from './held-directory.js';
import type { FileToWrite } from './held-directory.js';
import { GENERATION_FILES_MAX, PAGE_BYTES } from './limits.js';

/** Name of the link that shows the current generation; switched by one rename. */
const NOW = '.now';
const NOW_NEXT = '.now.next';
const GENERATION = /^\.gen-([1-9][0-9]{0,14})$/;
const DIRECTORY_MODE = 0o755;
const ID_MAX = 0xffff_fffe;

/** Name of the directory of generation `number`. */
export function generationName(number: number): string {
  return `.gen-${number}`;
}

/**
 * Checks a set of files: targets by their rule and without duplicates, mode without special bits.
 * @throws CV_ARGUMENT_INVALID naming the field
 */
export function checkFiles(files: readonly FileToWrite[]): void {
  const fail = (rule: string): never => {
    throw new ConclaveError('CV_ARGUMENT_INVALID', `files of a task: ${rule}`);
  };
  if (files.length > GENERATION_FILES_MAX) fail(`more than ${GENERATION_FILES_MAX}`);
  const names = new Set<string>();
  for (const { name, uid, gid, mode } of files) {
    checkTarget(name);
    if (names.has(name)) fail('two have the same target');
    names.add(name);
    if (!isWithin(uid, ID_MAX) || !isWithin(gid, ID_MAX)) fail('uid or gid is out of range');
    if (!isWithin(mode, 0o777)) fail('mode must be 0 to 0777');
  }
}

const isWithin = (value: number, max: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= max;

/** Bytes that the files take in whole pages. */
export function occupiedBytes(files: readonly FileToWrite[]): number {
  let bytes = 0;
  for (const { value } of files) bytes += Math.ceil(value.size / PAGE_BYTES) * PAGE_BYTES;
  return bytes;
}

/** Number of the generation that the directory shows now; 0: none. */
export function currentGeneration(view: HeldDirectory): number {
  const number = GENERATION.exec(view.linkTarget(NOW) ?? '')?.[1];
  return number === undefined ? 0 : Number(number);
}

/** Numbers of all generations in the directory, ascending. */
export function generationNumbers(directory: HeldDirectory): number[] {
  const numbers: number[] = [];
  for (const name of directory.names()) {
    const number = GENERATION.exec(name)?.[1];
    if (number !== undefined) numbers.push(Number(number));
  }
  return numbers.toSorted((left, right) => left - right);
}

/**
 * Writes generation `number` and shows it: all files of the set, or, when anything fails, none.
 * The links with stable names point through `.now`, so that one rename changes them all.
 */
export function switchTo(view: HeldDirectory, number: number, files: readonly FileToWrite[]): void {
  const name = generationName(number);
  const linked: string[] = [];
  // Outside of what is undone: a generation that is there already is not one of this call.
  const directory = view.createChild(name, DIRECTORY_MODE);
  try {
    writeInto(directory, files);
    const names = new Set(view.names());
    for (const file of files) {
      if (names.has(file.name)) continue;
      view.createLink(file.name, `${NOW}/${file.name}`);
      linked.push(file.name);
    }
    if (names.has(NOW_NEXT)) view.unlink(NOW_NEXT);
    view.createLink(NOW_NEXT, name);
    view.rename(NOW_NEXT, NOW);
  } catch (error) {
    for (const link of linked) view.unlink(link);
    destroyGeneration(view, name);
    throw error;
  }
}

/** Takes away the names of files that are not in the set that is shown. */
export function dropOtherLinks(view: HeldDirectory, files: readonly FileToWrite[]): void {
  const wanted = new Set(files.map((file) => file.name));
  for (const link of view.names()) {
    if (!link.startsWith('.') && !wanted.has(link)) view.unlink(link);
  }
}

function writeInto(directory: HeldDirectory, files: readonly FileToWrite[]): void {
  try {
    for (const file of files) directory.writeFile(file);
  } finally {
    directory.close();
  }
}

/** Empties and unlinks every file of a generation, then its directory; absent: nothing to do. */
export function destroyGeneration(parent: HeldDirectory, name: string): void {
  assert(GENERATION.test(name), 'not the name of a generation');
  if (!parent.names().includes(name)) return;
  const directory = parent.child(name);
  try {
    for (const file of directory.names()) directory.destroyFile(file);
  } finally {
    directory.close();
  }
  parent.removeChild(name);
}
