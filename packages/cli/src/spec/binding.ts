import { checkFileMode, checkSecretName, checkTarget, ConclaveError } from '@conclave/kernel';
import type { BindingInput } from '@conclave/client';

const UINT32_MAX = 0xffff_ffff;
const SIGNAL = /^(?:SIG)?([A-Z][A-Z0-9]{1,9})$/;
const MODE = /^0?[0-7]{3,4}$/;
const VERSION = /^[1-9]\d{0,9}$/;
const USER_ID = /^\d{1,10}$/;

/** What a binding does when the value changes. */
export interface OnChangeInput {
  readonly kind: 'none' | 'signal' | 'exec' | 'restart';
  readonly signal?: string;
  readonly command?: string;
}

function fail(what: string, rule: string): never {
  throw new ConclaveError('CV_ARGUMENT_INVALID', `${what}: ${rule}`, {
    hint: 'The form is NAME[@VERSION][:target=F,owner=UID[:GID],mode=0440,on-change=signal:HUP,optional].',
  });
}

/** Signal name without `SIG`. @throws CV_ARGUMENT_INVALID */
export function parseSignal(what: string, text: string): string {
  const name = SIGNAL.exec(text)?.[1];
  if (name !== undefined) return name;
  throw new ConclaveError('CV_ARGUMENT_INVALID', `${what}: a signal is written like HUP or SIGHUP`);
}

/**
 * `none`, `restart`, `signal:NAME` or `exec:COMMAND`.
 * @throws CV_ARGUMENT_INVALID
 */
export function parseOnChange(what: string, text: string): OnChangeInput {
  if (text === 'none' || text === 'restart') return { kind: text };
  if (text.startsWith('signal:')) {
    return { kind: 'signal', signal: parseSignal(what, text.slice('signal:'.length)) };
  }
  if (text.startsWith('exec:')) {
    const command = text.slice('exec:'.length);
    if (command.trim() === '') fail(what, 'exec: needs a command');
    return { kind: 'exec', command };
  }
  return fail(what, 'on-change must be none, restart, signal:NAME or exec:COMMAND');
}

/** `UID` or `UID:GID`. @throws CV_ARGUMENT_INVALID */
export function parseOwner(what: string, text: string): { uid: number; gid: number | undefined } {
  const parts = text.split(':');
  const [uid = Number.NaN, gid] = parts.map((part) =>
    USER_ID.test(part) && Number(part) < UINT32_MAX ? Number(part) : Number.NaN,
  );
  if (parts.length > 2 || Number.isNaN(uid) || Number.isNaN(gid)) {
    fail(what, 'owner must be UID or UID:GID, numbers');
  }
  return { uid, gid };
}

function parseMode(what: string, text: string): number {
  if (!MODE.test(text)) fail(what, 'mode must be octal, such as 0400 or 0440');
  const mode = Number.parseInt(text, 8);
  checkFileMode(mode);
  return mode;
}

/** Commas separate, but a command may have some: `on-change=exec:` takes all that follows. */
function splitSettings(text: string): readonly string[] {
  const exec = /(?:^|,)on-change=exec:/.exec(text);
  if (exec === null) return text.split(',');
  const at = exec.index;
  const before = at === 0 ? [] : text.slice(0, at).split(',');
  return [...before, text.slice(text[at] === ',' ? at + 1 : at)];
}

interface Draft {
  target?: string;
  uid?: number;
  gid?: number;
  mode?: number;
  onChange?: OnChangeInput;
  optional?: boolean;
}

function readSetting(what: string, setting: string): readonly [key: string, draft: Draft] {
  const at = setting.indexOf('=');
  const key = at === -1 ? setting : setting.slice(0, at);
  const value = at === -1 ? '' : setting.slice(at + 1);
  const isSwitch = key === 'optional' || key === 'required';
  if (isSwitch !== (at === -1)) {
    fail(what, isSwitch ? `${key} takes no value` : 'settings are written key=value');
  }
  switch (key) {
    case 'optional':
    case 'required':
      return ['optional or required', { optional: key === 'optional' }];
    case 'target':
      checkTarget(value);
      return [key, { target: value }];
    case 'owner': {
      const { uid, gid } = parseOwner(what, value);
      return [key, gid === undefined ? { uid } : { uid, gid }];
    }
    case 'mode':
      return [key, { mode: parseMode(what, value) }];
    case 'on-change':
      return [key, { onChange: parseOnChange(what, value) }];
    default:
      return fail(what, 'settings are target, owner, mode, on-change, optional and required');
  }
}

/**
 * Reads `NAME[@VERSION][:key=value,...]`. Absent settings stay absent: the cluster fills them in.
 * @throws CV_NAME_INVALID for the name, CV_ARGUMENT_INVALID for the rest
 */
export function parseBinding(what: string, text: string): BindingInput {
  const colon = text.indexOf(':');
  const head = colon === -1 ? text : text.slice(0, colon);
  const at = head.indexOf('@');
  const secretName = at === -1 ? head : head.slice(0, at);
  checkSecretName(secretName);
  const version = at === -1 ? 0 : Number(VERSION.exec(head.slice(at + 1))?.[0] ?? Number.NaN);
  if (Number.isNaN(version) || version > UINT32_MAX) fail(what, '@VERSION must be a number from 1');
  const draft: Draft = {};
  const seen = new Set<string>();
  for (const setting of colon === -1 ? [] : splitSettings(text.slice(colon + 1))) {
    const [key, value] = readSetting(what, setting);
    if (seen.has(key)) fail(what, `${key} is given twice`);
    seen.add(key);
    Object.assign(draft, value);
  }
  return { secretName, version, ...draft };
}

/** The file name of a binding: its target, or the last segment of the name. */
export function targetOf(binding: BindingInput): string {
  const name = binding.secretName ?? '';
  const target = binding.target ?? '';
  return target === '' ? name.slice(name.lastIndexOf('/') + 1) : target;
}

function formatOnChange(change: NonNullable<BindingInput['onChange']>): string {
  if (change.kind === 'signal') return `signal:${change.signal ?? ''}`;
  if (change.kind === 'exec') return `exec:${change.command ?? ''}`;
  return change.kind ?? 'none';
}

/** The text that `parseBinding` reads back. */
export function formatBinding(binding: BindingInput): string {
  const { gid, mode, onChange, target = '', uid, version = 0 } = binding;
  const settings: string[] = [];
  if (target !== '') settings.push(`target=${target}`);
  if (uid !== undefined) settings.push(`owner=${uid}${gid === undefined ? '' : `:${gid}`}`);
  if (mode !== undefined) settings.push(`mode=0${mode.toString(8).padStart(3, '0')}`);
  if (binding.optional === true) settings.push('optional');
  if (onChange !== undefined && onChange !== null) {
    settings.push(`on-change=${formatOnChange(onChange)}`);
  }
  const head = `${binding.secretName ?? ''}${version === 0 ? '' : `@${version}`}`;
  return settings.length === 0 ? head : `${head}:${settings.join(',')}`;
}
