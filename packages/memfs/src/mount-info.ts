/** One line of `/proc/PID/mountinfo`. */
export interface MountLine {
  /** `major:minor` of the file system; the same in every copy of a mount. */
  readonly device: string;
  /** The part of the file system that is mounted: `/` or a folder in it. */
  readonly root: string;
  readonly mountPoint: string;
  /** Options of this mount: `ro`, `nosuid`, ... */
  readonly options: readonly string[];
  readonly fileSystem: string;
  readonly source: string;
  /** Options of the file system itself: `noswap`, `size=64k`, ... */
  readonly superOptions: readonly string[];
}

const ESCAPE = /\\([0-7]{3})/g;

const unescape = (text: string): string =>
  text.replace(ESCAPE, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Reads mountinfo; lines that do not have its form are left out. */
export function parseMountInfo(text: string): MountLine[] {
  const lines: MountLine[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    // Between the sixth field and the dash stands any number of optional ones.
    const dash = fields.indexOf('-', 6);
    const [, , device, root, mountPoint, options] = fields;
    const [fileSystem, source, superOptions] = dash === -1 ? [] : fields.slice(dash + 1);
    if (device === undefined || root === undefined || mountPoint === undefined) continue;
    if (fileSystem === undefined || source === undefined) continue;
    lines.push({
      device,
      root: unescape(root),
      mountPoint: unescape(mountPoint),
      options: (options ?? '').split(','),
      fileSystem,
      source: unescape(source),
      superOptions: (superOptions ?? '').split(','),
    });
  }
  return lines;
}

/** The mount that `path` (absolute, without links) is on: the longest and latest that covers it. */
export function mountOf(lines: readonly MountLine[], path: string): MountLine | undefined {
  let best: MountLine | undefined;
  for (const line of lines) {
    if (!covers(line.mountPoint, path)) continue;
    if (best === undefined || line.mountPoint.length >= best.mountPoint.length) best = line;
  }
  return best;
}

function covers(mountPoint: string, path: string): boolean {
  return mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
}

/** True when `/proc/swaps` lists an active swap area. */
export function hasActiveSwap(swaps: string): boolean {
  return swaps
    .split('\n')
    .slice(1)
    .some((line) => line.trim() !== '');
}
