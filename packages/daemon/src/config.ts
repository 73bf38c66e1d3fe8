import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConclaveError, limits } from '@conclave/kernel';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Flags } from './flags.js';

/** Port of the cluster listener unless told otherwise; the join listener has the next one. */
export const CLUSTER_PORT = 7420;
const CONFIG_BYTES_MAX = 64 * 1024;
const PORT_MAX = 65_535;

const port = z.number().int().min(1).max(PORT_MAX);

/** As a service names it; YAML reads one without a gid as a number. */
const taskUser = z
  .union([z.string(), z.number().int()])
  .transform(String)
  .refine((text) => /^(?:0|[1-9]\d{0,8})(?::(?:0|[1-9]\d{0,8}))?$/.test(text), {
    message: 'must be "uid" or "uid:gid" in numbers',
  });

/** What a configuration file may say; everything else is refused. */
const FILE = z.strictObject({
  dataDir: z.string().min(1).optional(),
  runDir: z.string().min(1).optional(),
  listen: z.string().min(1).optional(),
  joinPort: port.optional(),
  hostname: z.string().min(1).optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
  logFormat: z.enum(['json', 'pretty']).optional(),
  allowSwap: z.boolean().optional(),
  allowedTaskUsers: z.array(taskUser).max(limits.ALLOWED_TASK_USERS_MAX).optional(),
  deliverySealing: z.enum(['hybrid', 'classical']).optional(),
});

/** Checked settings of a daemon, every default filled in. */
export interface DaemonConfig {
  readonly dataDir: string;
  readonly runDir: string;
  readonly listenHost: string;
  readonly clusterPort: number;
  readonly joinPort: number;
  readonly hostname: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly logFormat: 'json' | 'pretty';
  readonly allowSwap: boolean;
  /** Users of this host, "uid" or "uid:gid", that a service may name for its tasks. */
  readonly allowedTaskUsers: readonly string[];
  /** How the keys of sessions are agreed on: X25519 with ML-KEM-768, or X25519 alone. */
  readonly deliverySealing: 'hybrid' | 'classical';
}

/** Where defaults come from. */
export interface ConfigSurroundings {
  readonly uid: number;
  /** Name of this host by its system. */
  readonly hostname: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
}

const invalid = (text: string, hint = 'See docs/reference/configuration.md.'): ConclaveError =>
  new ConclaveError('CV_CONFIG_INVALID', text, { hint });

async function readConfigFile(path: string): Promise<z.infer<typeof FILE>> {
  let text: string;
  try {
    const found = await stat(path);
    // A device or a pipe may have no end.
    if (!found.isFile()) throw invalid('the configuration is not a file');
    if (found.size > CONFIG_BYTES_MAX) {
      throw invalid(`the configuration file is over ${CONFIG_BYTES_MAX} bytes`);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof ConclaveError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw invalid(`the configuration file cannot be read: ${code}`);
  }
  const parsed = FILE.safeParse(plainYaml(text) ?? {});
  if (parsed.success) return parsed.data;
  throw mistakeOf(parsed.error.issues[0]);
}

/** The content of the file: keys and plain values only, nothing that refers, tags or repeats. */
function plainYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line ?? 0;
    const isTwice = problem.code === 'DUPLICATE_KEY';
    const what = isTwice ? 'a key stands twice' : 'it is not plain YAML';
    throw invalid(`configuration: ${what}, at line ${line}`);
  }
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    throw invalid('configuration: references (&, *) are not allowed');
  }
}

/** Names the key, never the value: it may be something that should not have been there. */
function mistakeOf(issue: z.core.$ZodIssue | undefined): ConclaveError {
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const name = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(key) ? key : 'what stands there';
    const settings = Object.keys(FILE.shape).join(', ');
    return invalid(
      `configuration: ${name} is not a setting`,
      `Settings are ${settings}. Values, tokens and keys are never configured: pipe them to conclave.`,
    );
  }
  const at = issue?.path.join('.') ?? '';
  if (at === '') return invalid('configuration: the file must be lines of KEY: VALUE');
  return invalid(`configuration: ${at}: ${issue?.message ?? 'is wrong'}`);
}

function defaults({ uid, env }: ConfigSurroundings): { dataDir: string; runDir: string } {
  if (uid === 0) return { dataDir: '/var/lib/conclave', runDir: '/run/conclave' };
  // A variable that is empty counts as absent.
  const state = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local/state');
  const runtime = env['XDG_RUNTIME_DIR'] || `/dev/shm/conclave-${uid}`;
  return { dataDir: join(state, 'conclave'), runDir: join(runtime, 'conclave') };
}

function portOf(text: string, what: string): number {
  const value = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && value >= 1 && value <= PORT_MAX) return value;
  throw invalid(`${what} must be 1 to ${PORT_MAX}`);
}

/** `HOST`, `HOST:PORT`, `[V6]:PORT`; the host is an IP address of this machine. */
function listenOf(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|([0-9a-fA-F:.]+))(?::([0-9]{1,5}))?$/.exec(
    text,
  );
  const bare = isIP(text) === 6 ? text : undefined;
  const host = bare ?? match?.[1] ?? match?.[2] ?? '';
  if (isIP(host) === 0) throw invalid('listen must be an IP address, with or without :PORT');
  const portText = bare === undefined ? match?.[4] : undefined;
  return { host, port: portText === undefined ? CLUSTER_PORT : portOf(portText, 'listen port') };
}

function oneOf<T extends string>(what: string, text: string, options: readonly T[]): T {
  const found = options.find((option) => option === text);
  if (found === undefined) throw invalid(`${what} must be one of ${options.join(', ')}`);
  return found;
}

const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

function hostnameOf(text: string): string {
  if (HOSTNAME.test(text)) return text;
  throw invalid('hostname must be letters and digits with inner "." or "-"');
}

/**
 * Settings from the file and the flags, which win.
 * @throws CV_CONFIG_INVALID naming the key, never the value
 */
export async function readConfig(
  flags: Flags,
  surroundings: ConfigSurroundings,
): Promise<DaemonConfig> {
  const file = flags.config === undefined ? {} : await readConfigFile(flags.config);
  const fallback = defaults(surroundings);
  const listen = listenOf(flags.listen ?? file.listen ?? '0.0.0.0');
  const joinPort =
    flags.joinPort === undefined
      ? (file.joinPort ?? listen.port + 1)
      : portOf(flags.joinPort, 'join port');
  if (joinPort === listen.port) throw invalid('join port must differ from the cluster port');
  const format = flags.logFormat ?? file.logFormat ?? (surroundings.isTerminal ? 'pretty' : 'json');
  return {
    dataDir: resolve(flags.dataDir ?? file.dataDir ?? fallback.dataDir),
    runDir: resolve(flags.runDir ?? file.runDir ?? fallback.runDir),
    listenHost: listen.host,
    clusterPort: listen.port,
    joinPort,
    hostname: hostnameOf(flags.hostname ?? file.hostname ?? surroundings.hostname),
    logLevel: oneOf('log level', flags.logLevel ?? file.logLevel ?? 'info', [
      'debug',
      'info',
      'warn',
      'error',
    ]),
    logFormat: oneOf('log format', format, ['json', 'pretty']),
    allowSwap: flags.allowSwap || (file.allowSwap ?? false),
    allowedTaskUsers: file.allowedTaskUsers ?? [],
    deliverySealing: oneOf(
      'delivery sealing',
      flags.deliverySealing ?? file.deliverySealing ?? 'hybrid',
      ['hybrid', 'classical'],
    ),
  };
}
